//! Going on with what an interruption left, and removing what has expired.

use std::collections::HashSet;

use atelier_entities::{
    kinds::{UploadPurpose, UploadState},
    upload,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{finish, spool_file};
use crate::context::Context;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Quarantined uploads that were checked.
    pub checked: usize,
    /// Uploads that had expired.
    pub expired: usize,
    /// Spool files that belonged to nothing.
    pub orphans: usize,
}

/// Checks quarantined uploads, removes uploads that were never finished or never imported in time, and spool files that
/// belong to nothing. Call it at start and now and then.
///
/// # Errors
/// What the database or the disk says.
pub async fn sweep(ctx: &Context) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let quarantined = upload::Column::State.eq(UploadState::Quarantined);
    for row in upload::Entity::find().filter(quarantined).all(ctx.db.read()).await? {
        finish(ctx, row.id).await?;
        swept.checked += 1;
    }
    swept.expired = remove_expired(ctx).await?;
    swept.orphans = remove_orphans(ctx).await?;
    Ok(swept)
}

async fn remove_expired(ctx: &Context) -> anyhow::Result<usize> {
    let unfinished = upload::Column::State.eq(UploadState::Receiving);
    let never_imported = Condition::all()
        .add(upload::Column::State.eq(UploadState::Checked))
        .add(upload::Column::Purpose.eq(UploadPurpose::LoraFile));
    let expired = Condition::all()
        .add(upload::Column::ExpiresAt.lt(ctx.now()))
        .add(Condition::any().add(unfinished).add(never_imported));
    let rows = upload::Entity::find().filter(expired.clone()).all(ctx.db.read()).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    let ids = rows.iter().map(|row| row.id);
    upload::Entity::delete_many().filter(upload::Column::Id.is_in(ids)).filter(expired).exec(&tx).await?;
    tx.commit().await?;
    for row in &rows {
        match tokio::fs::remove_file(spool_file(ctx, row.id)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(rows.len())
}

/// Removes files of the spool folder whose upload has ended or is unknown.
async fn remove_orphans(ctx: &Context) -> anyhow::Result<usize> {
    let mut entries = match tokio::fs::read_dir(&ctx.settings.uploads).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) {
            files.push((id, entry.path()));
        }
    }
    // The files were listed first: an upload that begins meanwhile has its row before it has its file.
    let live: HashSet<Uuid> = upload::Entity::find()
        .select_only()
        .column(upload::Column::Id)
        .filter(upload::Column::State.is_in([UploadState::Receiving, UploadState::Quarantined]))
        .into_tuple()
        .all(ctx.db.read())
        .await?
        .into_iter()
        .collect();
    let mut removed = 0;
    for (_, path) in files.into_iter().filter(|(id, _)| !live.contains(id)) {
        tokio::fs::remove_file(path).await?;
        removed += 1;
    }
    Ok(removed)
}
