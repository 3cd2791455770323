//! Opens the house: database, files, search and models, as the settings say where they lie, and closes it again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use atelier_domain::{
    base_model,
    clock::{Clock, SystemClock},
    context::{Context, Secrets, Settings},
    database::Database,
    ports::{
        blobs::{BlobSettings, Blobs},
        events::{EventBus, LocalEventBus},
        mailer::{FileMailer, Mailer, SmtpMailer},
        tls,
    },
    random::{Ids, Random, SystemRandom},
};
use atelier_migration::{Migrator, MigratorTrait as _};
use atelier_search::{
    ElsewhereIndex, EmbeddedIndex, LoraIndex, MeilisearchIndex, RememberingIndex, meilisearch::MeilisearchSettings,
};
use atelier_worker::ModelInspector;
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    config::{
        HouseSettings, ServeSettings,
        location::{BlobLocation, DatabaseLocation, SearchLocation, Secret},
    },
    starter,
};

/// Credits that every new team is given: some hundred pictures and a few trainings.
const INITIAL_CREDITS: i64 = 10_000;

/// Credits of a picture.
const CREDITS_PER_PICTURE: i64 = 1;

/// Credits of an epoch of training.
const CREDITS_PER_EPOCH: i64 = 10;

/// The hour of the day, by UTC, at which digests are mailed, where nobody says another.
pub const DIGEST_HOUR: u32 = 8;

/// How long a connection to a search server may take to come about.
const SEARCH_CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a search server may take to answer.
const SEARCH_ANSWER_TIME: Duration = Duration::from_secs(60);

/// The largest picture that may be sent, in bytes.
const LARGEST_PICTURE: i64 = 64 << 20;

/// The largest LoRA that may be sent, in bytes.
const LARGEST_LORA: i64 = 4 << 30;

/// Name of the base model that ships with Atelier; its folder has the same.
pub const STARTER: &str = "starter";

/// What a process uses the house for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HouseUse {
    /// It searches and keeps the search index: one process does. Of pictures and words it knows what they show and mean.
    Serve,
    /// It takes jobs. Of pictures it knows what they show.
    Work,
    /// It changes or shows what is there.
    Administer,
}

/// Opens the house and brings its database up to date.
///
/// # Errors
/// A sentence that says what is in the way.
pub async fn open(settings: &HouseSettings, public_url: String, purpose: HouseUse) -> anyhow::Result<Arc<Context>> {
    open_with_digests(settings, public_url, DIGEST_HOUR, purpose).await
}

/// The same for a process that mails digests, at an hour of the day by UTC.
///
/// # Errors
/// As [`open`].
pub async fn open_with_digests(
    settings: &HouseSettings,
    public_url: String,
    digest_hour: u32,
    purpose: HouseUse,
) -> anyhow::Result<Arc<Context>> {
    settings.check().map_err(anyhow::Error::msg)?;
    make_folder(&settings.data)?;
    let db = Database::connect(&database_url(&settings.database())?).await?;
    Migrator::up(db.writer(), None)
        .await
        .context("The database could not be brought up to date. If a newer Atelier has used it, run that one.")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let secrets = Secrets::load(&db, clock.as_ref(), random.as_ref()).await?;
    let index: Arc<dyn LoraIndex> = match purpose {
        HouseUse::Serve => Arc::new(RememberingIndex::new(open_index(settings).await?)),
        HouseUse::Work | HouseUse::Administer => Arc::new(ElsewhereIndex),
    };
    let events: Arc<dyn EventBus> = Arc::new(LocalEventBus::default());
    Ok(Arc::new(Context {
        db,
        clock,
        random,
        ids: Ids::default(),
        blobs: Blobs::open(&blob_settings(settings))?,
        search: index,
        events,
        inspector: Arc::new(inspector(settings, purpose).await?),
        // Hashing a password takes 19 MiB and most of a core: more at once would starve the rest.
        password_slots: Semaphore::new(2),
        settings: Settings {
            public_url,
            uploads: settings.uploads(),
            models: settings.models(),
            work: settings.work(),
            lease: settings.lease(),
            digest_hour,
            initial_credits: INITIAL_CREDITS,
            credits_per_picture: CREDITS_PER_PICTURE,
            credits_per_epoch: CREDITS_PER_EPOCH,
            clip: settings.clip.clone(),
            measures_compatibility: settings.measure_compatibility,
            largest_picture: LARGEST_PICTURE,
            largest_lora: LARGEST_LORA,
        },
        secrets,
    }))
}

