//! Pages of lists: by key, so that every row comes once also while rows are inserted.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::error::Invalid;

/// The longest page.
pub const MOST: u32 = 100;

/// Which rows a caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// How many, 1 to [`MOST`].
    pub first: u32,
    /// After which cursor.
    pub after: Option<String>,
}

impl PageRequest {
    /// Checks the length.
    ///
    /// # Errors
    /// [`Invalid`] with `OUT_OF_RANGE`.
    pub fn new(first: i32, after: Option<String>) -> Result<Self, Invalid> {
        match u32::try_from(first) {
            Ok(first @ 1..=MOST) => Ok(Self { first, after }),
            _ => {
                let message = format!("`first` is {first}; ask for 1 to {MOST} rows a page.");
                Err(Invalid::new("first", "OUT_OF_RANGE", message))
            }
        }
    }

    /// How many rows are read: one more says whether another page follows.
    pub(crate) fn with_next(&self) -> u64 {
        u64::from(self.first) + 1
    }

    /// The key after which the page begins.
    ///
    /// # Errors
    /// [`Invalid`] with `BAD_CURSOR`.
    pub fn after_id(&self) -> Result<Option<Uuid>, Invalid> {
        self.after
            .as_deref()
            .map(|cursor| read_cursor(cursor).and_then(|text| text.parse().ok()).ok_or_else(bad_cursor))
            .transpose()
    }
}

/// What is wrong with a cursor that cannot be read.
pub fn bad_cursor() -> Invalid {
    Invalid::new("after", "BAD_CURSOR", "`after` is no cursor of this list. Pass an `endCursor` as it came.")
}

/// What is wrong with a cursor of a list that cannot go on as it began.
pub fn too_old() -> Invalid {
    let message = "The list that `after` belongs to began too long ago to go on. Ask for it again from the start.";
    Invalid::new("after", "CURSOR_TOO_OLD", message)
}

/// Writes a cursor.
pub fn write_cursor(position: &str) -> String {
    URL_SAFE_NO_PAD.encode(position)
}

/// Reads a cursor.
pub fn read_cursor(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// Rows of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Rows and their cursors.
    pub rows: Vec<(String, T)>,
    /// Whether more follow.
    pub has_next: bool,
}

impl<T> Page<T> {
    /// A page of rows in their order, of which one more was read than the page holds where there are more.
    pub(crate) fn cut(mut rows: Vec<T>, request: &PageRequest, cursor: impl Fn(&T) -> String) -> Self {
        let first = request.first as usize;
        let has_next = rows.len() > first;
        rows.truncate(first);
        Self { rows: rows.into_iter().map(|row| (cursor(&row), row)).collect(), has_next }
    }

    /// Turns each row into something else.
    pub fn map<U>(self, mut turn: impl FnMut(T) -> U) -> Page<U> {
        let rows = self.rows.into_iter().map(|(cursor, row)| (cursor, turn(row))).collect();
        Page { rows, has_next: self.has_next }
    }
}

/// Which end of the list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Newest first.
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// Reads a page of a list that is ordered by its UUIDv7 key, that is, by the time of creation.
///
/// # Errors
/// What the database says; a cursor that cannot be read is an [`Invalid`].
pub async fn by_id<E, C, I>(
    select: Select<E>,
    column: E::Column,
    id_of: I,
    request: &PageRequest,
    direction: Direction,
    db: &C,
) -> Result<Page<E::Model>, PageError>
where
    E: EntityTrait,
    E::Model: Send + Sync,
    C: ConnectionTrait,
    I: Fn(&E::Model) -> Uuid,
{
    let after = request.after_id()?;
    let select = match (after, direction) {
        (Some(id), Direction::NewestFirst) => select.filter(column.lt(id)),
        (Some(id), Direction::OldestFirst) => select.filter(column.gt(id)),
        (None, _) => select,
    };
    let select = match direction {
        Direction::NewestFirst => select.order_by_desc(column),
        Direction::OldestFirst => select.order_by_asc(column),
    };
    let rows = select.limit(request.with_next()).all(db).await?;
    Ok(Page::cut(rows, request, |row| write_cursor(&id_of(row).to_string())))
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The request is at fault.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database is.
    #[error(transparent)]
    Database(#[from] DbErr),
}
