//! The index of a process that does not search, such as a worker.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Hits, LoraDocument, LoraIndex, LoraQuery, SearchError, Suggestion, Viewer};

/// An index that another process keeps: every call says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct ElsewhereIndex;

fn elsewhere<T>() -> Result<T, SearchError> {
    Err(SearchError::Unavailable("this process does not search; ask the one that serves the API.".to_owned()))
}

#[async_trait]
impl LoraIndex for ElsewhereIndex {
    async fn upsert(&self, _: Vec<LoraDocument>) -> Result<(), SearchError> {
        elsewhere()
    }

    async fn remove(&self, _: Vec<(Uuid, u64)>) -> Result<(), SearchError> {
        elsewhere()
    }

    async fn search(&self, _: &LoraQuery) -> Result<Hits, SearchError> {
        elsewhere()
    }

    async fn suggest(&self, _: &str, _: &Viewer, _: usize) -> Result<Vec<Suggestion>, SearchError> {
        elsewhere()
    }

    async fn related(&self, _: Uuid, _: &Viewer, _: usize) -> Result<Vec<Uuid>, SearchError> {
        elsewhere()
    }

    async fn count(&self) -> Result<u64, SearchError> {
        elsewhere()
    }

    async fn clear(&self) -> Result<(), SearchError> {
        elsewhere()
    }

    fn needs_rebuild(&self) -> bool {
        false
    }

    async fn begin_rebuild(&self) -> Result<(), SearchError> {
        elsewhere()
    }

    async fn rebuilt(&self) -> Result<(), SearchError> {
        elsewhere()
    }

    async fn check(&self) -> Result<(), SearchError> {
        elsewhere()
    }
}
