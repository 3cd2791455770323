//! LoRAs: a card that a team writes, and versions of its file.
//!
//! A draft is seen by its team. [`publish()`] shows it to everybody; [`download()`] hands its file out; [`delete()`]
//! leaves a tombstone that keeps card and hashes.

mod catalogue;
pub mod compatibility;
pub mod creator;
mod delete;
mod download;
pub mod header;
mod import;
pub mod index_consumer;
pub mod measuring;
mod publish;
pub mod rebuild;
mod search;
mod suggest;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod versions;

use std::collections::HashMap;

use atelier_entities::{
    kinds::{EventKind, LoraState},
    lora, team,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    outbox,
    policy::{Action, Resource, authorize},
    text,
    widen::widen,
};

pub(crate) use catalogue::without;
pub use delete::delete;
pub use download::{Download, DownloadError, download};
pub use import::{ImportError, ImportLora, import};
pub use index_consumer::{LoraIndexer, reindex_if_needed};
pub use publish::{PublishError, PublishLora, UnpublishError, publish, unpublish};
pub use search::{
    Facets, Found, FoundPage, Highlight, HighlightField, LoraFilter, LoraSearch, LoraSort, facets, related, search,
};
pub use suggest::{Suggestion, suggest};
pub use terms::{CommercialUse, Terms};
pub use versions::{AddVersionError, NewVersion, VersionSource, add_version};

/// The media type of safetensors files.
pub const MEDIA_TYPE: &str = "application/octet-stream";

const LONGEST_NAME: usize = 120;
const LONGEST_DESCRIPTION: usize = 10_000;
const LONGEST_LICENSE: usize = 200;
pub(crate) const LONGEST_TAG: usize = 40;
const MOST_TAGS: usize = 20;

/// A LoRA to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewLora {
    /// The team that owns it; the person's own team without one.
    pub team: Option<Uuid>,
    /// Its name, 1 to 120 characters.
    pub name: String,
    /// Its style in words, at most 10,000 characters.
    pub description: String,
    /// Tags; kept in lower case.
    pub tags: Vec<String>,
    /// Licence of the weights: an SPDX identifier or a name.
    pub license: String,
    /// What others may do with it, where the licence is not a well-known one.
    pub terms: Option<Terms>,
}

failures! {
    /// Why [`create`] refused.
    pub enum CreateLoraError {}
}

failures! {
    /// Why [`update`] refused.
    pub enum UpdateLoraError {
        /// It is a tombstone.
        Deleted => ("id", "LORA_DELETED", "This LoRA was deleted; its card stays as it was."),
        /// A published LoRA says under which licence.
        LicenseNeeded => ("license", "LICENSE_NEEDED", "A published LoRA needs a licence. Unpublish it first, or name another."),
        /// A published LoRA says what others may do with it.
        TermsNeeded => ("terms", "TERMS_NEEDED", "This licence is not one that is well known. Say in `terms` what others may do."),
    }
}

widen!(KeyError => CreateLoraError);

/// Makes a draft.
///
/// # Errors
/// [`Invalid`] for texts that are missing or too long.
pub async fn create(
    ctx: &Context,
    actor: &Actor,
    new: NewLora,
    key: Option<&str>,
) -> Result<lora::Model, CreateLoraError> {
    let person = actor.person()?;
    let card = Card {
        terms: terms::choose(new.license.trim(), new.terms)?,
        ..Card::check(&new.name, &new.description, &new.tags, &new.license)?
    };
    let tx = ctx.db.write().await?;
    let team = new.team.unwrap_or(person.personal_team);
    let team = team::Entity::find_by_id(team).one(&tx).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::LoraWrite, &team)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "createLora", &new).await?;
    if let Some(id) = once.earlier() {
        drop(tx);
        return Ok(get(ctx, actor, id).await.map_err(anyhow::Error::from)?);
    }
    let row = insert(&tx, ctx, team.id, person.id, card).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "create", "name": row.name })).await?;
    once.remember(&tx, ctx, row.id).await?;
    announce_draft(&tx, ctx, actor, &row).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// What people read of a LoRA, checked.
struct Card {
    name: String,
    description: String,
    tags: Vec<String>,
    license: String,
    /// What was chosen; none where the licence is only what a file says.
    terms: Option<Terms>,
}

impl Card {
    fn check(name: &str, description: &str, tags: &[String], license: &str) -> Result<Self, Invalid> {
        let tags: Vec<String> = tags.iter().map(|tag| tag.trim().to_lowercase()).collect();
        Ok(Self {
            name: text::check("name", name, 1, LONGEST_NAME)?,
            description: text::check("description", description, 0, LONGEST_DESCRIPTION)?,
            tags: text::check_words("tags", &tags, MOST_TAGS, LONGEST_TAG)?,
            license: text::check("license", license, 0, LONGEST_LICENSE)?,
            terms: None,
        })
    }
}

