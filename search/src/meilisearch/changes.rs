//! Changes: in order, none of them older than what the index has heard of the LoRA.
//!
//! Meilisearch takes a change now and makes it later, in the order in which changes came. What the index last heard of a
//! LoRA is what the changes that are still waiting say of it, else what the index says.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use meilisearch_sdk::{
    client::{Client, SwapIndexes},
    documents::DocumentsQuery,
    errors::{Error, ErrorCode},
    indexes::Index,
    settings::Settings,
    task_info::TaskInfo,
    tasks::Task,
};
use serde::Deserialize;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{failed, http::Http, record::Record, vectors::Lengths};
use crate::{LoraDocument, SearchError};

/// How long a change may take until somebody who waits for it is told that search does not work.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long to wait between two looks at a change, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LATER_LOOKS: Duration = Duration::from_millis(100);

/// A change of one LoRA.
pub(super) struct Change {
    pub(super) id: Uuid,
    pub(super) sequence: u64,
    pub(super) record: Record,
}

/// An index that changes are written to.
pub(super) struct Changes {
    index: Index<Http>,
    /// For LoRAs with changes that are waiting: the highest sequence among them, and how many there are.
    waiting: Mutex<HashMap<Uuid, (u64, usize)>>,
    lengths: Mutex<Lengths>,
}

#[derive(Deserialize)]
struct Known {
    id: Uuid,
    sequence: u64,
}

impl Changes {
    pub(super) fn new(index: Index<Http>, lengths: Lengths) -> Self {
        Self { index, waiting: Mutex::default(), lengths: Mutex::new(lengths) }
    }

    /// How long the vectors in the index are.
    pub(super) async fn lengths(&self) -> Lengths {
        *self.lengths.lock().await
    }

    /// Notes how long the vectors are of the index that took this one's place.
    pub(super) async fn take_lengths(&self, lengths: Lengths) {
        *self.lengths.lock().await = lengths;
    }

    /// As [`Self::lengths`], after the server was told of spaces that these documents are the first of.
    pub(super) async fn lengths_with(&self, documents: &[LoraDocument]) -> Result<Lengths, SearchError> {
        let mut lengths = self.lengths.lock().await;
        let with = lengths.with(documents);
        if with != *lengths {
            let task = self.index.set_embedders(&with.embedders()).await.map_err(failed)?;
            wait(&self.index.client, task).await?;
            *lengths = with;
        }
        Ok(with)
    }

    /// Makes changes, and returns when searches find them.
    pub(super) async fn make(&self, changes: Vec<Change>) -> Result<(), SearchError> {
        let newest = newest(changes);
        let (task, taken) = {
            let mut waiting = self.waiting.lock().await;
            let known = self.known(newest.keys().copied()).await?;
            let is_news = |change: &Change| {
                let heard = waiting.get(&change.id).map(|(sequence, _)| *sequence);
                heard.max(known.get(&change.id).copied()).is_none_or(|heard| change.sequence >= heard)
            };
            let changes: Vec<Change> = newest.into_values().filter(is_news).collect();
            if changes.is_empty() {
                return Ok(());
            }
            let taken: Vec<(Uuid, u64)> = changes.iter().map(|change| (change.id, change.sequence)).collect();
            let records: Vec<Record> = changes.into_iter().map(|change| change.record).collect();
            let task = self.index.add_or_replace(&records, Some("id")).await.map_err(failed)?;
            for (id, sequence) in &taken {
                let entry = waiting.entry(*id).or_insert((*sequence, 0));
                *entry = (entry.0.max(*sequence), entry.1 + 1);
            }
            (task, taken)
        };
        let done = wait(&self.index.client, task).await;
        let mut waiting = self.waiting.lock().await;
        for (id, _) in taken {
            if let Entry::Occupied(mut entry) = waiting.entry(id) {
                entry.get_mut().1 -= 1;
                if entry.get().1 == 0 {
                    entry.remove();
                }
            }
        }
        done
    }

