//! Who belongs to a team, and as what.

use std::collections::HashMap;

use atelier_entities::{kinds::Role, membership, team};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures, nested,
    page::{Direction, Page, PageRequest},
    policy::{Action, Permit, Resource as _, authorize},
    widen::widen,
};

failures! {
    /// Why [`change_role`] refused.
    pub enum ChangeMemberRoleError {
        /// Nobody gives or takes more than they have.
        RoleTooHigh => ("role", "ROLE_TOO_HIGH", "You can give and take roles up to your own. Ask an owner."),
        /// Nobody else could manage the team.
        LastOwner => ("id", "LAST_OWNER", "This is the only owner. Make somebody else an owner first."),
    }
}

failures! {
    /// Why [`remove`] refused.
    pub enum RemoveMemberError {
        /// Nobody takes more than they have.
        RoleTooHigh => ("id", "ROLE_TOO_HIGH", "You can remove members up to your own role. Ask an owner."),
        /// Nobody else could manage the team.
        LastOwner => ("id", "LAST_OWNER", "This is the only owner. Make somebody else an owner first, or delete the team."),
    }
}

widen!(ReadError => ChangeMemberRoleError);
widen!(ReadError => RemoveMemberError);

/// The members of several teams, in the order in which they came; teams of which the actor is no member have none.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    teams: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<membership::Model>>, ReadError> {
    let seen: Vec<Uuid> = super::by_ids(ctx, actor, teams).await?.into_keys().collect();
    let columns = (membership::Column::TeamId, membership::Column::Id);
    let keys = |row: &membership::Model| (row.team_id, row.id);
    let select = membership::Entity::find();
    Ok(nested::pages(select, columns, keys, &seen, request, Direction::OldestFirst, ctx.db.read()).await?)
}

/// A membership of one of the actor's teams.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<membership::Model, ReadError> {
    let row = membership::Entity::find_by_id(id).one(ctx.db.read()).await?;
    let row = row.ok_or(Refused::NotFound(membership::Model::NAME))?;
    authorize(actor, Action::TeamRead, &row)?;
    Ok(row)
}

/// Gives a member another role.
///
/// # Errors
/// [`ChangeMemberRoleError`].
pub async fn change_role(
    ctx: &Context,
    actor: &Actor,
    id: Uuid,
    role: Role,
) -> Result<membership::Model, ChangeMemberRoleError> {
    let tx = ctx.db.write().await?;
    let (row, permit) = held(&tx, actor, id).await?;
    if !reaches(actor, row.team_id, row.role) || !reaches(actor, row.team_id, role) {
        return Err(ChangeMemberRoleError::RoleTooHigh);
    }
    if row.role == Role::Owner && role != Role::Owner && owners(&tx, row.team_id).await? == 1 {
        return Err(ChangeMemberRoleError::LastOwner);
    }
    let detail = json!({ "do": "changeRole", "user": row.user_id, "from": row.role, "to": role });
    let mut row = row.into_active_model();
    row.role = Set(role);
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), detail).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Removes a member from a team.
///
/// # Errors
/// [`RemoveMemberError`].
pub async fn remove(ctx: &Context, actor: &Actor, id: Uuid) -> Result<membership::Model, RemoveMemberError> {
    let tx = ctx.db.write().await?;
    let (row, permit) = held(&tx, actor, id).await?;
    if !reaches(actor, row.team_id, row.role) {
        return Err(RemoveMemberError::RoleTooHigh);
    }
    if row.role == Role::Owner && owners(&tx, row.team_id).await? == 1 {
        return Err(RemoveMemberError::LastOwner);
    }
    membership::Entity::delete_by_id(id).exec(&tx).await?;
    let detail = json!({ "do": "remove", "user": row.user_id, "role": row.role });
    audit::record(&tx, ctx, &permit, Some(id), detail).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// A membership whose team is locked, and leave to manage it.
async fn held(tx: &DatabaseTransaction, actor: &Actor, id: Uuid) -> Result<(membership::Model, Permit), ReadError> {
    let missing = || Refused::NotFound(membership::Model::NAME);
    let team = membership::Entity::find_by_id(id).one(tx).await?.ok_or_else(missing)?.team_id;
    super::locked(tx, team).await?.ok_or_else(missing)?;
    // Read again under the lock: it may have changed while one waited.
    let row = membership::Entity::find_by_id(id).one(tx).await?.ok_or_else(missing)?;
    let permit = authorize(actor, Action::MemberManage, &row)?;
    Ok((row, permit))
}

/// Whether a role is not above the actor's own in the team.
pub(super) fn reaches(actor: &Actor, team: Uuid, role: Role) -> bool {
    actor.role_in(team).is_some_and(|own| role <= own)
}

/// How many owners a team has.
pub(super) async fn owners<C: ConnectionTrait>(tx: &C, team: Uuid) -> Result<u64, DbErr> {
    membership::Entity::find()
        .filter(membership::Column::TeamId.eq(team))
        .filter(membership::Column::Role.eq(Role::Owner))
        .count(tx)
        .await
}

/// Adds a member, in the caller's transaction.
pub(super) async fn insert<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    user: Uuid,
    role: Role,
) -> Result<membership::Model, DbErr> {
    let row = membership::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team),
        user_id: Set(user),
        role: Set(role),
        created_at: Set(ctx.now()),
    };
    row.insert(tx).await
}

/// Whether a person belongs to a team.
pub(super) async fn is_member<C: ConnectionTrait>(tx: &C, team: &team::Model, user: Uuid) -> Result<bool, DbErr> {
    let found = membership::Entity::find()
        .filter(membership::Column::TeamId.eq(team.id))
        .filter(membership::Column::UserId.eq(user))
        .count(tx)
        .await?;
    Ok(found > 0)
}
