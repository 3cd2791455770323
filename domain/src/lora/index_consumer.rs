//! Keeps the search index in step with the database: every LoRA but the tombstones, each with who may see it: everybody, or
//! its team alone.
//!
//! The index is a copy of what the database says at the moment of reading. A document carries the sequence of the event
//! that it answers, so that what comes late or twice never overwrites what is newer.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context as _;
use async_trait::async_trait;
use atelier_entities::{
    compatibility, job,
    kinds::{EventKind, JobKind, LoraState},
    lora, lora_version as version, outbox_event, preview as previews, user,
};
use atelier_search::LoraDocument;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::versions::words;
use crate::{
    context::Context,
    nested::grouped,
    outbox::{self, Follower},
    policy::Resource as _,
    ports::inspector::inspect,
    preview, usage,
};

/// How many documents are built and handed over at once.
const PIECE: usize = 500;

/// Follows the outbox with the search index.
#[derive(Debug, Default)]
pub struct LoraIndexer;

#[async_trait]
impl Follower for LoraIndexer {
    fn name(&self) -> &'static str {
        "lora_index"
    }

    async fn follow(&self, ctx: &Context, events: &[outbox_event::Model]) -> anyhow::Result<()> {
        let changed: Vec<(Uuid, u64)> = changed(ctx, events).await?.into_iter().collect();
        for piece in changed.chunks(PIECE) {
            bring_up_to_date(ctx, piece).await?;
        }
        Ok(())
    }
}

/// Fills the index if it is new, was damaged or cleared. Call it at start. Returns how many documents it handed over;
/// none if the index is whole.
///
/// # Errors
/// What the database or the engine says.
pub async fn reindex_if_needed(ctx: &Context) -> anyhow::Result<usize> {
    if !ctx.search.needs_rebuild() {
        return Ok(0);
    }
    let mut all = HandOver::begin(ctx).await?;
    while all.piece(ctx).await? {}
    ctx.search.rebuilt().await.context("The search index cannot be completed.")?;
    Ok(all.count)
}

/// Handing every LoRA over, piece by piece.
#[derive(Debug)]
pub(super) struct HandOver {
    sequence: u64,
    after: Uuid,
    /// How many it were so far.
    pub(super) count: usize,
}

impl HandOver {
    /// Begins. The sequence is read before the rows: what changes from here on has a higher one, and the follower brings it.
    pub(super) async fn begin(ctx: &Context) -> anyhow::Result<Self> {
        let sequence = outbox::latest(ctx.db.read()).await?.unsigned_abs();
        Ok(Self { sequence, after: Uuid::nil(), count: 0 })
    }

    /// Hands the next piece over. Returns whether there was one.
    pub(super) async fn piece(&mut self, ctx: &Context) -> anyhow::Result<bool> {
        // By the keys alone: asked for a state as well, the database goes through all that have it for every piece.
        let loras = lora::Entity::find()
            .filter(lora::Column::Id.gt(self.after))
            .order_by_asc(lora::Column::Id)
            .limit(PIECE as u64)
            .all(ctx.db.read())
            .await?;
        let Some(last) = loras.last() else { return Ok(false) };
        self.after = last.id;
        let sequence = self.sequence;
        self.count += hand_over(ctx, documents(ctx, loras, |_| sequence).await?).await?;
        Ok(true)
    }
}

/// The LoRAs that events are about, each with the sequence of the last one.
async fn changed(ctx: &Context, events: &[outbox_event::Model]) -> Result<BTreeMap<Uuid, u64>, DbErr> {
    let (mut users, mut jobs) = (HashMap::new(), HashMap::new());
    let mut changed = BTreeMap::new();
    for event in events {
        let sequence = event.sequence.unsigned_abs();
        match event.kind {
            EventKind::LoraPublished
            | EventKind::LoraVersionPublished
            | EventKind::LoraChanged
            | EventKind::LoraRated => {
                changed.insert(event.subject_id, sequence);
            }
            EventKind::ContentHidden | EventKind::ContentRestored => {
                // A profile names no LoRA: its person's are all concerned.
                match event.payload["lora"].as_str().and_then(|id| Uuid::try_parse(id).ok()) {
                    Some(lora) => changed.insert(lora, sequence),
                    None => users.insert(event.subject_id, sequence),
                };
            }
            EventKind::UserChanged => {
                users.insert(event.subject_id, sequence);
            }
            EventKind::JobFinished => {
                jobs.insert(event.subject_id, sequence);
            }
            // What downloads and pictures come to is told once it is counted, as a change of the LoRA.
            EventKind::LoraDownloaded
            | EventKind::AssetDeleted
            | EventKind::CommentAdded
            | EventKind::CommentEdited
            | EventKind::UserFollowed
            | EventKind::ReviewAsked
            | EventKind::JobQueued
            | EventKind::UploadFinished => {}
        }
    }
    let more = of_users(ctx, &users).await?.into_iter().chain(of_previews(ctx, &jobs).await?);
    for (lora, sequence) in more {
        let known = changed.entry(lora).or_insert(sequence);
        *known = sequence.max(*known);
    }
    Ok(changed)
}

