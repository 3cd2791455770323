//! Taking in bytes, piece by piece, into a spool file. A sender that was interrupted goes on at the offset that the
//! upload shows as received.

use std::{io, path::Path};

use atelier_entities::{kinds::UploadState, upload};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};
use uuid::Uuid;

use super::spool_file;
use crate::{context::Context, error::Refused, failures, policy::Resource as _};

/// After so many bytes the upload's row is brought up to date, so that an interruption costs no more than these.
const RECORDED_EVERY: i64 = 4 * 1024 * 1024;

failures! {
    /// Why [`receive`] refused.
    pub enum ReceiveError {
        /// The bytes do not follow those that are here.
        WrongOffset { offset: i64, received: i64 } =>
            ("offset", "WRONG_OFFSET", "These bytes begin at {offset}, but {received} have been received. Go on at offset {received}."),
        /// More came than was announced.
        TooMany { size: i64 } =>
            ("size", "TOO_MANY_BYTES", "More bytes came than the {size} that were announced. Announce the file again with its real size."),
        /// Another request sends to the same upload.
        Busy => ("id", "UPLOAD_BUSY", "Another request is sending this file at this moment. Wait for it to end, then ask for the offset."),
        /// All bytes are here.
        Complete => ("id", "UPLOAD_COMPLETE", "This file has been received in full; nothing can be added to it."),
        /// The sender stopped in the middle.
        Interrupted { received: i64 } =>
            ("", "INTERRUPTED", "The connection broke after {received} bytes. Go on at offset {received}."),
        /// There is no room.
        DiskFull => ("", "DISK_FULL", "The disk of this installation is full. Tell whoever runs it, then send the rest."),
    }
}

/// Takes bytes in from an offset on, which is the number of bytes that are here already. When the last one has come the
/// upload is quarantined; [`super::finish`] then checks it.
///
/// # Errors
/// [`ReceiveError`]; bytes that came before a failure are kept.
pub async fn receive(
    ctx: &Context,
    id: Uuid,
    offset: i64,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send,
) -> Result<upload::Model, ReceiveError> {
    if find(ctx, id).await?.state != UploadState::Receiving {
        return Err(ReceiveError::Complete);
    }
    tokio::fs::create_dir_all(&ctx.settings.uploads).await.map_err(disk)?;
    let file = lock(&spool_file(ctx, id)).await?;
    // Read under the lock: what the row says cannot change any more.
    let row = find(ctx, id).await?;
    if row.state != UploadState::Receiving {
        return Err(ReceiveError::Complete);
    }
    if offset != row.received {
        return Err(ReceiveError::WrongOffset { offset, received: row.received });
    }
    let mut spool = Spool { ctx, id, size: row.size, file, written: row.received, recorded: row.received };
    let outcome = spool.take(pieces).await;
    if matches!(outcome, Err(ReceiveError::DiskFull)) {
        // What cannot be recorded must not keep the disk full.
        spool.give_room_back().await?;
    }
    spool.close().await?;
    outcome?;
    find(ctx, id).await
}

async fn find(ctx: &Context, id: Uuid) -> Result<upload::Model, ReceiveError> {
    let row = upload::Entity::find_by_id(id).one(ctx.db.read()).await?;
    Ok(row.ok_or(Refused::NotFound(upload::Model::NAME))?)
}

/// Opens the spool file for one sender alone.
async fn lock(path: &Path) -> Result<File, ReceiveError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let file = std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    });
    let file = opened.await.map_err(anyhow::Error::from)?.map_err(disk)?;
    file.map(File::from_std).ok_or(ReceiveError::Busy)
}

/// A spool file that is being written.
struct Spool<'a> {
    ctx: &'a Context,
    id: Uuid,
    size: i64,
    file: File,
    written: i64,
    recorded: i64,
}

impl Spool<'_> {
    async fn take(&mut self, pieces: impl Stream<Item = io::Result<Bytes>> + Send) -> Result<(), ReceiveError> {
        let start = self.written.unsigned_abs();
        // What an interruption left beyond the recorded offset is written anew.
        self.file.set_len(start).await.map_err(disk)?;
        self.file.seek(io::SeekFrom::Start(start)).await.map_err(disk)?;
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| ReceiveError::Interrupted { received: self.written })?;
            let length = i64::try_from(piece.len()).map_err(anyhow::Error::from)?;
            if self.written + length > self.size {
                return Err(ReceiveError::TooMany { size: self.size });
            }
            self.file.write_all(&piece).await.map_err(disk)?;
            self.written += length;
            if self.written - self.recorded >= RECORDED_EVERY {
                self.record().await?;
            }
        }
        Ok(())
    }

    /// Puts what was written on disk, then says so in the row: never the other way round.
    async fn record(&mut self) -> Result<(), ReceiveError> {
        self.file.flush().await.map_err(disk)?;
        self.file.sync_data().await.map_err(disk)?;
        let state = if self.written == self.size { UploadState::Quarantined } else { UploadState::Receiving };
        let tx = self.ctx.db.write().await?;
        upload::Entity::update_many()
            .col_expr(upload::Column::Received, Expr::value(self.written))
            .col_expr(upload::Column::State, Expr::value(state.to_value()))
            .filter(upload::Column::Id.eq(self.id))
            .filter(upload::Column::State.eq(UploadState::Receiving))
            .exec(&tx)
            .await?;
        self.ctx.commit(tx).await?;
        self.recorded = self.written;
        Ok(())
    }

    /// Goes back to what is recorded.
    async fn give_room_back(&mut self) -> Result<(), ReceiveError> {
        // A failed write leaves the file's own buffer behind, which must not be written after all.
        self.file.set_len(self.recorded.unsigned_abs()).await.map_err(disk)?;
        self.written = self.recorded;
        Ok(())
    }

    async fn close(mut self) -> Result<(), ReceiveError> {
        if self.written != self.recorded {
            self.record().await?;
        }
        Ok(())
    }
}

fn disk(error: io::Error) -> ReceiveError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReceiveError::DiskFull,
        _ => anyhow::Error::from(error).context("A file could not be received.").into(),
    }
}
