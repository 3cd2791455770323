//! Checks of texts, numbers and times that people send: trimmed, within bounds, without control characters.

use chrono::{DateTime, Datelike, Utc};

use crate::error::Invalid;

/// Trims a text and checks its length in characters.
///
/// # Errors
/// [`Invalid`] with `REQUIRED`, `TOO_LONG` or `CONTROL_CHARACTER`, naming the field and the limit.
pub fn check(field: &'static str, value: &str, least: usize, most: usize) -> Result<String, Invalid> {
    let value = value.trim();
    let length = value.chars().count();
    if length < least {
        let message = match least {
            1 => format!("`{field}` is empty. Give it a value."),
            _ => format!("`{field}` has {length} characters; it needs at least {least}."),
        };
        return Err(Invalid::new(field, "REQUIRED", message));
    }
    if length > most {
        let message = format!("`{field}` has {length} characters; at most {most} are kept. Shorten it.");
        return Err(Invalid::new(field, "TOO_LONG", message));
    }
    if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        let message = format!("`{field}` holds a control character. Remove it.");
        return Err(Invalid::new(field, "CONTROL_CHARACTER", message));
    }
    Ok(value.to_owned())
}

/// Checks a list of short words (tags, trigger words): trimmed, without repeats, in the order given.
///
/// # Errors
/// As [`check`], and `TOO_MANY`.
pub fn check_words(field: &'static str, words: &[String], most: usize, longest: usize) -> Result<Vec<String>, Invalid> {
    if words.len() > most {
        let message = format!("`{field}` has {} entries; at most {most} are kept. Remove some.", words.len());
        return Err(Invalid::new(field, "TOO_MANY", message));
    }
    let mut kept: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        let word = check(field, word, 1, longest)?;
        if !kept.contains(&word) {
            kept.push(word);
        }
    }
    Ok(kept)
}

/// Checks that a number lies within bounds.
///
/// # Errors
/// [`Invalid`] with `OUT_OF_RANGE`, naming the field and the bounds.
pub fn check_range<N: PartialOrd + std::fmt::Display + Copy>(
    field: &'static str,
    value: N,
    least: N,
    most: N,
) -> Result<N, Invalid> {
    if value >= least && value <= most {
        return Ok(value);
    }
    let message = format!("`{field}` is {value}; it must lie between {least} and {most}.");
    Err(Invalid::new(field, "OUT_OF_RANGE", message))
}

/// Whether every database can compare a time: PostgreSQL's calendar begins later than the one that times are read by.
pub fn is_storable(time: &DateTime<Utc>) -> bool {
    (1..=9_999).contains(&time.year())
}

/// Checks that a time lies between the years 1 and 9999.
///
/// # Errors
/// [`Invalid`] with `OUT_OF_RANGE`, naming the field.
pub fn check_time(field: &'static str, time: DateTime<Utc>) -> Result<DateTime<Utc>, Invalid> {
    if is_storable(&time) {
        return Ok(time);
    }
    let message = format!("`{field}` lies in the year {}; it must lie between the years 1 and 9999.", time.year());
    Err(Invalid::new(field, "OUT_OF_RANGE", message))
}
