//! What a person says of themselves, and their password.

use std::collections::HashMap;

use atelier_entities::{kinds::EventKind, refresh_token, team, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect, sea_query::Expr,
};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::{password, session, sign_up::check_name, throttle};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures, outbox,
    policy::{Action, Resource as _, authorize},
    text,
};

const LONGEST_BIO: usize = 2_000;

/// How many links a profile has, and how long each may be.
const MOST_LINKS: usize = 5;
const LONGEST_LINK: usize = 200;

failures! {
    /// Why [`update_profile`] refused.
    pub enum UpdateProfileError {}
}

failures! {
    /// Why [`change_password`] refused.
    pub enum ChangePasswordError {
        /// The current password is another.
        WrongPassword => ("currentPassword", "WRONG_PASSWORD", "This is not your current password. Try again, or reset it by mail."),
        /// Too many guesses.
        TooManyAttempts { seconds: i64 } => ("currentPassword", "TOO_MANY_ATTEMPTS", "There were too many attempts. Try again in {seconds} seconds."),
    }
}

/// What changes on a profile; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateProfile {
    /// Name shown to others, 1 to 80 characters.
    pub display_name: Option<String>,
    /// What the person says of themselves, at most 2,000 characters.
    pub bio: Option<String>,
    /// All addresses of theirs elsewhere, at most 5, each beginning with `https://`.
    pub links: Option<Vec<String>>,
    /// Whether the picture beside their name goes.
    pub removes_avatar: bool,
}

/// A person's profile, by id.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<user::Model, ReadError> {
    let row = user::Entity::find_by_id(id).one(ctx.db.read()).await?;
    shown(actor, row)
}

/// A person's profile, by handle.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn by_handle(ctx: &Context, actor: &Actor, handle: &str) -> Result<user::Model, ReadError> {
    let handle = handle.trim().to_lowercase();
    // PostgreSQL takes no zero character, not even to compare.
    if handle.contains(char::is_control) {
        return Err(Refused::NotFound(user::Model::NAME).into());
    }
    let row = user::Entity::find().filter(user::Column::Handle.eq(handle)).one(ctx.db.read()).await?;
    shown(actor, row)
}

fn shown(actor: &Actor, row: Option<user::Model>) -> Result<user::Model, ReadError> {
    let row = row.ok_or(Refused::NotFound(user::Model::NAME))?;
    authorize(actor, Action::ProfileRead, &row)?;
    Ok(row)
}

/// The actor's own account.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn own(ctx: &Context, actor: &Actor) -> Result<user::Model, ReadError> {
    let person = actor.person()?;
    let row = user::Entity::find_by_id(person.id).one(ctx.db.read()).await?;
    let row = row.ok_or(Refused::NotFound(user::Model::NAME))?;
    authorize(actor, Action::AccountRead, &row)?;
    Ok(row)
}

/// Profiles by key, for loaders.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, user::Model>, ReadError> {
    let rows = user::Entity::find().filter(user::Column::Id.is_in(ids.iter().copied())).all(ctx.db.read()).await?;
    rows.into_iter().map(|row| shown(actor, Some(row)).map(|row| (row.id, row))).collect()
}

/// Changes the actor's profile. The name of their own team follows.
///
/// # Errors
/// [`crate::error::Invalid`] for texts that are missing or too long.
pub async fn update_profile(
    ctx: &Context,
    actor: &Actor,
    change: UpdateProfile,
) -> Result<user::Model, UpdateProfileError> {
    let display_name = change.display_name.as_deref().map(check_name).transpose()?;
    let bio = change.bio.as_deref().map(|bio| text::check("bio", bio, 0, LONGEST_BIO)).transpose()?;
    let links = change.links.as_deref().map(check_links).transpose()?;
    let tx = ctx.db.write().await?;
    let row = locked(&tx, actor).await?;
    let permit = authorize(actor, Action::AccountChange, &row)?;
    let mut row = row.into_active_model();
    if let Some(name) = display_name {
        team::Entity::update_many()
            .col_expr(team::Column::Name, Expr::value(name.clone()))
            .filter(team::Column::PersonalUserId.eq(permit.user()))
            .exec(&tx)
            .await?;
        row.display_name = Set(name);
    }
    if let Some(bio) = bio {
        row.bio = Set(bio);
    }
    if let Some(links) = links {
        row.links = Set(json!(links));
    }
    if change.removes_avatar {
        row.avatar_sha256 = Set(None);
    }
    let row = if row.is_changed() { row.update(&tx).await? } else { locked(&tx, actor).await? };
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "updateProfile" })).await?;
    let event = outbox::Event {
        kind: EventKind::UserChanged,
        team: None,
        actor: Some(row.id),
        subject: row.id,
        payload: json!({ "do": "updateProfile" }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Checks addresses elsewhere: public web addresses over HTTPS.
fn check_links(links: &[String]) -> Result<Vec<String>, Invalid> {
    let links = text::check_words("links", links, MOST_LINKS, LONGEST_LINK)?;
    let is_good = |link: &String| {
        let url = Url::parse(link).ok().filter(|url| url.scheme() == "https" && url.username().is_empty());
        url.is_some_and(|url| url.password().is_none() && url.domain().is_some_and(|domain| domain.contains('.')))
    };
    match links.iter().find(|link| link.contains(char::is_whitespace) || !is_good(link)) {
        None => Ok(links),
        Some(link) => {
            let message =
                format!("`{link}` is no address that others can open. Give one such as `https://example.org/me`.");
            Err(Invalid::new("links", "BAD_LINK", message))
        }
    }
}

async fn locked<C: ConnectionTrait>(tx: &C, actor: &Actor) -> Result<user::Model, UpdateProfileError> {
    let person = actor.person()?;
    let row = user::Entity::find_by_id(person.id).lock_exclusive().one(tx).await?;
    Ok(row.ok_or(Refused::NotFound(user::Model::NAME))?)
}

/// Changes the actor's password and ends their other sessions.
///
/// # Errors
/// [`ChangePasswordError`]; an [`crate::error::Invalid`] for a password that cannot be.
pub async fn change_password(
    ctx: &Context,
    actor: &Actor,
    current: &str,
    new: &str,
) -> Result<user::Model, ChangePasswordError> {
    let person = actor.person()?;
    password::check_length("currentPassword", current)?;
    let tx = ctx.db.write().await?;
    let row = user::Entity::find_by_id(person.id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    let permit = authorize(actor, Action::AccountChange, &row)?;
    password::check("newPassword", new, &row.email)?;
    if let Err(pause) = throttle::attempt(&tx, ctx, &throttle::PASSWORD, &row.email).await? {
        return Err(ChangePasswordError::TooManyAttempts { seconds: throttle::seconds(pause) });
    }
    tx.commit().await?;
    if !password::matches(ctx, current, Some(&row.password_hash)).await? {
        return Err(ChangePasswordError::WrongPassword);
    }
    let password_hash = password::hash(ctx, new).await?;
    let tx = ctx.db.write().await?;
    throttle::forget(&tx, &throttle::PASSWORD, &row.email).await?;
    let mut row = row.into_active_model();
    row.password_hash = Set(password_hash);
    let row = row.update(&tx).await?;
    let others = Condition::all()
        .add(refresh_token::Column::UserId.eq(person.id))
        .add(refresh_token::Column::FamilyId.ne(person.session));
    session::end(&tx, ctx, others).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "changePassword" })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}
