//! Loading pages of lists that hang below several things at once: one statement for all that ask for the same page.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use async_graphql::{
    Context, Error, OutputType, Result,
    dataloader::{DataLoader, Loader},
};
use atelier_domain::{
    actor::Actor,
    context::Context as House,
    dataset::pictures,
    entities::{
        collection, collection_lora, comment, content_report, dataset_picture, follow, invitation, lora, lora_version,
        membership,
    },
    error::ReadError,
    lora::{creator, versions},
    moderation,
    page::{Page, PageRequest},
    social, team,
};
use uuid::Uuid;

use super::Loaders;
use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    failure,
};

/// A page of what hangs below one thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageOf {
    parent: Uuid,
    first: u32,
    after: Option<String>,
}

type Fetched<V> = Pin<Box<dyn Future<Output = Result<HashMap<Uuid, Page<V>>, ReadError>> + Send>>;

type Fetch<V> = fn(Arc<House>, Arc<Actor>, Vec<Uuid>, PageRequest) -> Fetched<V>;

/// Loads pages by the thing that they hang below.
pub struct PagesBy<V> {
    house: Arc<House>,
    actor: Arc<Actor>,
    fetch: Fetch<V>,
}

impl<V: Clone + Send + Sync + 'static> Loader<PageOf> for PagesBy<V> {
    type Value = Page<V>;
    type Error = Error;

    async fn load(&self, keys: &[PageOf]) -> Result<HashMap<PageOf, Page<V>>> {
        let mut asked: HashMap<(u32, Option<String>), Vec<Uuid>> = HashMap::new();
        for key in keys {
            asked.entry((key.first, key.after.clone())).or_default().push(key.parent);
        }
        let mut pages = HashMap::new();
        for ((first, after), parents) in asked {
            let request = PageRequest { first, after: after.clone() };
            let fetch = (self.fetch)(Arc::clone(&self.house), Arc::clone(&self.actor), parents, request);
            let found = fetch.await.map_err(failure::read_error)?;
            pages
                .extend(found.into_iter().map(|(parent, page)| (PageOf { parent, first, after: after.clone() }, page)));
        }
        Ok(pages)
    }
}

macro_rules! page_loaders {
    ($($(#[$meta:meta])* $field:ident : $value:ty => $fetch:path),* $(,)?) => {
        /// One loader a list.
        pub struct PageLoaders { $($(#[$meta])* pub $field: DataLoader<PagesBy<$value>>),* }

        impl PageLoaders {
            /// Loaders of one request.
            pub fn new(house: &Arc<House>, actor: &Arc<Actor>) -> Self {
                Self { $($field: DataLoader::new(
                    PagesBy {
                        house: Arc::clone(house),
                        actor: Arc::clone(actor),
                        fetch: |house, actor, parents, request| {
                            Box::pin(async move { $fetch(&house, &actor, &parents, &request).await })
                        },
                    },
                    tokio::spawn,
                )),* }
            }
        }
    };
}

page_loaders! {
    /// Pictures of a data set.
    dataset_pictures: dataset_picture::Model => pictures::pages,
    /// Versions of a LoRA.
    lora_versions: lora_version::Model => versions::pages,
    /// Reports of a thing.
    content_reports: content_report::Model => moderation::report_pages,
    /// Published LoRAs of a person, newest first.
    creator_newest_loras: lora::Model => creator::newest,
    /// Published LoRAs of a person, most downloaded first.
    creator_most_downloaded_loras: lora::Model => creator::most_downloaded,
    /// Collections that a person has made.
    creator_collections: collection::Model => social::collection::pages,
    /// LoRAs of a collection.
    collection_loras: collection_lora::Model => social::collection_lora::pages,
    /// Answers to a comment.
    comment_replies: comment::Model => social::comment::reply_pages,
    /// Who follows a person.
    user_followers: follow::Model => social::follow::follower_pages,
    /// Whom a person follows.
    user_following: follow::Model => social::follow::following_pages,
    /// Members of a team.
    team_members: membership::Model => team::members::pages,
    /// Invitations of a team.
    team_invitations: invitation::Model => team::invitations::pages,
}

/// Loads the page of a list below a parent, as a connection.
///
/// # Errors
/// `BAD_REQUEST` for a length or a cursor that is none; the unexpected.
pub async fn load_page<V: Clone + Send + Sync + 'static, T: OutputType>(
    ctx: &Context<'_>,
    loader: impl FnOnce(&PageLoaders) -> &DataLoader<PagesBy<V>>,
    parent: Uuid,
    (first, after): (i32, Option<String>),
    wrap: impl Fn(V) -> T,
) -> Result<ConnectionOf<T>> {
    let PageRequest { first, after } = page_request(first, after)?;
    let loaders = ctx.data_unchecked::<Loaders>();
    let page = loader(&loaders.pages).load_one(PageOf { parent, first, after }).await?;
    let page = page.unwrap_or(Page { rows: Vec::new(), has_next: false });
    connection::<_, _, ReadError>(Ok(page), wrap)
}
