//! How a use-case's failure is shown: what the caller can mend as a `userError`, refusals as `errors[]` with a code, the
//! rest logged once and shown as an opaque code.

use async_graphql::{Error, ErrorExtensions, SimpleObject};
use atelier_domain::error::{DISK_FULL, Failure, Refused, Report, is_disk_full};

/// Something in the input that the caller can mend.
#[derive(SimpleObject, Clone, Debug)]
pub struct UserError {
    /// The input field at fault; none when it is the input as a whole.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
    /// A stable code.
    pub code: String,
}

/// A refusal as an entry of `errors[]`.
pub fn refused(refused: &Refused) -> Error {
    let code = match refused {
        Refused::NotFound(_) => "NOT_FOUND",
        Refused::Forbidden(_) => "FORBIDDEN",
        Refused::Unauthenticated => "UNAUTHENTICATED",
        Refused::Conflict(_) => "CONFLICT",
    };
    coded(refused.to_string(), code)
}

/// An entry of `errors[]` with a code.
pub fn coded(message: impl Into<String>, code: &'static str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// What nobody expected: logged here, shown as `INTERNAL`.
pub fn unexpected(error: &anyhow::Error) -> Error {
    let trace = uuid::Uuid::new_v4();
    tracing::error!(%trace, error = format!("{error:#}"), "a use-case failed unexpectedly");
    if is_disk_full(error) {
        return coded(DISK_FULL, "INTERNAL");
    }
    coded(format!("Something went wrong on our side. Try again; if it stays, report the number {trace}."), "INTERNAL")
}

/// The failure of a read: everything is an entry of `errors[]`.
pub fn read_error(failure: impl Failure) -> Error {
    match failure.report() {
        Report::User(invalid) => {
            let field = invalid.field.to_string();
            coded(invalid.message, "BAD_REQUEST").extend_with(|_, extensions| {
                extensions.set("field", field.as_str());
                extensions.set("reason", invalid.code);
            })
        }
        Report::Refused(refusal) => refused(&refusal),
        Report::Unexpected(error) => unexpected(&error),
    }
}

/// The outcome of a mutation, parted into what goes into its payload and what into `errors[]`.
///
/// # Errors
/// Refusals and the unexpected.
pub fn outcome<T, F: Failure>(result: Result<T, F>) -> async_graphql::Result<(Option<T>, Vec<UserError>)> {
    match result.map_err(Failure::report) {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(Report::User(invalid)) => {
            let field = (!invalid.field.is_empty()).then(|| invalid.field.to_string());
            Ok((None, vec![UserError { field, message: invalid.message, code: invalid.code.to_owned() }]))
        }
        Err(Report::Refused(refusal)) => Err(refused(&refusal)),
        Err(Report::Unexpected(error)) => Err(unexpected(&error)),
    }
}
