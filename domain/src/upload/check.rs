//! Checking what was received and making of it what it was for, in one transaction.

use std::path::{Path, PathBuf};

use atelier_entities::{
    dataset, dataset_picture,
    kinds::{EventKind, UploadPurpose, UploadState},
    upload, user,
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect, prelude::Json, sea_query::Expr,
};
use serde_json::json;
use uuid::Uuid;

use super::{LINK_LIFE, spool_file};
use crate::{
    blob,
    context::Context,
    dataset::{MOST_PICTURES, pictures},
    error::Refused,
    failures, outbox,
    policy::Resource as _,
    ports::{
        blobs::Stored,
        inspector::{InspectedLora, InspectedPicture, inspect},
    },
};

failures! {
    /// Why [`finish`] could not check.
    pub enum CheckError {}
}

/// What the check found.
enum Verdict {
    Picture { picture: Box<InspectedPicture>, png: Stored, thumbnail: Stored },
    GenerationPicture { picture: Box<InspectedPicture>, png: Stored },
    Avatar { picture: Box<InspectedPicture>, thumbnail: Stored },
    Lora { facts: Box<InspectedLora>, file: Stored },
    Rejected(String),
}

/// Checks an upload of which all bytes are here. A picture becomes a picture of its data set, one that can be generated
/// from, or the one beside a person's name; a LoRA's facts are kept for its import. An upload that was checked already is returned as it is, so that an interrupted check is simply
/// called again.
///
/// # Errors
/// Only what nobody expected: a bad file is no error but a rejected upload.
pub async fn finish(ctx: &Context, id: Uuid) -> Result<upload::Model, CheckError> {
    let row = find(ctx.db.read(), id).await?;
    if row.state != UploadState::Quarantined {
        return Ok(row);
    }
    let file = spool_file(ctx, id);
    let verdict = look(ctx, &row, &file).await?;
    let tx = ctx.db.write().await?;
    let row = upload::Entity::find_by_id(id)
        .lock_exclusive()
        .one(&tx)
        .await?
        .ok_or(Refused::NotFound(upload::Model::NAME))?;
    if row.state == UploadState::Quarantined {
        settle(&tx, ctx, &row, verdict).await?;
        ctx.commit(tx).await?;
    } else {
        tx.rollback().await?;
    }
    remove(&file).await;
    find(ctx.db.read(), id).await
}

async fn find<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<upload::Model, CheckError> {
    Ok(upload::Entity::find_by_id(id).one(db).await?.ok_or(Refused::NotFound(upload::Model::NAME))?)
}

/// Looks into the file and stores what is good of it.
async fn look(ctx: &Context, row: &upload::Model, file: &Path) -> anyhow::Result<Verdict> {
    match tokio::fs::metadata(file).await {
        Ok(found) if i64::try_from(found.len())? == row.size => {}
        _ => return Ok(Verdict::Rejected("The bytes that were received are gone. Send the file again.".to_owned())),
    }
    let path: PathBuf = file.to_owned();
    match row.purpose {
        UploadPurpose::DatasetPicture | UploadPurpose::GenerationPicture | UploadPurpose::UserAvatar => {
            let mut picture = match inspect(&ctx.inspector, move |inspector| inspector.picture(&path)).await? {
                Ok(picture) => Box::new(picture),
                Err(rejected) => return Ok(Verdict::Rejected(rejected.0)),
            };
            if row.purpose == UploadPurpose::UserAvatar {
                let thumbnail = ctx.blobs.put(std::mem::take(&mut picture.thumbnail_webp), "image/webp").await?;
                return Ok(Verdict::Avatar { picture, thumbnail });
            }
            let png = ctx.blobs.put(std::mem::take(&mut picture.png), "image/png").await?;
            if row.purpose == UploadPurpose::GenerationPicture {
                return Ok(Verdict::GenerationPicture { picture, png });
            }
            let thumbnail = ctx.blobs.put(std::mem::take(&mut picture.thumbnail_webp), "image/webp").await?;
            Ok(Verdict::Picture { picture, png, thumbnail })
        }
        UploadPurpose::LoraFile => {
            let facts = match inspect(&ctx.inspector, move |inspector| inspector.lora(&path)).await? {
                Ok(facts) => Box::new(facts),
                Err(rejected) => return Ok(Verdict::Rejected(rejected.0)),
            };
            let file = ctx.blobs.put_file(file, crate::lora::MEDIA_TYPE).await?;
            Ok(Verdict::Lora { facts, file })
        }
    }
}

