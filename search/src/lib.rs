//! Full-text search over LoRAs: one trait, an engine that lives in the process and on disk, and one that is Meilisearch.
//!
//! The index is a copy: the database has the last word on what exists and who may see it, and an index that is lost is
//! built again from it. Documents carry a sequence number, so that changes may arrive late, twice or out of order.

use async_trait::async_trait;
use uuid::Uuid;

pub mod bench;
pub mod conformance;
mod document;
mod elsewhere;
pub mod embedded;
mod error;
mod likeness;
pub mod meilisearch;
mod query;
mod remembering;
mod words;

pub use document::LoraDocument;
pub use elsewhere::ElsewhereIndex;
pub use embedded::EmbeddedIndex;
pub use error::SearchError;
pub use meilisearch::MeilisearchIndex;
pub use query::{
    Facets, Highlight, HighlightField, Hit, Hits, LoraFilter, LoraQuery, LoraSort, MOST_ALIKE, Suggestion,
    SuggestionKind, Viewer,
};
pub use remembering::RememberingIndex;

/// An index of LoRAs. Every engine passes [`conformance`].
#[async_trait]
pub trait LoraIndex: Send + Sync {
    /// Puts documents into the index, each in place of the one with its id. A document whose sequence is lower than
    /// what the index last heard of that id is ignored. When the call returns, searches find the change.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the engine cannot write; nothing or everything of the call was taken then.
    async fn upsert(&self, documents: Vec<LoraDocument>) -> Result<(), SearchError>;

    /// Takes LoRAs out of the index: id, and the sequence of the removal. A removal older than what the index last
    /// heard of the id is ignored, and so is a document that arrives later but is older than its removal.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert).
    async fn remove(&self, removals: Vec<(Uuid, u64)>) -> Result<(), SearchError>;

    /// Finds LoRAs, best first.
    ///
    /// # Errors
    /// [`SearchError::BadPosition`] for a position of another list, [`SearchError::TooOld`] for one of a list that began too
    /// long ago to go on as it began, [`SearchError::Unavailable`] if the engine fails.
    async fn search(&self, query: &LoraQuery) -> Result<Hits, SearchError>;

    /// What somebody who has typed `prefix` may mean, at most `most`, from what the viewer may see.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the engine fails.
    async fn suggest(&self, prefix: &str, viewer: &Viewer, most: usize) -> Result<Vec<Suggestion>, SearchError>;

    /// LoRAs that are like another one, in its tags and in how its previews look: the most alike first, without the LoRA
    /// itself, of what the viewer may see. Of a LoRA that the viewer may not see nothing is found.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the engine fails.
    async fn related(&self, id: Uuid, viewer: &Viewer, most: usize) -> Result<Vec<Uuid>, SearchError>;

    /// How many LoRAs the index holds.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the engine fails.
    async fn count(&self) -> Result<u64, SearchError>;

    /// Forgets everything, removals and an unfinished rebuild too. Until [`rebuilt`](Self::rebuilt) the index asks to
    /// be rebuilt.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the engine cannot write.
    async fn clear(&self) -> Result<(), SearchError>;

    /// Whether the index may lack documents that the database has: it is new, was damaged, was written by an older
    /// version, or was cleared. Who sees it hands every document over and then calls [`rebuilt`](Self::rebuilt).
    fn needs_rebuild(&self) -> bool;

    /// Begins to build the index anew while searches go on in what there is. Changes reach both until
    /// [`rebuilt`](Self::rebuilt) puts the new one in its place; sequences begin anew there. One rebuild goes on at a
    /// time: beginning again, and the end of the process, give up what was not finished.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if the engine cannot write.
    async fn begin_rebuild(&self) -> Result<(), SearchError>;

    /// Notes, across restarts, that every document has been handed over, and ends a rebuild that was
    /// [begun](Self::begin_rebuild): what was handed over since is what the index holds now, and nothing else.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] if it cannot be noted.
    async fn rebuilt(&self) -> Result<(), SearchError>;

    /// Looks whether the engine answers and can write.
    ///
    /// # Errors
    /// [`SearchError::Unavailable`] saying what does not work.
    async fn check(&self) -> Result<(), SearchError>;
}
