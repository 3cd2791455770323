//! Pages of lists that hang below several things at once: one statement for all of them, never one for each.

use std::{collections::HashMap, hash::Hash};

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait as _, Query, WindowStatement},
};
use uuid::Uuid;

use crate::page::{Direction, Page, PageError, PageRequest, write_cursor};

/// Reads the same page of the children of several parents. Children are ordered by their UUIDv7 key.
///
/// # Errors
/// What the database says; a cursor that cannot be read is an [`Invalid`](crate::error::Invalid).
pub async fn pages<E, C, K>(
    select: Select<E>,
    (parent, id): (E::Column, E::Column),
    keys: K,
    parents: &[Uuid],
    request: &PageRequest,
    direction: Direction,
    db: &C,
) -> Result<HashMap<Uuid, Page<E::Model>>, PageError>
where
    E: EntityTrait,
    E::Model: Send + Sync,
    C: ConnectionTrait,
    K: Fn(&E::Model) -> (Uuid, Uuid),
{
    let mut select = select.filter(parent.is_in(parents.iter().copied()));
    select = match (request.after_id()?, direction) {
        (Some(after), Direction::NewestFirst) => select.filter(id.lt(after)),
        (Some(after), Direction::OldestFirst) => select.filter(id.gt(after)),
        (None, _) => select,
    };
    let order = match direction {
        Direction::NewestFirst => Order::Desc,
        Direction::OldestFirst => Order::Asc,
    };
    let mut numbered = select.clone().select_only().column(id).into_query();
    let window =
        WindowStatement::partition_by(parent.as_column_ref()).order_by(id.as_column_ref(), order.clone()).take();
    numbered.expr_window_as(Expr::cust("ROW_NUMBER()"), window, "place");
    let most = i64::from(request.first) + 1;
    let first =
        Query::select().column(id).from_subquery(numbered, "numbered").and_where(Expr::col("place").lte(most)).take();
    let rows = select.filter(id.in_subquery(first)).order_by(id, order).all(db).await?;

    let empty = || Page { rows: Vec::new(), has_next: false };
    let mut pages: HashMap<Uuid, Page<E::Model>> = parents.iter().map(|parent| (*parent, empty())).collect();
    pages.extend(cut(rows, request, |row| keys(row).0, |row| write_cursor(&keys(row).1.to_string())));
    Ok(pages)
}

/// Pages of rows that were read for several parents in their order, one more of each than a page holds where there are more.
pub(crate) fn cut<T>(
    rows: Vec<T>,
    request: &PageRequest,
    parent: impl Fn(&T) -> Uuid,
    cursor: impl Fn(&T) -> String,
) -> HashMap<Uuid, Page<T>> {
    grouped(rows, parent).into_iter().map(|(parent, rows)| (parent, Page::cut(rows, request, &cursor))).collect()
}

/// Rows by a key; those of one key stay in their order.
pub(crate) fn grouped<T, K: Hash + Eq>(rows: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
