//! One person's judgement of one version.

use sea_orm::entity::prelude::*;

/// One person's judgement of one version.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rating")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The LoRA.
    pub lora_id: Uuid,
    /// The version.
    pub lora_version_id: Uuid,
    /// The person.
    pub user_id: Uuid,
    /// 1 to 5.
    pub stars: i32,
    /// Why.
    #[sea_orm(column_type = "Text")]
    pub review: String,
    /// The person has generated with it.
    pub has_used: bool,
    /// When.
    pub created_at: DateTimeUtc,
    /// When last changed.
    pub updated_at: DateTimeUtc,
    /// How many people found it helpful.
    pub helpful_count: i64,
    /// When it was taken back; it counts for nothing then.
    pub deleted_at: Option<DateTimeUtc>,
    /// Since when the moderators hide it from everybody but its author; it counts for nothing then.
    pub hidden_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
