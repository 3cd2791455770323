//! Data sets.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{dataset::lint::Finding, entities::dataset, id::Noun};
use chrono::{DateTime, Utc};

use super::{dataset_picture::DatasetPicture, team::Team};
use crate::graphql::{
    connection::ConnectionOf,
    context::encode,
    loaders::{load, pages::load_page},
};

/// Pictures with captions, from which LoRAs are trained.
pub struct Dataset(pub dataset::Model);

#[Object]
impl Dataset {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Dataset, self.0.id)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it shows.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// The team that owns it.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        load(ctx, |loaders| &loaders.teams, self.0.team_id).await.map(|row| row.map(Team))
    }

    /// Its pictures, in the order in which they came.
    async fn pictures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<DatasetPicture>> {
        load_page(ctx, |pages| &pages.dataset_pictures, self.0.id, (first, after), DatasetPicture).await
    }

    /// How many pictures it holds.
    async fn picture_count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(load(ctx, |loaders| &loaders.picture_counts, self.0.id).await?.unwrap_or_default())
    }

    /// What is wrong with it: near-duplicates, pictures that are too small or blurred, files that could not be read.
    async fn lint(&self, ctx: &Context<'_>) -> Result<Vec<DatasetFinding>> {
        let findings = load(ctx, |loaders| &loaders.dataset_findings, self.0.id).await?;
        Ok(findings.unwrap_or_default().into_iter().map(DatasetFinding).collect())
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }

    /// When it was deleted.
    async fn deleted_at(&self) -> Option<DateTime<Utc>> {
        self.0.deleted_at
    }
}

/// One thing that is wrong with a data set.
pub struct DatasetFinding(Finding);

#[Object]
impl DatasetFinding {
    /// `NEAR_DUPLICATE`, `TOO_SMALL`, `BLURRED` or `UNREADABLE`.
    async fn code(&self) -> &str {
        self.0.code
    }

    /// The file's name.
    async fn file_name(&self) -> &str {
        &self.0.file_name
    }

    /// What is wrong and what to do.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// The picture; none for a file that could not be read.
    async fn picture(&self, ctx: &Context<'_>) -> Result<Option<DatasetPicture>> {
        picture(ctx, self.0.picture).await
    }

    /// The picture that it nearly repeats.
    async fn other(&self, ctx: &Context<'_>) -> Result<Option<DatasetPicture>> {
        picture(ctx, self.0.other).await
    }
}

async fn picture(ctx: &Context<'_>, id: Option<uuid::Uuid>) -> Result<Option<DatasetPicture>> {
    let Some(id) = id else { return Ok(None) };
    load(ctx, |loaders| &loaders.dataset_pictures, id).await.map(|row| row.map(DatasetPicture))
}
