//! The base model that is used when nobody names one: the installation's, and a team's own.

use atelier_entities::{base_model, base_model_default, team};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use serde_json::json;
use uuid::Uuid;

use super::{check_enabled, is_offered, missing};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    database::serialize,
    failures,
    policy::{Action, authorize},
};

failures! {
    /// Why [`set_default`] or [`set_team_default`] refused.
    pub enum BaseModelDefaultError {
        /// Some teams may not use it.
        NotForEveryone { name: String } => ("id", "NOT_FOR_EVERYONE", "`{name}` is offered to chosen teams only, and everybody uses the default. Offer it to everyone first, or make it the default of a team."),
        /// The team may not use it.
        NotOffered { name: String, team: String } => ("id", "BASE_MODEL_NOT_OFFERED", "`{name}` is not offered to the team `{team}`. Offer it to the team first."),
    }
}

/// Makes a base model the one that is used when nobody names one.
///
/// # Errors
/// [`Refused::NotFound`](crate::error::Refused::NotFound); [`BaseModelDefaultError::NotForEveryone`]; an
/// [`Invalid`](crate::error::Invalid) with `BASE_MODEL_DISABLED` when it is no longer offered.
pub async fn set_default(ctx: &Context, id: Uuid) -> Result<base_model::Model, BaseModelDefaultError> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "base_model").await?;
    let mut row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    check_enabled(&row)?;
    if !row.for_everyone {
        return Err(BaseModelDefaultError::NotForEveryone { name: row.name });
    }
    base_model::Entity::update_many().col_expr(base_model::Column::IsDefault, Expr::value(false)).exec(&tx).await?;
    base_model::Entity::update_many()
        .col_expr(base_model::Column::IsDefault, Expr::value(true))
        .filter(base_model::Column::Id.eq(id))
        .exec(&tx)
        .await?;
    ctx.commit(tx).await?;
    row.is_default = true;
    Ok(row)
}

/// Makes a base model the one that a team uses when nobody names one, as long as it is offered to the team.
///
/// # Errors
/// [`Refused::NotFound`](crate::error::Refused::NotFound); [`BaseModelDefaultError::NotOffered`]; an
/// [`Invalid`](crate::error::Invalid) with `BASE_MODEL_DISABLED` when it is no longer offered.
pub async fn set_team_default(
    ctx: &Context,
    id: Uuid,
    team: &team::Model,
) -> Result<base_model::Model, BaseModelDefaultError> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "base_model").await?;
    let row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    check_enabled(&row)?;
    if !is_offered(&tx, &row, team.id).await? {
        return Err(BaseModelDefaultError::NotOffered { name: row.name, team: team.slug.clone() });
    }
    let own =
        base_model_default::ActiveModel { team_id: Set(team.id), base_model_id: Set(id), created_at: Set(ctx.now()) };
    let conflict = OnConflict::column(base_model_default::Column::TeamId)
        .update_columns([base_model_default::Column::BaseModelId, base_model_default::Column::CreatedAt])
        .to_owned();
    base_model_default::Entity::insert(own).on_conflict(conflict).exec_without_returning(&tx).await?;
    let permit = authorize(&Actor::System, Action::BaseModelManage, team)?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "default", "baseModel": row.name })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Lets a team use the installation's default again. Gives whether it had one of its own.
///
/// # Errors
/// What the database says.
pub async fn reset_team_default(ctx: &Context, team: &team::Model) -> Result<bool, BaseModelDefaultError> {
    let tx = ctx.db.write().await?;
    let reset = base_model_default::Entity::delete_by_id(team.id).exec(&tx).await?.rows_affected > 0;
    if reset {
        let permit = authorize(&Actor::System, Action::BaseModelManage, team)?;
        audit::record(&tx, ctx, &permit, None, json!({ "do": "reset default" })).await?;
    }
    ctx.commit(tx).await?;
    Ok(reset)
}
