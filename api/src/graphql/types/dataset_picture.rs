//! Pictures of data sets.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{blob, entities::dataset_picture, id::Noun};
use chrono::{DateTime, Utc};

use super::dataset::Dataset;
use crate::graphql::{
    context::{Resolve, encode},
    loaders::load,
};

/// A picture of a data set with its caption.
pub struct DatasetPicture(pub dataset_picture::Model);

impl DatasetPicture {
    /// The file's name with another ending: what is stored was re-encoded.
    fn renamed(&self, ending: &str) -> String {
        let name = &self.0.file_name;
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        format!("{stem}{ending}")
    }
}

#[Object]
impl DatasetPicture {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::DatasetPicture, self.0.id)
    }

    /// The upload that it came by.
    async fn upload_id(&self) -> ID {
        encode(Noun::Upload, self.0.upload_id)
    }

    /// The data set.
    async fn dataset(&self, ctx: &Context<'_>) -> Result<Option<Dataset>> {
        load(ctx, |loaders| &loaders.datasets, self.0.dataset_id).await.map(|row| row.map(Dataset))
    }

    /// The name of the file that was sent.
    async fn file_name(&self) -> &str {
        &self.0.file_name
    }

    /// What it shows.
    async fn caption(&self) -> &str {
        &self.0.caption
    }

    /// The picture as PNG, upright and without metadata: a signed link.
    async fn url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.blob_sha256, &self.renamed(".png"))
    }

    /// A thumbnail as WebP: a signed link.
    async fn thumbnail_url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.thumbnail_sha256, &self.renamed("-small.webp"))
    }

    /// A blurred placeholder to show while the picture loads.
    async fn blurhash(&self) -> &str {
        &self.0.blurhash
    }

    /// Pixels across.
    async fn width(&self) -> i32 {
        self.0.width
    }

    /// Pixels down.
    async fn height(&self) -> i32 {
        self.0.height
    }

    /// Variance of the Laplacian: the higher, the sharper.
    async fn sharpness(&self) -> f64 {
        self.0.sharpness
    }

    /// When it came.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
