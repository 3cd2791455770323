//! An index that remembers for a moment how often values occur in lists without words: everybody who opens the
//! marketplace asks for the same counts, and to count all LoRAs again for each of them is most of the work.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Hits, LoraDocument, LoraFilter, LoraIndex, LoraQuery, SearchError, Suggestion, Viewer};

/// How long counts are remembered: another process may change an index that lies on a server.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// Lists whose counts are remembered.
const MOST: usize = 64;

/// An index, and what was counted in it since it changed last. Whatever is changed through it is counted anew at once.
pub struct RememberingIndex {
    index: Arc<dyn LoraIndex>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// How often the index has changed: what was counted before a change is not kept after it.
    changes: u64,
    /// Oldest first.
    kept: Vec<Kept>,
}

struct Kept {
    filter: LoraFilter,
    viewer: Viewer,
    since: Instant,
    counts: Hits,
}

impl RememberingIndex {
    /// Remembers what is counted in an index.
    pub fn new(index: Arc<dyn LoraIndex>) -> Self {
        Self { index, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that changes the index, and forgets what was counted before, whether or not all of it was done.
    async fn changing<T>(&self, change: impl Future<Output = Result<T, SearchError>>) -> Result<T, SearchError> {
        let done = change.await;
        let mut memory = self.memory();
        memory.changes += 1;
        memory.kept.clear();
        done
    }
}

impl Memory {
    fn recall(&self, query: &LoraQuery) -> Option<Hits> {
        let is_asked = |kept: &&Kept| {
            kept.since.elapsed() < KEPT_FOR && kept.filter == query.filter && kept.viewer == query.viewer
        };
        self.kept.iter().find(is_asked).map(|kept| kept.counts.clone())
    }

    fn keep(&mut self, query: &LoraQuery, counts: Hits) {
        self.kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        if self.kept.len() >= MOST {
            self.kept.remove(0);
        }
        let (filter, viewer) = (query.filter.clone(), query.viewer.clone());
        self.kept.push(Kept { filter, viewer, since: Instant::now(), counts });
    }
}

/// Whether a query asks for nothing but the counts of a list without words: neither its order nor its place matters then.
fn is_count(query: &LoraQuery) -> bool {
    let has_words = query.text.as_ref().is_some_and(|text| !text.trim().is_empty());
    query.facets && query.first == 0 && query.after.is_none() && query.look.is_none() && !has_words
}

#[async_trait]
impl LoraIndex for RememberingIndex {
    async fn upsert(&self, documents: Vec<LoraDocument>) -> Result<(), SearchError> {
        self.changing(self.index.upsert(documents)).await
    }

    async fn remove(&self, removals: Vec<(Uuid, u64)>) -> Result<(), SearchError> {
        self.changing(self.index.remove(removals)).await
    }

    async fn search(&self, query: &LoraQuery) -> Result<Hits, SearchError> {
        if !is_count(query) {
            return self.index.search(query).await;
        }
        let changes = {
            let memory = self.memory();
            if let Some(counts) = memory.recall(query) {
                return Ok(counts);
            }
            memory.changes
        };
        let counts = self.index.search(query).await?;
        let mut memory = self.memory();
        if memory.changes == changes {
            memory.keep(query, counts.clone());
        }
        Ok(counts)
    }

    async fn suggest(&self, prefix: &str, viewer: &Viewer, most: usize) -> Result<Vec<Suggestion>, SearchError> {
        self.index.suggest(prefix, viewer, most).await
    }

    async fn related(&self, id: Uuid, viewer: &Viewer, most: usize) -> Result<Vec<Uuid>, SearchError> {
        self.index.related(id, viewer, most).await
    }

    async fn count(&self) -> Result<u64, SearchError> {
        self.index.count().await
    }

    async fn clear(&self) -> Result<(), SearchError> {
        self.changing(self.index.clear()).await
    }

    fn needs_rebuild(&self) -> bool {
        self.index.needs_rebuild()
    }

    async fn begin_rebuild(&self) -> Result<(), SearchError> {
        self.index.begin_rebuild().await
    }

    async fn rebuilt(&self) -> Result<(), SearchError> {
        self.changing(self.index.rebuilt()).await
    }

    async fn check(&self) -> Result<(), SearchError> {
        self.index.check().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddedIndex, Facets, conformance};

    async fn counted(index: &RememberingIndex, filter: &LoraFilter) -> Facets {
        let query = LoraQuery { facets: true, filter: filter.clone(), ..LoraQuery::default() };
        index.search(&query).await.expect("counts").facets.expect("as asked")
    }

    #[tokio::test]
    async fn it_is_an_index_like_any_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let index = RememberingIndex::new(Arc::new(EmbeddedIndex::open(folder.path()).expect("an index")));
        conformance::run(&index).await;
    }

    #[tokio::test]
    async fn counts_are_remembered_until_something_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let index = RememberingIndex::new(Arc::new(EmbeddedIndex::open(folder.path()).expect("an index")));
        let tagged =
            |number, tag: &str| LoraDocument { tags: vec![tag.to_owned()], ..conformance::lora(number, "Fox") };
        let (all, inks) = (LoraFilter::default(), LoraFilter { tags: vec!["ink".to_owned()], ..LoraFilter::default() });
        index.upsert(vec![tagged(1, "ink"), tagged(2, "felt")]).await.expect("it takes documents");
        for _ in 0..3 {
            assert_eq!(counted(&index, &all).await.tags, [("felt".to_owned(), 1), ("ink".to_owned(), 1)]);
            assert_eq!(counted(&index, &inks).await.tags, [("ink".to_owned(), 1)]);
        }
        assert!(index.memory().kept.len() <= 2, "each list is remembered once");
        index.upsert(vec![tagged(3, "ink")]).await.expect("it takes a document");
        assert_eq!(counted(&index, &inks).await.tags, [("ink".to_owned(), 2)]);
        index.remove(vec![(tagged(1, "ink").id, 9)]).await.expect("it removes");
        assert_eq!(counted(&index, &inks).await.tags, [("ink".to_owned(), 1)]);
        index.clear().await.expect("it clears");
        assert_eq!(counted(&index, &all).await, Facets::default());
    }
}
