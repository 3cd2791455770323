//! Relay connections over the domain's pages.

use async_graphql::{
    OutputType,
    connection::{Connection, Edge},
};
use atelier_domain::{
    error::Failure,
    page::{Page, PageRequest},
};

use super::failure;

/// A connection with opaque cursors.
pub type ConnectionOf<T> = Connection<String, T>;

/// Reads `first` and `after`.
///
/// # Errors
/// `BAD_REQUEST` when `first` does not lie between 1 and 100.
pub fn page_request(first: i32, after: Option<String>) -> async_graphql::Result<PageRequest> {
    PageRequest::new(first, after)
        .map_err(|invalid| failure::read_error(atelier_domain::error::ReadError::from(invalid)))
}

/// Turns a page of rows into a connection of objects.
///
/// # Errors
/// What the use-case reported.
pub fn connection<R, T, F>(page: Result<Page<R>, F>, wrap: impl Fn(R) -> T) -> async_graphql::Result<ConnectionOf<T>>
where
    T: OutputType,
    F: Failure,
{
    let page = page.map_err(failure::read_error)?;
    let mut connection = Connection::new(false, page.has_next);
    connection.edges.extend(page.rows.into_iter().map(|(cursor, row)| Edge::new(cursor, wrap(row))));
    Ok(connection)
}
