//! LoRAs that were found: the list, what it could be narrowed by, and where the words stand.

use async_graphql::{
    Context, Object, Result, SimpleObject,
    connection::{Connection, ConnectionNameType, Edge, EdgeNameType, EnableNodesField},
};
use atelier_domain::lora::{self as loras, Facets, FoundPage, Highlight, LoraSearch, Suggestion};
use uuid::Uuid;

use super::{base_model::BaseModel, lora::Lora};
use crate::graphql::{context::Resolve, failure, loaders::load};

/// The names of the list's types: a plain list of LoRAs has others.
pub struct Names;

impl ConnectionNameType for Names {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "LoraSearchConnection".to_owned()
    }
}

impl EdgeNameType for Names {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "LoraSearchEdge".to_owned()
    }
}

/// LoRAs that were found.
pub type LoraSearchConnection =
    Connection<String, Lora, LoraSearchFields, LoraSearchEdgeFields, Names, Names, EnableNodesField>;

/// What the list says besides its rows.
pub struct LoraSearchFields {
    search: LoraSearch,
    /// What was counted on the way.
    facets: Option<Facets>,
}

#[Object]
impl LoraSearchFields {
    /// What the list could be narrowed by; counted over all pages. Where `filter.state` asks for another state than `PUBLISHED`
    /// nothing is counted.
    async fn facets(&self, ctx: &Context<'_>) -> Result<LoraFacets> {
        match &self.facets {
            Some(facets) => Ok(LoraFacets(facets.clone())),
            None => {
                loras::facets(ctx.house(), ctx.actor(), &self.search).await.map(LoraFacets).map_err(failure::read_error)
            }
        }
    }
}

/// What the list says of a row besides the LoRA.
#[derive(SimpleObject)]
pub struct LoraSearchEdgeFields {
    /// Where the words stand; empty without words.
    highlights: Vec<LoraHighlight>,
}

/// A piece of text with the words that were looked for marked.
#[derive(SimpleObject)]
pub struct LoraHighlight {
    /// `name`, `description`, `tags`, `triggerWords`, `prompts` or `creator`.
    field: &'static str,
    /// The piece, as HTML in which only `<em>` is markup.
    html: String,
}

/// How often values occur among what was found, the most frequent first, at most a hundred each.
pub struct LoraFacets(Facets);

#[Object]
impl LoraFacets {
    /// Tags.
    async fn tags(&self) -> Vec<LoraFacetValue> {
        values(&self.0.tags)
    }

    /// Licences.
    async fn licenses(&self) -> Vec<LoraFacetValue> {
        values(&self.0.licenses)
    }

    /// Base models.
    async fn base_models(&self) -> Vec<LoraBaseModelFacet> {
        self.0.base_models.iter().map(|(id, count)| LoraBaseModelFacet { id: *id, count: *count }).collect()
    }
}

/// A value and how often it occurs.
#[derive(SimpleObject)]
pub struct LoraFacetValue {
    /// The value, as `filter` takes it.
    value: String,
    /// How many of the LoRAs found have it.
    count: u64,
}

fn values(counts: &[(String, u64)]) -> Vec<LoraFacetValue> {
    counts.iter().map(|(value, count)| LoraFacetValue { value: value.clone(), count: *count }).collect()
}

/// A base model and how often it occurs.
pub struct LoraBaseModelFacet {
    id: Uuid,
    count: u64,
}

#[Object]
impl LoraBaseModelFacet {
    /// The base model.
    async fn base_model(&self, ctx: &Context<'_>) -> Result<Option<BaseModel>> {
        load(ctx, |loaders| &loaders.base_models, self.id).await.map(|row| row.map(BaseModel))
    }

    /// How many of the LoRAs found are for it.
    async fn count(&self) -> u64 {
        self.count
    }
}

/// What somebody may mean who has begun to type.
pub struct LoraSuggestion(pub Suggestion);

#[Object]
impl LoraSuggestion {
    /// What to look for: a tag, or the name of the LoRA.
    async fn text(&self) -> &str {
        match &self.0 {
            Suggestion::Tag(tag) => tag,
            Suggestion::Lora(lora) => &lora.name,
        }
    }

    /// The LoRA whose name it is; none for a tag.
    async fn lora(&self) -> Option<Lora> {
        match &self.0 {
            Suggestion::Tag(_) => None,
            Suggestion::Lora(lora) => Some(Lora(lora.clone())),
        }
    }
}

/// Makes the connection of a page.
pub fn found(FoundPage { page, facets }: FoundPage, search: LoraSearch) -> LoraSearchConnection {
    let after = search.page.after.is_some();
    let fields = LoraSearchFields { search, facets };
    let mut connection = Connection::with_additional_fields(after, page.has_next, fields);
    connection.edges.extend(page.rows.into_iter().map(|(cursor, found)| {
        let highlights = found.highlights.into_iter().map(LoraHighlight::from).collect();
        Edge::with_additional_fields(cursor, Lora(found.lora), LoraSearchEdgeFields { highlights })
    }));
    connection
}

impl From<Highlight> for LoraHighlight {
    fn from(highlight: Highlight) -> Self {
        Self { field: highlight.field.as_str(), html: highlight.html }
    }
}
