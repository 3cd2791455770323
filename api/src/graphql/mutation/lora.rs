//! Making, publishing and handing out LoRAs.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    lora::{self as loras, ImportLora, NewLora, PublishLora, UpdateLora},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::{
            lora::{Lora, LoraDownload, LoraLayout, LoraTerms},
            lora_version::LoraVersion,
        },
    },
    payload,
};

/// A LoRA to be made.
#[derive(InputObject)]
pub struct CreateLoraInput {
    /// Its name, 1 to 120 characters.
    pub name: String,
    /// Its style in words, at most 10,000 characters.
    pub description: Option<String>,
    /// At most 20 tags; kept in lower case.
    pub tags: Option<Vec<String>>,
    /// Licence of its weights, such as `Apache-2.0`.
    pub license: Option<String>,
    /// What others may do with it, where the licence is not a well-known one such as `Apache-2.0` or `CC-BY-NC-4.0`.
    pub terms: Option<LoraTerms>,
    /// The team that owns it; your own without one.
    pub team_id: Option<ID>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `createLora`.
    pub struct CreateLoraPayload {
        /// The draft.
        lora: Lora
    }
}

/// What to change on a card; what is left out stays.
#[derive(InputObject)]
pub struct UpdateLoraInput {
    /// The LoRA.
    pub id: ID,
    /// Its name, 1 to 120 characters.
    pub name: Option<String>,
    /// Its style in words, at most 10,000 characters.
    pub description: Option<String>,
    /// All its tags, at most 20.
    pub tags: Option<Vec<String>>,
    /// Licence of its weights.
    pub license: Option<String>,
    /// What others may do with it, where the licence is not a well-known one such as `Apache-2.0` or `CC-BY-NC-4.0`.
    pub terms: Option<LoraTerms>,
}

payload! {
    /// The answer to `updateLora`.
    pub struct UpdateLoraPayload {
        /// The LoRA.
        lora: Lora
    }
}

/// A `.safetensors` file to be taken in. What is left out comes from the file's metadata.
#[derive(InputObject)]
pub struct ImportLoraInput {
    /// The upload, in the state `CHECKED`.
    pub upload_id: ID,
    /// The LoRA that it becomes a version of; a new one without.
    pub lora_id: Option<ID>,
    /// The base model that it is for; found from its tensors without.
    pub base_model_id: Option<ID>,
    /// Name of a new LoRA.
    pub name: Option<String>,
    /// Style of a new LoRA in words.
    pub description: Option<String>,
    /// Tags of a new LoRA.
    pub tags: Option<Vec<String>>,
    /// Licence of a new LoRA's weights. What the file says is shown, and has to be chosen before it is published.
    pub license: Option<String>,
    /// What others may do with it, where the licence is not a well-known one such as `Apache-2.0` or `CC-BY-NC-4.0`.
    pub terms: Option<LoraTerms>,
    /// Words that call the style up, at most 20.
    pub trigger_words: Option<Vec<String>>,
    /// What is new, at most 2,000 characters.
    pub change_note: Option<String>,
    /// Strength at which it looks best, -4 to 4; 1 without.
    pub recommended_strength: Option<f64>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `importLora`.
    pub struct ImportLoraPayload {
        /// The version that was made; its `lora` is the card.
        version: LoraVersion
    }
}

/// What to publish.
#[derive(InputObject)]
pub struct PublishLoraInput {
    /// The LoRA.
    pub id: ID,
    /// The version; the newest without one.
    pub version_id: Option<ID>,
    /// Licence of its weights, unless somebody chose one for its card. What only its file says has to be chosen here.
    pub license: Option<String>,
    /// What others may do with it, where the licence is not a well-known one such as `Apache-2.0` or `CC-BY-NC-4.0`.
    pub terms: Option<LoraTerms>,
}

payload! {
    /// The answer to `publishLora`.
    pub struct PublishLoraPayload {
        /// The published LoRA.
        lora: Lora
    }
}

/// Which LoRA to take back.
#[derive(InputObject)]
pub struct UnpublishLoraInput {
    /// The LoRA.
    pub id: ID,
}

payload! {
    /// The answer to `unpublishLora`.
    pub struct UnpublishLoraPayload {
        /// The LoRA, which only its team sees now.
        lora: Lora
    }
}

/// Which LoRA to delete.
#[derive(InputObject)]
pub struct DeleteLoraInput {
    /// The LoRA.
    pub id: ID,
}

payload! {
    /// The answer to `deleteLora`.
    pub struct DeleteLoraPayload {
        /// What is left: its card and the hashes of its files.
        lora: Lora
    }
}