/// The LoRAs of people whose profile changed: their names stand in the documents.
async fn of_users(ctx: &Context, users: &HashMap<Uuid, u64>) -> Result<Vec<(Uuid, u64)>, DbErr> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Uuid, Uuid)> = lora::Entity::find()
        .select_only()
        .columns([lora::Column::Id, lora::Column::CreatedBy])
        .filter(lora::Column::CreatedBy.is_in(users.keys().copied()))
        .filter(lora::Column::State.ne(LoraState::Deleted))
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().filter_map(|(lora, user)| Some((lora, *users.get(&user)?))).collect())
}

/// The LoRAs whose previews were rendered or that were measured: prompts, looks and safe strengths stand in the documents.
async fn of_previews(ctx: &Context, jobs: &HashMap<Uuid, u64>) -> Result<Vec<(Uuid, u64)>, DbErr> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let rendered: Vec<(Uuid, Uuid)> = job::Entity::find()
        .select_only()
        .columns([job::Column::SubjectId, job::Column::Id])
        .filter(job::Column::Id.is_in(jobs.keys().copied()))
        .filter(job::Column::Kind.is_in([JobKind::Preview, JobKind::Compare]))
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    let sequences: HashMap<Uuid, u64> =
        rendered.into_iter().filter_map(|(version, job)| Some((version, *jobs.get(&job)?))).collect();
    let rows: Vec<(Uuid, Uuid)> = version::Entity::find()
        .select_only()
        .columns([version::Column::LoraId, version::Column::Id])
        .filter(version::Column::Id.is_in(sequences.keys().copied()))
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().filter_map(|(lora, version)| Some((lora, *sequences.get(&version)?))).collect())
}

/// Puts what there is into the index and takes out what was deleted.
async fn bring_up_to_date(ctx: &Context, changed: &[(Uuid, u64)]) -> anyhow::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let sequences: HashMap<Uuid, u64> = changed.iter().copied().collect();
    let loras =
        lora::Entity::find().filter(lora::Column::Id.is_in(sequences.keys().copied())).all(ctx.db.read()).await?;
    let documents = documents(ctx, loras, |id| sequences.get(&id).copied().unwrap_or_default()).await?;
    let present: HashSet<Uuid> = documents.iter().map(|document| document.id).collect();
    let removals: Vec<(Uuid, u64)> = changed.iter().copied().filter(|(id, _)| !present.contains(id)).collect();
    hand_over(ctx, documents).await?;
    if !removals.is_empty() {
        ctx.search.remove(removals).await.context("The search index does not take removals.")?;
    }
    Ok(())
}

/// Hands documents to the index. Returns how many it were.
async fn hand_over(ctx: &Context, mut documents: Vec<LoraDocument>) -> anyhow::Result<usize> {
    let count = documents.len();
    if count > 0 {
        add_meanings(ctx, &mut documents).await?;
        ctx.search.upsert(documents).await.context("The search index does not take documents.")?;
    }
    Ok(count)
}

/// Adds what the words of documents mean, where an encoder says it.
async fn add_meanings(ctx: &Context, documents: &mut [LoraDocument]) -> anyhow::Result<()> {
    if !ctx.inspector.knows_meanings() {
        return Ok(());
    }
    let text =
        |document: &LoraDocument| format!("{}. {} {}", document.name, document.description, document.tags.join(", "));
    let texts: Vec<String> = documents.iter().map(text).collect();
    let meanings = inspect(&ctx.inspector, move |inspector| inspector.meanings(&texts)).await?;
    for (document, meaning) in documents.iter_mut().zip(meanings.into_iter().flatten()) {
        document.meaning = Some(meaning);
    }
    Ok(())
}

