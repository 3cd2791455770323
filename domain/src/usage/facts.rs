//! What events do not say themselves and what never changes afterwards: which versions a generation used, what it made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use atelier_entities::{
    asset, generation_lora, job,
    kinds::{EventKind, JobKind, JobState},
    lora, lora_version, outbox_event,
};
use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait as _, QueryFilter, QuerySelect};
use serde_json::json;
use uuid::Uuid;

/// A generation that was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) generation: Uuid,
    pub(super) team: Uuid,
}

/// What has to be known of a LoRA.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoraFacts {
    pub(super) team: Uuid,
    pub(super) published_at: Option<DateTime<Utc>>,
}

/// What a number of events is about.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Generations by their jobs.
    done: HashMap<Uuid, Done>,
    /// The versions that each generation used.
    used: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// The days on which each generation's pictures were made, deleted ones included.
    made: HashMap<Uuid, Vec<NaiveDate>>,
    /// Generation and day of single pictures.
    pictures: HashMap<Uuid, (Uuid, NaiveDate)>,
    /// The LoRAs of versions.
    loras_of: HashMap<Uuid, Uuid>,
    loras: HashMap<Uuid, LoraFacts>,
}

/// The ids of what events of a kind are about.
fn subjects(events: &[outbox_event::Model], is: impl Fn(&outbox_event::Model) -> bool) -> BTreeSet<Uuid> {
    events.iter().filter(|event| is(event)).map(|event| event.subject_id).collect()
}

/// Whether an event tells of a generation that was done.
pub(super) fn is_done(event: &outbox_event::Model) -> bool {
    event.kind == EventKind::JobFinished
        && event.payload["kind"] == json!(JobKind::Generate)
        && event.payload["state"] == json!(JobState::Succeeded)
}

impl Facts {
    /// Reads what events are about, in a fixed number of statements.
    pub(super) async fn of<C: ConnectionTrait>(db: &C, events: &[outbox_event::Model]) -> Result<Self, DbErr> {
        let mut facts = Self::default();
        facts.load_work(db, events).await?;
        let mut versions = subjects(events, |event| event.kind == EventKind::LoraDownloaded);
        versions.extend(facts.used.values().flatten());
        let rows: Vec<(Uuid, Uuid)> = lora_version::Entity::find()
            .select_only()
            .columns([lora_version::Column::Id, lora_version::Column::LoraId])
            .filter(lora_version::Column::Id.is_in(versions))
            .into_tuple()
            .all(db)
            .await?;
        facts.loras_of = rows.into_iter().collect();
        let mut loras = subjects(events, |event| matches!(event.kind, EventKind::LoraPublished | EventKind::LoraRated));
        loras.extend(facts.loras_of.values());
        let rows: Vec<(Uuid, Uuid, Option<DateTime<Utc>>)> = lora::Entity::find()
            .select_only()
            .columns([lora::Column::Id, lora::Column::TeamId, lora::Column::PublishedAt])
            .filter(lora::Column::Id.is_in(loras))
            .into_tuple()
            .all(db)
            .await?;
        facts.loras = rows.into_iter().map(|(id, team, published_at)| (id, LoraFacts { team, published_at })).collect();
        Ok(facts)
    }

    /// Generations that were done, pictures that were deleted, and what both used and made.
    async fn load_work<C: ConnectionTrait>(&mut self, db: &C, events: &[outbox_event::Model]) -> Result<(), DbErr> {
        let (jobs, deleted) =
            (subjects(events, is_done), subjects(events, |event| event.kind == EventKind::AssetDeleted));
        if jobs.is_empty() && deleted.is_empty() {
            return Ok(());
        }
        let rows: Vec<(Uuid, Uuid, Uuid)> = job::Entity::find()
            .select_only()
            .columns([job::Column::Id, job::Column::SubjectId, job::Column::TeamId])
            .filter(job::Column::Id.is_in(jobs))
            .into_tuple()
            .all(db)
            .await?;
        self.done = rows.into_iter().map(|(job, generation, team)| (job, Done { generation, team })).collect();
        let done: BTreeSet<Uuid> = self.done.values().map(|done| done.generation).collect();
        let pictures = asset::Column::GenerationId.is_in(done.iter().copied()).or(asset::Column::Id.is_in(deleted));
        let rows: Vec<(Uuid, Uuid, DateTime<Utc>)> = asset::Entity::find()
            .select_only()
            .columns([asset::Column::Id, asset::Column::GenerationId, asset::Column::CreatedAt])
            .filter(pictures)
            .into_tuple()
            .all(db)
            .await?;
        for (picture, generation, time) in rows {
            self.pictures.insert(picture, (generation, time.date_naive()));
            if done.contains(&generation) {
                self.made.entry(generation).or_default().push(time.date_naive());
            }
        }
        let generations: BTreeSet<Uuid> =
            done.into_iter().chain(self.pictures.values().map(|(generation, _)| *generation)).collect();
        let rows: Vec<(Uuid, Uuid)> = generation_lora::Entity::find()
            .select_only()
            .columns([generation_lora::Column::GenerationId, generation_lora::Column::LoraVersionId])
            .filter(generation_lora::Column::GenerationId.is_in(generations))
            .into_tuple()
            .all(db)
            .await?;
        for (generation, version) in rows {
            self.used.entry(generation).or_default().insert(version);
        }
        Ok(())
    }

    /// The generation that a job did.
    pub(super) fn done_by(&self, job: Uuid) -> Option<Done> {
        self.done.get(&job).copied()
    }

    /// The versions that a generation used, each once, with their LoRAs.
    pub(super) fn used_by(&self, generation: Uuid) -> impl Iterator<Item = (Uuid, Uuid)> + '_ {
        let versions = self.used.get(&generation).into_iter().flatten();
        versions.filter_map(|version| Some((*version, self.lora_of(*version)?)))
    }

    /// The days on which a generation's pictures were made, one each picture.
    pub(super) fn made_by(&self, generation: Uuid) -> &[NaiveDate] {
        self.made.get(&generation).map(Vec::as_slice).unwrap_or_default()
    }

    /// The generation of a picture, and the day on which it was made.
    pub(super) fn picture(&self, id: Uuid) -> Option<(Uuid, NaiveDate)> {
        self.pictures.get(&id).copied()
    }

    /// The LoRA of a version.
    pub(super) fn lora_of(&self, version: Uuid) -> Option<Uuid> {
        self.loras_of.get(&version).copied()
    }

    /// What has to be known of a LoRA.
    pub(super) fn lora(&self, id: Uuid) -> Option<LoraFacts> {
        self.loras.get(&id).copied()
    }

    /// The versions and LoRAs that may be counted for.
    pub(super) fn concerned(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        (self.loras_of.keys().copied().collect(), self.loras.keys().copied().collect())
    }

    /// The teams that work was done for.
    pub(super) fn teams(&self) -> BTreeSet<Uuid> {
        self.done.values().map(|done| done.team).collect()
    }
}
