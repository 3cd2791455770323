//! Teams own everything. A person has one of their own, which they can neither leave nor share, and may make others.

pub mod credits;
pub mod invitations;
pub mod members;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use atelier_entities::{
    invitation, job,
    kinds::{JobState, LoraState, Role},
    lora, membership, team,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect, sea_query::Expr,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    account::identity,
    actor::Actor,
    audit,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures,
    id::{Noun, decode},
    idempotency::{self, KeyError},
    ledger,
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Installation, Resource as _, authorize},
    text,
    widen::widen,
};

const LONGEST_NAME: usize = 80;

/// Every new team is given credits, so nobody makes them without end.
const MOST_OWNED: u64 = 10;

/// A team to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewTeam {
    /// Name shown to people, 1 to 80 characters.
    pub name: String,
    /// Public name in addresses: 3 to 32 lower-case letters, digits and dashes.
    pub slug: String,
}

failures! {
    /// Why [`create`] refused.
    pub enum CreateTeamError {
        /// The person owns many teams.
        TooMany { most: u64 } => ("", "TOO_MANY_TEAMS", "You own {most} teams, as many as one person may. Delete one first."),
    }
}

failures! {
    /// Why [`update`] refused.
    pub enum UpdateTeamError {
        /// It is a person's own team.
        Personal => ("id", "PERSONAL_TEAM", "Your own team bears your name. Change the name on your profile."),
    }
}

failures! {
    /// Why [`delete`] refused.
    pub enum DeleteTeamError {
        /// It is a person's own team.
        Personal => ("id", "PERSONAL_TEAM", "Your own team stays as long as your account."),
        /// Others see what it made.
        HasPublished { count: u64 } => ("id", "HAS_PUBLISHED", "This team has {count} published LoRAs. Unpublish or delete them first."),
        /// Work is under way.
        HasJobs { count: u64 } => ("id", "HAS_JOBS", "This team has {count} jobs that have not ended. Wait for them or cancel them first."),
    }
}

failures! {
    /// Why [`leave`] refused.
    pub enum LeaveTeamError {
        /// It is the person's own team.
        Personal => ("id", "PERSONAL_TEAM", "Your own team stays as long as your account."),
        /// Nobody else could manage it.
        LastOwner => ("id", "LAST_OWNER", "You are the only owner. Make somebody else an owner first, or delete the team."),
    }
}

widen!(KeyError, ReadError => CreateTeamError);

/// Makes a team, whose owner the actor is.
///
/// # Errors
/// [`CreateTeamError::TooMany`]; an [`Invalid`] for a name or a slug that cannot be.
pub async fn create(
    ctx: &Context,
    actor: &Actor,
    new: NewTeam,
    key: Option<&str>,
) -> Result<team::Model, CreateTeamError> {
    let person = actor.person()?;
    authorize(actor, Action::TeamCreate, &Installation)?;
    let (name, slug) = (check_name(&new.name)?, identity::check_handle("slug", &new.slug)?);
    let tx = ctx.db.write().await?;
    identity::hold_names(&tx).await?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "createTeam", &new).await?;
    if let Some(id) = once.earlier() {
        drop(tx);
        return Ok(get(ctx, actor, id).await?);
    }
    if identity::is_taken(&tx, &slug).await? {
        return Err(identity::taken("slug", &slug).into());
    }
    let owned = membership::Entity::find()
        .filter(membership::Column::UserId.eq(person.id))
        .filter(membership::Column::Role.eq(Role::Owner))
        .count(&tx)
        .await?;
    if owned >= MOST_OWNED {
        return Err(CreateTeamError::TooMany { most: MOST_OWNED });
    }
    let row = team::ActiveModel {
        id: Set(ctx.new_id()),
        slug: Set(slug),
        name: Set(name),
        personal_user_id: Set(None),
        created_at: Set(ctx.now()),
        deleted_at: Set(None),
    };
    let row = row.insert(&tx).await?;
    let permit = authorize(actor, Action::TeamCreate, &row)?;
    members::insert(&tx, ctx, row.id, person.id, Role::Owner).await?;
    ledger::grant(&tx, ctx, row.id, ctx.settings.initial_credits, &format!("welcome:{}", row.id)).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "create", "name": row.name })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

fn check_name(name: &str) -> Result<String, Invalid> {
    text::check("name", name, 1, LONGEST_NAME)
}

/// A team of the actor's.
///
/// # Errors
/// [`Refused::NotFound`] for who is no member.
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<team::Model, ReadError> {
    let row = team::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    authorize(actor, Action::TeamRead, &row)?;
    Ok(row)
}