/// Which file to fetch.
#[derive(InputObject)]
pub struct DownloadLoraInput {
    /// The version.
    pub version_id: ID,
    /// How its keys are to be spelled; as the file was made without one.
    pub layout: Option<LoraLayout>,
}

payload! {
    /// The answer to `downloadLora`.
    pub struct DownloadLoraPayload {
        /// The file and its link.
        file: LoraDownload
    }
}

/// Mutations of LoRAs.
#[derive(Default)]
pub struct LoraMutation;

#[Object]
impl LoraMutation {
    /// Makes a draft without a version. `startTraining` and `importLora` give it one.
    async fn create_lora(&self, ctx: &Context<'_>, input: CreateLoraInput) -> Result<CreateLoraPayload> {
        let new = NewLora {
            team: input.team_id.map(|id| decode(Noun::Team, &id)).transpose()?,
            name: input.name,
            description: input.description.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
            license: input.license.unwrap_or_default(),
            terms: input.terms.map(Into::into),
        };
        let key = input.idempotency_key.as_deref();
        CreateLoraPayload::answer(loras::create(ctx.house(), ctx.actor(), new, key).await, Lora)
    }

    /// Changes a LoRA's card.
    async fn update_lora(&self, ctx: &Context<'_>, input: UpdateLoraInput) -> Result<UpdateLoraPayload> {
        let id = decode(Noun::Lora, &input.id)?;
        let change = UpdateLora {
            name: input.name,
            description: input.description,
            tags: input.tags,
            license: input.license,
            terms: input.terms.map(Into::into),
        };
        UpdateLoraPayload::answer(loras::update(ctx.house(), ctx.actor(), id, change).await, Lora)
    }

    /// Makes a version, and a LoRA unless one is named, of a `.safetensors` file that was uploaded and checked.
    async fn import_lora(&self, ctx: &Context<'_>, input: ImportLoraInput) -> Result<ImportLoraPayload> {
        let new = ImportLora {
            upload: decode(Noun::Upload, &input.upload_id)?,
            lora: input.lora_id.map(|id| decode(Noun::Lora, &id)).transpose()?,
            base_model: input.base_model_id.map(|id| decode(Noun::BaseModel, &id)).transpose()?,
            name: input.name,
            description: input.description,
            tags: input.tags,
            license: input.license,
            terms: input.terms.map(Into::into),
            trigger_words: input.trigger_words,
            change_note: input.change_note,
            recommended_strength: input.recommended_strength,
        };
        let key = input.idempotency_key.as_deref();
        ImportLoraPayload::answer(loras::import(ctx.house(), ctx.actor(), new, key).await, LoraVersion)
    }

    /// Shows a version of a LoRA, and with it the LoRA, to everybody.
    async fn publish_lora(&self, ctx: &Context<'_>, input: PublishLoraInput) -> Result<PublishLoraPayload> {
        let publish = PublishLora {
            id: decode(Noun::Lora, &input.id)?,
            version: input.version_id.map(|id| decode(Noun::LoraVersion, &id)).transpose()?,
            license: input.license,
            terms: input.terms.map(Into::into),
        };
        PublishLoraPayload::answer(loras::publish(ctx.house(), ctx.actor(), publish).await, Lora)
    }

    /// Takes a LoRA back: from then on only its team sees it.
    async fn unpublish_lora(&self, ctx: &Context<'_>, input: UnpublishLoraInput) -> Result<UnpublishLoraPayload> {
        let id = decode(Noun::Lora, &input.id)?;
        UnpublishLoraPayload::answer(loras::unpublish(ctx.house(), ctx.actor(), id).await, Lora)
    }

    /// Deletes a LoRA. Its card and the hashes of its files are kept.
    async fn delete_lora(&self, ctx: &Context<'_>, input: DeleteLoraInput) -> Result<DeleteLoraPayload> {
        let id = decode(Noun::Lora, &input.id)?;
        DeleteLoraPayload::answer(loras::delete(ctx.house(), ctx.actor(), id).await, Lora)
    }

    /// Gives a link to a version's file, in the layout that your program reads.
    async fn download_lora(&self, ctx: &Context<'_>, input: DownloadLoraInput) -> Result<DownloadLoraPayload> {
        let version = decode(Noun::LoraVersion, &input.version_id)?;
        let layout = input.layout.map(Into::into);
        let outcome = loras::download(ctx.house(), ctx.actor(), version, layout).await;
        DownloadLoraPayload::answer(outcome, LoraDownload::from)
    }
}
