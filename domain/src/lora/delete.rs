//! Ending a LoRA: a tombstone keeps its card and the hashes of its files.

use atelier_entities::{
    kinds::{EventKind, LoraState},
    lora,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde_json::json;
use uuid::Uuid;

use super::{announce, locked};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    policy::{Action, Resource, authorize},
};

/// Deletes a LoRA. What others made with it keeps its name and hashes; deleting it again changes nothing.
///
/// # Errors
/// [`Refused`] for who may not.
pub async fn delete(ctx: &Context, actor: &Actor, id: Uuid) -> Result<lora::Model, ReadError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraDelete, &row)?;
    if row.state == LoraState::Deleted {
        return Ok(row);
    }
    let mut row = row.into_active_model();
    row.state = Set(LoraState::Deleted);
    row.deleted_at = Set(Some(ctx.now()));
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "delete", "name": row.name })).await?;
    announce(&tx, ctx, actor, &row, EventKind::LoraChanged, json!({ "state": row.state })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}
