//! Sessions: a family of refresh tokens, of which only the last is good, and access tokens of ten minutes.

use anyhow::Context as _;
use atelier_entities::{membership, refresh_token, sign_up as waiting, team, user};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use serde_json::json;
use uuid::Uuid;

use super::{access_token, identity, password, throttle, token};
use crate::{
    actor::{Actor, Person},
    audit,
    context::Context,
    error::Refused,
    failures,
    policy::{Action, Resource as _, authorize},
};

/// How long a session lives without a sign of life.
pub const SESSION_LIFE: TimeDelta = TimeDelta::days(30);

/// What somebody who is signed in holds.
#[derive(Clone)]
pub struct Session {
    /// For `Authorization: Bearer …`.
    pub access_token: String,
    /// From then on it is worthless.
    pub access_token_expires_at: DateTime<Utc>,
    /// For the next session; good once.
    pub refresh_token: String,
    /// From then on it is worthless.
    pub refresh_token_expires_at: DateTime<Utc>,
    /// Who signed in.
    pub user: user::Model,
    /// The same, as whoever acts.
    pub actor: Actor,
}

failures! {
    /// Why [`sign_in`] refused.
    pub enum SignInError {
        /// Nobody has this address, or the password is not theirs.
        WrongCredentials => ("", "WRONG_CREDENTIALS", "The mail address or the password is wrong. Try again, or reset the password."),
        /// Too many guesses.
        TooManyAttempts { seconds: i64 } => ("", "TOO_MANY_ATTEMPTS", "There were too many attempts to sign in to this account. Try again in {seconds} seconds, or reset the password."),
        /// The address is not proven.
        EmailNotVerified => ("email", "EMAIL_NOT_VERIFIED", "This mail address is not confirmed yet. Open the link in the mail that was sent to it, or sign up again for a new one."),
        /// The account may not be used.
        Suspended => ("", "SUSPENDED", "This account is suspended. Ask whoever runs this installation."),
    }
}

failures! {
    /// Why [`refresh`] refused.
    pub enum RefreshError {
        /// The token is none of ours, was used, or its session has ended.
        Ended => ("refreshToken", "SESSION_ENDED", "This session has ended. Sign in again."),
    }
}

failures! {
    /// Why [`sign_out`] refused.
    pub enum SignOutError {}
}

/// Why a token opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// It is forged, meant for something else, or has expired.
    #[error("This access token is not valid or has expired. Refresh the session, or sign in again.")]
    BadToken,
    /// The session was ended.
    #[error("This session has ended. Sign in again.")]
    Ended,
    /// The account may not be used.
    #[error("This account is suspended. Ask whoever runs this installation.")]
    Suspended,
    /// What nobody expected.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<DbErr> for AuthenticateError {
    fn from(error: DbErr) -> Self {
        Self::Unexpected(error.into())
    }
}

/// Signs in with mail address and password. That there is no such account is found out with the same work, and said in
/// the same words, as that the password is wrong; everything else is told only after the right password.
///
/// # Errors
/// [`SignInError`].
pub async fn sign_in(ctx: &Context, email: &str, password: &str) -> Result<Session, SignInError> {
    password::check_length("password", password)?;
    let email = identity::normal_email(email);
    let tx = ctx.db.write().await?;
    if let Err(pause) = throttle::attempt(&tx, ctx, &throttle::PASSWORD, &email).await? {
        return Err(SignInError::TooManyAttempts { seconds: throttle::seconds(pause) });
    }
    tx.commit().await?;

    let db = ctx.db.read();
    let user = user::Entity::find().filter(user::Column::Email.eq(&email)).one(db).await?;
    let waits = waiting::Entity::find()
        .filter(waiting::Column::Email.eq(&email))
        .filter(waiting::Column::ExpiresAt.gt(ctx.now()))
        .order_by_desc(waiting::Column::Id)
        .one(db)
        .await?;
    let account_hash = user.as_ref().map(|user| user.password_hash.as_str());
    let hash = account_hash.or(waits.as_ref().map(|waiting| waiting.password_hash.as_str()));
    if !password::matches(ctx, password, hash).await? {
        return Err(SignInError::WrongCredentials);
    }
    match user {
        None => Err(SignInError::EmailNotVerified),
        Some(user) if user.suspended_at.is_some() => Err(SignInError::Suspended),
        Some(user) => begin(ctx, user, &email).await?.ok_or(SignInError::WrongCredentials),
    }
}

/// Begins a session; none if the password was changed while it was looked at, for that ended all sessions.
async fn begin(ctx: &Context, checked: user::Model, email: &str) -> anyhow::Result<Option<Session>> {
    let tx = ctx.db.write().await?;
    let user = user::Entity::find_by_id(checked.id).lock_exclusive().one(&tx).await?;
    let Some(user) = user.filter(|user| user.password_hash == checked.password_hash) else { return Ok(None) };
    throttle::forget(&tx, &throttle::PASSWORD, email).await?;
    let session = issue(&tx, ctx, user, ctx.new_id()).await?;
    let permit = authorize(&session.actor, Action::AccountChange, &session.user)?;
    audit::record(&tx, ctx, &permit, Some(session.user.id), json!({ "do": "signIn" })).await?;
    ctx.commit(tx).await?;
    Ok(Some(session))
}

