//! Captions and pictures of data sets.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{dataset::pictures, id::Noun};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::dataset::Dataset,
    },
    payload,
};

/// A caption of one picture.
#[derive(InputObject)]
pub struct CaptionInput {
    /// The picture.
    pub picture_id: ID,
    /// What it shows, at most 1,000 characters.
    pub caption: String,
}

/// Captions to be written.
#[derive(InputObject)]
pub struct SetCaptionsInput {
    /// The data set.
    pub dataset_id: ID,
    /// Pictures of it and their captions, at most 500.
    pub captions: Vec<CaptionInput>,
}

payload! {
    /// The answer to `setCaptions`.
    pub struct SetCaptionsPayload {
        /// The data set.
        dataset: Dataset
    }
}

/// Which picture to take out.
#[derive(InputObject)]
pub struct RemovePictureInput {
    /// The picture.
    pub id: ID,
}

payload! {
    /// The answer to `removePicture`.
    pub struct RemovePicturePayload {
        /// The data set without it.
        dataset: Dataset
    }
}

/// Mutations of pictures of data sets.
#[derive(Default)]
pub struct DatasetPictureMutation;

#[Object]
impl DatasetPictureMutation {
    /// Writes captions of pictures of one data set, all or none of them.
    async fn set_captions(&self, ctx: &Context<'_>, input: SetCaptionsInput) -> Result<SetCaptionsPayload> {
        let dataset = decode(Noun::Dataset, &input.dataset_id)?;
        let captions = input
            .captions
            .into_iter()
            .map(|entry| Ok((decode(Noun::DatasetPicture, &entry.picture_id)?, entry.caption)))
            .collect::<Result<Vec<_>>>()?;
        let outcome = pictures::set_captions(ctx.house(), ctx.actor(), dataset, &captions).await;
        SetCaptionsPayload::answer(outcome, Dataset)
    }

    /// Takes a picture out of its data set.
    async fn remove_picture(&self, ctx: &Context<'_>, input: RemovePictureInput) -> Result<RemovePicturePayload> {
        let id = decode(Noun::DatasetPicture, &input.id)?;
        RemovePicturePayload::answer(pictures::remove(ctx.house(), ctx.actor(), id).await, Dataset)
    }
}
