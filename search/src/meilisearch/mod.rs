//! The engine that is Meilisearch: an index on a server of its own, which several processes search.
//!
//! Three indexes on the server: the one that is searched, one beside it while a rebuild goes on, and one document that
//! says whether the index is whole and of which layout. One process at a time writes.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use meilisearch_sdk::{
    client::Client,
    errors::{Error, ErrorCode},
};
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::{
    Hits, LoraDocument, LoraIndex, LoraQuery, SearchError, Suggestion, Viewer,
    words::{
        reading::Reading,
        suggestion,
        synonyms::{Meanings, Synonyms},
    },
};

mod changes;
mod filter;
mod http;
mod position;
mod record;
mod related;
mod searching;
mod settings;
mod vectors;
mod wording;

use changes::{Change, Changes};
use http::Http;
use record::{Found, Record};
use searching::Searching;
use vectors::Lengths;

/// Name of the document that says how the index is.
const STATE: &str = "state";

/// Where the server is.
#[derive(Clone, Debug)]
pub struct MeilisearchSettings {
    /// Its address, such as `http://127.0.0.1:7700`.
    pub url: String,
    /// The key that it is shown: one that may do everything with indexes whose names begin with [`Self::name`].
    pub key: Option<String>,
    /// Name of the index; two more have names that begin with it.
    pub name: String,
}

/// An index on a server.
pub struct MeilisearchIndex {
    client: Client<Http>,
    name: String,
    synonyms: Synonyms,
    /// The synonyms that the server has been told.
    told: RwLock<Arc<Meanings>>,
    current: Changes,
    /// What a rebuild fills.
    next: RwLock<Option<Changes>>,
    incomplete: AtomicBool,
}

/// What is known of the index.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    id: String,
    layout: u32,
    complete: bool,
}

impl MeilisearchIndex {
    /// Opens the index, making what is missing on the server. One of another layout is deleted, and an empty one that
    /// [needs to be rebuilt](LoraIndex::needs_rebuild) takes its place. `folder` holds the list of synonyms.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the server does not answer or refuses the key, or the folder cannot be read.
    pub async fn open(
        settings: &MeilisearchSettings,
        folder: &Path,
        http: reqwest::Client,
    ) -> Result<Self, SearchError> {
        std::fs::create_dir_all(folder)?;
        let synonyms = Synonyms::open(folder.join("synonyms.txt"))?;
        let meanings = synonyms.meanings();
        let url = settings.url.trim_end_matches('/');
        let client = Client::new_with_client(url, None::<String>, Http::new(http, settings.key.as_deref()));
        let name = settings.name.clone();
        let current = Changes::new(client.index(&name), Lengths::told(&client.index(&name)).await?);
        let (told, next) = (RwLock::new(meanings.clone()), RwLock::new(None));
        let index = Self { client, name, synonyms, told, current, next, incomplete: AtomicBool::new(true) };
        let told = settings::settings(&meanings);
        changes::delete(&index.client, &index.next_name()).await?;
        match index.state().await? {
            Some(state) if state.layout == settings::LAYOUT && changes::exists(&index.client, &index.name).await? => {
                index.incomplete.store(!state.complete, Ordering::Release);
                let task = index.client.index(&index.name).set_settings(&told).await.map_err(failed)?;
                changes::wait(&index.client, task).await?;
            }
            _ => {
                index.set_complete(false).await?;
                changes::create(&index.client, &index.name, &told).await?;
            }
        }
        Ok(index)
    }

    /// Deletes the index from the server, with everything that belongs to it.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the server does not answer.
    pub async fn delete(&self) -> Result<(), SearchError> {
        for name in [self.next_name(), self.name.clone(), self.state_name()] {
            changes::delete(&self.client, &name).await?;
        }
        Ok(())
    }

    fn next_name(&self) -> String {
        format!("{}_next", self.name)
    }

    fn state_name(&self) -> String {
        format!("{}_state", self.name)
    }

