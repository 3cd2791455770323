//! What names a person or a team: mail addresses and handles.

use std::ops::RangeInclusive;

use atelier_entities::{team, user};
use lettre::Address;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};

use crate::{database, error::Invalid, text};

/// Characters of the longest mail address (RFC 5321).
const LONGEST_EMAIL: usize = 254;

/// Characters of a handle.
pub(crate) const HANDLE_LENGTHS: RangeInclusive<usize> = 3..=32;

/// Words that would be mistaken for a part of the house.
const RESERVED: &[&str] =
    &["admin", "api", "atelier", "graphql", "graphiql", "moderator", "root", "settings", "support", "system"];

/// Checks a mail address and writes it as it is stored: lower case.
///
/// # Errors
/// [`Invalid`] with `INVALID_EMAIL`, `REQUIRED` or `TOO_LONG`.
pub(crate) fn check_email(email: &str) -> Result<String, Invalid> {
    let email = normal_email(&text::check("email", email, 1, LONGEST_EMAIL)?);
    // The part before the @ may be quoted and hold nearly anything; nobody has such an address.
    let plain = !email.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | ',' | '(' | ')'));
    if !plain || email.parse::<Address>().is_err() {
        let message = "This is no mail address. It looks like `name@example.org`.";
        return Err(Invalid::new("email", "INVALID_EMAIL", message));
    }
    Ok(email)
}

/// A mail address as it is stored, unchecked. With a control character, which PostgreSQL might not even compare, it is
/// nobody's.
pub(crate) fn normal_email(email: &str) -> String {
    let email = email.trim().to_lowercase();
    if email.contains(char::is_control) { String::new() } else { email }
}

/// Checks a handle: 3 to 32 lower-case letters, digits and single dashes.
///
/// # Errors
/// [`Invalid`] with `INVALID_HANDLE` or `HANDLE_TAKEN` (for words that are reserved).
pub(crate) fn check_handle(field: &'static str, handle: &str) -> Result<String, Invalid> {
    let handle = handle.trim().to_lowercase();
    let is_good = HANDLE_LENGTHS.contains(&handle.len())
        && handle.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !handle.starts_with('-')
        && !handle.ends_with('-')
        && !handle.contains("--");
    if !is_good {
        let message = format!(
            "`{field}` takes {} to {} lower-case letters, digits and single dashes between them, such as `ink-and-wash`.",
            HANDLE_LENGTHS.start(),
            HANDLE_LENGTHS.end()
        );
        return Err(Invalid::new(field, "INVALID_HANDLE", message));
    }
    if RESERVED.contains(&handle.as_str()) {
        return Err(taken(field, &handle));
    }
    Ok(handle)
}

/// The failure of a handle that is taken.
pub(crate) fn taken(field: &'static str, handle: &str) -> Invalid {
    Invalid::new(field, "HANDLE_TAKEN", format!("`{handle}` is taken. Choose another."))
}

/// Whether a person or a team, also one that was deleted, has this handle.
///
/// # Errors
/// What the database says.
pub(crate) async fn is_taken<C: ConnectionTrait>(db: &C, handle: &str) -> Result<bool, DbErr> {
    let people = user::Entity::find().filter(user::Column::Handle.eq(handle)).count(db).await?;
    let teams = team::Entity::find().filter(team::Column::Slug.eq(handle)).count(db).await?;
    Ok(people + teams > 0)
}

/// Holds all handles and addresses until the transaction ends, so that what is free stays free.
///
/// # Errors
/// What the database says.
pub(crate) async fn hold_names<C: ConnectionTrait>(tx: &C) -> Result<(), DbErr> {
    database::serialize(tx, "names").await
}
