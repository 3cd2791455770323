//! Loaders: a nested list costs one statement a level, never one a row. They live as long as a request, and load only
//! what its actor may see.
//!
//! A relation is one line in [`Loaders`]: what is loaded by which use-case. Resolvers call [`load`].

pub mod pages;

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use async_graphql::{
    Context, Result,
    dataloader::{DataLoader, Loader},
};
use atelier_domain::{
    account,
    actor::Actor,
    context::Context as House,
    dataset::lint::Finding,
    entities::{
        asset, base_model, comment, compatibility, dataset, dataset_picture, generation, generation_lora,
        generation_picture, job, kinds, lora, lora_version, preview, team, training_epoch, training_run, upload, user,
    },
    error::ReadError,
    generation as generations, jobs,
    ledger::Balance,
    lora::creator::Totals,
    moderation,
    social::{self, compatibility_vote, follow, rating},
    training,
};
use uuid::Uuid;

use super::failure;

type Fetched<V> = Pin<Box<dyn Future<Output = Result<HashMap<Uuid, V>, ReadError>> + Send>>;

/// Loads rows, or lists of rows, by a key.
pub struct By<V> {
    house: Arc<House>,
    actor: Arc<Actor>,
    fetch: fn(Arc<House>, Arc<Actor>, Vec<Uuid>) -> Fetched<V>,
}

impl<V: Clone + Send + Sync + 'static> Loader<Uuid> for By<V> {
    type Value = V;
    type Error = Arc<ReadError>;

    async fn load(&self, keys: &[Uuid]) -> Result<HashMap<Uuid, V>, Arc<ReadError>> {
        (self.fetch)(Arc::clone(&self.house), Arc::clone(&self.actor), keys.to_vec()).await.map_err(Arc::new)
    }
}

macro_rules! loaders {
    ($($(#[$meta:meta])* $field:ident : $value:ty => $fetch:path),* $(,)?) => {
        /// One loader a relation.
        pub struct Loaders {
            $($(#[$meta])* pub $field: DataLoader<By<$value>>,)*
            /// Lists.
            pub pages: pages::PageLoaders,
        }

        impl Loaders {
            /// Loaders of one request.
            pub fn new(house: &Arc<House>, actor: &Actor) -> Self {
                let actor = Arc::new(actor.clone());
                Self { $($field: DataLoader::new(
                    By {
                        house: Arc::clone(house),
                        actor: Arc::clone(&actor),
                        fetch: |house, actor, keys| Box::pin(async move { $fetch(&house, &actor, &keys).await }),
                    },
                    tokio::spawn,
                ),)* pages: pages::PageLoaders::new(house, &actor) }
            }
        }
    };
}

loaders! {
    /// Jobs by key.
    jobs: job::Model => jobs::control::by_ids,
    /// What jobs wait for.
    job_waits: String => jobs::waiting::reasons,
    /// Training runs by key.
    training_runs: training_run::Model => training::by_ids,
    /// Epochs of a training run.
    training_epochs: Vec<training_epoch::Model> => training::epochs_of,
    /// Generations by key.
    generations: generation::Model => generations::by_ids,
    /// LoRAs of a generation.
    generation_loras: Vec<generation_lora::Model> => generations::loras_of,
    /// Pictures that generations were given.
    generation_pictures: Vec<generation_picture::Model> => generations::pictures_of,
    /// Pictures of a generation.
    generation_assets: Vec<asset::Model> => generations::assets_of,
    /// Data sets by key.
    datasets: dataset::Model => atelier_domain::dataset::by_ids,
    /// Base models by key.
    base_models: base_model::Model => atelier_domain::base_model::by_ids,
    /// LoRAs by key.
    loras: lora::Model => atelier_domain::lora::by_ids,
    /// LoRA versions by key.
    lora_versions: lora_version::Model => atelier_domain::lora::versions::by_ids,
    /// Previews of a version.
    version_previews: Vec<preview::Model> => atelier_domain::preview::of_versions,
    /// What versions were measured to do to base models.
    version_compatibility: Vec<compatibility::Model> => atelier_domain::lora::compatibility::of_versions,
    /// Other versions with the same weights.
    version_duplicates: Vec<lora_version::Model> => atelier_domain::lora::versions::duplicates,
    /// Uploads by key.
    uploads: upload::Model => atelier_domain::upload::by_ids,
    /// Pictures of data sets by key.
    dataset_pictures: dataset_picture::Model => atelier_domain::dataset::pictures::by_ids,
    /// What is wrong with a data set.
    dataset_findings: Vec<Finding> => atelier_domain::dataset::lint::of_datasets,
    /// People by key.
    users: user::Model => account::by_ids,
    /// What a person's published LoRAs come to.
    creator_totals: Totals => atelier_domain::lora::creator::totals,
    /// How many LoRAs of a collection one may see.
    collection_counts: i64 => social::collection_lora::counts,
    /// How many people follow a person.
    follower_counts: i64 => follow::follower_counts,
    /// How many people a person follows.
    following_counts: i64 => follow::following_counts,
    /// Whether whoever asks follows a person.
    followed_by_viewer: bool => follow::followed_by_actor,
    /// Teams by key.
    teams: team::Model => atelier_domain::team::by_ids,
    /// What a team may spend.
    team_credits: Balance => atelier_domain::team::credits::of_teams,
    /// Whether whoever asks blocks a person.
    blocked_by_viewer: bool => social::block::blocked_by_actor,
    /// How the stars of a LoRA spread.
    rating_spreads: rating::Spread => rating::spreads,
    /// How the stars of a version spread.
    version_rating_spreads: rating::Spread => rating::version_spreads,
    /// Whether whoever asks found a rating helpful.
    ratings_found_helpful: bool => rating::vote::found_helpful,
    /// What people say a version works with.
    compatibility_votes: Vec<compatibility_vote::Votes> => compatibility_vote::of_versions,
    /// Why a thing is hidden.
    hidden_reasons: String => moderation::hidden_reasons,
    /// Things that were reported or hidden, for who moderates.
    moderated_contents: moderation::Content => moderation::contents,
    /// What open reports say is wrong with a thing.
    report_reasons: Vec<(kinds::ReportReason, i64)> => moderation::reasons,
    /// Comments by key.
    comments: comment::Model => social::comment::by_ids,
    /// Whom a comment mentions.
    comment_mentions: Vec<user::Model> => social::mention::of_comments,
    /// How many answers a comment has.
    reply_counts: i64 => social::comment::reply_counts,
    /// How many pictures a data set holds.
    picture_counts: i64 => atelier_domain::dataset::pictures::counts,
}

/// Loads what a key names; none if there is nothing, or nothing that the actor may see.
///
/// # Errors
/// The unexpected.
pub async fn load<V: Clone + Send + Sync + 'static>(
    ctx: &Context<'_>,
    loader: impl FnOnce(&Loaders) -> &DataLoader<By<V>>,
    key: Uuid,
) -> Result<Option<V>> {
    let loaders = ctx.data_unchecked::<Loaders>();
    loader(loaders).load_one(key).await.map_err(|error| failure::unexpected(&anyhow::Error::new(error)))
}
