//! Files on the worker's own disk: copies of blobs that the models read by path.

use std::path::{Path, PathBuf};

use atelier_domain::context::Context;

/// A copy of a blob under a folder, made if it is not there. A copy appears under its name only when it is whole.
///
/// # Errors
/// When the blob is missing or the disk is full.
pub async fn local_copy(ctx: &Context, sha256: &str, folder: &Path, extension: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("{sha256}.{extension}"));
    if tokio::fs::try_exists(&file).await? {
        return Ok(file);
    }
    tokio::fs::create_dir_all(folder).await?;
    let partial = folder.join(format!("{sha256}.{}.partial", ctx.new_id()));
    ctx.blobs.copy_to(sha256, &partial).await?;
    tokio::fs::rename(&partial, &file).await?;
    Ok(file)
}
