//! The feed: what those published whom one follows. It is read from the versions themselves, so that it is right at every
//! moment: who follows somebody sees what they published before, and what was taken back is gone.

use atelier_entities::{follow, lora, lora_version as version, scope::shown_to_all};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::ReadError,
    lora as loras,
    page::{Page, PageRequest, bad_cursor, read_cursor, write_cursor},
    policy::{Action, Installation, authorize},
    social::block,
    text,
};

/// A version that somebody published.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedEntry {
    /// The LoRA.
    pub lora: lora::Model,
    /// The version.
    pub version: version::Model,
    /// When it was published.
    pub published_at: DateTime<Utc>,
}

impl FeedEntry {
    /// Whether the LoRA became public with it; otherwise it is a further version.
    pub fn is_first(&self) -> bool {
        self.lora.published_at == Some(self.published_at)
    }
}

/// What those published whom the actor follows, newest first, without what the actor blocks.
///
/// # Errors
/// [`crate::error::Refused::Unauthenticated`]; a cursor that cannot be read.
pub async fn read(ctx: &Context, actor: &Actor, request: &PageRequest) -> Result<Page<FeedEntry>, ReadError> {
    authorize(actor, Action::FeedRead, &Installation)?;
    let person = actor.person()?;
    let followed = follow::Entity::find()
        .select_only()
        .column(follow::Column::FollowedId)
        .filter(follow::Column::FollowerId.eq(person.id));
    let shown = lora::Entity::find()
        .select_only()
        .column(lora::Column::Id)
        .filter(lora::Column::CreatedBy.in_subquery(followed.into_query()))
        .filter(shown_to_all());
    let shown = loras::without(ctx, shown, &block::of(ctx, actor).await?);
    let mut select = version::Entity::find()
        .filter(version::Column::LoraId.in_subquery(shown.into_query()))
        .filter(version::Column::PublishedAt.is_not_null());
    if let Some(cursor) = &request.after {
        select = select.filter(after(cursor).ok_or_else(bad_cursor)?);
    }
    let rows = select
        .order_by_desc(version::Column::PublishedAt)
        .order_by_desc(version::Column::Id)
        .limit(request.with_next())
        .all(ctx.db.read())
        .await?;
    let page = Page::cut(rows, request, cursor);
    let ids: Vec<Uuid> = page.rows.iter().map(|(_, row)| row.lora_id).collect();
    let loras = loras::by_ids(ctx, actor, &ids).await?;
    let entries = page.rows.into_iter().filter_map(|(cursor, version)| {
        let (lora, published_at) = (loras.get(&version.lora_id)?.clone(), version.published_at?);
        Some((cursor, FeedEntry { lora, version, published_at }))
    });
    Ok(Page { rows: entries.collect(), has_next: page.has_next })
}

fn cursor(version: &version::Model) -> String {
    let published_at = version.published_at.unwrap_or_default();
    write_cursor(&format!("{}:{}", published_at.timestamp_micros(), version.id))
}

/// What comes after a cursor; none if it is no cursor of a feed.
fn after(cursor: &str) -> Option<Condition> {
    let text = read_cursor(cursor)?;
    let (time, id) = text.split_once(':')?;
    let time = DateTime::<Utc>::from_timestamp_micros(time.parse().ok()?).filter(text::is_storable)?;
    let id: Uuid = id.parse().ok()?;
    let tied = Condition::all().add(version::Column::PublishedAt.eq(time)).add(version::Column::Id.lt(id));
    Some(Condition::any().add(version::Column::PublishedAt.lt(time)).add(tied))
}
