//! What every use-case is given: the database, time, chance, ids and the ports.

use std::{path::PathBuf, sync::Arc, time::Duration};

use atelier_entities::instance_value;
use atelier_search::LoraIndex;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, DatabaseTransaction, DbErr, EntityTrait, sea_query::OnConflict};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    clock::Clock,
    database::Database,
    ports::{blobs::Blobs, events::EventBus, inspector::Inspector},
    random::{Ids, Random},
};

/// What every use-case is given.
pub struct Context {
    /// The database.
    pub db: Database,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Keys.
    pub ids: Ids,
    /// Files.
    pub blobs: Blobs,
    /// Search.
    pub search: Arc<dyn LoraIndex>,
    /// Wakes those who wait for changes.
    pub events: Arc<dyn EventBus>,
    /// Looks into files.
    pub inspector: Arc<dyn Inspector>,
    /// How many passwords are hashed at once.
    pub password_slots: Semaphore,
    /// What whoever runs the installation has chosen.
    pub settings: Settings,
    /// The installation's secrets.
    pub secrets: Secrets,
}

impl Context {
    /// The current time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A new key.
    pub fn new_id(&self) -> Uuid {
        self.ids.next(self.clock.as_ref(), self.random.as_ref())
    }

    /// Commits, and wakes those who wait for the change.
    ///
    /// # Errors
    /// What the database says.
    pub async fn commit(&self, tx: DatabaseTransaction) -> Result<(), DbErr> {
        tx.commit().await?;
        self.events.wake();
        Ok(())
    }
}

/// What whoever runs the installation has chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address under which people reach the server, without a slash at the end. Links in mails and to files begin with it.
    pub public_url: String,
    /// Where uploads grow until they are checked.
    pub uploads: PathBuf,
    /// Where base models lie that are named by a relative folder.
    pub models: PathBuf,
    /// Where work in progress lies: training checkpoints and the like.
    pub work: PathBuf,
    /// How long a worker holds a job without a sign of life.
    pub lease: Duration,
    /// Credits that every new team is given.
    pub initial_credits: i64,
    /// Credits that a picture costs.
    pub credits_per_picture: i64,
    /// Credits that an epoch costs.
    pub credits_per_epoch: i64,
    /// Folder of the CLIP by which it is measured how much of prompts is kept; without, that is measured otherwise.
    pub clip: Option<PathBuf>,
    /// Whether published versions are measured on the base models that could take them.
    pub measures_compatibility: bool,
    /// The hour of the day, by UTC, at which digests of notifications are mailed.
    pub digest_hour: u32,
    /// The largest picture that may be sent, in bytes.
    pub largest_picture: i64,
    /// The largest LoRA that may be sent, in bytes.
    pub largest_lora: i64,
}

/// Secrets of the installation, made at its first start and kept in the database.
pub struct Secrets {
    /// Signs access tokens.
    pub tokens: Vec<u8>,
    /// Signs links to files and upload links.
    pub links: Vec<u8>,
}

impl Secrets {
    /// Reads the secrets, making them where there are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn load(db: &Database, clock: &dyn Clock, random: &dyn Random) -> anyhow::Result<Self> {
        Ok(Self {
            tokens: secret(db, clock, random, "token_secret").await?,
            links: secret(db, clock, random, "link_secret").await?,
        })
    }
}

async fn secret(db: &Database, clock: &dyn Clock, random: &dyn Random, name: &str) -> anyhow::Result<Vec<u8>> {
    let row = instance_value::ActiveModel {
        name: Set(name.to_owned()),
        value: Set(random.token()),
        created_at: Set(clock.now()),
    };
    let conflict = OnConflict::column(instance_value::Column::Name).do_nothing().to_owned();
    let tx = db.write().await?;
    instance_value::Entity::insert(row).on_conflict(conflict).exec_without_returning(&tx).await?;
    let row = instance_value::Entity::find_by_id(name.to_owned()).one(&tx).await?;
    tx.commit().await?;
    let row = row.ok_or_else(|| anyhow::anyhow!("The secret `{name}` was not stored."))?;
    Ok(URL_SAFE_NO_PAD.decode(row.value)?)
}
