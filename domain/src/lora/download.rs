//! Handing a LoRA's file out, in the layout that the person's program reads.

use std::collections::BTreeMap;

use atelier_entities::{kinds::EventKind, lora, lora_download, lora_file, lora_version as version};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait as _, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    MEDIA_TYPE, header,
    versions::{self, words},
};
use crate::{
    actor::Actor,
    blob,
    context::Context,
    error::{ReadError, Refused},
    failures, outbox,
    policy::{Action, authorize},
    ports::{
        blobs::Stored,
        inspector::{InspectedLora, Inspector, LoraLayout, Rejected, inspect},
    },
    widen::widen,
};

failures! {
    /// Why [`download`] refused.
    pub enum DownloadError {
        /// The LoRA has no form in that layout.
        NoSuchLayout { reason: String } => ("layout", "NO_SUCH_LAYOUT", "{reason}"),
    }
}

widen!(ReadError => DownloadError);

/// A file that may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Where, for an hour or two.
    pub url: String,
    /// Under which name.
    pub file_name: String,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// `BFL`, `DIFFUSERS` or `KOHYA`.
    pub layout: String,
    /// What programs leave out of it, in sentences.
    pub left_out: Vec<String>,
}

/// Gives a link to a version's file, as it is or in another layout. A conversion is made once and kept, until the card that its
/// header tells of is another. A person counts once for each version.
///
/// # Errors
/// [`DownloadError::NoSuchLayout`].
pub async fn download(
    ctx: &Context,
    actor: &Actor,
    version: Uuid,
    layout: Option<LoraLayout>,
) -> Result<Download, DownloadError> {
    let (lora, version) = versions::get(ctx, actor, version).await?;
    if lora.deleted_at.is_some() {
        return Err(Refused::NotFound("LoRA version").into());
    }
    authorize(actor, Action::LoraDownload, &lora)?;
    let layout = layout.map(name).filter(|layout| *layout != version.layout);
    let (layout, sha256, size, left_out) = match layout {
        None => (version.layout.clone(), version.blob_sha256.clone(), version.file_size, Vec::new()),
        Some(layout) => {
            let file = converted(ctx, &lora, &version, layout).await?;
            let left_out = file.left_out.as_ref().map(words).unwrap_or_default();
            (file.layout, file.blob_sha256, file.file_size, left_out)
        }
    };
    count(ctx, actor, &lora, &version).await?;
    let file_name = file_name(&lora.name, version.number, &layout);
    Ok(Download { url: blob::link(ctx, &sha256, &file_name), file_name, sha256, size, layout, left_out })
}

/// A layout's name, as columns and the API spell it.
fn name(layout: LoraLayout) -> &'static str {
    match layout {
        LoraLayout::Bfl => "BFL",
        LoraLayout::Diffusers => "DIFFUSERS",
        LoraLayout::Kohya => "KOHYA",
    }
}

fn parse(name: &str) -> Option<LoraLayout> {
    [LoraLayout::Bfl, LoraLayout::Diffusers, LoraLayout::Kohya].into_iter().find(|layout| self::name(*layout) == name)
}

/// `Ink wash` version 2 in BFL is `ink-wash-v2-bfl.safetensors`.
fn file_name(lora: &str, number: i32, layout: &str) -> String {
    let words = lora.to_lowercase();
    let words: Vec<&str> = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let stem: String = words.join("-").chars().take(60).collect();
    let stem = if stem.is_empty() { "lora" } else { &stem };
    format!("{stem}-v{number}-{}.safetensors", layout.to_lowercase())
}

