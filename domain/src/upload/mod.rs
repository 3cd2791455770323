//! Files on their way in: receiving → quarantined → checked → ready or rejected.
//!
//! [`create`] gives a signed link; [`receive()`] takes the bytes in pieces into a spool file; [`finish`] checks what
//! arrived and makes of it what it was for; [`sweep()`] goes on with what an interruption left and removes what has
//! expired.

mod check;
mod receive;
mod sweep;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, path::PathBuf};

use atelier_entities::{
    dataset,
    kinds::{LoraState, UploadPurpose, UploadState},
    lora,
    scope::Scoped,
    team, upload,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::json;
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    dataset as datasets,
    error::{Invalid, ReadError, Refused},
    failures,
    id::{self, Noun},
    idempotency::{self, KeyError},
    policy::{Action, Permit, Resource, authorize},
    text,
    widen::widen,
};

pub use check::{CheckError, finish};
pub use receive::{ReceiveError, receive};
pub use sweep::{Swept, sweep};

/// How long an upload link works.
pub const LINK_LIFE: TimeDelta = TimeDelta::hours(24);

const LONGEST_FILE_NAME: usize = 255;

/// The largest picture of a person, in bytes: it is shown small.
const LARGEST_AVATAR: i64 = 10 << 20;

/// A file that somebody wants to send.
#[derive(Clone, Debug, Serialize)]
pub struct NewUpload {
    /// What it is to become.
    pub purpose: UploadPurpose,
    /// Its name on the sender's side.
    pub file_name: String,
    /// Bytes that will come.
    pub size: i64,
    /// The data set that a picture is for; the LoRA that a file is a version of, if it exists already.
    pub target: Option<Uuid>,
    /// The team that a file without a target is for; the person's own team without one.
    pub team: Option<Uuid>,
}

failures! {
    /// Why [`create`] refused.
    pub enum CreateUploadError {
        /// A picture belongs into a data set.
        DatasetNeeded => ("targetId", "TARGET_NEEDED", "Name the data set that the picture is for."),
        /// A picture to generate from belongs to a team alone.
        TargetNotTaken => ("targetId", "TARGET_NOT_TAKEN", "A picture to generate from is for a team and for nothing in it. Leave the target out."),
        /// A picture of oneself belongs to oneself alone.
        AvatarIsOnes => ("purpose", "AVATAR_IS_ONES_OWN", "A picture of yourself is for you alone. Leave target and team out."),
        /// The data set is full.
        DatasetFull { most: u64 } =>
            ("targetId", "DATASET_FULL", "This data set holds {most} pictures, which is the most. Remove some or make another data set."),
        /// There is nothing to send.
        Empty => ("size", "EMPTY", "The file is empty. Choose one with content."),
        /// It is larger than this installation takes.
        TooLarge { size: i64, limit: i64, what: &'static str } =>
            ("size", "TOO_LARGE", "The file has {size} bytes; a {what} may have at most {limit} here. Make it smaller."),
    }
}

widen!(KeyError => CreateUploadError);

/// Announces a file. Its bytes are then sent to the [`link`].
///
/// # Errors
/// [`CreateUploadError`].
pub async fn create(
    ctx: &Context,
    actor: &Actor,
    new: NewUpload,
    key: Option<&str>,
) -> Result<upload::Model, CreateUploadError> {
    let person = actor.person()?;
    let file_name = harmless_name(&text::check("fileName", &new.file_name, 1, LONGEST_FILE_NAME)?)?;
    check_size(ctx, new.purpose, new.size)?;
    let tx = ctx.db.write().await?;
    let (permit, team) = authorize_target(&tx, actor, person.personal_team, &new).await?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "createUpload", &new).await?;
    if let Some(id) = once.earlier() {
        drop(tx);
        return Ok(get(ctx, actor, id).await.map_err(anyhow::Error::from)?);
    }
    let row = upload::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team),
        created_by: Set(person.id),
        purpose: Set(new.purpose),
        file_name: Set(file_name),
        size: Set(new.size),
        received: Set(0),
        state: Set(UploadState::Receiving),
        reason: Set(None),
        blob_sha256: Set(None),
        facts: Set(None),
        target_id: Set(new.target),
        expires_at: Set(ctx.now() + LINK_LIFE),
        created_at: Set(ctx.now()),
    };
    let row = row.insert(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "upload", "file": row.file_name })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Asks leave to send a file for its target, and says which team it is for.
