//! What may go wrong.

/// Why a search or a change of the index failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SearchError {
    /// The position does not belong to a list of this sort.
    #[error("This position belongs to another list: begin again with the first page.")]
    BadPosition,
    /// What the list began from is not kept any more, and to go on from something else could miss or repeat LoRAs.
    #[error("The index has changed and this list began too long ago: begin again with the first page.")]
    TooOld,
    /// The engine does not work at the moment.
    #[error("Search does not work at the moment: {0}")]
    Unavailable(String),
}

impl From<std::io::Error> for SearchError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
