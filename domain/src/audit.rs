//! Who did what to which thing, written in the same transaction as the deed.

use atelier_entities::{audit_entry, scope::Scoped};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, prelude::Json,
};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Permit, Resource as _, authorize},
};

/// Writes an entry. The permit says who did what.
///
/// # Errors
/// What the database says.
pub async fn record<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    permit: &Permit,
    subject: Option<Uuid>,
    detail: Json,
) -> Result<(), DbErr> {
    let entry = audit_entry::ActiveModel {
        id: Set(ctx.new_id()),
        actor_id: Set(permit.user()),
        team_id: Set(permit.team()),
        action: Set(permit.action().name().to_owned()),
        subject_id: Set(subject),
        detail: Set(detail),
        created_at: Set(ctx.now()),
    };
    entry.insert(tx).await.map(|_| ())
}

/// A team's audit trail, newest first.
///
/// # Errors
/// [`Refused`] for who may not read it.
pub async fn of_team(
    ctx: &Context,
    actor: &Actor,
    team: Uuid,
    request: &PageRequest,
) -> Result<Page<audit_entry::Model>, ReadError> {
    let team = atelier_entities::team::Entity::find_by_id(team)
        .one(ctx.db.read())
        .await?
        .ok_or(Refused::NotFound(atelier_entities::team::Model::NAME))?;
    authorize(actor, Action::AuditRead, &team)?;
    let select = audit_entry::Entity::visible_to(&actor.scope()).filter(audit_entry::Column::TeamId.eq(team.id));
    Ok(page::by_id(select, audit_entry::Column::Id, |row| row.id, request, Direction::NewestFirst, ctx.db.read())
        .await?)
}

/// An entry of the audit trail of a team that the actor administers.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<audit_entry::Model, ReadError> {
    let (db, missing) = (ctx.db.read(), Refused::NotFound("audit entry"));
    let row = audit_entry::Entity::visible_to(&actor.scope()).filter(audit_entry::Column::Id.eq(id)).one(db).await?;
    let row = row.ok_or_else(|| missing.clone())?;
    let team = row.team_id.ok_or_else(|| missing.clone())?;
    let team = atelier_entities::team::Entity::find_by_id(team).one(db).await?.ok_or_else(|| missing.clone())?;
    if authorize(actor, Action::AuditRead, &team).is_err() { Err(missing.into()) } else { Ok(row) }
}
