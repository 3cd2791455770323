//! LoRAs.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use atelier_domain::{
    entities::{kinds, lora},
    id::Noun,
    lora::{Terms, versions::words},
    ports::inspector,
};
use chrono::{DateTime, Utc};

use super::{
    lora_version::LoraVersion,
    moderation::hidden_reason,
    preview::Preview,
    rating::{RatingSpreadStep, spread},
    team::Team,
    user::User,
};
use crate::graphql::{
    connection::ConnectionOf,
    context::encode,
    loaders::{load, pages::load_page},
    scalars::BigInt,
};

/// Where a LoRA stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::LoraState")]
pub enum LoraState {
    /// Only its team sees it.
    Draft,
    /// Everybody sees it.
    Published,
    /// It was taken back: only its team sees it.
    Unpublished,
    /// It was deleted; its team still sees its card.
    Deleted,
}

/// What may be earned money with.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "atelier_domain::lora::CommercialUse")]
pub enum LoraCommercialUse {
    /// Nothing.
    None,
    /// Pictures made with the LoRA.
    Pictures,
    /// Those, and the LoRA itself: sold, or offered as a service.
    Any,
}

/// What others may do with a LoRA.
#[derive(SimpleObject, InputObject, Clone, Copy)]
#[graphql(input_name = "LoraTermsInput")]
pub struct LoraTerms {
    /// What may be earned money with.
    pub commercial_use: LoraCommercialUse,
    /// Who uses it has to name its maker.
    pub requires_credit: bool,
    /// It may be merged, trained further and passed on changed.
    pub allows_derivatives: bool,
    /// What is made of it may be passed on under the same terms only.
    pub requires_same_terms: bool,
}

impl From<Terms> for LoraTerms {
    fn from(terms: Terms) -> Self {
        Self {
            commercial_use: terms.commercial_use.into(),
            requires_credit: terms.requires_credit,
            allows_derivatives: terms.allows_derivatives,
            requires_same_terms: terms.requires_same_terms,
        }
    }
}

impl From<LoraTerms> for Terms {
    fn from(terms: LoraTerms) -> Self {
        Self {
            commercial_use: terms.commercial_use.into(),
            requires_credit: terms.requires_credit,
            allows_derivatives: terms.allows_derivatives,
            requires_same_terms: terms.requires_same_terms,
        }
    }
}

/// How the keys of a LoRA file are spelled.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "inspector::LoraLayout")]
pub enum LoraLayout {
    /// Black Forest Labs' keys, as ComfyUI and ai-toolkit read them.
    Bfl,
    /// The keys of diffusers.
    Diffusers,
    /// The keys of kohya's sd-scripts. Of FLUX.2's layers outside of the blocks, diffusers leaves out the modulations when it
    /// reads them; ComfyUI does not. A download says in `leftOut` whether there are any.
    Kohya,
}

/// A style that can be called up: a card, and versions of its file.
pub struct Lora(pub lora::Model);

#[Object]
impl Lora {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Lora, self.0.id)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Its style in words.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Its tags, in lower case.
    async fn tags(&self) -> Vec<String> {
        words(&self.0.tags)
    }

    /// Licence of its weights; empty until somebody names one.
    async fn license(&self) -> &str {
        &self.0.license
    }

    /// What others may do with it; none until somebody has chosen.
    async fn terms(&self) -> Option<LoraTerms> {
        Terms::of(&self.0).map(LoraTerms::from)
    }

    /// Where it stands.
    async fn state(&self) -> LoraState {
        self.0.state.into()
    }

    /// Who made it.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.created_by).await.map(|row| row.map(User))
    }

    /// The team that owns it; none for who is not a member.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        load(ctx, |loaders| &loaders.teams, self.0.team_id).await.map(|row| row.map(Team))
    }

    /// The version that is shown first: the one that was published last, or the newest of a draft.
    async fn latest_version(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        let Some(id) = self.0.latest_version_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.lora_versions, id).await.map(|row| row.map(LoraVersion))
    }

    /// Its versions, newest first.
    async fn versions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<LoraVersion>> {
        load_page(ctx, |pages| &pages.lora_versions, self.0.id, (first, after), LoraVersion).await
    }

    /// Pictures that show what its latest version does; empty until they are rendered.
    async fn previews(&self, ctx: &Context<'_>) -> Result<Vec<Preview>> {
        let Some(id) = self.0.latest_version_id else { return Ok(Vec::new()) };
        let rows = load(ctx, |loaders| &loaders.version_previews, id).await?;
        Ok(rows.unwrap_or_default().into_iter().map(Preview).collect())
    }

    /// Mean of its ratings, 1 to 5 stars; none before the first.
    async fn rating_average(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "numbers of ratings are far below 2^53")]
        (self.0.rating_count > 0).then(|| self.0.rating_sum as f64 / self.0.rating_count as f64)
    }

    /// Number of ratings.
    async fn rating_count(&self) -> BigInt {
        BigInt(self.0.rating_count)
    }

    /// How its ratings spread: five steps, from one star to five.
    async fn rating_spread(&self, ctx: &Context<'_>) -> Result<Vec<RatingSpreadStep>> {
        load(ctx, |loaders| &loaders.rating_spreads, self.0.id).await.map(spread)
    }

    /// The Bayesian average of its ratings, 0 to 5, which sorting and `minimumRating` go by: few ratings weigh less than
    /// many. 0 before the first.
    async fn rating_score(&self) -> f64 {
        self.0.rating_score
    }

    /// How many downloads: each person counts once a version.
    async fn download_count(&self) -> BigInt {
        BigInt(self.0.download_count)
    }

    /// How many generations used it.
    async fn generation_count(&self) -> BigInt {
        BigInt(self.0.generation_count)
    }

    /// When it was first published.
    async fn published_at(&self) -> Option<DateTime<Utc>> {
        self.0.published_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When its card last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }

    /// When it was deleted.
    async fn deleted_at(&self) -> Option<DateTime<Utc>> {
        self.0.deleted_at
    }

    /// Since when the moderators hide it from everybody but its team.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Why the moderators hide it; its team reads it.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        hidden_reason(ctx, self.0.id, self.0.hidden_at).await
    }
}

/// A file that may be fetched.
#[derive(SimpleObject)]
pub struct LoraDownload {
    /// Where, by HTTP GET: a signed link that works for an hour or two.
    pub url: String,
    /// Under which name it is saved.
    pub file_name: String,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: BigInt,
    /// The layout: `BFL`, `DIFFUSERS` or `KOHYA`.
    pub layout: String,
    /// What programs leave out of a file in this layout, in sentences; empty for the file as it came.
    pub left_out: Vec<String>,
}

impl From<atelier_domain::lora::Download> for LoraDownload {
    fn from(file: atelier_domain::lora::Download) -> Self {
        Self {
            url: file.url,
            file_name: file.file_name,
            sha256: file.sha256,
            size: BigInt(file.size),
            layout: file.layout,
            left_out: file.left_out,
        }
    }
}
