//! What a person has published: lists for their profile, and what it comes to.

use std::collections::HashMap;

use atelier_entities::{lora, scope::shown_to_all};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait as _, Query, WindowStatement},
};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::ReadError,
    nested,
    page::{Page, PageRequest, bad_cursor, read_cursor, write_cursor},
    text,
};

/// What a person's published LoRAs come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Totals {
    /// How many there are.
    pub loras: i64,
    /// Their downloads.
    pub downloads: i64,
}

#[derive(FromQueryResult)]
struct TotalsOf {
    created_by: Uuid,
    loras: i64,
    downloads: i64,
}

/// What the published LoRAs of several people come to, for loaders.
///
/// # Errors
/// What the database says.
pub async fn totals(ctx: &Context, _actor: &Actor, users: &[Uuid]) -> Result<HashMap<Uuid, Totals>, ReadError> {
    let rows: Vec<TotalsOf> = published()
        .select_only()
        .column(lora::Column::CreatedBy)
        .column_as(lora::Column::Id.count(), "loras")
        .column_as(lora::Column::DownloadCount.sum().cast_as("bigint"), "downloads")
        .filter(lora::Column::CreatedBy.is_in(users.iter().copied()))
        .group_by(lora::Column::CreatedBy)
        .into_model()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().map(|row| (row.created_by, Totals { loras: row.loras, downloads: row.downloads })).collect())
}

/// Which of a person's LoRAs come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Newest,
    MostDownloaded,
}

impl Sort {
    fn column(self) -> lora::Column {
        match self {
            Self::Newest => lora::Column::PublishedAt,
            Self::MostDownloaded => lora::Column::DownloadCount,
        }
    }

    fn cursor(self, row: &lora::Model) -> String {
        write_cursor(&match self {
            Self::Newest => format!("newest:{}:{}", row.published_at.unwrap_or_default().timestamp_micros(), row.id),
            Self::MostDownloaded => format!("downloads:{}:{}", row.download_count, row.id),
        })
    }

    /// What comes after a cursor; none if it is no cursor of this list.
    fn after(self, cursor: &str) -> Option<Condition> {
        let text = read_cursor(cursor)?;
        let mut parts = text.splitn(3, ':');
        let name = parts.next()?;
        let number: i64 = parts.next()?.parse().ok()?;
        let id: Uuid = parts.next()?.parse().ok()?;
        let value = match (self, name) {
            (Self::Newest, "newest") => {
                Expr::value(DateTime::<Utc>::from_timestamp_micros(number).filter(text::is_storable)?)
            }
            (Self::MostDownloaded, "downloads") => Expr::value(number),
            _ => return None,
        };
        let tied = Condition::all().add(Expr::col(self.column()).eq(value.clone())).add(lora::Column::Id.lt(id));
        Some(Condition::any().add(Expr::col(self.column()).lt(value)).add(tied))
    }
}

/// The published LoRAs of several people, those first that were published last.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn newest(
    ctx: &Context,
    _actor: &Actor,
    users: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<lora::Model>>, ReadError> {
    pages(ctx, users, Sort::Newest, request).await
}

/// The published LoRAs of several people, those first that were downloaded most.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn most_downloaded(
    ctx: &Context,
    _actor: &Actor,
    users: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<lora::Model>>, ReadError> {
    pages(ctx, users, Sort::MostDownloaded, request).await
}

fn published() -> sea_orm::Select<lora::Entity> {
    lora::Entity::find().filter(shown_to_all())
}

async fn pages(
    ctx: &Context,
    users: &[Uuid],
    sort: Sort,
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<lora::Model>>, ReadError> {
    let mut select = published().filter(lora::Column::CreatedBy.is_in(users.iter().copied()));
    if let Some(cursor) = &request.after {
        select = select.filter(sort.after(cursor).ok_or_else(bad_cursor)?);
    }
    let rows = first_of_each(ctx, select, sort, i64::from(request.first) + 1).await?;
    Ok(nested::cut(rows, request, |row| row.created_by, |row| sort.cursor(row)))
}

/// The first rows of each person, in one statement.
async fn first_of_each(
    ctx: &Context,
    select: sea_orm::Select<lora::Entity>,
    sort: Sort,
    most: i64,
) -> Result<Vec<lora::Model>, DbErr> {
    let mut numbered = select.select_only().column(lora::Column::Id).into_query();
    let window = WindowStatement::partition_by(lora::Column::CreatedBy)
        .order_by(sort.column(), Order::Desc)
        .order_by(lora::Column::Id, Order::Desc)
        .take();
    numbered.expr_window_as(Expr::cust("ROW_NUMBER()"), window, "place");
    let first = Query::select()
        .column(lora::Column::Id)
        .from_subquery(numbered, "numbered")
        .and_where(Expr::col("place").lte(most))
        .take();
    lora::Entity::find()
        .filter(lora::Column::Id.in_subquery(first))
        .order_by_desc(sort.column())
        .order_by_desc(lora::Column::Id)
        .all(ctx.db.read())
        .await
}