    /// What the index says that it last heard of LoRAs.
    async fn known(&self, ids: impl Iterator<Item = Uuid>) -> Result<HashMap<Uuid, u64>, SearchError> {
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        let mut query = DocumentsQuery::new(&self.index);
        query.with_ids(ids.iter().map(String::as_str)).with_fields(["id", "sequence"]).with_limit(ids.len());
        let known = query.execute::<Known>().await.map_err(failed)?;
        Ok(known.results.into_iter().map(|known| (known.id, known.sequence)).collect())
    }

    /// How many LoRAs there are.
    pub(super) async fn count(&self) -> Result<u64, SearchError> {
        let mut query = DocumentsQuery::new(&self.index);
        query.with_filter("live = true").with_fields(["id"]).with_limit(1);
        let found = query.execute::<serde_json::Value>().await.map_err(failed)?;
        Ok(u64::from(found.total))
    }

    /// Forgets everything.
    pub(super) async fn clear(&self) -> Result<(), SearchError> {
        let mut waiting = self.waiting.lock().await;
        let task = self.index.delete_all_documents().await.map_err(failed)?;
        wait(&self.index.client, task).await?;
        waiting.values_mut().for_each(|(sequence, _)| *sequence = 0);
        Ok(())
    }
}

/// Of several changes of a LoRA, the one with the highest sequence; of equals, the last.
fn newest(changes: Vec<Change>) -> BTreeMap<Uuid, Change> {
    let mut newest: BTreeMap<Uuid, Change> = BTreeMap::new();
    for change in changes {
        if newest.get(&change.id).is_none_or(|known| change.sequence >= known.sequence) {
            newest.insert(change.id, change);
        }
    }
    newest
}

/// Waits until a task is done.
pub(super) async fn wait(client: &Client<Http>, task: TaskInfo) -> Result<(), SearchError> {
    let (started, mut pause) = (Instant::now(), FIRST_LOOK);
    loop {
        match client.get_task(&task).await.map_err(failed)? {
            Task::Succeeded { .. } => return Ok(()),
            Task::Failed { content } => return Err(failed(Error::Meilisearch(content.error))),
            Task::Enqueued { .. } | Task::Processing { .. } if started.elapsed() > LONGEST_WAIT => {
                return Err(SearchError::Unavailable(format!(
                    "Meilisearch has not made a change within {} s; its queue is too long.",
                    LONGEST_WAIT.as_secs()
                )));
            }
            Task::Enqueued { .. } | Task::Processing { .. } => tokio::time::sleep(pause).await,
        }
        pause = (pause * 3 / 2).min(LATER_LOOKS);
    }
}

/// Deletes an index if there is one, and makes it anew with its settings.
pub(super) async fn create(client: &Client<Http>, uid: &str, settings: &Settings) -> Result<(), SearchError> {
    delete(client, uid).await?;
    wait(client, client.create_index(uid, Some("id")).await.map_err(failed)?).await?;
    wait(client, client.index(uid).set_settings(settings).await.map_err(failed)?).await
}

/// Deletes an index if there is one.
pub(super) async fn delete(client: &Client<Http>, uid: &str) -> Result<(), SearchError> {
    if exists(client, uid).await? {
        wait(client, client.delete_index(uid).await.map_err(failed)?).await?;
    }
    Ok(())
}

/// Whether there is an index.
pub(super) async fn exists(client: &Client<Http>, uid: &str) -> Result<bool, SearchError> {
    match client.get_index(uid).await {
        Ok(_) => Ok(true),
        Err(error) if is(&error, ErrorCode::IndexNotFound) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Puts an index in the place of another one, for every search at once.
pub(super) async fn swap(client: &Client<Http>, one: &str, other: &str) -> Result<(), SearchError> {
    let swap = SwapIndexes { indexes: (one.to_owned(), other.to_owned()), rename: None };
    wait(client, client.swap_indexes([&swap]).await.map_err(failed)?).await
}

pub(super) fn is(error: &Error, code: ErrorCode) -> bool {
    matches!(error, Error::Meilisearch(answer) if answer.error_code == code)
}
