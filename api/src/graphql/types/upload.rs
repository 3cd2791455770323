//! Uploads.

use async_graphql::{Context, Enum, ID, Json, Object};
use atelier_domain::{
    entities::{kinds, upload},
    id::Noun,
    upload as uploads,
};
use chrono::{DateTime, Utc};

use crate::graphql::{
    context::{Resolve, encode},
    scalars::BigInt,
};

/// What an upload is to become.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::UploadPurpose")]
pub enum UploadPurpose {
    /// A picture of a data set: PNG, JPEG or WebP.
    DatasetPicture,
    /// A version of a LoRA: a `.safetensors` file.
    LoraFile,
    /// A picture to generate others from: PNG, JPEG or WebP.
    GenerationPicture,
    /// The picture beside your name: PNG, JPEG or WebP, at most 10 MiB. It is shown as soon as it was checked.
    UserAvatar,
}

/// Where an upload stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::UploadState")]
pub enum UploadState {
    /// Bytes are arriving.
    Receiving,
    /// All bytes are here and wait to be checked.
    Quarantined,
    /// The content is good; a LoRA file can now be imported.
    Checked,
    /// It has become what it was for.
    Ready,
    /// The content was refused; `reason` says why.
    Rejected,
}

/// A file on its way in. Send its bytes by HTTP PUT to `url`, in one piece or several.
pub struct Upload(pub upload::Model);

#[Object]
impl Upload {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Upload, self.0.id)
    }

    /// What it is to become.
    async fn purpose(&self) -> UploadPurpose {
        self.0.purpose.into()
    }

    /// The file's name.
    async fn file_name(&self) -> &str {
        &self.0.file_name
    }

    /// Bytes announced.
    async fn size(&self) -> BigInt {
        BigInt(self.0.size)
    }

    /// Bytes received so far; an interrupted sender goes on at this offset.
    async fn received(&self) -> BigInt {
        BigInt(self.0.received)
    }

    /// Where it stands.
    async fn state(&self) -> UploadState {
        self.0.state.into()
    }

    /// Why it was rejected, in a sentence.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What the check found: size and sharpness of a picture, or what a LoRA file says of itself.
    async fn facts(&self) -> Option<Json<serde_json::Value>> {
        self.0.facts.clone().map(Json)
    }

    /// Where the bytes are sent by PUT: a signed link that needs no other sign-in. None once all bytes are here.
    async fn url(&self, ctx: &Context<'_>) -> Option<String> {
        (self.0.state == kinds::UploadState::Receiving).then(|| uploads::link(ctx.house(), &self.0))
    }

    /// Until when the link works, or a checked LoRA file waits for its import.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }

    /// When it was announced.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