/// Writes what became of the upload.
async fn settle(tx: &DatabaseTransaction, ctx: &Context, row: &upload::Model, verdict: Verdict) -> anyhow::Result<()> {
    let (state, reason, sha256, facts) = match verdict {
        Verdict::Rejected(reason) => (UploadState::Rejected, Some(reason), None, None),
        Verdict::Lora { facts, file } => {
            blob::record(tx, ctx, &file).await?;
            (UploadState::Checked, None, Some(file.sha256), Some(serde_json::to_value(facts)?))
        }
        Verdict::GenerationPicture { picture, png } => {
            blob::record(tx, ctx, &png).await?;
            (UploadState::Ready, None, Some(png.sha256), Some(facts_of(&picture)))
        }
        Verdict::Avatar { picture, thumbnail } => {
            blob::record(tx, ctx, &thumbnail).await?;
            show_avatar(tx, row.created_by, &thumbnail.sha256).await?;
            (UploadState::Ready, None, Some(thumbnail.sha256), Some(facts_of(&picture)))
        }
        Verdict::Picture { picture, png, thumbnail } => match room(tx, row).await? {
            Err(reason) => (UploadState::Rejected, Some(reason), None, None),
            Ok(dataset) => {
                blob::record(tx, ctx, &png).await?;
                blob::record(tx, ctx, &thumbnail).await?;
                let facts = facts_of(&picture);
                let sha256 = png.sha256.clone();
                add_picture(tx, ctx, row, dataset, &picture, png, thumbnail).await?;
                (UploadState::Ready, None, Some(sha256), Some(facts))
            }
        },
    };
    write(tx, ctx, row, state, reason.as_deref(), sha256, facts).await?;
    let event = outbox::Event {
        kind: EventKind::UploadFinished,
        team: Some(row.team_id),
        actor: Some(row.created_by),
        subject: row.id,
        payload: json!({ "state": state, "purpose": row.purpose, "target": row.target_id, "reason": reason }),
    };
    Ok(outbox::append(tx, ctx, event).await?)
}

/// Shows a picture beside a person's name; the one of before is forgotten.
async fn show_avatar(tx: &DatabaseTransaction, person: Uuid, sha256: &str) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::AvatarSha256, Expr::value(sha256))
        .filter(user::Column::Id.eq(person))
        .exec(tx)
        .await
        .map(|_| ())
}

/// What is said of a picture.
fn facts_of(picture: &InspectedPicture) -> Json {
    json!({ "width": picture.width, "height": picture.height, "sharpness": picture.sharpness })
}

/// The data set of a picture, if it is still there and has room; else why the picture is rejected.
async fn room(tx: &DatabaseTransaction, row: &upload::Model) -> Result<Result<Uuid, String>, DbErr> {
    let gone = || Err("The data set was deleted while the picture was on its way.".to_owned());
    let Some(target) = row.target_id else { return Ok(gone()) };
    // Locked, so that two pictures that come at once are counted one after the other.
    let dataset = dataset::Entity::find_by_id(target).lock_exclusive().one(tx).await?;
    let Some(dataset) = dataset.filter(|dataset| dataset.deleted_at.is_none()) else { return Ok(gone()) };
    if pictures::count(tx, dataset.id).await? >= MOST_PICTURES {
        return Ok(Err(format!("The data set holds {MOST_PICTURES} pictures already, which is the most.")));
    }
    Ok(Ok(dataset.id))
}

async fn add_picture(
    tx: &DatabaseTransaction,
    ctx: &Context,
    row: &upload::Model,
    dataset: Uuid,
    picture: &InspectedPicture,
    png: Stored,
    thumbnail: Stored,
) -> anyhow::Result<()> {
    let row = dataset_picture::ActiveModel {
        id: Set(ctx.new_id()),
        dataset_id: Set(dataset),
        team_id: Set(row.team_id),
        upload_id: Set(row.id),
        blob_sha256: Set(png.sha256),
        thumbnail_sha256: Set(thumbnail.sha256),
        blurhash: Set(picture.blurhash.clone()),
        file_name: Set(row.file_name.clone()),
        caption: Set(pictures::caption_from_name(&row.file_name)),
        width: Set(i32::try_from(picture.width)?),
        height: Set(i32::try_from(picture.height)?),
        perceptual_hash: Set(picture.perceptual_hash.cast_signed()),
        sharpness: Set(picture.sharpness),
        colours: Set(picture.colours.clone()),
        created_at: Set(ctx.now()),
    };
    row.insert(tx).await?;
    Ok(())
}

async fn write(
    tx: &DatabaseTransaction,
    ctx: &Context,
    row: &upload::Model,
    state: UploadState,
    reason: Option<&str>,
    sha256: Option<String>,
    facts: Option<Json>,
) -> Result<(), DbErr> {
    upload::Entity::update_many()
        .col_expr(upload::Column::State, Expr::value(state.to_value()))
        .col_expr(upload::Column::Reason, Expr::value(reason.map(str::to_owned)))
        .col_expr(upload::Column::BlobSha256, Expr::value(sha256))
        .col_expr(upload::Column::Facts, Expr::value(facts))
        .col_expr(upload::Column::ExpiresAt, Expr::value(ctx.now() + LINK_LIFE))
        .filter(upload::Column::Id.eq(row.id))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Removes a spool file that is not needed any more. One that stays behind is swept away later.
async fn remove(file: &Path) {
    if let Err(error) = tokio::fs::remove_file(file).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "a spool file could not be removed");
    }
}