/// The next tokens of a session.
async fn issue<C: ConnectionTrait>(tx: &C, ctx: &Context, user: user::Model, family: Uuid) -> anyhow::Result<Session> {
    let now = ctx.now();
    let next = token::issue(ctx);
    let row = refresh_token::ActiveModel {
        id: Set(ctx.new_id()),
        family_id: Set(family),
        user_id: Set(user.id),
        token_hash: Set(next.hash),
        expires_at: Set(now + SESSION_LIFE),
        spent_at: Set(None),
        revoked_at: Set(None),
        created_at: Set(now),
    };
    let row = row.insert(tx).await?;
    let (access_token, access_token_expires_at) = access_token::issue(ctx, user.id, family)?;
    let actor = Actor::Person(person(tx, &user, family).await?);
    Ok(Session {
        access_token,
        access_token_expires_at,
        refresh_token: next.token,
        refresh_token_expires_at: row.expires_at,
        user,
        actor,
    })
}

/// Exchanges a refresh token for the next one. A token that comes a second time was stolen from one of the two who used
/// it: the whole session ends.
///
/// # Errors
/// [`RefreshError::Ended`].
pub async fn refresh(ctx: &Context, refresh_token: &str) -> Result<Session, RefreshError> {
    let now = ctx.now();
    let tx = ctx.db.write().await?;
    let row = refresh_token::Entity::find()
        .filter(refresh_token::Column::TokenHash.eq(token::hash(refresh_token)))
        .lock_exclusive()
        .one(&tx)
        .await?
        .ok_or(RefreshError::Ended)?;
    if row.revoked_at.is_some() || row.expires_at <= now {
        return Err(RefreshError::Ended);
    }
    if row.spent_at.is_some() {
        tracing::warn!(user = %row.user_id, session = %row.family_id, "a spent refresh token came again; its session ends");
        end(&tx, ctx, refresh_token::Column::FamilyId.eq(row.family_id)).await?;
        ctx.commit(tx).await?;
        return Err(RefreshError::Ended);
    }
    let user = user::Entity::find_by_id(row.user_id).one(&tx).await?.context("A session without its user.")?;
    if user.suspended_at.is_some() {
        return Err(RefreshError::Ended);
    }
    let family = row.family_id;
    let spent = refresh_token::ActiveModel { id: Set(row.id), spent_at: Set(Some(now)), ..Default::default() };
    spent.update(&tx).await?;
    let session = issue(&tx, ctx, user, family).await?;
    ctx.commit(tx).await?;
    Ok(session)
}

/// Ends the actor's session, or all of theirs: refresh and access tokens open nothing from then on.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn sign_out(ctx: &Context, actor: &Actor, everywhere: bool) -> Result<user::Model, SignOutError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let user = user::Entity::find_by_id(person.id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    let permit = authorize(actor, Action::AccountChange, &user)?;
    let which = if everywhere {
        refresh_token::Column::UserId.eq(person.id)
    } else {
        refresh_token::Column::FamilyId.eq(person.session)
    };
    end(&tx, ctx, which).await?;
    audit::record(&tx, ctx, &permit, Some(user.id), json!({ "do": "signOut", "everywhere": everywhere })).await?;
    ctx.commit(tx).await?;
    Ok(user)
}

/// Ends the sessions that a condition names.
///
/// # Errors
/// What the database says.
pub(super) async fn end<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    which: impl sea_orm::sea_query::IntoCondition,
) -> Result<(), DbErr> {
    refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::RevokedAt, Expr::value(ctx.now()))
        .filter(Condition::all().add(which.into_condition()).add(refresh_token::Column::RevokedAt.is_null()))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Somebody whose token was good.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who it is, with their teams.
    pub actor: Actor,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

/// Tells who an access token belongs to, given without its `Bearer`. The token is good while its session is.
///
/// # Errors
/// [`AuthenticateError`].
pub async fn authenticate(ctx: &Context, bearer: &str) -> Result<Authenticated, AuthenticateError> {
    let claims = access_token::read(ctx, bearer).ok_or(AuthenticateError::BadToken)?;
    let db = ctx.db.read();
    let live = refresh_token::Entity::find()
        .filter(refresh_token::Column::FamilyId.eq(claims.sid))
        .filter(refresh_token::Column::UserId.eq(claims.sub))
        .filter(refresh_token::Column::RevokedAt.is_null())
        .filter(refresh_token::Column::SpentAt.is_null())
        .filter(refresh_token::Column::ExpiresAt.gt(ctx.now()))
        .one(db)
        .await?;
    if live.is_none() {
        return Err(AuthenticateError::Ended);
    }
    let user = user::Entity::find_by_id(claims.sub).one(db).await?.ok_or(AuthenticateError::Ended)?;
    if user.suspended_at.is_some() {
        return Err(AuthenticateError::Suspended);
    }
    let actor = Actor::Person(person(db, &user, claims.sid).await?);
    let expires_at = DateTime::from_timestamp(claims.exp, 0).ok_or(AuthenticateError::BadToken)?;
    Ok(Authenticated { actor, expires_at })
}

/// A person with their teams.
///
/// # Errors
/// What the database says.
pub(super) async fn person<C: ConnectionTrait>(db: &C, user: &user::Model, session: Uuid) -> anyhow::Result<Person> {
    let personal_team = team::Entity::find()
        .select_only()
        .column(team::Column::Id)
        .filter(team::Column::PersonalUserId.eq(user.id))
        .into_tuple::<Uuid>()
        .one(db)
        .await?
        .context("A person without a team.")?;
    let memberships = membership::Entity::find().filter(membership::Column::UserId.eq(user.id)).all(db).await?;
    Ok(Person {
        id: user.id,
        session,
        personal_team,
        is_administrator: user.is_administrator,
        memberships: memberships.into_iter().map(|row| (row.team_id, row.role)).collect(),
    })
}
