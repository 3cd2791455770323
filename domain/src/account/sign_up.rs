//! Becoming somebody: sign up, then prove the mail address. There is no account before the proof, so nobody can hold
//! another's address or handle, and each link makes the account with the password of its own sign-up.

use atelier_entities::{
    kinds::{EventKind, Role},
    membership, sign_up as waiting, team, user,
};
use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use serde_json::json;
use uuid::Uuid;

use super::{
    identity,
    letter::{self, Draft},
    password, session, throttle,
    token::{self, Opaque},
};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    failures, ledger, mail, outbox,
    policy::{Action, authorize},
    text,
};

/// How long the link in the mail works.
pub const LINK_LIFE: TimeDelta = TimeDelta::hours(24);

const LONGEST_NAME: usize = 80;

/// Somebody who wants an account.
#[derive(Clone)]
pub struct SignUp {
    /// Mail address.
    pub email: String,
    /// Password of 10 to 200 characters.
    pub password: String,
    /// Public name in addresses: 3 to 32 lower-case letters, digits and dashes.
    pub handle: String,
    /// Name shown to others; the handle without one.
    pub display_name: Option<String>,
}

failures! {
    /// Why [`sign_up`] refused.
    pub enum SignUpError {
        /// Several mails went to this address of late.
        TooManyMails { seconds: i64 } => ("email", "TOO_MANY_MAILS", "Several mails went to this address already. Look for them there, or try again in {seconds} seconds."),
    }
}

failures! {
    /// Why [`verify_email`] refused.
    pub enum VerifyEmailError {
        /// The token is none of ours, was used or has expired.
        LinkUsed => ("token", "LINK_INVALID", "This link was used already, has expired or is incomplete. Sign in, or sign up again for a new link."),
        /// The address was proven by another sign-up.
        HasAccount => ("token", "HAS_ACCOUNT", "There is an account with this mail address already. Sign in, or reset its password."),
    }
}

/// Takes a sign-up and mails a link that proves the address. For an address that has an account the mail says so; whoever
/// asks learns nothing: the answer and the work are the same.
///
/// # Errors
/// [`crate::error::Invalid`] for an address, a password, a handle or a name that cannot be; [`SignUpError::TooManyMails`].
pub async fn sign_up(ctx: &Context, input: SignUp) -> Result<String, SignUpError> {
    let email = identity::check_email(&input.email)?;
    let handle = identity::check_handle("handle", &input.handle)?;
    password::check("password", &input.password, &email)?;
    let display_name = check_name(input.display_name.as_deref().unwrap_or(&handle))?;
    if identity::is_taken(ctx.db.read(), &handle).await? {
        return Err(identity::taken("handle", &handle).into());
    }
    let password_hash = password::hash(ctx, &input.password).await?;
    let Opaque { token, hash } = token::issue(ctx);
    let now = ctx.now();
    let tx = ctx.db.write().await?;
    if let Err(pause) = throttle::attempt(&tx, ctx, &throttle::SIGN_UP_MAIL, &email).await? {
        return Err(SignUpError::TooManyMails { seconds: throttle::seconds(pause) });
    }
    let owner = user::Entity::find().filter(user::Column::Email.eq(&email)).one(&tx).await?;
    waiting::Entity::delete_many().filter(waiting::Column::ExpiresAt.lt(now)).exec(&tx).await?;
    let row = waiting::ActiveModel {
        id: Set(ctx.new_id()),
        email: Set(email.clone()),
        handle: Set(handle),
        display_name: Set(display_name.clone()),
        password_hash: Set(password_hash),
        token_hash: Set(hash),
        expires_at: Set(now + LINK_LIFE),
        created_at: Set(now),
    };
    row.insert(&tx).await?;
    let draft = match &owner {
        None => proof(ctx, &email, &display_name, &token),
        Some(owner) => reminder(&email, &owner.display_name),
    };
    mail::enqueue(&tx, ctx, draft.write()).await?;
    ctx.commit(tx).await?;
    Ok(email)
}

fn proof<'a>(ctx: &Context, to: &'a str, name: &str, token: &str) -> Draft<'a> {
    Draft {
        to,
        subject: "Confirm your mail address for Atelier".to_owned(),
        paragraphs: vec![
            format!("Hello {name},"),
            "somebody, hopefully you, signed up to Atelier with this mail address. Open the link to confirm that it is \
             yours; then you can sign in."
                .to_owned(),
        ],
        link: Some(("Confirm the address", letter::link(&ctx.settings.public_url, "verify-email", token))),
        closing: "The link works once, within 24 hours. If it was not you, do nothing: no account is made.".to_owned(),
    }
}

fn reminder<'a>(to: &'a str, name: &str) -> Draft<'a> {
    Draft {
        to,
        subject: "You have an account at Atelier already".to_owned(),
        paragraphs: vec![
            format!("Hello {name},"),
            "somebody, perhaps you, signed up to Atelier with this mail address, which has an account already. Nothing \
             was changed. Sign in with it; if you forgot the password, ask for a reset."
                .to_owned(),
        ],
        link: None,
        closing: "If it was not you, there is nothing to do.".to_owned(),
    }
}

