//! A request for pictures.

use sea_orm::entity::prelude::*;

/// A request for pictures.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// Who asked.
    pub created_by: Uuid,
    /// The model.
    pub base_model_id: Uuid,
    /// The job that does it.
    pub job_id: Option<Uuid>,
    /// What is to be seen.
    #[sea_orm(column_type = "Text")]
    pub prompt: String,
    /// What is not.
    #[sea_orm(column_type = "Text")]
    pub negative_prompt: String,
    /// Seed of the first picture; the others count on from it.
    pub seed: i64,
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Steps.
    pub steps: i32,
    /// Guidance scale.
    pub guidance: f64,
    /// Pictures asked for.
    pub count: i32,
    /// How much of the picture that it begins as is drawn anew, 0 to 1; none where it begins as noise.
    pub start_strength: Option<f64>,
    /// Pixels that are drawn around the picture that it begins as; none where it fills the new pictures.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub start_margins: Option<Json>,
    /// What the model is told of the pictures' sizes; none tells it that they are whole.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub size_conditioning: Option<Json>,
    /// Whether the LoRAs are merged into the model's weights for it, and do not lie beside them.
    pub merges_loras: bool,
    /// When it was asked for.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
