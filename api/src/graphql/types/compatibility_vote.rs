//! What people say of compatibility.

use async_graphql::Object;
use atelier_domain::social::compatibility_vote::Votes;

use super::base_model::BaseModel;
use crate::graphql::scalars::BigInt;

/// What people say of a version and a base model.
pub struct CompatibilityVotes(pub Votes);

#[Object]
impl CompatibilityVotes {
    /// The base model.
    async fn base_model(&self) -> BaseModel {
        BaseModel(self.0.base_model.clone())
    }

    /// So many say that the version works with it.
    async fn works_count(&self) -> BigInt {
        BigInt(self.0.works)
    }

    /// So many say that it does not.
    async fn does_not_work_count(&self) -> BigInt {
        BigInt(self.0.does_not_work)
    }

    /// What you say: whether it works; none if you have not voted.
    async fn viewer_vote(&self) -> Option<bool> {
        self.0.own
    }
}