async fn authorize_target<C: ConnectionTrait>(
    tx: &C,
    actor: &Actor,
    personal_team: Uuid,
    new: &NewUpload,
) -> Result<(Permit, Uuid), CreateUploadError> {
    match (new.purpose, new.target) {
        (UploadPurpose::DatasetPicture, None) => Err(CreateUploadError::DatasetNeeded),
        (UploadPurpose::DatasetPicture, Some(target)) => {
            let missing = Refused::NotFound(dataset::Model::NAME);
            let found = dataset::Entity::find_by_id(target).one(tx).await?.ok_or_else(|| missing.clone())?;
            let permit = authorize(actor, Action::UploadCreate, &found)?;
            if found.deleted_at.is_some() {
                return Err(missing.into());
            }
            if datasets::pictures::count(tx, found.id).await? >= datasets::MOST_PICTURES {
                return Err(CreateUploadError::DatasetFull { most: datasets::MOST_PICTURES });
            }
            Ok((permit, found.team_id))
        }
        (UploadPurpose::LoraFile, Some(target)) => {
            let missing = Refused::NotFound(lora::Model::NAME);
            let found = lora::Entity::find_by_id(target).one(tx).await?.ok_or_else(|| missing.clone())?;
            let permit = authorize(actor, Action::UploadCreate, &found)?;
            if found.state == LoraState::Deleted {
                return Err(missing.into());
            }
            Ok((permit, found.team_id))
        }
        (UploadPurpose::GenerationPicture, Some(_)) => Err(CreateUploadError::TargetNotTaken),
        (UploadPurpose::UserAvatar, Some(_)) => Err(CreateUploadError::AvatarIsOnes),
        (UploadPurpose::UserAvatar, None) if new.team.is_some_and(|team| team != personal_team) => {
            Err(CreateUploadError::AvatarIsOnes)
        }
        (UploadPurpose::LoraFile | UploadPurpose::GenerationPicture | UploadPurpose::UserAvatar, None) => {
            let team = new.team.unwrap_or(personal_team);
            let found = team::Entity::find_by_id(team).one(tx).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
            Ok((authorize(actor, Action::UploadCreate, &found)?, found.id))
        }
    }
}

fn check_size(ctx: &Context, purpose: UploadPurpose, size: i64) -> Result<(), CreateUploadError> {
    let (limit, what) = match purpose {
        UploadPurpose::DatasetPicture | UploadPurpose::GenerationPicture => (ctx.settings.largest_picture, "picture"),
        UploadPurpose::UserAvatar => (ctx.settings.largest_picture.min(LARGEST_AVATAR), "picture of yourself"),
        UploadPurpose::LoraFile => (ctx.settings.largest_lora, "LoRA"),
    };
    match size {
        ..=0 => Err(CreateUploadError::Empty),
        size if size > limit => Err(CreateUploadError::TooLarge { size, limit, what }),
        _ => Ok(()),
    }
}

/// The last part of a path, of any system, without what a file system or a header would trip over.
fn harmless_name(name: &str) -> Result<String, Invalid> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String =
        last.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '<' | '>' | ':' | '|' | '?' | '*')).collect();
    let kept = kept.trim().trim_start_matches('.');
    if kept.is_empty() {
        return Err(Invalid::new(
            "fileName",
            "BAD_FILE_NAME",
            "`fileName` names no file. Give a name such as `fox.png`.",
        ));
    }
    Ok(kept.to_owned())
}

/// An upload of one of the actor's teams.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<upload::Model, ReadError> {
    let row = upload::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(upload::Model::NAME))?;
    authorize(actor, Action::UploadRead, &row)?;
    Ok(row)
}

/// Uploads by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, upload::Model>, ReadError> {
    let select = upload::Entity::visible_to(&actor.scope()).filter(upload::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// Where the bytes of an upload are sent by PUT: `/uploads/<upload id>?expires=…&signature=…`.
pub fn link(ctx: &Context, upload: &upload::Model) -> String {
    let id = id::encode(Noun::Upload, upload.id);
    let expires = upload.expires_at.timestamp();
    let signature = URL_SAFE_NO_PAD.encode(sign(ctx, upload.id, expires).finalize().into_bytes());
    format!("{}/uploads/{id}?expires={expires}&signature={signature}", ctx.settings.public_url)
}

/// Opens an upload link: the upload, if the signature is ours and has not expired.
///
/// # Errors
/// [`Refused::NotFound`] for a link that is not ours, has expired or leads nowhere.
pub async fn open_link(ctx: &Context, upload: &str, expires: i64, signature: &str) -> Result<upload::Model, ReadError> {
    let missing = || Refused::NotFound(upload::Model::NAME);
    let id = id::decode(Noun::Upload, upload)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| missing())?;
    sign(ctx, id, expires).verify_slice(&signature).map_err(|_| missing())?;
    if expires < ctx.now().timestamp() {
        return Err(missing().into());
    }
    Ok(upload::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or_else(missing)?)
}

fn sign(ctx: &Context, id: Uuid, expires: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&ctx.secrets.links).expect("invariant: HMAC takes keys of any length");
    mac.update(format!("upload\0{id}\0{expires}").as_bytes());
    mac
}

/// Where the bytes of an upload grow.
fn spool_file(ctx: &Context, id: Uuid) -> PathBuf {
    ctx.settings.uploads.join(id.to_string())
}