/// The team of a slug or an id, for whoever runs the installation.
///
/// # Errors
/// What the database says.
pub async fn find(ctx: &Context, slug_or_id: &str) -> Result<Option<team::Model>, ReadError> {
    let named = match decode(Noun::Team, slug_or_id) {
        Ok(id) => team::Column::Id.eq(id),
        Err(_) => team::Column::Slug.eq(slug_or_id),
    };
    let select = team::Entity::find().filter(named).filter(team::Column::DeletedAt.is_null());
    Ok(select.one(ctx.db.read()).await?)
}

/// The actor's teams, oldest first; their own is the first.
///
/// # Errors
/// [`Refused::Unauthenticated`]; a cursor that cannot be read.
pub async fn list(ctx: &Context, actor: &Actor, request: &PageRequest) -> Result<Page<team::Model>, ReadError> {
    let person = actor.person()?;
    let select = team::Entity::find().filter(team::Column::Id.is_in(person.memberships.iter().map(|(team, _)| *team)));
    Ok(page::by_id(select, team::Column::Id, |row| row.id, request, Direction::OldestFirst, ctx.db.read()).await?)
}

/// Teams by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, team::Model>, ReadError> {
    let rows = team::Entity::find().filter(team::Column::Id.is_in(ids.iter().copied())).all(ctx.db.read()).await?;
    let seen = rows.into_iter().filter(|row| authorize(actor, Action::TeamRead, row).is_ok());
    Ok(seen.map(|row| (row.id, row)).collect())
}

/// Renames a team.
///
/// # Errors
/// [`UpdateTeamError::Personal`]; an [`Invalid`] for a name that cannot be.
pub async fn update(ctx: &Context, actor: &Actor, id: Uuid, name: &str) -> Result<team::Model, UpdateTeamError> {
    let name = check_name(name)?;
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::TeamChange, &row)?;
    if row.personal_user_id.is_some() {
        return Err(UpdateTeamError::Personal);
    }
    let mut row = row.into_active_model();
    row.name = Set(name);
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "rename", "name": row.name })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Ends a team. Its members leave it, its invitations are taken back, and its name is never given again.
///
/// # Errors
/// [`DeleteTeamError`].
pub async fn delete(ctx: &Context, actor: &Actor, id: Uuid) -> Result<team::Model, DeleteTeamError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::TeamDelete, &row)?;
    if row.personal_user_id.is_some() {
        return Err(DeleteTeamError::Personal);
    }
    let published = lora::Entity::find()
        .filter(lora::Column::TeamId.eq(id))
        .filter(lora::Column::State.eq(LoraState::Published))
        .count(&tx)
        .await?;
    if published > 0 {
        return Err(DeleteTeamError::HasPublished { count: published });
    }
    let jobs = job::Entity::find()
        .filter(job::Column::TeamId.eq(id))
        .filter(job::Column::State.is_in([JobState::Queued, JobState::Running]))
        .count(&tx)
        .await?;
    if jobs > 0 {
        return Err(DeleteTeamError::HasJobs { count: jobs });
    }
    membership::Entity::delete_many().filter(membership::Column::TeamId.eq(id)).exec(&tx).await?;
    invitation::Entity::update_many()
        .col_expr(invitation::Column::RevokedAt, Expr::value(ctx.now()))
        .filter(invitation::Column::TeamId.eq(id))
        .filter(invitation::Column::AcceptedAt.is_null())
        .filter(invitation::Column::RevokedAt.is_null())
        .exec(&tx)
        .await?;
    let mut row = row.into_active_model();
    row.deleted_at = Set(Some(ctx.now()));
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "delete", "name": row.name })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Leaves a team.
///
/// # Errors
/// [`LeaveTeamError`].
pub async fn leave(ctx: &Context, actor: &Actor, id: Uuid) -> Result<team::Model, LeaveTeamError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::TeamLeave, &row)?;
    if row.personal_user_id.is_some() {
        return Err(LeaveTeamError::Personal);
    }
    let own = membership::Entity::find()
        .filter(membership::Column::TeamId.eq(id))
        .filter(membership::Column::UserId.eq(person.id))
        .one(&tx)
        .await?
        .ok_or(Refused::NotFound(team::Model::NAME))?;
    if own.role == Role::Owner && members::owners(&tx, id).await? == 1 {
        return Err(LeaveTeamError::LastOwner);
    }
    membership::Entity::delete_by_id(own.id).exec(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(own.id), json!({ "do": "leave", "role": own.role })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// A team that has not ended, locked: whoever changes who belongs to it holds this, so that an owner is left.
async fn locked<C: ConnectionTrait>(tx: &C, id: Uuid) -> Result<Option<team::Model>, DbErr> {
    let select = team::Entity::find_by_id(id).filter(team::Column::DeletedAt.is_null());
    select.lock_exclusive().one(tx).await
}
