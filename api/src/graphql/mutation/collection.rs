//! Keeping collections.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    social::{
        collection::{self, NewCollection, UpdateCollection},
        collection_lora,
    },
};
use uuid::Uuid;

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::collection::Collection,
    },
    payload,
};

/// A collection to be made.
#[derive(InputObject)]
pub struct CreateCollectionInput {
    /// Its name, 1 to 120 characters.
    pub name: String,
    /// What it is for, at most 2,000 characters.
    #[graphql(default)]
    pub description: String,
    /// Whether everybody sees it; otherwise its team alone does.
    #[graphql(default)]
    pub is_public: bool,
    /// The team that keeps it; your own without one.
    pub team_id: Option<ID>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `createCollection`.
    pub struct CreateCollectionPayload {
        /// The collection.
        collection: Collection
    }
}

/// What to change in a collection; what is left out stays.
#[derive(InputObject)]
pub struct UpdateCollectionInput {
    /// The collection.
    pub id: ID,
    /// Its name, 1 to 120 characters.
    pub name: Option<String>,
    /// What it is for, at most 2,000 characters.
    pub description: Option<String>,
    /// Whether everybody sees it; otherwise its team alone does.
    pub is_public: Option<bool>,
}

payload! {
    /// The answer to `updateCollection`.
    pub struct UpdateCollectionPayload {
        /// The collection.
        collection: Collection
    }
}

/// Which collection to delete.
#[derive(InputObject)]
pub struct DeleteCollectionInput {
    /// The collection.
    pub id: ID,
}

payload! {
    /// The answer to `deleteCollection`.
    pub struct DeleteCollectionPayload {
        /// The collection as it was.
        collection: Collection
    }
}

/// A LoRA for a collection.
#[derive(InputObject)]
pub struct AddToCollectionInput {
    /// The collection.
    pub collection_id: ID,
    /// A LoRA that you may see.
    pub lora_id: ID,
    /// Why it is in the collection, at most 500 characters.
    #[graphql(default)]
    pub note: String,
}

payload! {
    /// The answer to `addToCollection`.
    pub struct AddToCollectionPayload {
        /// The collection.
        collection: Collection
    }
}

/// What a collection says of a LoRA in it.
#[derive(InputObject)]
pub struct UpdateCollectionLoraInput {
    /// The collection.
    pub collection_id: ID,
    /// The LoRA in it.
    pub lora_id: ID,
    /// Why it is in the collection, at most 500 characters.
    pub note: String,
}

payload! {
    /// The answer to `updateCollectionLora`.
    pub struct UpdateCollectionLoraPayload {
        /// The collection.
        collection: Collection
    }
}

/// A new place for a LoRA of a collection.
#[derive(InputObject)]
pub struct MoveInCollectionInput {
    /// The collection.
    pub collection_id: ID,
    /// The LoRA in it.
    pub lora_id: ID,
    /// The LoRA that it is to stand behind; the first place without one.
    pub after_lora_id: Option<ID>,
}

payload! {
    /// The answer to `moveInCollection`.
    pub struct MoveInCollectionPayload {
        /// The collection.
        collection: Collection
    }
}

/// A LoRA to take out of a collection.
#[derive(InputObject)]
pub struct RemoveFromCollectionInput {
    /// The collection.
    pub collection_id: ID,
    /// The LoRA in it.
    pub lora_id: ID,
}

payload! {
    /// The answer to `removeFromCollection`.
    pub struct RemoveFromCollectionPayload {
        /// The collection.
        collection: Collection
    }
}

/// Mutations of collections.
#[derive(Default)]
pub struct CollectionMutation;

#[Object]
impl CollectionMutation {
    /// Makes a collection.
    async fn create_collection(
        &self,
        ctx: &Context<'_>,
        input: CreateCollectionInput,
    ) -> Result<CreateCollectionPayload> {
        let team = input.team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let CreateCollectionInput { name, description, is_public, .. } = input;
        let new = NewCollection { team, name, description, is_public };
        let key = input.idempotency_key.as_deref();
        CreateCollectionPayload::answer(collection::create(ctx.house(), ctx.actor(), new, key).await, Collection)
    }

    /// Renames a collection, describes it, shows it to everybody or to its team alone.
    async fn update_collection(
        &self,
        ctx: &Context<'_>,
        input: UpdateCollectionInput,
    ) -> Result<UpdateCollectionPayload> {
        let id = decode(Noun::Collection, &input.id)?;
        let UpdateCollectionInput { name, description, is_public, .. } = input;
        let change = UpdateCollection { name, description, is_public };
        UpdateCollectionPayload::answer(collection::update(ctx.house(), ctx.actor(), id, change).await, Collection)
    }

    /// Deletes a collection. The LoRAs in it stay what they are.
    async fn delete_collection(
        &self,
        ctx: &Context<'_>,
        input: DeleteCollectionInput,
    ) -> Result<DeleteCollectionPayload> {
        let id = decode(Noun::Collection, &input.id)?;
        DeleteCollectionPayload::answer(collection::delete(ctx.house(), ctx.actor(), id).await, Collection)
    }

    /// Adds a LoRA to a collection, as the last one.
    async fn add_to_collection(
        &self,
        ctx: &Context<'_>,
        input: AddToCollectionInput,
    ) -> Result<AddToCollectionPayload> {
        let place = place(&input.collection_id, &input.lora_id)?;
        let outcome = collection_lora::add(ctx.house(), ctx.actor(), place, &input.note).await;
        AddToCollectionPayload::answer(outcome, Collection)
    }

    /// Changes what a collection says of a LoRA in it.
    async fn update_collection_lora(
        &self,
        ctx: &Context<'_>,
        input: UpdateCollectionLoraInput,
    ) -> Result<UpdateCollectionLoraPayload> {
        let place = place(&input.collection_id, &input.lora_id)?;
        let outcome = collection_lora::change_note(ctx.house(), ctx.actor(), place, &input.note).await;
        UpdateCollectionLoraPayload::answer(outcome, Collection)
    }

    /// Gives a LoRA another place in a collection.
    async fn move_in_collection(
        &self,
        ctx: &Context<'_>,
        input: MoveInCollectionInput,
    ) -> Result<MoveInCollectionPayload> {
        let place = place(&input.collection_id, &input.lora_id)?;
        let after = input.after_lora_id.map(|id| decode(Noun::Lora, &id)).transpose()?;
        let outcome = collection_lora::place(ctx.house(), ctx.actor(), place, after).await;
        MoveInCollectionPayload::answer(outcome, Collection)
    }

    /// Takes a LoRA out of a collection.
    async fn remove_from_collection(
        &self,
        ctx: &Context<'_>,
        input: RemoveFromCollectionInput,
    ) -> Result<RemoveFromCollectionPayload> {
        let place = place(&input.collection_id, &input.lora_id)?;
        RemoveFromCollectionPayload::answer(collection_lora::remove(ctx.house(), ctx.actor(), place).await, Collection)
    }
}

/// A collection and a LoRA.
fn place(collection: &ID, lora: &ID) -> Result<(Uuid, Uuid)> {
    Ok((decode(Noun::Collection, collection)?, decode(Noun::Lora, lora)?))
}
