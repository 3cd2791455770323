//! Rows of stored blobs and the signed, expiring links through which their bytes are served.

use atelier_entities::blob;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, sea_query::OnConflict};
use sha2::Sha256;

use crate::{context::Context, error::Refused, ports::blobs::Stored};

/// How long a link works.
const LINK_LIFE: TimeDelta = TimeDelta::hours(1);

/// Writes the row of a stored blob, in the transaction of whatever refers to it.
///
/// # Errors
/// What the database says.
pub async fn record<C: ConnectionTrait>(tx: &C, ctx: &Context, stored: &Stored) -> Result<(), DbErr> {
    let row = blob::ActiveModel {
        sha256: Set(stored.sha256.clone()),
        size: Set(stored.size),
        media_type: Set(stored.media_type.to_owned()),
        created_at: Set(ctx.now()),
    };
    let conflict = OnConflict::column(blob::Column::Sha256).do_nothing().to_owned();
    blob::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await.map(|_| ())
}

/// A link to a blob, relative to the server: `/blobs/<sha256>/<file name>?expires=…&signature=…`. Links of one hour
/// are the same for everybody, so that they can be cached.
pub fn link(ctx: &Context, sha256: &str, file_name: &str) -> String {
    let hour = LINK_LIFE.num_seconds();
    let expires = (ctx.now().timestamp() / hour + 2) * hour;
    let name: String =
        url::form_urlencoded::byte_serialize(file_name.as_bytes()).collect::<String>().replace('+', "%20");
    let signature = URL_SAFE_NO_PAD.encode(sign(ctx, sha256, file_name, expires).finalize().into_bytes());
    format!("{}/blobs/{sha256}/{name}?expires={expires}&signature={signature}", ctx.settings.public_url)
}

/// Opens a link: the blob's row, if the signature is ours and has not expired.
///
/// # Errors
/// [`Refused::NotFound`] for a link that is not ours, has expired or leads nowhere.
pub async fn open_link(
    ctx: &Context,
    sha256: &str,
    file_name: &str,
    expires: i64,
    signature: &str,
) -> Result<blob::Model, LinkError> {
    let missing = || LinkError::Refused(Refused::NotFound("file"));
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| missing())?;
    sign(ctx, sha256, file_name, expires).verify_slice(&signature).map_err(|_| missing())?;
    if expires < ctx.now().timestamp() {
        return Err(missing());
    }
    blob::Entity::find_by_id(sha256.to_owned()).one(ctx.db.read()).await?.ok_or_else(missing)
}

/// Why a link does not open.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is not ours, has expired or leads nowhere.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database is gone.
    #[error(transparent)]
    Database(#[from] DbErr),
}

fn sign(ctx: &Context, sha256: &str, file_name: &str, expires: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&ctx.secrets.links).expect("invariant: HMAC takes keys of any length");
    mac.update(format!("blob\0{sha256}\0{file_name}\0{expires}").as_bytes());
    mac
}