/// Unpacks the starter model where it is missing or older, and makes it known.
///
/// # Errors
/// When the disk is full or the folder cannot be written.
pub async fn provide_starter(ctx: &Context) -> anyhow::Result<()> {
    let folder = ctx.settings.models.join(STARTER);
    tokio::task::spawn_blocking(move || starter::unpack(&folder)).await??;
    base_model::register(ctx, STARTER, "Atelier starter", STARTER, "Apache-2.0").await?;
    Ok(())
}

/// What looks into files, with CLIP and a sentence encoder where there are some and the process uses them.
async fn inspector(settings: &HouseSettings, purpose: HouseUse) -> anyhow::Result<ModelInspector> {
    let clip = settings.clip.clone().filter(|_| purpose != HouseUse::Administer);
    let sentences = settings.sentence_encoder.clone().filter(|_| purpose == HouseUse::Serve);
    let load = move || {
        let plain = ModelInspector::default();
        let with_clip = clip.into_iter().try_fold(plain, |inspector, folder| inspector.with_clip(&folder))?;
        sentences.into_iter().try_fold(with_clip, |inspector, folder| inspector.with_sentence_encoder(&folder))
    };
    tokio::task::spawn_blocking(load).await?
}

/// How mail leaves.
///
/// # Errors
/// When the mail server's address or the sender makes no sense, or the outbox cannot be made.
pub fn mailer(settings: &ServeSettings) -> anyhow::Result<Arc<dyn Mailer>> {
    Ok(match &settings.smtp_url {
        Some(url) => Arc::new(SmtpMailer::new(url.expose(), &settings.mail_from)?),
        None => Arc::new(FileMailer::new(settings.house.outbox(), &settings.mail_from)?),
    })
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| {
        format!(
            "The folder `{}` cannot be made. Check who may write there, or choose another with `--data`.",
            folder.display()
        )
    })
}

async fn open_index(settings: &HouseSettings) -> anyhow::Result<Arc<dyn LoraIndex>> {
    let folder = settings.search_folder();
    Ok(match &settings.search {
        SearchLocation::Embedded => Arc::new(open_embedded_index(folder).await?),
        SearchLocation::Meilisearch(url) => {
            Arc::new(open_meilisearch(url, settings.search_key.as_ref(), &settings.search_index, &folder).await?)
        }
    })
}

/// Opens the search index in a folder.
///
/// # Errors
/// When the folder cannot be used, or another process uses it.
pub async fn open_embedded_index(folder: PathBuf) -> anyhow::Result<EmbeddedIndex> {
    let place = folder.clone();
    let opened = tokio::task::spawn_blocking(move || EmbeddedIndex::open(&place)).await?;
    opened.with_context(|| {
        format!("The search index in `{}` cannot be opened. One Atelier at a time can keep it.", folder.display())
    })
}

/// Opens the search index of a name on a Meilisearch server; the list of synonyms lies in a folder here.
///
/// # Errors
/// When the server does not answer or refuses the key, or the folder cannot be used.
pub async fn open_meilisearch(
    url: &Url,
    key: Option<&Secret>,
    name: &str,
    folder: &Path,
) -> anyhow::Result<MeilisearchIndex> {
    tls::use_ring();
    let http = reqwest::Client::builder()
        .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(SEARCH_CONNECT_TIME)
        .timeout(SEARCH_ANSWER_TIME)
        .build()?;
    let key = key.map(|key| key.expose().to_owned());
    let server = MeilisearchSettings { url: url.to_string(), key, name: name.to_owned() };
    MeilisearchIndex::open(&server, folder, http).await.with_context(|| {
        format!("The Meilisearch server at {url} cannot be used. Check its address and its key, and whether it runs.")
    })
}

fn database_url(location: &DatabaseLocation) -> anyhow::Result<String> {
    match location {
        DatabaseLocation::Postgres(url) => Ok(url.expose().to_owned()),
        DatabaseLocation::Sqlite(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                make_folder(folder)?;
            }
            let path = path.to_str().context("The path of the database is not UTF-8. Choose another.")?;
            Ok(format!("sqlite://{path}?mode=rwc"))
        }
    }
}

fn blob_settings(settings: &HouseSettings) -> BlobSettings {
    let s3 = &settings.s3;
    match settings.blobs() {
        BlobLocation::Folder(folder) => BlobSettings::Folder(folder),
        BlobLocation::Bucket(bucket) => BlobSettings::S3 {
            bucket,
            region: s3.s3_region.clone(),
            endpoint: s3.s3_endpoint.clone(),
            access_key_id: s3.s3_access_key_id.clone(),
            secret_access_key: s3.s3_secret_access_key.as_ref().map(|key| key.expose().to_owned()),
        },
    }
}
