//! Pages of lists that hang below several things at once: one statement for all of them, never one for each.

use std::collections::HashMap;

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
    for row in rows {
        let (parent, id) = keys(&row);
        let page = pages.entry(parent).or_insert_with(empty);
        if page.rows.len() < request.first as usize {
            page.rows.push((write_cursor(&id.to_string()), row));
        } else {
            page.has_next = true;
        }
    }
    Ok(pages)
}
