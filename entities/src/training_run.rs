//! A training of one LoRA from one data set.

use sea_orm::entity::prelude::*;

use crate::kinds::TrainedLayers;

/// A training of one LoRA from one data set.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "training_run")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// Who started it.
    pub created_by: Uuid,
    /// The pictures.
    pub dataset_id: Uuid,
    /// The model trained on.
    pub base_model_id: Uuid,
    /// The LoRA that gets the version.
    pub lora_id: Uuid,
    /// The job that does it.
    pub job_id: Option<Uuid>,
    /// Word that calls the style.
    #[sea_orm(column_type = "Text")]
    pub trigger_word: String,
    /// Strength of samples and previews.
    pub strength: f64,
    /// Epochs asked for.
    pub epochs: i32,
    /// Rank.
    pub rank: i32,
    /// Alpha.
    pub alpha: f64,
    /// Which layers get pairs; where it continues a version, that version's own do instead.
    pub layers: TrainedLayers,
    /// The version whose pairs it begins with; none begins with new ones.
    pub continued_version_id: Option<Uuid>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Pictures a step.
    pub batch_size: i32,
    /// Pixels; none is the base model's own.
    pub resolution: Option<i32>,
    /// Seed of everything random.
    pub seed: i64,
    /// Prompts of the epoch samples.
    #[sea_orm(column_type = "JsonBinary")]
    pub sample_prompts: Json,
    /// Note of the version it makes.
    #[sea_orm(column_type = "Text")]
    pub change_note: String,
    /// Pictures used.
    pub picture_count: i32,
    /// Steps made.
    pub steps: Option<i32>,
    /// Seconds trained.
    pub seconds: Option<f64>,
    /// Held-out loss without the LoRA.
    pub validation_loss_base: Option<f64>,
    /// Held-out loss of the best epoch.
    pub validation_loss: Option<f64>,
    /// The epoch with the lowest validation loss.
    pub best_epoch: Option<i32>,
    /// The epoch that became the version.
    pub chosen_epoch: Option<i32>,
    /// The version it made.
    pub version_id: Option<Uuid>,
    /// When it was started.
    pub created_at: DateTimeUtc,
    /// When it ended.
    pub finished_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
