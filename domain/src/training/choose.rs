//! Choosing another epoch than the best one: it becomes a version too.

use std::path::Path;

use atelier_entities::{blob, lora, training_epoch as epoch, training_run as run};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel, QuerySelect};
use uuid::Uuid;

use super::get;
use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    failures,
    lora::{
        announce_draft,
        versions::{AddVersionError, NewVersion, VersionSource, add_version},
    },
    policy::{Action, Resource as _, authorize},
    ports::{
        blobs::Stored,
        inspector::{Inspector, inspect},
    },
    preview, text,
    widen::widen,
};

/// Characters of a change note.
const LONGEST_NOTE: usize = 2_000;

failures! {
    /// Why [`choose_epoch`] refused.
    pub enum ChooseEpochError {
        /// The training goes on, or ended badly.
        NotFinished => ("epochId", "NOT_FINISHED", "This training has not ended well yet. Choose an epoch when it has."),
        /// The LoRA has been deleted meanwhile.
        Deleted => ("epochId", "LORA_DELETED", "The LoRA of this training was deleted. Train anew."),
        /// The very file was imported before.
        Repeated { number: i32 } => ("epochId", "REPEATED_VERSION", "This very file is version {number} of the LoRA already. Nothing was added."),
    }
}

widen!(ReadError => ChooseEpochError);

/// Makes a version of an epoch's adapter, unless it is one already, and marks the epoch as the chosen one.
///
/// # Errors
/// [`ChooseEpochError`].
pub async fn choose_epoch(
    ctx: &Context,
    actor: &Actor,
    id: Uuid,
    change_note: &str,
) -> Result<run::Model, ChooseEpochError> {
    let person = actor.person()?.id;
    let change_note = text::check("changeNote", change_note, 0, LONGEST_NOTE)?;
    let chosen = epoch::Entity::find_by_id(id).one(ctx.db.read()).await?;
    let chosen = chosen.ok_or(Refused::NotFound(epoch::Model::NAME))?;
    authorize(actor, Action::TrainingStart, &chosen)?;
    let facts = look_into(ctx, &chosen.adapter_sha256, |inspector, file| inspector.lora(file)).await?;
    let facts = facts.map_err(|rejected| anyhow::anyhow!("An adapter of our own is refused: {}", rejected.0))?;

    let tx = ctx.db.write().await?;
    let run = run::Entity::find_by_id(chosen.training_run_id).lock_exclusive().one(&tx).await?;
    let run = run.ok_or(Refused::NotFound(run::Model::NAME))?;
    if run.finished_at.is_none() {
        return Err(ChooseEpochError::NotFinished);
    }
    let lora = lora::Entity::find_by_id(run.lora_id).one(&tx).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraWrite, &lora)?;
    let size = blob::Entity::find_by_id(chosen.adapter_sha256.clone()).one(&tx).await?.map(|blob| blob.size);
    let new = NewVersion {
        lora: lora.id,
        change_note,
        parent: run.version_id,
        base_model: Some(run.base_model_id),
        trigger_words: vec![run.trigger_word.clone()],
        file: Stored {
            sha256: chosen.adapter_sha256.clone(),
            size: size.unwrap_or_default(),
            media_type: "application/octet-stream",
        },
        facts,
        recommended_strength: run.strength,
        source: VersionSource::Training(run.id),
    };
    let known = run.version_id;
    let version = add_version(&tx, ctx, &permit, new).await.map_err(|error| match error {
        AddVersionError::Deleted => ChooseEpochError::Deleted,
        AddVersionError::Repeated { number } => ChooseEpochError::Repeated { number },
        AddVersionError::Invalid(invalid) => ChooseEpochError::Invalid(invalid),
        AddVersionError::Refused(refused) => ChooseEpochError::Refused(refused),
        AddVersionError::Unexpected(error) => ChooseEpochError::Unexpected(error),
    })?;
    if Some(version.id) != known {
        preview::enqueue(&tx, ctx, &version, person).await?;
        let mut row = run.into_active_model();
        row.chosen_epoch = Set(Some(chosen.epoch));
        row.version_id = Set(Some(version.id));
        row.update(&tx).await?;
        announce_draft(&tx, ctx, actor, &lora).await?;
    }
    ctx.commit(tx).await?;
    Ok(get(ctx, actor, chosen.training_run_id).await?)
}

/// What the inspector finds in an adapter that lies in the store.
pub(super) async fn look_into<T: Send + 'static>(
    ctx: &Context,
    sha256: &str,
    look: impl FnOnce(&dyn Inspector, &Path) -> T + Send + 'static,
) -> anyhow::Result<T> {
    tokio::fs::create_dir_all(&ctx.settings.work).await?;
    let copy = ctx.settings.work.join(format!("{}.safetensors", ctx.new_id()));
    ctx.blobs.copy_to(sha256, &copy).await?;
    let path = copy.clone();
    let found = inspect(&ctx.inspector, move |inspector| look(inspector, &path)).await;
    tokio::fs::remove_file(&copy).await?;
    found
}
