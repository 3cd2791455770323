//! A model folder that LoRAs are trained on and combined with.

use sea_orm::entity::prelude::*;

/// A model folder that LoRAs are trained on and combined with.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "base_model")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Short name, such as `starter`.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Name shown to people.
    #[sea_orm(column_type = "Text")]
    pub title: String,
    /// Such as `flux2`.
    #[sea_orm(column_type = "Text")]
    pub family: String,
    /// Such as `klein`.
    #[sea_orm(column_type = "Text")]
    pub variant: String,
    /// Where its files lie, on the worker.
    #[sea_orm(column_type = "Text")]
    pub folder: String,
    /// Licence of the weights.
    #[sea_orm(column_type = "Text")]
    pub license: String,
    /// Width of the text conditioning; tells variants apart.
    pub context_width: i32,
    /// Width of the network.
    pub hidden_width: i32,
    /// Pixels it was trained at.
    pub native_width: i32,
    /// Pixels it was trained at.
    pub native_height: i32,
    /// Sizes must be multiples of this.
    pub size_multiple: i32,
    /// Steps when none are asked for.
    pub default_steps: i32,
    /// Guidance scale when none is asked for.
    pub default_guidance: f64,
    /// Needs no guidance.
    pub distilled: bool,
    /// May be used.
    pub enabled: bool,
    /// Used when none is named.
    pub is_default: bool,
    /// Offered to everybody; to chosen teams only otherwise.
    pub for_everyone: bool,
    /// When it was added.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
