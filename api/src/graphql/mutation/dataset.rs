//! Making and filling data sets.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    dataset::{self as datasets, NewDataset, UpdateDataset},
    id::Noun,
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::dataset::Dataset,
    },
    payload,
};

/// A data set to be made.
#[derive(InputObject)]
pub struct CreateDatasetInput {
    /// Its name, 1 to 120 characters.
    pub name: String,
    /// What it shows, at most 2,000 characters.
    pub description: Option<String>,
    /// The team that owns it; your own without one.
    pub team_id: Option<ID>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `createDataset`.
    pub struct CreateDatasetPayload {
        /// The new data set.
        dataset: Dataset
    }
}

/// What to change of a data set; what is left out stays.
#[derive(InputObject)]
pub struct UpdateDatasetInput {
    /// The data set.
    pub id: ID,
    /// Its name, 1 to 120 characters.
    pub name: Option<String>,
    /// What it shows, at most 2,000 characters.
    pub description: Option<String>,
}

payload! {
    /// The answer to `updateDataset`.
    pub struct UpdateDatasetPayload {
        /// The data set.
        dataset: Dataset
    }
}

/// Which data set to delete.
#[derive(InputObject)]
pub struct DeleteDatasetInput {
    /// The data set.
    pub id: ID,
}

payload! {
    /// The answer to `deleteDataset`.
    pub struct DeleteDatasetPayload {
        /// What is left of it.
        dataset: Dataset
    }
}

/// Mutations of data sets.
#[derive(Default)]
pub struct DatasetMutation;

#[Object]
impl DatasetMutation {
    /// Makes an empty data set. Fill it with `createUpload`.
    async fn create_dataset(&self, ctx: &Context<'_>, input: CreateDatasetInput) -> Result<CreateDatasetPayload> {
        let team = input.team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let new = NewDataset { team, name: input.name, description: input.description.unwrap_or_default() };
        let key = input.idempotency_key.as_deref();
        CreateDatasetPayload::answer(datasets::create(ctx.house(), ctx.actor(), new, key).await, Dataset)
    }

    /// Renames or describes a data set.
    async fn update_dataset(&self, ctx: &Context<'_>, input: UpdateDatasetInput) -> Result<UpdateDatasetPayload> {
        let id = decode(Noun::Dataset, &input.id)?;
        let change = UpdateDataset { name: input.name, description: input.description };
        UpdateDatasetPayload::answer(datasets::update(ctx.house(), ctx.actor(), id, change).await, Dataset)
    }

    /// Deletes a data set with its pictures. What was trained from it stays.
    async fn delete_dataset(&self, ctx: &Context<'_>, input: DeleteDatasetInput) -> Result<DeleteDatasetPayload> {
        let id = decode(Noun::Dataset, &input.id)?;
        DeleteDatasetPayload::answer(datasets::delete(ctx.house(), ctx.actor(), id).await, Dataset)
    }
}
