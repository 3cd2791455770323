//! What a resolver finds in its context: the house (in the schema's data) and who asks (in the request's).

use std::sync::Arc;

use async_graphql::{Context, ID};
use atelier_domain::{actor::Actor, context::Context as House, error::Refused, id};
use uuid::Uuid;

use super::failure;

/// Shortcuts of resolvers.
pub trait Resolve {
    /// Database, clock, ports.
    fn house(&self) -> &Arc<House>;

    /// Who asks.
    fn actor(&self) -> &Actor;
}

impl Resolve for Context<'_> {
    fn house(&self) -> &Arc<House> {
        self.data_unchecked()
    }

    fn actor(&self) -> &Actor {
        self.data_opt().unwrap_or(&Actor::Anonymous)
    }
}

/// Reads an id of one noun.
///
/// # Errors
/// `NOT_FOUND`: a malformed id is the id of nothing.
pub fn decode(noun: id::Noun, id: &ID) -> async_graphql::Result<Uuid> {
    id::decode(noun, id).map_err(|refused: Refused| failure::refused(&refused))
}

/// Reads several ids of one noun.
///
/// # Errors
/// As [`decode`].
pub fn decode_all(noun: id::Noun, ids: &[ID]) -> async_graphql::Result<Vec<Uuid>> {
    ids.iter().map(|id| decode(noun, id)).collect()
}

/// Writes an id.
pub fn encode(noun: id::Noun, id: Uuid) -> ID {
    ID(id::encode(noun, id))
}
