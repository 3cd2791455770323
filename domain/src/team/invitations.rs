//! Invitations to a team: a link by mail, good once, for the person who has that address.

use std::collections::HashMap;

use anyhow::Context as _;
use atelier_entities::{invitation, kinds::Role, membership, team, user};
use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect, Select, sea_query::Expr,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{locked, members};
use crate::{
    account::{
        identity,
        letter::{self, Draft},
        throttle, token,
    },
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    mail, nested,
    page::{Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
    widen::widen,
};

/// How long the link in the mail works.
pub const LINK_LIFE: TimeDelta = TimeDelta::days(7);

/// How many invitations of a team may be open.
const MOST_OPEN: u64 = 100;

/// Somebody to be invited.
#[derive(Clone, Debug, Serialize)]
pub struct NewInvitation {
    /// The team.
    pub team: Uuid,
    /// Their mail address.
    pub email: String,
    /// What they will be.
    pub role: Role,
}

failures! {
    /// Why [`invite`] refused.
    pub enum InviteMemberError {
        /// It is a person's own team.
        Personal => ("teamId", "PERSONAL_TEAM", "Your own team is yours alone. Make a team with `createTeam` and invite people there."),
        /// Nobody gives more than they have.
        RoleTooHigh => ("role", "ROLE_TOO_HIGH", "You can invite people up to your own role. Ask an owner."),
        /// They belong to the team.
        AlreadyMember => ("email", "ALREADY_MEMBER", "Somebody with this mail address is a member already."),
        /// Many invitations wait for an answer.
        TooManyOpen { most: u64 } => ("", "TOO_MANY_INVITATIONS", "{most} invitations wait for an answer. Revoke some first."),
        /// Several mails went to this address of late.
        TooManyMails { seconds: i64 } => ("email", "TOO_MANY_MAILS", "Several mails went to this address already. Try again in {seconds} seconds."),
    }
}

failures! {
    /// Why [`revoke`] refused.
    pub enum RevokeInvitationError {
        /// It was accepted, revoked or has expired.
        NotOpen => ("id", "NOT_OPEN", "This invitation is not open any more; there is nothing to revoke."),
    }
}

failures! {
    /// Why [`accept`] refused.
    pub enum AcceptInvitationError {
        /// The token is none of ours, was used, taken back or has expired.
        LinkUsed => ("token", "LINK_INVALID", "This invitation was used already, taken back, or has expired. Ask the team for a new one."),
        /// Somebody else was invited.
        OtherAddress => ("token", "OTHER_ADDRESS", "This invitation went to another mail address. Sign in with the account of that address."),
        /// They belong to the team.
        AlreadyMember => ("token", "ALREADY_MEMBER", "You are a member of this team already."),
    }
}

widen!(KeyError => InviteMemberError);

/// Invites somebody by mail. An earlier invitation of the same address becomes worthless.
///
/// # Errors
/// [`InviteMemberError`]; an [`crate::error::Invalid`] for what is no mail address.
pub async fn invite(
    ctx: &Context,
    actor: &Actor,
    new: NewInvitation,
    key: Option<&str>,
) -> Result<invitation::Model, InviteMemberError> {
    let person = actor.person()?;
    let email = identity::check_email(&new.email)?;
    let tx = ctx.db.write().await?;
    let team = locked(&tx, new.team).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::MemberManage, &team)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "inviteMember", &new).await?;
    if let Some(id) = once.earlier() {
        let earlier = invitation::Entity::find_by_id(id).one(&tx).await?;
        return Ok(earlier.ok_or(Refused::NotFound(invitation::Model::NAME))?);
    }
    if team.personal_user_id.is_some() {
        return Err(InviteMemberError::Personal);
    }
    if !members::reaches(actor, team.id, new.role) {
        return Err(InviteMemberError::RoleTooHigh);
    }
    let known = user::Entity::find().filter(user::Column::Email.eq(&email)).one(&tx).await?;
    if let Some(known) = known
        && members::is_member(&tx, &team, known.id).await?
    {
        return Err(InviteMemberError::AlreadyMember);
    }
    take_back(&tx, ctx, team.id, &email).await?;
    if open(ctx, team.id).count(&tx).await? >= MOST_OPEN {
        return Err(InviteMemberError::TooManyOpen { most: MOST_OPEN });
    }
    if let Err(pause) = throttle::attempt(&tx, ctx, &throttle::INVITATION_MAIL, &email).await? {
        return Err(InviteMemberError::TooManyMails { seconds: throttle::seconds(pause) });
    }
    let link = token::issue(ctx);
    let row = invitation::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team.id),
        email: Set(email),
        role: Set(new.role),
        token_hash: Set(link.hash),
        invited_by: Set(person.id),
        expires_at: Set(ctx.now() + LINK_LIFE),
        accepted_at: Set(None),
        revoked_at: Set(None),
        created_at: Set(ctx.now()),
    };
    let row = row.insert(&tx).await?;
    let host = user::Entity::find_by_id(person.id).one(&tx).await?.context("An actor without a user.")?;
    mail::enqueue(&tx, ctx, draft(ctx, &row, &team, &host, &link.token).write()).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "invite", "role": row.role })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

