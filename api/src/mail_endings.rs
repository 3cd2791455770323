//! The links in mails that end them: the edge's [`MailEndings`] on the domain.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::{
    context::Context as House,
    error::{Failure as _, Refused, Report},
    social::unsubscribe::{self, UnsubscribeLink},
};

use crate::http::ports::{LinkQuery, MailEndings, TransferError};

/// Ends the mails of a house.
pub struct Endings {
    house: Arc<House>,
}

impl Endings {
    /// Mails of this house.
    pub fn new(house: Arc<House>) -> Self {
        Self { house }
    }

    fn open(&self, link: &LinkQuery) -> Result<UnsubscribeLink, TransferError> {
        let part = |name: &str| link.get(name).map(String::as_str).unwrap_or_default();
        unsubscribe::open(&self.house, part("user"), part("from"), part("signature"))
            .map_err(|refused: Refused| TransferError::NotFound(refused.to_string()))
    }
}

#[async_trait]
impl MailEndings for Endings {
    async fn look(&self, link: &LinkQuery) -> Result<String, TransferError> {
        Ok(self.open(link)?.ending.phrase())
    }

    async fn end(&self, link: &LinkQuery) -> Result<String, TransferError> {
        let link = self.open(link)?;
        match unsubscribe::unsubscribe(&self.house, link).await.map_err(|error| error.report()) {
            Ok(()) => Ok(link.ending.phrase()),
            Err(Report::User(invalid)) => Err(TransferError::Invalid(invalid.message)),
            Err(Report::Refused(refused)) => Err(TransferError::NotFound(refused.to_string())),
            Err(Report::Unexpected(error)) => Err(TransferError::Unexpected(error)),
        }
    }
}
