//! What is asked, and what is answered.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// LoRAs in a list of those that look like a picture, at most.
pub const MOST_ALIKE: usize = 200;

/// What somebody looks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoraQuery {
    /// Words; those in double quotes belong together. Without any, everything that passes the filter.
    pub text: Option<String>,
    /// What the words mean, by the encoder that made [`LoraDocument::meaning`](crate::LoraDocument::meaning): what means the
    /// same is found beside what has the words. It counts in lists by relevance.
    pub meaning: Option<Vec<f32>>,
    /// How a picture looks, by the describer that made [`LoraDocument::looks`](crate::LoraDocument::looks). The LoRAs come
    /// first whose previews look most like it, [`MOST_ALIKE`] of them at most; neither words nor the sort count then.
    pub look: Option<Vec<f32>>,
    /// What a LoRA must be like.
    pub filter: LoraFilter,
    /// Who looks.
    pub viewer: Viewer,
    /// What comes first.
    pub sort: LoraSort,
    /// How many hits at most.
    pub first: usize,
    /// The hits after this [`Hit::position`] of the same query.
    pub after: Option<String>,
    /// Whether facets are counted.
    pub facets: bool,
}

/// What a LoRA must be like to be found. An empty list lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoraFilter {
    /// It has all of these tags.
    pub tags: Vec<String>,
    /// It has one of these licences.
    pub licenses: Vec<String>,
    /// A version of it is for one of these base models.
    pub base_models: Vec<Uuid>,
    /// It was made by this person.
    pub creator_id: Option<Uuid>,
    /// It belongs to this team.
    pub team_id: Option<Uuid>,
    /// Its [`rating_score`](crate::LoraDocument::rating_score) is at least this.
    pub rating_at_least: Option<f64>,
    /// It was published after this time, in milliseconds since 1970 UTC.
    pub published_after_millis: Option<i64>,
    /// This strength is among its [safe](crate::LoraDocument::safe_strengths) ones.
    pub safe_at: Option<f64>,
    /// It has none of these tags.
    pub without_tags: Vec<String>,
    /// It was made by none of these people.
    pub without_creators: Vec<Uuid>,
}

/// Who looks, and therefore what is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Whoever may see everything.
    Everything,
    /// A member of these teams: what is public, and what is theirs.
    Teams(Vec<Uuid>),
}

impl Default for Viewer {
    /// Somebody without a team: public LoRAs alone.
    fn default() -> Self {
        Self::Teams(Vec::new())
    }
}

/// What comes first. What ties is in order of falling id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoraSort {
    /// What fits the words best; without words, what trends.
    #[default]
    Relevance,
    /// What is talked about and new: [`LoraDocument::trending`](crate::LoraDocument::trending).
    Trending,
    /// The best rated.
    Rating,
    /// The most downloaded.
    Downloads,
    /// The newest.
    Newest,
}

impl LoraSort {
    const ALL: [Self; 5] = [Self::Relevance, Self::Trending, Self::Rating, Self::Downloads, Self::Newest];

    /// Its name in a position.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Trending => "trending",
            Self::Rating => "rating",
            Self::Downloads => "downloads",
            Self::Newest => "newest",
        }
    }

    /// The one of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hits {
    /// The page.
    pub hits: Vec<Hit>,
    /// Whether more follow.
    pub has_next: bool,
    /// Where the page ends, for [`LoraQuery::after`]: what ranked last on it. It may not be among the hits, and there may be none
    /// at all: what was taken away since the list began is left out, and more may follow all the same.
    pub last: Option<String>,
    /// How many there are on all pages.
    pub total: u64,
    /// Counts over all pages, if asked for.
    pub facets: Option<Facets>,
}

/// A LoRA that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The LoRA.
    pub id: Uuid,
    /// What it was sorted by; larger is further ahead.
    pub score: f64,
    /// Where it stands, for [`LoraQuery::after`]. Opaque.
    pub position: String,
    /// Where the words stand.
    pub highlights: Vec<Highlight>,
}

/// A piece of text with the words that were looked for marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highlight {
    /// Where it comes from.
    pub field: HighlightField,
    /// The piece, as HTML in which only `<em>` is markup.
    pub html: String,
}

/// Texts in which words are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HighlightField {
    /// The name.
    Name,
    /// The description.
    Description,
    /// A tag.
    Tags,
    /// A trigger word.
    TriggerWords,
    /// A caption or prompt.
    Prompts,
    /// The creator's name or handle.
    Creator,
}

impl HighlightField {
    /// `name`, `description`, `tags`, `triggerWords`, `prompts` or `creator`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Description => "description",
            Self::Tags => "tags",
            Self::TriggerWords => "triggerWords",
            Self::Prompts => "prompts",
            Self::Creator => "creator",
        }
    }
}

/// How often each value occurs among what was found: value and count, most frequent first, at most a hundred each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Tags.
    pub tags: Vec<(String, u64)>,
    /// Licences.
    pub licenses: Vec<(String, u64)>,
    /// Base models.
    pub base_models: Vec<(Uuid, u64)>,
}

impl Facets {
    /// Values of a facet that are counted out.
    pub(crate) const MOST_VALUES: usize = 100;

    /// From counts of tags, of licences and of base models.
    pub(crate) fn counted(counts: &[HashMap<String, u64>; 3]) -> Self {
        let [tags, licenses, base_models] = counts.each_ref().map(most_frequent);
        let base_models = base_models.into_iter().filter_map(|(id, count)| Some((Uuid::try_parse(&id).ok()?, count)));
        Self { tags, licenses, base_models: base_models.collect() }
    }
}

fn most_frequent(counts: &HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = counts.iter().map(|(value, count)| (value.clone(), *count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(Facets::MOST_VALUES);
    counts
}

/// What somebody may mean who has begun to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What to look for.
    pub text: String,
    /// What it is.
    pub kind: SuggestionKind,
    /// The LoRA, if it is the name of one.
    pub id: Option<Uuid>,
}

/// What a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuggestionKind {
    /// A tag.
    Tag,
    /// A LoRA's name.
    Lora,
}