async fn insert<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    user: Uuid,
    card: Card,
) -> Result<lora::Model, DbErr> {
    let now = ctx.now();
    let row = lora::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team),
        created_by: Set(user),
        name: Set(card.name),
        description: Set(card.description),
        tags: Set(json!(card.tags)),
        license: Set(card.license),
        terms: Set(card.terms.map(Terms::kept)),
        state: Set(LoraState::Draft),
        latest_version_id: Set(None),
        rating_sum: Set(0),
        rating_count: Set(0),
        rating_score: Set(0.0),
        download_count: Set(0),
        generation_count: Set(0),
        follower_notified_at: Set(None),
        published_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        hidden_at: Set(None),
    };
    row.insert(tx).await
}

/// Makes a draft that has only a name, in the caller's transaction: a training or an import fills it. The caller
/// [announces](announce_draft) it.
pub(crate) async fn insert_draft<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    user: Uuid,
    name: &str,
) -> Result<lora::Model, CreateLoraError> {
    Ok(insert(tx, ctx, team, user, Card::check(name, "", &[], "")?).await?)
}

/// A LoRA that the actor may see. Its team also sees the tombstone of one it deleted.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<lora::Model, ReadError> {
    let row = lora::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    authorize(actor, Action::LoraRead, &row)?;
    Ok(row)
}

/// LoRAs by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, lora::Model>, ReadError> {
    // By the keys alone: asked who may see them as well, SQLite goes through all that are published instead of the keys.
    let rows = lora::Entity::find().filter(lora::Column::Id.is_in(ids.iter().copied())).all(ctx.db.read()).await?;
    let sees = |row: &lora::Model| row.state != LoraState::Deleted && authorize(actor, Action::LoraRead, row).is_ok();
    Ok(rows.into_iter().filter(sees).map(|row| (row.id, row)).collect())
}

/// What changes on a card; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateLora {
    /// Its name.
    pub name: Option<String>,
    /// Its style in words.
    pub description: Option<String>,
    /// All its tags.
    pub tags: Option<Vec<String>>,
    /// Licence of the weights.
    pub license: Option<String>,
    /// What others may do with it.
    pub terms: Option<Terms>,
}

impl UpdateLora {
    /// The terms that hold from then on, where licence or terms are said anew.
    fn chosen(&self, before: &lora::Model) -> Result<Option<Terms>, Invalid> {
        if self.license.is_none() && self.terms.is_none() {
            return Ok(Terms::of(before));
        }
        let license = self.license.as_deref().unwrap_or(&before.license).trim();
        // A licence that is said again changes nothing of what was chosen with it.
        let kept = Terms::of(before).filter(|_| license == before.license);
        Ok(terms::choose(license, self.terms)?.or(kept))
    }
}

/// Changes a card.
///
/// # Errors
/// [`Invalid`] for texts that are missing or too long; [`UpdateLoraError::Deleted`], [`UpdateLoraError::LicenseNeeded`].
pub async fn update(
    ctx: &Context,
    actor: &Actor,
    id: Uuid,
    change: UpdateLora,
) -> Result<lora::Model, UpdateLoraError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraWrite, &row)?;
    if row.state == LoraState::Deleted {
        return Err(UpdateLoraError::Deleted);
    }
    let chosen = change.chosen(&row)?;
    let card = Card::check(
        change.name.as_deref().unwrap_or(&row.name),
        change.description.as_deref().unwrap_or(&row.description),
        &change.tags.clone().unwrap_or_else(|| versions::words(&row.tags)),
        change.license.as_deref().unwrap_or(&row.license),
    )?;
    if row.state == LoraState::Published && card.license.is_empty() {
        return Err(UpdateLoraError::LicenseNeeded);
    }
    // What was published before anybody had to choose stays as it is until its licence is changed.
    if row.state == LoraState::Published && chosen.is_none() && row.license != card.license {
        return Err(UpdateLoraError::TermsNeeded);
    }
    let mut row = row.into_active_model();
    row.name = Set(card.name);
    row.description = Set(card.description);
    row.tags = Set(json!(card.tags));
    row.license = Set(card.license);
    row.terms = Set(chosen.map(Terms::kept));
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "update" })).await?;
    announce(&tx, ctx, actor, &row, EventKind::LoraChanged, json!({})).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

async fn locked<C: ConnectionTrait>(tx: &C, id: Uuid) -> Result<Option<lora::Model>, DbErr> {
    lora::Entity::find_by_id(id).lock_exclusive().one(tx).await
}

/// Tells the outbox that a LoRA came to be or got a version that its team alone sees: the index follows, nobody is told. Last in
/// the transaction.
pub(crate) async fn announce_draft<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    actor: &Actor,
    row: &lora::Model,
) -> Result<(), DbErr> {
    announce(tx, ctx, actor, row, EventKind::LoraChanged, json!({})).await
}

/// Tells the outbox what happened to a LoRA; last in the transaction.
async fn announce<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    actor: &Actor,
    row: &lora::Model,
    kind: EventKind,
    payload: serde_json::Value,
) -> Result<(), DbErr> {
    let event = outbox::Event { kind, team: Some(row.team_id), actor: actor.user_id(), subject: row.id, payload };
    outbox::append(tx, ctx, event).await
}
