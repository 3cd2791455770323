//! What one epoch of a training gave.

use sea_orm::entity::prelude::*;

/// What one epoch of a training gave.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "training_epoch")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The run.
    pub training_run_id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// 1, 2, 3 …
    pub epoch: i32,
    /// Mean loss over the epoch.
    pub training_loss: f64,
    /// Held-out loss.
    pub validation_loss: Option<f64>,
    /// The adapter at that point.
    #[sea_orm(column_type = "Text")]
    pub adapter_sha256: String,
    /// Sample pictures, in the order of the prompts.
    #[sea_orm(column_type = "JsonBinary")]
    pub sample_sha256s: Json,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
