//! For whom a base model is: for everyone, or for the teams that an administrator chose.

use std::collections::{BTreeSet, HashMap};

use atelier_entities::{base_model, base_model_default, base_model_team, team};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::missing;
use crate::{
    actor::Actor,
    audit,
    context::Context,
    database::serialize,
    error::ReadError,
    failures,
    lora::measuring,
    policy::{Action, authorize},
};

failures! {
    /// Why [`share`] or [`unshare`] refused.
    pub enum ShareBaseModelError {
        /// Everybody uses it.
        IsDefault { name: String } => ("id", "IS_DEFAULT", "`{name}` is taken when nobody names a base model, so that everybody needs it. Make another the default first."),
        /// It is not for chosen teams.
        ForEveryone { name: String } => ("id", "FOR_EVERYONE", "`{name}` is offered to everyone. Offer it to the teams that shall keep it first."),
        /// It was not offered to the team.
        NotShared { name: String, team: String } => ("team", "NOT_SHARED", "`{name}` is not offered to the team `{team}`. Name a team that it is offered to."),
    }
}

/// For whom a base model is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Slugs of the teams that it was chosen for; they count when it is not for everyone.
    pub teams: BTreeSet<String>,
    /// Slugs of the teams that have it as a default of their own.
    pub default_of: BTreeSet<String>,
}

/// Offers a base model to these teams and to those that it was offered to before, and to nobody else.
///
/// # Errors
/// [`ShareBaseModelError::IsDefault`].
pub async fn share(ctx: &Context, id: Uuid, teams: &[team::Model]) -> Result<base_model::Model, ShareBaseModelError> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "base_model").await?;
    let row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    if row.is_default {
        return Err(ShareBaseModelError::IsDefault { name: row.name });
    }
    for team in teams {
        let shared =
            base_model_team::ActiveModel { base_model_id: Set(id), team_id: Set(team.id), created_at: Set(ctx.now()) };
        let again = OnConflict::columns([base_model_team::Column::BaseModelId, base_model_team::Column::TeamId])
            .do_nothing()
            .to_owned();
        base_model_team::Entity::insert(shared).on_conflict(again).exec_without_returning(&tx).await?;
        tell(&tx, ctx, team, &row, "share").await?;
    }
    let row = set_for_everyone(&tx, row, false).await?;
    measuring::wish_in(&tx, ctx, id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Offers a base model to everyone. The teams that were chosen before are forgotten.
///
/// # Errors
/// What the database says.
pub async fn share_with_everyone(ctx: &Context, id: Uuid) -> Result<base_model::Model, ShareBaseModelError> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "base_model").await?;
    let row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    base_model_team::Entity::delete_many().filter(base_model_team::Column::BaseModelId.eq(id)).exec(&tx).await?;
    let row = set_for_everyone(&tx, row, true).await?;
    measuring::wish_in(&tx, ctx, id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Offers a base model to these teams no longer. Work that they have queued on it is still done.
///
/// # Errors
/// [`ShareBaseModelError`].
pub async fn unshare(ctx: &Context, id: Uuid, teams: &[team::Model]) -> Result<base_model::Model, ShareBaseModelError> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "base_model").await?;
    let row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    if row.for_everyone {
        return Err(ShareBaseModelError::ForEveryone { name: row.name });
    }
    for team in teams {
        let gone = base_model_team::Entity::delete_by_id((id, team.id)).exec(&tx).await?;
        if gone.rows_affected == 0 {
            return Err(ShareBaseModelError::NotShared { name: row.name, team: team.slug.clone() });
        }
        tell(&tx, ctx, team, &row, "unshare").await?;
    }
    ctx.commit(tx).await?;
    Ok(row)
}

async fn set_for_everyone<C: ConnectionTrait>(
    tx: &C,
    row: base_model::Model,
    for_everyone: bool,
) -> Result<base_model::Model, ShareBaseModelError> {
    if row.for_everyone == for_everyone {
        return Ok(row);
    }
    let mut row = row.into_active_model();
    row.for_everyone = Set(for_everyone);
    Ok(row.update(tx).await?)
}

/// Writes into a team's audit trail what an administrator did.
async fn tell<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: &team::Model,
    model: &base_model::Model,
    deed: &str,
) -> Result<(), ShareBaseModelError> {
    let permit = authorize(&Actor::System, Action::BaseModelManage, team)?;
    let detail = json!({ "do": deed, "baseModel": model.name });
    Ok(audit::record(tx, ctx, &permit, Some(model.id), detail).await?)
}

/// For whom the base models are; of those without chosen teams and defaults there is nothing.
///
/// # Errors
/// What the database says.
pub async fn audiences(ctx: &Context) -> Result<HashMap<Uuid, Audience>, ReadError> {
    let db = ctx.db.read();
    let shared = base_model_team::Entity::find().all(db).await?;
    let defaults = base_model_default::Entity::find().all(db).await?;
    let named = shared.iter().map(|row| row.team_id).chain(defaults.iter().map(|row| row.team_id));
    let teams = team::Entity::find()
        .filter(team::Column::Id.is_in(named.collect::<BTreeSet<_>>()))
        .filter(team::Column::DeletedAt.is_null())
        .all(db)
        .await?;
    let slugs: HashMap<Uuid, String> = teams.into_iter().map(|team| (team.id, team.slug)).collect();
    let mut audiences: HashMap<Uuid, Audience> = HashMap::new();
    for row in shared {
        audiences.entry(row.base_model_id).or_default().teams.extend(slugs.get(&row.team_id).cloned());
    }
    for row in defaults {
        audiences.entry(row.base_model_id).or_default().default_of.extend(slugs.get(&row.team_id).cloned());
    }
    Ok(audiences)
}
