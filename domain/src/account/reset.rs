//! A forgotten password: a link by mail, good once, that lets a new one be set. The first administrator chooses their
//! first password in the same way.

use anyhow::Context as _;
use atelier_entities::{kinds::MailTokenPurpose, mail_token, refresh_token, user};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    identity,
    letter::{self, Draft},
    password, session,
    sign_up::{NewAccount, open_account},
    throttle, token,
};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    database, failures, mail,
    policy::{Action, authorize},
};

/// How long the link in the mail works.
pub const LINK_LIFE: TimeDelta = TimeDelta::hours(1);

/// How long the first administrator's link works; every start of the server makes a new one until a password is set.
pub const FIRST_LINK_LIFE: TimeDelta = TimeDelta::days(7);

/// Where the first administrator's mail would go, if anything were sent there: their name to sign in.
const FIRST_EMAIL: &str = "administrator@localhost";
const FIRST_HANDLE: &str = "administrator";

failures! {
    /// Why [`request_password_reset`] refused.
    pub enum RequestPasswordResetError {
        /// Several mails went to this address of late.
        TooManyMails { seconds: i64 } => ("email", "TOO_MANY_MAILS", "Several mails went to this address already. Look for them there, or try again in {seconds} seconds."),
    }
}

failures! {
    /// Why [`reset_password`] refused.
    pub enum ResetPasswordError {
        /// The token is none of ours, was used or has expired.
        LinkUsed => ("token", "LINK_INVALID", "This link was used already, has expired or is incomplete. Ask for a new one."),
    }
}

/// Mails a link that lets a new password be set, if the address has an account. Whoever asks learns nothing.
///
/// # Errors
/// [`crate::error::Invalid`] for what is no mail address; [`RequestPasswordResetError::TooManyMails`].
pub async fn request_password_reset(ctx: &Context, email: &str) -> Result<String, RequestPasswordResetError> {
    let email = identity::check_email(email)?;
    let tx = ctx.db.write().await?;
    // Counted, written and committed also for an address that nobody has.
    if let Err(pause) = throttle::attempt(&tx, ctx, &throttle::RESET_MAIL, &email).await? {
        return Err(RequestPasswordResetError::TooManyMails { seconds: throttle::seconds(pause) });
    }
    let user = user::Entity::find().filter(user::Column::Email.eq(&email)).one(&tx).await?;
    if let Some(user) = user.filter(|user| user.suspended_at.is_none()) {
        let token = grant(&tx, ctx, user.id, MailTokenPurpose::ResetPassword, LINK_LIFE).await?.0;
        let draft = Draft {
            to: &email,
            subject: "Set a new password for Atelier".to_owned(),
            paragraphs: vec![
                format!("Hello {},", user.display_name),
                "somebody, hopefully you, asked for a new password for your account. Open the link to set one. It ends \
                 all sessions of the account."
                    .to_owned(),
            ],
            link: Some(("Set a new password", letter::link(&ctx.settings.public_url, "reset-password", &token))),
            closing: "The link works once, within an hour. If it was not you, do nothing: the password stays."
                .to_owned(),
        };
        mail::enqueue(&tx, ctx, draft.write()).await?;
    }
    ctx.commit(tx).await?;
    Ok(email)
}

/// Makes a link's token; those of the same purpose that the person still has become worthless.
async fn grant<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    user: Uuid,
    purpose: MailTokenPurpose,
    life: TimeDelta,
) -> Result<(String, DateTime<Utc>), DbErr> {
    let now = ctx.now();
    let new = token::issue(ctx);
    spend(tx, ctx, mail_token::Column::UserId.eq(user)).await?;
    let row = mail_token::ActiveModel {
        id: Set(ctx.new_id()),
        user_id: Set(user),
        purpose: Set(purpose),
        token_hash: Set(new.hash),
        expires_at: Set(now + life),
        used_at: Set(None),
        created_at: Set(now),
    };
    row.insert(tx).await?;
    Ok((new.token, now + life))
}

/// Makes tokens worthless. Returns how many there were.
async fn spend<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    which: impl sea_orm::sea_query::IntoCondition,
) -> Result<u64, DbErr> {
    let result = mail_token::Entity::update_many()
        .col_expr(mail_token::Column::UsedAt, Expr::value(ctx.now()))
        .filter(which)
        .filter(mail_token::Column::UsedAt.is_null())
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
}

