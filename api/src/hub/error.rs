//! How the hub fails: in a way that may pass, or not.

use std::{error::Error as _, time::Duration};

/// Why the hub did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// It may go better in a while.
    #[error("{message}")]
    Passing {
        /// What happened.
        message: String,
        /// How long the hub asks to wait.
        wait: Option<Duration>,
    },
    /// Asking again helps nothing.
    #[error("{0}")]
    Lasting(String),
}

impl HubError {
    /// A failure that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self::Passing { message: message.into(), wait: None }
    }
}

impl From<reqwest::Error> for HubError {
    fn from(error: reqwest::Error) -> Self {
        // A request that cannot be made never can; everything else is the way between.
        let is_lasting = error.is_builder();
        // The links of file servers carry signatures: they are nobody's business.
        let error = error.without_url();
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        if is_lasting { Self::Lasting(message) } else { Self::passing(message) }
    }
}
