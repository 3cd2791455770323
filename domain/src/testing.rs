//! A house for tests: SQLite in a folder of its own, a clock that stands, seeded chance, and people.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use atelier_entities::{
    kinds::{Role, UploadPurpose},
    membership, team, user,
};
use atelier_migration::{Migrator, MigratorTrait as _};
use atelier_search::{EmbeddedIndex, LoraIndex};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream;
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    actor::{Actor, Person},
    clock::{Clock, StoppedClock},
    context::{Context, Secrets, Settings},
    database::Database,
    lora::{self as loras, ImportLora, PublishLora},
    ports::{
        blobs::{BlobSettings, Blobs},
        events::LocalEventBus,
        inspector::{
            InspectedLora, InspectedModel, InspectedPicture, Inspector, LintFinding, LintedPicture, LoraLayout,
            Rejected,
        },
    },
    random::{Ids, Random},
    upload::{self, NewUpload},
};

/// A house with nobody in it.
pub(crate) struct TestHouse {
    /// What use-cases are given.
    pub(crate) ctx: Arc<Context>,
    /// The house's clock.
    pub(crate) clock: Arc<StoppedClock>,
    _folder: TempDir,
}

impl TestHouse {
    /// Opens a new house.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let url = format!("sqlite://{}?mode=rwc", path("atelier.db").display());
        let db = Database::connect(&url).await.expect("a database");
        Migrator::up(db.writer(), None).await.expect("migrations");
        let start: DateTime<Utc> = "2030-01-01T12:00:00Z".parse().expect("a time");
        let clock = Arc::new(StoppedClock::at(start));
        let random = Arc::new(SeededRandom(Mutex::new(ChaCha20Rng::seed_from_u64(7))));
        let secrets = Secrets::load(&db, clock.as_ref(), random.as_ref()).await.expect("secrets");
        let ctx = Context {
            db,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random,
            ids: Ids::default(),
            blobs: Blobs::open(&BlobSettings::Folder(path("blobs"))).expect("a store"),
            search: index(&path("index")),
            events: Arc::new(LocalEventBus::default()),
            inspector: Arc::new(HeaderInspector),
            password_slots: Semaphore::new(2),
            settings: Settings {
                public_url: "http://atelier.test".to_owned(),
                uploads: path("uploads"),
                models: path("models"),
                work: path("work"),
                lease: Duration::from_secs(30),
                initial_credits: 1_000,
                credits_per_picture: 1,
                credits_per_epoch: 10,
                clip: None,
                measures_compatibility: false,
                digest_hour: 8,
                largest_picture: 1_000_000,
                largest_lora: 1_000_000,
            },
            secrets,
        };
        Self { ctx: Arc::new(ctx), clock, _folder: folder }
    }

    /// A person with their own team.
    pub(crate) async fn person(&self, handle: &str) -> Actor {
        let (id, team) = (self.ctx.new_id(), self.ctx.new_id());
        let now = self.ctx.now();
        let tx = self.ctx.db.write().await.expect("a transaction");
        let row = user::ActiveModel {
            id: Set(id),
            email: Set(format!("{handle}@atelier.test")),
            email_verified_at: Set(Some(now)),
            handle: Set(handle.to_owned()),
            display_name: Set(handle.to_owned()),
            bio: Set(String::new()),
            avatar_sha256: Set(None),
            links: Set(serde_json::json!([])),
            password_hash: Set(String::new()),
            is_administrator: Set(false),
            suspended_at: Set(None),
            created_at: Set(now),
            hidden_at: Set(None),
        };
        row.insert(&tx).await.expect("a user");
        let row = team::ActiveModel {
            id: Set(team),
            slug: Set(handle.to_owned()),
            name: Set(handle.to_owned()),
            personal_user_id: Set(Some(id)),
            created_at: Set(now),
            deleted_at: Set(None),
        };
        row.insert(&tx).await.expect("a team");
        let row = membership::ActiveModel {
            id: Set(self.ctx.new_id()),
            team_id: Set(team),
            user_id: Set(id),
            role: Set(Role::Owner),
            created_at: Set(now),
        };
        row.insert(&tx).await.expect("a membership");
        tx.commit().await.expect("a commit");
        let memberships = vec![(team, Role::Owner)];
        Actor::Person(Person { id, session: id, personal_team: team, is_administrator: false, memberships })
    }

    /// The same person with another role in a team, as the access token of their next request would say.
    pub(crate) fn with_role(actor: &Actor, team: Uuid, role: Role) -> Actor {
        let mut person = actor.person().expect("a person").clone();
        person.memberships.retain(|(id, _)| *id != team);
        person.memberships.push((team, role));
        Actor::Person(person)
    }
}