/// Checks a display name.
///
/// # Errors
/// [`crate::error::Invalid`] with `REQUIRED`, `TOO_LONG` or `CONTROL_CHARACTER`.
pub(super) fn check_name(name: &str) -> Result<String, crate::error::Invalid> {
    let name = text::check("displayName", name, 1, LONGEST_NAME)?;
    if name.contains(['\n', '\r', '\t']) {
        let message = "`displayName` is one line. Remove the line breaks and tabs.";
        return Err(crate::error::Invalid::new("displayName", "CONTROL_CHARACTER", message));
    }
    Ok(name)
}

/// Makes the account of a proven address, with its own team and that team's first credits. Another handle may be chosen,
/// should somebody have taken the one that was asked for.
///
/// # Errors
/// [`VerifyEmailError`]; an [`crate::error::Invalid`] with `HANDLE_TAKEN`.
pub async fn verify_email(ctx: &Context, token: &str, handle: Option<&str>) -> Result<user::Model, VerifyEmailError> {
    let handle = handle.map(|handle| identity::check_handle("handle", handle)).transpose()?;
    let tx = ctx.db.write().await?;
    identity::hold_names(&tx).await?;
    let found = waiting::Entity::find()
        .filter(waiting::Column::TokenHash.eq(token::hash(token)))
        .filter(waiting::Column::ExpiresAt.gt(ctx.now()))
        .one(&tx)
        .await?
        .ok_or(VerifyEmailError::LinkUsed)?;
    if user::Entity::find().filter(user::Column::Email.eq(&found.email)).one(&tx).await?.is_some() {
        return Err(VerifyEmailError::HasAccount);
    }
    let handle = handle.unwrap_or(found.handle);
    if identity::is_taken(&tx, &handle).await? {
        return Err(identity::taken("handle", &handle).into());
    }
    waiting::Entity::delete_many().filter(waiting::Column::Email.eq(&found.email)).exec(&tx).await?;
    let new = NewAccount {
        email: found.email,
        handle,
        display_name: found.display_name,
        password_hash: found.password_hash,
        is_verified: true,
        is_administrator: false,
    };
    let row = open_account(&tx, ctx, new).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// An account to be made.
pub(super) struct NewAccount {
    pub(super) email: String,
    pub(super) handle: String,
    pub(super) display_name: String,
    pub(super) password_hash: String,
    pub(super) is_verified: bool,
    pub(super) is_administrator: bool,
}

/// Makes an account, its team and that team's first credits, in the caller's transaction.
///
/// # Errors
/// What the database says.
pub(super) async fn open_account<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    new: NewAccount,
) -> anyhow::Result<user::Model> {
    let now = ctx.now();
    let row = user::ActiveModel {
        id: Set(ctx.new_id()),
        email: Set(new.email),
        email_verified_at: Set(new.is_verified.then_some(now)),
        handle: Set(new.handle),
        display_name: Set(new.display_name),
        bio: Set(String::new()),
        avatar_sha256: Set(None),
        links: Set(json!([])),
        password_hash: Set(new.password_hash),
        is_administrator: Set(new.is_administrator),
        suspended_at: Set(None),
        created_at: Set(now),
        hidden_at: Set(None),
    };
    let row = row.insert(tx).await?;
    open_personal_team(tx, ctx, &row).await?;
    let person = session::person(tx, &row, Uuid::nil()).await?;
    let permit = authorize(&Actor::Person(person), Action::AccountChange, &row)?;
    audit::record(tx, ctx, &permit, Some(row.id), json!({ "do": "signUp", "handle": row.handle })).await?;
    let event = outbox::Event {
        kind: EventKind::UserChanged,
        team: None,
        actor: Some(row.id),
        subject: row.id,
        payload: json!({ "do": "signUp" }),
    };
    outbox::append(tx, ctx, event).await?;
    Ok(row)
}

async fn open_personal_team<C: ConnectionTrait>(tx: &C, ctx: &Context, owner: &user::Model) -> Result<(), DbErr> {
    let row = team::ActiveModel {
        id: Set(ctx.new_id()),
        slug: Set(owner.handle.clone()),
        name: Set(owner.display_name.clone()),
        personal_user_id: Set(Some(owner.id)),
        created_at: Set(ctx.now()),
        deleted_at: Set(None),
    };
    let team = row.insert(tx).await?;
    let row = membership::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team.id),
        user_id: Set(owner.id),
        role: Set(Role::Owner),
        created_at: Set(ctx.now()),
    };
    row.insert(tx).await?;
    ledger::grant(tx, ctx, team.id, ctx.settings.initial_credits, &format!("welcome:{}", team.id)).await
}
