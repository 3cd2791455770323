//! Announcing files.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    entities::kinds,
    id::Noun,
    upload::{self as uploads, NewUpload},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        scalars::BigInt,
        types::upload::{Upload, UploadPurpose},
    },
    payload,
};

/// A file that you want to send.
#[derive(InputObject)]
pub struct CreateUploadInput {
    /// What it is to become.
    pub purpose: UploadPurpose,
    /// Its name, such as `fox.png`.
    pub file_name: String,
    /// How many bytes will come.
    pub size: BigInt,
    /// The data set that a picture is for; or the LoRA that a file is a version of, if there is one already.
    pub target_id: Option<ID>,
    /// The team that a file without a target is for; your own without one.
    pub team_id: Option<ID>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `createUpload`.
    pub struct CreateUploadPayload {
        /// The upload: send the bytes to its `url`.
        upload: Upload
    }
}

/// Mutations of uploads.
#[derive(Default)]
pub struct UploadMutation;

#[Object]
impl UploadMutation {
    /// Announces a file and gives a link to send its bytes to.
    async fn create_upload(&self, ctx: &Context<'_>, input: CreateUploadInput) -> Result<CreateUploadPayload> {
        let purpose: kinds::UploadPurpose = input.purpose.into();
        let noun = match purpose {
            kinds::UploadPurpose::DatasetPicture => Noun::Dataset,
            kinds::UploadPurpose::LoraFile
            | kinds::UploadPurpose::GenerationPicture
            | kinds::UploadPurpose::UserAvatar => Noun::Lora,
        };
        let new = NewUpload {
            purpose,
            file_name: input.file_name,
            size: input.size.0,
            target: input.target_id.map(|id| decode(noun, &id)).transpose()?,
            team: input.team_id.map(|id| decode(Noun::Team, &id)).transpose()?,
        };
        let key = input.idempotency_key.as_deref();
        CreateUploadPayload::answer(uploads::create(ctx.house(), ctx.actor(), new, key).await, Upload)
    }
}