fn index(folder: &Path) -> Arc<dyn LoraIndex> {
    Arc::new(EmbeddedIndex::open(folder).expect("an index"))
}

struct SeededRandom(Mutex<ChaCha20Rng>);

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().expect("nobody panics while holding it").fill_bytes(bytes);
    }
}

/// Does something until it has waited so many times, and drops it then, as if the process had been killed: none where it was.
pub(crate) async fn cut_after<T>(waits: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (pin!(work), waits);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// An inspector that reads headers only: the crate that looks into files for real is not this one's to know. A picture is
/// `PICTURE width height`; a LoRA is its facts as JSON; a model folder holds `model.json`.
struct HeaderInspector;

impl Inspector for HeaderInspector {
    fn describer(&self) -> &str {
        "header"
    }

    fn knows_meanings(&self) -> bool {
        false
    }

    fn meanings(&self, _texts: &[String]) -> Option<Vec<Vec<f32>>> {
        None
    }

    fn look(&self, picture: &[u8]) -> Result<Vec<f32>, Rejected> {
        Ok(Sha256::digest(picture).iter().map(|byte| f32::from(*byte)).collect())
    }

    fn picture(&self, file: &Path) -> Result<InspectedPicture, Rejected> {
        let bytes = std::fs::read(file).map_err(|error| Rejected(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.split_whitespace();
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok());
        let (Some("PICTURE"), Some(width), Some(height)) = (words.next(), number(words.next()), number(words.next()))
        else {
            return Err(Rejected("This is no picture that can be read. Send a PNG, JPEG or WebP.".to_owned()));
        };
        let digest = Sha256::digest(&bytes);
        Ok(InspectedPicture {
            width,
            height,
            png: bytes.clone(),
            thumbnail_webp: digest.to_vec(),
            blurhash: "LEHV6nWB2yk8".to_owned(),
            // The top bit set: what is stored as a signed number must come back the same.
            perceptual_hash: u64::from_be_bytes(digest[..8].try_into().expect("eight bytes")) | 1 << 63,
            sharpness: 100.0,
            colours: digest.to_vec(),
        })
    }

    fn lint(&self, pictures: &[LintedPicture], _smallest_edge: u32) -> Vec<LintFinding> {
        let mut findings = Vec::new();
        for (place, picture) in pictures.iter().enumerate() {
            let twin = pictures[..place].iter().position(|other| other.perceptual_hash == picture.perceptual_hash);
            let message = "nearly the same picture; remove one.".to_owned();
            findings.extend(twin.map(|other| LintFinding {
                picture: place,
                code: "NEAR_DUPLICATE",
                other: Some(other),
                message,
            }));
        }
        findings
    }

    fn lora(&self, file: &Path) -> Result<InspectedLora, Rejected> {
        let bytes = std::fs::read(file).map_err(|error| Rejected(error.to_string()))?;
        let mut facts: InspectedLora = serde_json::from_slice(&bytes)
            .map_err(|error| Rejected(format!("The header of this file cannot be read: {error}.")))?;
        facts.sha256 = hex::encode(Sha256::digest(&bytes));
        facts.auto_v2 = facts.sha256[..10].to_owned();
        facts.size = bytes.len() as u64;
        Ok(facts)
    }

    fn convert_lora(
        &self,
        file: &Path,
        layout: LoraLayout,
        metadata: &BTreeMap<String, String>,
        out: &Path,
    ) -> Result<Vec<String>, Rejected> {
        let mut facts = self.lora(file)?;
        if layout == LoraLayout::Kohya {
            return Err(Rejected("This LoRA has no form in the KOHYA layout. Choose BFL or DIFFUSERS.".to_owned()));
        }
        facts.layout = format!("{layout:?}").to_uppercase();
        facts.metadata = serde_json::json!(metadata);
        let bytes = serde_json::to_vec(&facts).map_err(|error| Rejected(error.to_string()))?;
        std::fs::write(out, bytes).map_err(|error| Rejected(error.to_string()))?;
        Ok(vec!["Some program leaves out something.".to_owned()])
    }

    fn continuable(&self, file: &Path) -> Result<(), Rejected> {
        self.lora(file).map(drop)
    }

    fn fits(&self, lora: &InspectedLora, model: &InspectedModel) -> Result<(), Rejected> {
        if (&lora.family, &lora.variant) == (&model.family, &model.variant) {
            return Ok(());
        }
        Err(Rejected(format!(
            "This LoRA is for {} {} and the base model is {} {}.",
            lora.family, lora.variant, model.family, model.variant
        )))
    }

    fn model(&self, folder: &Path) -> Result<InspectedModel, Rejected> {
        let bytes = std::fs::read(folder.join("model.json"))
            .map_err(|_| Rejected(format!("`{}` holds no model.", folder.display())))?;
        serde_json::from_slice(&bytes).map_err(|error| Rejected(error.to_string()))
    }
}

/// The facts of a LoRA file of a kind, as [`HeaderInspector`] reads them.
pub(crate) fn lora_facts(family: &str, variant: &str, title: &str) -> InspectedLora {
    InspectedLora {
        family: family.to_owned(),
        variant: variant.to_owned(),
        declared: String::new(),
        context_width: 7680,
        hidden_width: 3072,
        rank: 16,
        alpha: 16.0,
        layout: "BFL".to_owned(),
        trigger_words: vec!["inkwash".to_owned()],
        title: Some(title.to_owned()),
        tags: Vec::new(),
        sha256: String::new(),
        auto_v2: String::new(),
        auto_v3: hex::encode(Sha256::digest(format!("after the header of {title}"))),
        blake3: hex::encode(Sha256::digest(format!("blake3 of {title}"))),
        size: 0,
        matched_share: 1.0,
        problems: Vec::new(),
        metadata: serde_json::json!({ "modelspec.license": "Apache-2.0", "modelspec.tags": "Ink, Wash" }),
    }
}

/// Imports a LoRA and publishes it; gives it and its version.
pub(crate) async fn published_lora(ctx: &Context, maker: &Actor, title: &str) -> (Uuid, Uuid) {
    let bytes = serde_json::to_vec(&lora_facts("flux2", "klein-4b", title)).expect("JSON");
    let new = NewUpload {
        purpose: UploadPurpose::LoraFile,
        file_name: "style.safetensors".to_owned(),
        size: i64::try_from(bytes.len()).expect("a size"),
        target: None,
        team: None,
    };
    let row = upload::create(ctx, maker, new, None).await.expect("an upload");
    upload::receive(ctx, row.id, 0, stream::iter([Ok(Bytes::from(bytes))])).await.expect("received");
    let upload = upload::finish(ctx, row.id).await.expect("checked").id;
    let import = ImportLora {
        upload,
        lora: None,
        base_model: None,
        name: None,
        description: None,
        tags: None,
        license: None,
        terms: None,
        trigger_words: None,
        change_note: None,
        recommended_strength: None,
    };
    let version = loras::import(ctx, maker, import, None).await.expect("imported");
    let publish =
        PublishLora { id: version.lora_id, version: None, license: Some("Apache-2.0".to_owned()), terms: None };
    loras::publish(ctx, maker, publish).await.expect("published");
    (version.lora_id, version.id)
}