    async fn state(&self) -> Result<Option<State>, SearchError> {
        match self.client.index(self.state_name()).get_document::<State>(STATE).await {
            Ok(state) => Ok(Some(state)),
            Err(error)
                if [ErrorCode::IndexNotFound, ErrorCode::DocumentNotFound]
                    .iter()
                    .any(|c| changes::is(&error, c.clone())) =>
            {
                Ok(None)
            }
            // What another version of this program wrote.
            Err(Error::ParseError(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn set_complete(&self, complete: bool) -> Result<(), SearchError> {
        let state = State { id: STATE.to_owned(), layout: settings::LAYOUT, complete };
        let task = self.client.index(self.state_name()).add_or_replace(&[state], Some("id")).await.map_err(failed)?;
        changes::wait(&self.client, task).await?;
        self.incomplete.store(!complete, Ordering::Release);
        Ok(())
    }

    /// Tells the server of synonyms that were edited.
    async fn tell_synonyms(&self) -> Result<(), SearchError> {
        let meanings = self.synonyms.meanings();
        if Arc::ptr_eq(&*self.told.read().await, &meanings) {
            return Ok(());
        }
        let mut told = self.told.write().await;
        if !Arc::ptr_eq(&told, &meanings) {
            let list = settings::synonyms(&meanings);
            let task = self.client.index(&self.name).set_synonyms(&list).await.map_err(failed)?;
            changes::wait(&self.client, task).await?;
            *told = meanings;
        }
        Ok(())
    }
}

#[async_trait]
impl LoraIndex for MeilisearchIndex {
    async fn upsert(&self, documents: Vec<LoraDocument>) -> Result<(), SearchError> {
        if documents.is_empty() {
            return Ok(());
        }
        let next = self.next.read().await;
        if let Some(next) = next.as_ref() {
            put(next, documents.clone()).await?;
        }
        put(&self.current, documents).await
    }

    async fn remove(&self, removals: Vec<(Uuid, u64)>) -> Result<(), SearchError> {
        if removals.is_empty() {
            return Ok(());
        }
        let changes = || {
            let change = |&(id, sequence): &(Uuid, u64)| Change { id, sequence, record: Record::removal(id, sequence) };
            removals.iter().map(change).collect()
        };
        let next = self.next.read().await;
        if let Some(next) = next.as_ref() {
            next.make(changes()).await?;
        }
        self.current.make(changes()).await
    }

    async fn search(&self, query: &LoraQuery) -> Result<Hits, SearchError> {
        self.tell_synonyms().await?;
        let reading = Reading::new(query.text.as_deref().unwrap_or_default());
        let index = self.client.index(&self.name);
        Searching::new(&index, query, &reading, self.current.lengths().await).hits().await
    }

    async fn suggest(&self, prefix: &str, viewer: &Viewer, most: usize) -> Result<Vec<Suggestion>, SearchError> {
        let most = most.min(suggestion::MOST);
        let reading = Reading::new(prefix.trim_end());
        if most == 0 || reading.parts.is_empty() {
            return Ok(Vec::new());
        }
        let query = LoraQuery { viewer: viewer.clone(), facets: true, ..LoraQuery::default() };
        let index = self.client.index(&self.name);
        let searching = Searching::new(&index, &query, &reading, Lengths::default());
        let (loras, tags) = searching.best(most).await?;
        Ok(suggestion::suggestions(&reading, &tags, loras.into_iter().map(Found::named).collect(), most))
    }

    async fn related(&self, id: Uuid, viewer: &Viewer, most: usize) -> Result<Vec<Uuid>, SearchError> {
        related::related(&self.client.index(&self.name), self.current.lengths().await, (id, viewer), most).await
    }

    async fn count(&self) -> Result<u64, SearchError> {
        self.current.count().await
    }

    async fn clear(&self) -> Result<(), SearchError> {
        let mut next = self.next.write().await;
        self.set_complete(false).await?;
        if next.take().is_some() {
            changes::delete(&self.client, &self.next_name()).await?;
        }
        self.current.clear().await
    }

    fn needs_rebuild(&self) -> bool {
        self.incomplete.load(Ordering::Acquire)
    }

    async fn begin_rebuild(&self) -> Result<(), SearchError> {
        let mut next = self.next.write().await;
        let told = settings::settings(&self.synonyms.meanings());
        changes::create(&self.client, &self.next_name(), &told).await?;
        *next = Some(Changes::new(self.client.index(self.next_name()), Lengths::default()));
        Ok(())
    }

    async fn rebuilt(&self) -> Result<(), SearchError> {
        // Nobody writes meanwhile: a change between the two indexes would be lost.
        let mut next = self.next.write().await;
        if next.is_some() {
            changes::swap(&self.client, &self.name, &self.next_name()).await?;
            if let Some(next) = next.take() {
                self.current.take_lengths(next.lengths().await).await;
            }
            changes::delete(&self.client, &self.next_name()).await?;
        }
        self.set_complete(true).await
    }

    async fn check(&self) -> Result<(), SearchError> {
        self.set_complete(!self.needs_rebuild()).await?;
        self.count().await.map(|_| ())
    }
}

/// Puts documents into an index.
async fn put(index: &Changes, documents: Vec<LoraDocument>) -> Result<(), SearchError> {
    let lengths = index.lengths_with(&documents).await?;
    let change =
        |lora: LoraDocument| Change { id: lora.id, sequence: lora.sequence, record: Record::of(lora, lengths) };
    index.make(documents.into_iter().map(change).collect()).await
}

fn failed(error: Error) -> SearchError {
    SearchError::Unavailable(match error {
        Error::Meilisearch(answer) => format!("Meilisearch says: {}", answer.error_message),
        other => format!("Meilisearch does not answer as it should: {other}"),
    })
}

#[cfg(test)]
mod tests;