/// The version's file in another layout, converted if nobody asked for it before, or the card is another since.
async fn converted(
    ctx: &Context,
    lora: &lora::Model,
    version: &version::Model,
    layout: &'static str,
) -> Result<lora_file::Model, DownloadError> {
    let kept = || {
        lora_file::Entity::find()
            .filter(lora_file::Column::LoraVersionId.eq(version.id))
            .filter(lora_file::Column::Layout.eq(layout))
    };
    let card = header::card_of_version(ctx, lora, version).await?;
    let card_sha256 = hex::encode(Sha256::digest(json!(card).to_string()));
    if let Some(file) = kept().one(ctx.db.read()).await?
        && file.card_sha256.as_ref() == Some(&card_sha256)
    {
        return Ok(file);
    }
    let wanted = parse(layout).ok_or_else(|| anyhow::anyhow!("`{layout}` is no layout"))?;
    // Two who ask at once both convert, into files of their own, and keep the same bytes.
    let folder = ctx.settings.work.join(format!("convert-{}", ctx.new_id()));
    tokio::fs::create_dir_all(&folder).await.map_err(anyhow::Error::from)?;
    let result = convert(ctx, version, (wanted, card), &folder).await;
    if let Err(error) = tokio::fs::remove_dir_all(&folder).await {
        tracing::warn!(folder = %folder.display(), %error, "a working folder could not be removed");
    }
    let Converted { stored, facts, left_out } = result?;
    let row = lora_file::ActiveModel {
        id: Set(ctx.new_id()),
        lora_version_id: Set(version.id),
        layout: Set(layout.to_owned()),
        blob_sha256: Set(stored.sha256.clone()),
        auto_v3: Set(facts.as_ref().map(|facts| facts.auto_v3.clone())),
        blake3: Set(facts.map(|facts| facts.blake3)),
        left_out: Set(Some(json!(left_out))),
        card_sha256: Set(Some(card_sha256)),
        file_size: Set(stored.size),
        created_at: Set(ctx.now()),
    };
    let tx = ctx.db.write().await?;
    blob::record(&tx, ctx, &stored).await?;
    let conflict = OnConflict::columns([lora_file::Column::LoraVersionId, lora_file::Column::Layout])
        .update_columns([
            lora_file::Column::BlobSha256,
            lora_file::Column::AutoV3,
            lora_file::Column::Blake3,
            lora_file::Column::LeftOut,
            lora_file::Column::CardSha256,
            lora_file::Column::FileSize,
            lora_file::Column::CreatedAt,
        ])
        .to_owned();
    lora_file::Entity::insert(row).on_conflict(conflict).exec_without_returning(&tx).await?;
    let file = kept().one(&tx).await?;
    ctx.commit(tx).await?;
    Ok(file.ok_or_else(|| anyhow::anyhow!("the converted file of version {} was not kept", version.id))?)
}

/// A file in another layout, in the store.
struct Converted {
    stored: Stored,
    /// What the inspector found in it.
    facts: Option<InspectedLora>,
    /// What programs leave out of it.
    left_out: Vec<String>,
}

async fn convert(
    ctx: &Context,
    version: &version::Model,
    (layout, card): (LoraLayout, BTreeMap<String, String>),
    folder: &std::path::Path,
) -> Result<Converted, DownloadError> {
    let (source, out) = (folder.join("source.safetensors"), folder.join("out.safetensors"));
    ctx.blobs.copy_to(&version.blob_sha256, &source).await?;
    let written = out.clone();
    let convert = move |inspector: &dyn Inspector| -> Result<(Option<InspectedLora>, Vec<String>), Rejected> {
        let left_out = inspector.convert_lora(&source, layout, &card, &written)?;
        // Its further hashes are a help in finding it; it is handed out without them, too.
        Ok((inspector.lora(&written).ok(), left_out))
    };
    let (facts, left_out) = inspect(&ctx.inspector, convert)
        .await?
        .map_err(|rejected| DownloadError::NoSuchLayout { reason: rejected.0 })?;
    Ok(Converted { stored: ctx.blobs.put_file(&out, MEDIA_TYPE).await?, facts, left_out })
}

/// Counts a download: once for a person and version.
async fn count(
    ctx: &Context,
    actor: &Actor,
    lora: &lora::Model,
    version: &version::Model,
) -> Result<(), DownloadError> {
    let Some(user) = actor.user_id() else { return Ok(()) };
    let row = lora_download::ActiveModel {
        id: Set(ctx.new_id()),
        lora_version_id: Set(version.id),
        user_id: Set(user),
        created_at: Set(ctx.now()),
    };
    let counted = lora_download::Entity::find()
        .filter(lora_download::Column::LoraVersionId.eq(version.id))
        .filter(lora_download::Column::UserId.eq(user));
    if counted.one(ctx.db.read()).await?.is_some() {
        return Ok(());
    }
    let tx = ctx.db.write().await?;
    let conflict = OnConflict::columns([lora_download::Column::LoraVersionId, lora_download::Column::UserId])
        .do_nothing()
        .to_owned();
    if lora_download::Entity::insert(row).on_conflict(conflict).exec_without_returning(&tx).await? == 1 {
        lora::Entity::update_many()
            .col_expr(lora::Column::DownloadCount, Expr::col(lora::Column::DownloadCount).add(1))
            .filter(lora::Column::Id.eq(lora.id))
            .exec(&tx)
            .await?;
        let event = outbox::Event {
            kind: EventKind::LoraDownloaded,
            team: Some(lora.team_id),
            actor: Some(user),
            subject: version.id,
            // Whether it is their team's own, as it stands now: who belongs to it may change.
            payload: json!({ "own": actor.role_in(lora.team_id).is_some() }),
        };
        outbox::append(&tx, ctx, event).await?;
    }
    ctx.commit(tx).await?;
    Ok(())
}
