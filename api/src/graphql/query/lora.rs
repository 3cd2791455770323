//! Reading and finding LoRAs.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    lora::{self as loras, LoraFilter, LoraSearch, LoraSort},
    page::PageRequest,
};
use chrono::{DateTime, Utc};

use crate::graphql::{
    connection::page_request,
    context::{Resolve, decode, decode_all},
    failure,
    mutation::generation::PictureSourceInput,
    types::{
        lora::{Lora, LoraState},
        lora_search::{LoraSearchConnection, LoraSuggestion, found},
    },
};

/// What a LoRA must be like to be found. All that is given must hold.
#[derive(InputObject, Default)]
pub struct LoraFilterInput {
    /// It has all of these tags.
    pub tags: Option<Vec<String>>,
    /// It is for one of these base models.
    pub base_model_ids: Option<Vec<ID>>,
    /// It was made by this person.
    pub creator_id: Option<ID>,
    /// It belongs to this team.
    pub team_id: Option<ID>,
    /// It has one of these licences.
    pub licenses: Option<Vec<String>>,
    /// Its rating is at least this, 0 to 5; few ratings count less than many.
    pub minimum_rating: Option<f64>,
    /// This strength was measured to be safe on the model that it was made for.
    pub safe_strength: Option<f64>,
    /// It is published, and was so first after this time.
    pub published_after: Option<DateTime<Utc>>,
    /// Where it stands. Of the other states than `PUBLISHED` one sees those of one's own teams. Without it, lists show what is
    /// published; a search for words or a picture finds what one's own teams have not published as well.
    pub state: Option<LoraState>,
}

/// Which LoRAs come first.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "loras::LoraSort")]
pub enum LoraSortOrder {
    /// Those that fit the words best; without words, what trends.
    Relevance,
    /// Those that are new and talked about.
    Trending,
    /// Those that were published last.
    Newest,
    /// The best rated.
    Rating,
    /// The most downloaded.
    Downloads,
}

/// Queries of LoRAs.
#[derive(Default)]
pub struct LoraQuery;

#[Object]
impl LoraQuery {
    /// A LoRA: published, or of one of your teams.
    async fn lora(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Lora> {
        let id = decode(Noun::Lora, &id)?;
        loras::get(ctx.house(), ctx.actor(), id).await.map(Lora).map_err(failure::read_error)
    }

    /// LoRAs that fit words and filters. Who looks for words or a picture finds, beside what is published, what their own teams
    /// have not published or have taken back: its `state` says so. Nobody else finds it, and it counts in nobody else's facets.
    /// A list without words and picture shows what is published, unless `filter.state` asks for something else.
    #[allow(clippy::too_many_arguments, reason = "each is an argument of the API's field")]
    async fn loras(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Words of its style, name, tags or trigger words; typing errors are forgiven.")]
        search: Option<String>,
        #[graphql(desc = "A picture: LoRAs come first whose previews look most like it, at most 200. Not with words.")]
        like: Option<PictureSourceInput>,
        #[graphql(desc = "What it must be like.")] filter: Option<LoraFilterInput>,
        #[graphql(desc = "What comes first; RELEVANCE without.")] sort: Option<LoraSortOrder>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<LoraSearchConnection> {
        let page = page_request(first, after)?;
        let like = like.map(PictureSourceInput::decoded).transpose()?;
        let wants_facets = ctx.look_ahead().field("facets").exists();
        let search = LoraSearch { like, wants_facets, ..looked_for(search, filter.unwrap_or_default(), sort, page)? };
        let page = loras::search(ctx.house(), ctx.actor(), &search).await.map_err(failure::read_error)?;
        Ok(found(page, search))
    }

    /// What somebody may mean who has begun to type: tags and names of LoRAs that are published or of one's own teams, at most
    /// 50.
    async fn lora_suggestions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What was typed so far.")] prefix: String,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
    ) -> Result<Vec<LoraSuggestion>> {
        let first = page_request(first, None)?.first;
        let found = loras::suggest(ctx.house(), ctx.actor(), &prefix, first).await.map_err(failure::read_error)?;
        Ok(found.into_iter().map(LoraSuggestion).collect())
    }

    /// LoRAs that are like another one, in their tags and in how their previews look: the most alike first. They are published,
    /// or of one's own teams.
    async fn related_loras(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The LoRA.")] lora_id: ID,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
    ) -> Result<Vec<Lora>> {
        let id = decode(Noun::Lora, &lora_id)?;
        let first = page_request(first, None)?.first;
        let found = loras::related(ctx.house(), ctx.actor(), id, first).await.map_err(failure::read_error)?;
        Ok(found.into_iter().map(Lora).collect())
    }
}

fn looked_for(
    text: Option<String>,
    filter: LoraFilterInput,
    sort: Option<LoraSortOrder>,
    page: PageRequest,
) -> Result<LoraSearch> {
    let filter = LoraFilter {
        tags: filter.tags.unwrap_or_default(),
        base_models: decode_all(Noun::BaseModel, &filter.base_model_ids.unwrap_or_default())?,
        creator: filter.creator_id.map(|id| decode(Noun::User, &id)).transpose()?,
        team: filter.team_id.map(|id| decode(Noun::Team, &id)).transpose()?,
        licenses: filter.licenses.unwrap_or_default(),
        minimum_rating: filter.minimum_rating,
        published_after: filter.published_after,
        safe_at: filter.safe_strength,
        state: filter.state.map(Into::into),
    };
    let sort = sort.map_or(LoraSort::Relevance, Into::into);
    Ok(LoraSearch { text, like: None, filter, sort, page, wants_facets: false })
}
