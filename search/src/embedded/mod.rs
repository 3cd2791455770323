//! The engine that lives in the process: an index on disk, no server beside it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tantivy::{collector::Count, query::TermQuery, schema::IndexRecordOption};
use uuid::Uuid;

use crate::{Hits, LoraDocument, LoraIndex, LoraQuery, SearchError, Suggestion, Viewer, words::synonyms::Synonyms};

mod alike;
mod columns;
mod completion;
mod generation;
mod hybrid;
mod list;
mod lists;
mod matching;
mod piece;
mod position;
mod prominences;
mod ranking;
mod related;
mod relevance;
mod restrictions;
mod rows;
mod schema;
mod scoring;
mod search;
mod states;
mod storage;
mod suggestion;
mod vectors;
mod writer;

use generation::{Generation, Generations, retire};
use schema::Fields;
use search::Engine;
use states::States;
use storage::Storage;
use vectors::Vectors;
use writer::Change;

/// An index on disk.
pub struct EmbeddedIndex {
    generations: Generations,
    storage: Storage,
    synonyms: Arc<Synonyms>,
    states: Arc<States>,
    incomplete: AtomicBool,
}

impl EmbeddedIndex {
    /// Opens the index in a folder, making what is missing. An index that is damaged or of an older layout is moved
    /// aside with a warning, and an empty one that [needs to be rebuilt](LoraIndex::needs_rebuild) takes its place.
    ///
    /// It reads all of the index once, to see whether it is whole: call it from a thread that may block.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the folder cannot be read or written, or if another process has the index open.
    pub fn open(folder: &Path) -> Result<Self, SearchError> {
        let storage = Storage::new(folder)?;
        let fields = Fields::new();
        let (number, index) = storage.open(&fields)?;
        let synonyms = Arc::new(Synonyms::open(storage.synonyms())?);
        let states = Arc::new(States::default());
        let vectors = Vectors::open(&storage.vectors(number))?;
        let current = Generation::start(number, index, fields, synonyms.clone(), states.clone(), vectors)?;
        let incomplete = AtomicBool::new(storage.is_incomplete()?);
        Ok(Self { generations: Generations::new(Arc::new(current)), storage, synonyms, states, incomplete })
    }

    /// Runs something that blocks beside the asynchronous tasks.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let engine = self.generations.current().engine.clone();
        blocking(move || work(&engine)).await
    }

    async fn set_incomplete(&self, incomplete: bool) -> Result<(), SearchError> {
        let storage = self.storage.clone();
        blocking(move || Ok(storage.set_incomplete(incomplete)?)).await?;
        self.incomplete.store(incomplete, Ordering::Release);
        Ok(())
    }

    fn retire(&self, generation: Option<Arc<Generation>>) {
        if let Some(generation) = generation {
            retire(generation, self.storage.clone());
        }
    }
}

#[async_trait]
impl LoraIndex for EmbeddedIndex {
    async fn upsert(&self, documents: Vec<LoraDocument>) -> Result<(), SearchError> {
        if documents.is_empty() {
            return Ok(());
        }
        self.generations.apply(Change::Upsert(documents)).await
    }

    async fn remove(&self, removals: Vec<(Uuid, u64)>) -> Result<(), SearchError> {
        if removals.is_empty() {
            return Ok(());
        }
        self.generations.apply(Change::Remove(removals)).await
    }

    async fn search(&self, query: &LoraQuery) -> Result<Hits, SearchError> {
        let query = query.clone();
        self.beside(move |engine| engine.search(&query)).await
    }

    async fn suggest(&self, prefix: &str, viewer: &Viewer, most: usize) -> Result<Vec<Suggestion>, SearchError> {
        let (prefix, viewer) = (prefix.to_owned(), viewer.clone());
        self.beside(move |engine| suggestion::suggest(engine, &prefix, &viewer, most)).await
    }

    async fn related(&self, id: Uuid, viewer: &Viewer, most: usize) -> Result<Vec<Uuid>, SearchError> {
        let viewer = viewer.clone();
        self.beside(move |engine| engine.related(id, &viewer, most)).await
    }

    async fn count(&self) -> Result<u64, SearchError> {
        self.beside(|engine| {
            let term = engine.fields.audience_terms(&Viewer::Everything).remove(0);
            let query = TermQuery::new(term, IndexRecordOption::Basic);
            Ok(engine.reader.searcher().search(&query, &Count).map_err(failed)? as u64)
        })
        .await
    }

    async fn clear(&self) -> Result<(), SearchError> {
        self.retire(self.generations.give_up());
        self.set_incomplete(true).await?;
        self.generations.apply(Change::Clear).await
    }

    fn needs_rebuild(&self) -> bool {
        self.incomplete.load(Ordering::Acquire)
    }

    async fn begin_rebuild(&self) -> Result<(), SearchError> {
        let (storage, synonyms, states) = (self.storage.clone(), self.synonyms.clone(), self.states.clone());
        let next = blocking(move || {
            let fields = Fields::new();
            let (number, index) = storage.create(&fields)?;
            let vectors = Vectors::open(&storage.vectors(number))?;
            Generation::start(number, index, fields, synonyms, states, vectors)
        });
        let unfinished = self.generations.begin(Arc::new(next.await?));
        self.retire(unfinished);
        Ok(())
    }

    async fn rebuilt(&self) -> Result<(), SearchError> {
        if let Some(number) = self.generations.next().map(|next| next.number) {
            let storage = self.storage.clone();
            blocking(move || Ok(storage.set_current(number)?)).await?;
            self.retire(self.generations.replace(number));
        }
        self.set_incomplete(false).await
    }

    async fn check(&self) -> Result<(), SearchError> {
        self.generations.apply(Change::Nothing).await?;
        self.count().await.map(|_| ())
    }
}

/// Runs something that blocks beside the asynchronous tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SearchError> + Send + 'static,
) -> Result<T, SearchError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SearchError::Unavailable(format!("a search task failed: {error}"))))
}

fn failed(error: tantivy::TantivyError) -> SearchError {
    SearchError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
