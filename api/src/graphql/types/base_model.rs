//! Base models.

use async_graphql::{ID, Object};
use atelier_domain::{entities::base_model, id::Noun};

use crate::graphql::context::encode;

/// A model that LoRAs are trained on and combined with.
pub struct BaseModel(pub base_model::Model);

#[Object]
impl BaseModel {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::BaseModel, self.0.id)
    }

    /// Its short name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name for people.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// `flux2` or `sdxl`.
    async fn family(&self) -> &str {
        &self.0.family
    }

    /// The variant within the family, such as `klein`.
    async fn variant(&self) -> &str {
        &self.0.variant
    }

    /// Licence of its weights.
    async fn license(&self) -> &str {
        &self.0.license
    }

    /// Picture width that it was trained for, in pixels.
    async fn native_width(&self) -> i32 {
        self.0.native_width
    }

    /// Picture height that it was trained for, in pixels.
    async fn native_height(&self) -> i32 {
        self.0.native_height
    }

    /// Widths and heights of pictures are multiples of this.
    async fn size_multiple(&self) -> i32 {
        self.0.size_multiple
    }

    /// Steps unless one says otherwise.
    async fn default_steps(&self) -> i32 {
        self.0.default_steps
    }

    /// Guidance scale unless one says otherwise.
    async fn default_guidance(&self) -> f64 {
        self.0.default_guidance
    }

    /// Whether it was distilled to few steps without guidance.
    async fn is_distilled(&self) -> bool {
        self.0.distilled
    }

    /// Whether it is taken when nobody names one, unless a team has a default of its own.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }
}
