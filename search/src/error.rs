//! What may go wrong.

/// Why a search or a change of the index failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The position does not belong to a list of this sort.
    #[error("This position belongs to another list: begin again with the first page.")]
    BadPosition,
    /// The engine does not work at the moment.
    #[error("Search does not work at the moment: {0}")]
    Unavailable(String),
}

impl From<std::io::Error> for SearchError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
