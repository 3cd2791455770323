//! The version that a training continues.

use atelier_entities::{base_model, lora_version as version};
use sea_orm::{DatabaseTransaction, EntityTrait};
use uuid::Uuid;

use super::{
    choose::look_into,
    start::{StartTraining, StartTrainingError},
};
use crate::{
    actor::Actor,
    base_model as base_models,
    context::Context,
    error::{Invalid, Refused},
    lora::{Terms, versions},
    policy::{Action, authorize},
};

/// The version that is to be continued, where one is: the actor may download it, its maker allows it to be trained further,
/// and nothing of its file would be lost.
pub(super) async fn chosen(
    ctx: &Context,
    actor: &Actor,
    input: &StartTraining,
) -> Result<Option<version::Model>, StartTrainingError> {
    let Some(id) = input.continued_version else { return Ok(None) };
    let (lora, version) = versions::get(ctx, actor, id).await?;
    if lora.deleted_at.is_some() {
        return Err(Refused::NotFound("LoRA version").into());
    }
    authorize(actor, Action::LoraDownload, &lora)?;
    let is_own = actor.role_in(lora.team_id).is_some();
    if !is_own && Terms::of(&lora).is_some_and(|terms| !terms.allows_derivatives) {
        return Err(StartTrainingError::NoDerivatives { name: lora.name });
    }
    check_kept(input)?;
    let found = look_into(ctx, &version.blob_sha256, |inspector, file| inspector.continuable(file)).await?;
    found.map_err(|rejected| StartTrainingError::NotContinuable { reason: rejected.0 })?;
    Ok(Some(version))
}

/// Refuses what would have to be another than the version's.
fn check_kept(input: &StartTraining) -> Result<(), Invalid> {
    let said = [("rank", input.rank.is_some()), ("alpha", input.alpha.is_some()), ("layers", input.layers.is_some())];
    let Some((field, _)) = said.into_iter().find(|(_, is_said)| *is_said) else { return Ok(()) };
    let message = format!(
        "A training that continues a version goes on with its matrices, so that its `{field}` stays what it is. Leave \
         `{field}` out."
    );
    Err(Invalid::new(field, "KEPT_BY_VERSION", message))
}

/// The model to train on: the one that was asked for, or the one of the version that is continued, or the team's default one.
pub(super) async fn choose_model(
    tx: &DatabaseTransaction,
    ctx: &Context,
    team: Uuid,
    asked: Option<Uuid>,
    continued: Option<&version::Model>,
) -> Result<base_model::Model, StartTrainingError> {
    let of_version = continued.and_then(|version| version.base_model_id);
    if asked.is_none()
        && let Some(id) = of_version
    {
        // Nobody named it: that it is not there would say nothing.
        let model = base_model::Entity::find_by_id(id).one(tx).await?.ok_or(Refused::NotFound("base model"))?;
        if !base_models::is_offered(tx, &model, team).await? {
            return Err(StartTrainingError::NotOffered { model: model.title });
        }
    }
    let model = base_models::choose(tx, team, asked.or(of_version)).await?;
    if let Some(version) = continued {
        let fits = ctx.inspector.fits(&versions::facts(version), &base_models::facts(&model));
        fits.map_err(|rejected| StartTrainingError::Mismatch { reason: rejected.0 })?;
    }
    Ok(model)
}