/// The documents of those LoRAs that are no tombstones, each with its sequence. One that only its team sees is found by all
/// that the team sees of it: by the base models of versions that are not published, too.
async fn documents(
    ctx: &Context,
    mut loras: Vec<lora::Model>,
    sequence_of: impl Fn(Uuid) -> u64,
) -> Result<Vec<LoraDocument>, DbErr> {
    let db = ctx.db.read();
    loras.retain(|row| row.state != LoraState::Deleted);
    let versions = version::Entity::find()
        .filter(version::Column::LoraId.is_in(loras.iter().map(|row| row.id)))
        .order_by_asc(version::Column::Number)
        .all(db)
        .await?;
    let versions = grouped(versions, |row| row.lora_id);
    let previews = previews::Entity::find()
        .filter(previews::Column::LoraVersionId.is_in(loras.iter().filter_map(|row| row.latest_version_id)))
        .filter(previews::Column::HiddenAt.is_null())
        .order_by_asc(previews::Column::Position)
        .all(db)
        .await?;
    let previews = grouped(previews, |row| row.lora_version_id);
    let safe = safe_strengths(db, &loras).await?;
    let creators: HashMap<Uuid, user::Model> = user::Entity::find()
        .filter(user::Column::Id.is_in(loras.iter().map(|row| row.created_by)))
        .all(db)
        .await?
        .into_iter()
        .map(|row| (row.id, row))
        .collect();
    let trends = usage::trends(db, loras.iter().map(|row| row.id)).await?;
    let documents = loras.into_iter().map(|lora| {
        let versions = versions.get(&lora.id).map(Vec::as_slice).unwrap_or_default();
        let shown = versions.iter().find(|row| Some(row.id) == lora.latest_version_id);
        let previews = lora.latest_version_id.and_then(|id| previews.get(&id)).map(Vec::as_slice).unwrap_or_default();
        let public = lora.target().public;
        let seen = versions.iter().filter(|row| !public || row.published_at.is_some());
        let mut base_models: Vec<Uuid> = seen.filter_map(|row| row.base_model_id).collect();
        base_models.sort_unstable();
        base_models.dedup();
        let creator = creators.get(&lora.created_by);
        // A profile that is hidden is not found by the name that it was hidden for.
        let creator_name = creator.map(|row| if row.hidden_at.is_some() { &row.handle } else { &row.display_name });
        LoraDocument {
            id: lora.id,
            sequence: sequence_of(lora.id),
            trigger_words: shown.map(|row| words(&row.trigger_words)).unwrap_or_default(),
            tags: words(&lora.tags),
            prompts: previews.iter().map(|row| row.prompt.clone()).collect(),
            creator_name: creator_name.cloned().unwrap_or_default(),
            creator_handle: creator.map(|row| row.handle.clone()).unwrap_or_default(),
            creator_id: lora.created_by,
            team_id: lora.team_id,
            public,
            base_models,
            rating_score: lora.rating_score,
            rating_count: lora.rating_count.unsigned_abs(),
            downloads: lora.download_count.unsigned_abs(),
            safe_strengths: shown.and_then(|row| safe.get(&(row.id, row.base_model_id?)).copied()),
            looks: previews.iter().filter_map(|row| preview::look(ctx, row)).collect(),
            meaning: None,
            trend: trends.get(&lora.id).copied(),
            published_at_millis: lora.published_at.unwrap_or(lora.created_at).timestamp_millis(),
            name: lora.name,
            description: lora.description,
            license: lora.license,
        }
    });
    Ok(documents.collect())
}

/// The safe strengths of the versions that LoRAs show, by version and base model, where some are safe.
async fn safe_strengths<C: ConnectionTrait>(
    db: &C,
    loras: &[lora::Model],
) -> Result<HashMap<(Uuid, Uuid), (f64, f64)>, DbErr> {
    let measured = compatibility::Entity::find()
        .filter(compatibility::Column::LoraVersionId.is_in(loras.iter().filter_map(|row| row.latest_version_id)))
        .all(db)
        .await?;
    let safe =
        |row: compatibility::Model| Some(((row.lora_version_id, row.base_model_id), row.safe_low.zip(row.safe_high)?));
    Ok(measured.into_iter().filter_map(safe).collect())
}
