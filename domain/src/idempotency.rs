//! Same key and same input give the first answer again; same key and other input is a conflict. The key is stored in
//! the effect's own transaction.

use atelier_entities::idempotency_record as record;
use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    context::Context,
    database,
    error::{Invalid, Refused},
    text,
};

/// How long a key is kept.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

/// Why a key was not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key itself is at fault.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The key came before with another input.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What nobody expected.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<sea_orm::DbErr> for KeyError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Unexpected(error.into())
    }
}

/// A key that is being used in a transaction.
#[derive(Debug)]
pub struct Once {
    entry: Option<Entry>,
    earlier: Option<Uuid>,
}

#[derive(Debug)]
struct Entry {
    user: Uuid,
    key: String,
    operation: &'static str,
    input_hash: String,
}

impl Once {
    /// What the same call made the first time.
    pub fn earlier(&self) -> Option<Uuid> {
        self.earlier
    }

    /// Remembers what the call made. Call it before the commit.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remember<C: ConnectionTrait>(self, tx: &C, ctx: &Context, result: Uuid) -> Result<(), sea_orm::DbErr> {
        let Some(entry) = self.entry else { return Ok(()) };
        let row = record::ActiveModel {
            id: Set(ctx.new_id()),
            user_id: Set(entry.user),
            key: Set(entry.key),
            operation: Set(entry.operation.to_owned()),
            input_hash: Set(entry.input_hash),
            result_id: Set(result),
            created_at: Set(ctx.now()),
        };
        row.insert(tx).await.map(|_| ())
    }
}

/// Looks a key up. Without a key every call is its own.
///
/// # Errors
/// [`Invalid`] for a key that is empty or longer than 255 characters, [`Refused::Conflict`] for a key that came with
/// another input or operation.
pub async fn begin<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    user: Uuid,
    key: Option<&str>,
    operation: &'static str,
    input: &impl Serialize,
) -> Result<Once, KeyError> {
    let Some(key) = key else { return Ok(Once { entry: None, earlier: None }) };
    let key = text::check("idempotencyKey", key, 1, 255)?;
    database::serialize(tx, &format!("idempotency:{user}:{key}")).await?;
    let input = serde_json::to_vec(input).map_err(anyhow::Error::from)?;
    let input_hash = hex::encode(Sha256::digest(&input));
    let found = record::Entity::find()
        .filter(record::Column::UserId.eq(user))
        .filter(record::Column::Key.eq(&key))
        .one(tx)
        .await?;
    let entry = Entry { user, key, operation, input_hash };
    match found {
        None => Ok(Once { entry: Some(entry), earlier: None }),
        Some(old) if old.created_at < ctx.now() - KEPT => {
            record::Entity::delete_by_id(old.id).exec(tx).await?;
            Ok(Once { entry: Some(entry), earlier: None })
        }
        Some(old) if old.operation == entry.operation && old.input_hash == entry.input_hash => {
            Ok(Once { entry: None, earlier: Some(old.result_id) })
        }
        Some(_) => Err(Refused::Conflict(
            "This idempotencyKey was used with another input in the last 24 hours. Choose a new key.",
        )
        .into()),
    }
}