fn draft<'a>(
    ctx: &Context,
    row: &'a invitation::Model,
    team: &team::Model,
    host: &user::Model,
    token: &str,
) -> Draft<'a> {
    Draft {
        to: &row.email,
        subject: format!("{} invites you to the team {} on Atelier", host.display_name, team.name),
        paragraphs: vec![
            "Hello,".to_owned(),
            format!("{} invites you to join the team “{}” on Atelier.", host.display_name, team.name),
            "Open the link to accept. You need an account with this mail address; sign up first if you have none."
                .to_owned(),
        ],
        link: Some(("Accept the invitation", letter::link(&ctx.settings.public_url, "accept-invitation", token))),
        closing: "The link works once, within 7 days. If you do not want to join, do nothing.".to_owned(),
    }
}

fn open(ctx: &Context, team: Uuid) -> Select<invitation::Entity> {
    invitation::Entity::find()
        .filter(invitation::Column::TeamId.eq(team))
        .filter(invitation::Column::AcceptedAt.is_null())
        .filter(invitation::Column::RevokedAt.is_null())
        .filter(invitation::Column::ExpiresAt.gt(ctx.now()))
}

/// Takes the open invitations of an address back.
async fn take_back<C: ConnectionTrait>(tx: &C, ctx: &Context, team: Uuid, email: &str) -> Result<(), DbErr> {
    invitation::Entity::update_many()
        .col_expr(invitation::Column::RevokedAt, Expr::value(ctx.now()))
        .filter(invitation::Column::TeamId.eq(team))
        .filter(invitation::Column::Email.eq(email))
        .filter(invitation::Column::AcceptedAt.is_null())
        .filter(invitation::Column::RevokedAt.is_null())
        .exec(tx)
        .await
        .map(|_| ())
}

/// The invitations of several teams, newest first; teams whose members the actor does not manage show none.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    teams: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<invitation::Model>>, ReadError> {
    let rows = super::by_ids(ctx, actor, teams).await?.into_values();
    let managed: Vec<Uuid> =
        rows.filter(|team| authorize(actor, Action::MemberManage, team).is_ok()).map(|team| team.id).collect();
    let columns = (invitation::Column::TeamId, invitation::Column::Id);
    let keys = |row: &invitation::Model| (row.team_id, row.id);
    let select = invitation::Entity::find();
    Ok(nested::pages(select, columns, keys, &managed, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// An invitation into a team whose members the actor manages.
///
/// # Errors
/// [`Refused::NotFound`]; [`Refused::Forbidden`] for other members of the team.
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<invitation::Model, ReadError> {
    let row = invitation::Entity::find_by_id(id).one(ctx.db.read()).await?;
    let row = row.ok_or(Refused::NotFound(invitation::Model::NAME))?;
    authorize(actor, Action::MemberManage, &row)?;
    Ok(row)
}

/// Takes an invitation back.
///
/// # Errors
/// [`RevokeInvitationError::NotOpen`].
pub async fn revoke(ctx: &Context, actor: &Actor, id: Uuid) -> Result<invitation::Model, RevokeInvitationError> {
    let tx = ctx.db.write().await?;
    let row = invitation::Entity::find_by_id(id).lock_exclusive().one(&tx).await?;
    let row = row.ok_or(Refused::NotFound(invitation::Model::NAME))?;
    let permit = authorize(actor, Action::MemberManage, &row)?;
    if row.accepted_at.is_some() || row.revoked_at.is_some() || row.expires_at <= ctx.now() {
        return Err(RevokeInvitationError::NotOpen);
    }
    let mut row = row.into_active_model();
    row.revoked_at = Set(Some(ctx.now()));
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "revoke" })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Accepts an invitation with the token of its link.
///
/// # Errors
/// [`AcceptInvitationError`].
pub async fn accept(ctx: &Context, actor: &Actor, token: &str) -> Result<membership::Model, AcceptInvitationError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let found = invitation::Entity::find()
        .filter(invitation::Column::TokenHash.eq(token::hash(token)))
        .filter(invitation::Column::AcceptedAt.is_null())
        .filter(invitation::Column::RevokedAt.is_null())
        .filter(invitation::Column::ExpiresAt.gt(ctx.now()))
        .lock_exclusive()
        .one(&tx)
        .await?
        .ok_or(AcceptInvitationError::LinkUsed)?;
    let permit = authorize(actor, Action::InvitationAccept, &found)?;
    let team = locked(&tx, found.team_id).await?.ok_or(AcceptInvitationError::LinkUsed)?;
    let guest = user::Entity::find_by_id(person.id).one(&tx).await?.context("An actor without a user.")?;
    if guest.email != found.email {
        return Err(AcceptInvitationError::OtherAddress);
    }
    if members::is_member(&tx, &team, guest.id).await? {
        return Err(AcceptInvitationError::AlreadyMember);
    }
    let (id, role) = (found.id, found.role);
    let mut found = found.into_active_model();
    found.accepted_at = Set(Some(ctx.now()));
    found.update(&tx).await?;
    let row = members::insert(&tx, ctx, team.id, guest.id, role).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "accept", "membership": row.id })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}
