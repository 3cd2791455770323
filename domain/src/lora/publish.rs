//! Showing a LoRA to everybody, and taking it back.

use atelier_entities::{
    kinds::{EventKind, LoraState},
    lora, lora_version as version,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use super::{
    LONGEST_LICENSE, announce, compatibility, locked,
    terms::{self, Terms},
};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::Refused,
    failures,
    policy::{Action, Resource, authorize},
    text,
};

failures! {
    /// Why [`publish`] refused.
    pub enum PublishError {
        /// There is nothing to publish.
        NoVersion => ("id", "NO_VERSION", "This LoRA has no version yet. Train one or import a file first."),
        /// The version is another LoRA's.
        ForeignVersion => ("versionId", "FOREIGN_VERSION", "This version belongs to another LoRA. Name one of this LoRA's."),
        /// Nobody said what others may do with it.
        LicenseNeeded => ("license", "LICENSE_NEEDED", "Name the licence of the weights, such as `Apache-2.0` or `CC-BY-4.0`."),
        /// The licence stands in the file, and nobody has chosen it.
        LicenseNotChosen { license: String } => ("license", "LICENSE_NOT_CHOSEN", "Nobody here has chosen the licence `{license}` yet. Give `license` that or another one."),
        /// Nobody said what the licence allows.
        TermsNeeded { license: String } => ("terms", "TERMS_NEEDED", "`{license}` is not a licence that is well known. Say in `terms` what others may do."),
        /// Everybody sees it already.
        AlreadyPublished => ("id", "ALREADY_PUBLISHED", "This version is published already; there is nothing to do."),
        /// It is a tombstone.
        Deleted => ("id", "LORA_DELETED", "This LoRA was deleted and cannot be published. Make a new one."),
    }
}

failures! {
    /// Why [`unpublish`] refused.
    pub enum UnpublishError {
        /// Nobody but the team sees it.
        NotPublished => ("id", "NOT_PUBLISHED", "This LoRA is not published; there is nothing to take back."),
    }
}

/// What is published, and how.
#[derive(Clone, Debug)]
pub struct PublishLora {
    /// The LoRA.
    pub id: Uuid,
    /// The version; the newest without one.
    pub version: Option<Uuid>,
    /// Licence of the weights, unless somebody chose one for the card.
    pub license: Option<String>,
    /// What others may do with it, where the licence is not a well-known one and nobody has said it.
    pub terms: Option<Terms>,
}

/// Shows a version of a LoRA, and with it the LoRA, to everybody. A further version of a published LoRA is published in
/// the same way.
///
/// # Errors
/// [`PublishError`].
pub async fn publish(ctx: &Context, actor: &Actor, input: PublishLora) -> Result<lora::Model, PublishError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, input.id).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraPublish, &row)?;
    if row.state == LoraState::Deleted {
        return Err(PublishError::Deleted);
    }
    let license = text::check("license", input.license.as_deref().unwrap_or(&row.license), 0, LONGEST_LICENSE)?;
    if license.is_empty() {
        return Err(PublishError::LicenseNeeded);
    }
    let terms = chosen_terms(&row, &license, &input)?;
    let versions = version::Entity::find()
        .filter(version::Column::LoraId.eq(row.id))
        .order_by_desc(version::Column::Number)
        .all(&tx)
        .await?;
    let chosen = match input.version {
        None => versions.first().ok_or(PublishError::NoVersion)?.clone(),
        Some(id) => versions.into_iter().find(|version| version.id == id).ok_or(PublishError::ForeignVersion)?,
    };
    let was_published = row.state == LoraState::Published;
    if was_published && chosen.published_at.is_some() {
        return Err(PublishError::AlreadyPublished);
    }
    let now = ctx.now();
    let kind = if was_published { EventKind::LoraVersionPublished } else { EventKind::LoraPublished };
    // That a LoRA is shown again is no news; a version that nobody saw before is.
    let is_new = chosen.published_at.is_none();
    let payload = json!({ "version": chosen.id, "number": chosen.number, "newVersion": is_new });
    let version = chosen.id;
    compatibility::enqueue(&tx, ctx, &chosen, actor.person()?.id).await?;
    if is_new {
        let mut chosen = chosen.into_active_model();
        chosen.published_at = Set(Some(now));
        chosen.update(&tx).await?;
    }
    let first_published = row.published_at.unwrap_or(now);
    let mut row = row.into_active_model();
    row.state = Set(LoraState::Published);
    row.license = Set(license);
    row.terms = Set(Some(terms.kept()));
    row.latest_version_id = Set(Some(version));
    row.published_at = Set(Some(first_published));
    row.updated_at = Set(now);
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "publish", "version": version })).await?;
    announce(&tx, ctx, actor, &row, kind, payload).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// What others may do with it: said now, said before, or what the well-known licence says that somebody named.
fn chosen_terms(row: &lora::Model, license: &str, input: &PublishLora) -> Result<Terms, PublishError> {
    let before = Terms::of(row).filter(|_| license == row.license);
    if before.is_none() && input.license.is_none() && input.terms.is_none() {
        return Err(PublishError::LicenseNotChosen { license: license.to_owned() });
    }
    let said = terms::choose(license, input.terms)?.filter(|_| input.license.is_some() || input.terms.is_some());
    said.or(before).ok_or_else(|| PublishError::TermsNeeded { license: license.to_owned() })
}

/// Takes a LoRA back: from then on only its team sees it. What others made with it stays theirs.
///
/// # Errors
/// [`UnpublishError::NotPublished`].
pub async fn unpublish(ctx: &Context, actor: &Actor, id: Uuid) -> Result<lora::Model, UnpublishError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraPublish, &row)?;
    if row.state != LoraState::Published {
        return Err(UnpublishError::NotPublished);
    }
    let mut row = row.into_active_model();
    row.state = Set(LoraState::Unpublished);
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "unpublish" })).await?;
    announce(&tx, ctx, actor, &row, EventKind::LoraChanged, json!({ "state": row.state })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}
