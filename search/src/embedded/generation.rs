//! One index with what searches and changes it. A rebuild puts another one in its place.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tantivy::{Index, IndexReader, ReloadPolicy};

use super::{
    columns::Columns,
    failed,
    schema::Fields,
    search::Engine,
    states::States,
    storage::Storage,
    vectors::Vectors,
    writer::{Change, Writer},
};
use crate::{SearchError, words::synonyms::Synonyms};

/// Blocks of documents that each state of the index keeps in memory for each segment, some 16 kB each. Searches find documents
/// in other blocks each time, and states are kept for lists to go on from.
const KEPT_BLOCKS: usize = 2;

/// How often a generation that was replaced is looked at, whether anybody uses it still.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One index with what searches and changes it.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) engine: Arc<Engine>,
    writer: Writer,
}

impl Generation {
    pub(super) fn start(
        number: u64,
        index: Index,
        fields: Fields,
        synonyms: Arc<Synonyms>,
        states: Arc<States>,
        vectors: Vectors,
    ) -> Result<Self, SearchError> {
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(KEPT_BLOCKS);
        let reader: IndexReader = reader.try_into().map_err(failed)?;
        let columns = Arc::new(Columns::default());
        columns.prepare(&reader.searcher()).map_err(failed)?;
        let vectors = Arc::new(vectors);
        let writer = Writer::start(index, reader.clone(), fields.clone(), Arc::clone(&vectors), Arc::clone(&columns))?;
        Ok(Self { number, engine: Arc::new(Engine { reader, fields, synonyms, states, vectors, columns }), writer })
    }
}

/// The generation that is searched, and the one that a rebuild fills.
pub(super) struct Generations {
    places: RwLock<Places>,
}

struct Places {
    current: Arc<Generation>,
    next: Option<Arc<Generation>>,
}

impl Generations {
    pub(super) const fn new(current: Arc<Generation>) -> Self {
        Self { places: RwLock::new(Places { current, next: None }) }
    }

    /// The one that is searched.
    pub(super) fn current(&self) -> Arc<Generation> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// Puts an empty generation beside the current one. Returns one that an earlier, unfinished rebuild filled.
    pub(super) fn begin(&self, next: Arc<Generation>) -> Option<Arc<Generation>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner).next.replace(next)
    }

    /// The one that a rebuild fills, if one is under way.
    pub(super) fn next(&self) -> Option<Arc<Generation>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).next.clone()
    }

    /// Takes away the one that a rebuild fills.
    pub(super) fn give_up(&self) -> Option<Arc<Generation>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner).next.take()
    }

    /// Puts the one that a rebuild filled in the place of the current one, which is returned. Nothing changes unless it
    /// is still the one with that number.
    pub(super) fn replace(&self, number: u64) -> Option<Arc<Generation>> {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let next = places.next.take_if(|next| next.number == number)?;
        Some(std::mem::replace(&mut places.current, next))
    }

    /// Makes a change in the generation that is searched and in the one that a rebuild fills.
    pub(super) async fn apply(&self, change: Change) -> Result<(), SearchError> {
        let (current, next) = {
            let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
            (places.current.clone(), places.next.clone())
        };
        match next {
            None => current.writer.apply(change).await,
            Some(next) => {
                current.writer.apply(change.clone()).await?;
                next.writer.apply(change).await
            }
        }
    }
}

/// Ends a generation that nothing asks any more, and deletes its files. It waits for who uses it still: the last one to
/// let go of a generation waits for its thread, and no asynchronous task shall.
pub(super) fn retire(generation: Arc<Generation>, storage: Storage) {
    let _detached = tokio::task::spawn_blocking(move || {
        while Arc::strong_count(&generation) > 1 || Arc::strong_count(&generation.engine) > 1 {
            std::thread::sleep(LOOK_EVERY);
        }
        let number = generation.number;
        drop(generation);
        if let Err(error) = storage.delete(number) {
            tracing::warn!(%error, number, "files of a replaced search index were not deleted");
        }
    });
}