/// Sets a new password with the token of a link, and ends all sessions of the account.
///
/// # Errors
/// [`ResetPasswordError::LinkUsed`]; an [`crate::error::Invalid`] for a password that cannot be.
pub async fn reset_password(ctx: &Context, token: &str, new: &str) -> Result<user::Model, ResetPasswordError> {
    let hash = token::hash(token);
    // Looked up before any work: hashing passwords is for those who hold a link.
    let row = open_token(ctx.db.read(), ctx, &hash).await?.ok_or(ResetPasswordError::LinkUsed)?;
    let user = user::Entity::find_by_id(row.user_id).one(ctx.db.read()).await?.context("A link without its user.")?;
    password::check("password", new, &user.email)?;
    let password_hash = password::hash(ctx, new).await?;
    let tx = ctx.db.write().await?;
    if spend(&tx, ctx, mail_token::Column::Id.eq(row.id)).await? != 1 {
        return Err(ResetPasswordError::LinkUsed);
    }
    let person = session::person(&tx, &user, Uuid::nil()).await?;
    let permit = authorize(&Actor::Person(person), Action::AccountChange, &user)?;
    let (id, verified_at, email) = (user.id, user.email_verified_at, user.email.clone());
    let mut user = user.into_active_model();
    user.password_hash = Set(password_hash);
    // Whoever holds the link reads the mail, or the terminal of the first start.
    user.email_verified_at = Set(verified_at.or(Some(ctx.now())));
    let user = user.update(&tx).await?;
    spend(&tx, ctx, mail_token::Column::UserId.eq(id)).await?;
    session::end(&tx, ctx, refresh_token::Column::UserId.eq(id)).await?;
    throttle::forget(&tx, &throttle::PASSWORD, &email).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "resetPassword" })).await?;
    ctx.commit(tx).await?;
    Ok(user)
}

async fn open_token<C: ConnectionTrait>(db: &C, ctx: &Context, hash: &str) -> Result<Option<mail_token::Model>, DbErr> {
    mail_token::Entity::find()
        .filter(mail_token::Column::TokenHash.eq(hash))
        .filter(mail_token::Column::UsedAt.is_null())
        .filter(mail_token::Column::ExpiresAt.gt(ctx.now()))
        .one(db)
        .await
}

/// How the first administrator gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAdministrator {
    /// The address to sign in with.
    pub email: String,
    /// Where to choose a password; the token for `resetPassword` stands behind `#token=`.
    pub link: String,
    /// The token alone.
    pub token: String,
    /// From then on the link is worthless.
    pub expires_at: DateTime<Utc>,
}

/// On an empty installation makes an administrator and a link to choose their password. Until they have, every call makes
/// a new link and the old one is worthless; afterwards there is none. Call it at start and print what it says.
///
/// # Errors
/// What the database says.
pub async fn first_administrator(ctx: &Context) -> anyhow::Result<Option<FirstAdministrator>> {
    let tx = ctx.db.write().await?;
    database::serialize(&tx, "first administrator").await?;
    let waits = user::Entity::find()
        .filter(user::Column::IsAdministrator.eq(true))
        .filter(user::Column::EmailVerifiedAt.is_null())
        .order_by_asc(user::Column::Id)
        .limit(1)
        .one(&tx)
        .await?;
    let user = match waits {
        Some(user) => user,
        None if user::Entity::find().count(&tx).await? > 0 => return Ok(None),
        None => {
            let new = NewAccount {
                email: FIRST_EMAIL.to_owned(),
                handle: FIRST_HANDLE.to_owned(),
                display_name: "Administrator".to_owned(),
                password_hash: String::new(),
                is_verified: false,
                is_administrator: true,
            };
            open_account(&tx, ctx, new).await?
        }
    };
    let (token, expires_at) = grant(&tx, ctx, user.id, MailTokenPurpose::SetPassword, FIRST_LINK_LIFE).await?;
    ctx.commit(tx).await?;
    let link = letter::link(&ctx.settings.public_url, "reset-password", &token);
    Ok(Some(FirstAdministrator { email: user.email, link, token, expires_at }))
}
