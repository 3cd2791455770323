//! The GraphQL API. A resolver decodes ids, calls one use-case, maps its failure and wraps its result.

pub mod connection;
pub mod context;
pub mod cost;
pub mod error;
pub mod executor;
pub mod failure;
pub mod guard;
pub mod loaders;
pub mod mutation;
pub mod payload;
pub mod permissions;
pub mod query;
pub mod scalars;
pub mod subscription;
pub mod types;

use std::sync::Arc;

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder};
use atelier_domain::context::Context as House;

use self::{executor::AnySchema, guard::GuardSettings};

type Builder = SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription>;

/// The schema around a house, as the edge runs it.
pub fn schema(house: Arc<House>, guard: &GuardSettings) -> AnySchema {
    AnySchema::new(builder().data(house), guard)
}

/// The schema in its definition language, as `schema.graphql` holds it.
pub fn definition() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items())
}

fn builder() -> Builder {
    Schema::build(query::Query::default(), mutation::Mutation::default(), subscription::Subscription::default())
}
