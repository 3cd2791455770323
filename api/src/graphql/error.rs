//! The `errors[]` of an answer: every entry has a stable `extensions.code`, and what nobody expected is logged once with
//! the request's id and shown without its cause.

use std::fmt;

use async_graphql::{Response, ServerError, Value};
use serde_json::json;

/// More errors than this are cut off: a document can hold thousands of mistakes, and an answer need not.
pub const MOST_ERRORS: usize = 20;

const LONGEST_MESSAGE: usize = 500;

/// Stable codes of `errors[].extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nobody is signed in, or the token is not valid any more.
    Unauthenticated,
    /// Signed in, but not allowed.
    Forbidden,
    /// There is no such thing, or one may not know of it.
    NotFound,
    /// Too much was asked in too short a time.
    RateLimited,
    /// The document asks for more than one request may.
    CostExceeded,
    /// The thing changed meanwhile.
    Conflict,
    /// Something broke on our side.
    Internal,
    /// The request is not one.
    BadRequest,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema.
    ValidationFailed,
    /// It took too long.
    Timeout,
    /// More bytes than are taken.
    TooLarge,
}

impl Code {
    /// The code as clients see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::RateLimited => "RATE_LIMITED",
            Self::CostExceeded => "COST_EXCEEDED",
            Self::Conflict => "CONFLICT",
            Self::Internal => "INTERNAL",
            Self::BadRequest => "BAD_REQUEST",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::Timeout => "TIMEOUT",
            Self::TooLarge => "TOO_LARGE",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sentence for what nobody expected.
pub fn internal_sentence(request_id: &str) -> String {
    format!("Something went wrong on our side. Try again; if it stays, report the number {request_id}.")
}

/// One entry of `errors[]`, as JSON.
pub fn entry(code: Code, message: &str) -> serde_json::Value {
    json!({ "message": message, "extensions": { "code": code.as_str() } })
}

/// An entry for what nobody expected.
pub fn internal(request_id: &str) -> ServerError {
    coded(ServerError::new(internal_sentence(request_id), None), Code::Internal)
}

/// Gives every error of a response its code and hides what should not be seen. `executed` says whether the operation
/// was begun: errors without that are the document's.
pub fn finish(response: &mut Response, executed: bool, request_id: &str) {
    let cut = response.errors.len().saturating_sub(MOST_ERRORS);
    response.errors.truncate(MOST_ERRORS);
    for error in &mut response.errors {
        let known = error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some());
        if known {
            continue;
        }
        let mut bare = std::mem::replace(error, ServerError::new("", None));
        bare.message = sentence(bare.message);
        // A subscription that could not be begun was never executed, but its error is a resolver's.
        *error = if !executed && bare.path.is_empty() {
            coded(bare, Code::ValidationFailed)
        } else if bare.source.is_some() {
            hide(bare, request_id)
        } else {
            coded(bare, Code::BadRequest)
        };
    }
    if cut > 0 {
        let more = format!("There are {cut} more mistakes. Mend these first.");
        response.errors.push(coded(ServerError::new(more, None), Code::ValidationFailed));
    }
}

/// The engine's messages have no full stop, and repeat whatever name the document has.
fn sentence(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    } else if !message.ends_with(['.', '!', '?']) {
        message.push('.');
    }
    message
}

/// An error that a resolver let through as it was (a database's, say): its words are for the log alone.
fn hide(error: ServerError, request_id: &str) -> ServerError {
    tracing::error!(request_id, path = ?error.path, error = %error.message, "a resolver failed unexpectedly");
    let mut hidden = internal(request_id);
    hidden.path = error.path;
    hidden.locations = error.locations;
    hidden
}

fn coded(mut error: ServerError, code: Code) -> ServerError {
    let mut extensions = error.extensions.take().unwrap_or_default();
    extensions.set("code", Value::from(code.as_str()));
    error.extensions = Some(extensions);
    error
}
