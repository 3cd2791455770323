//! A LoRA's card; its files are its versions.

use sea_orm::entity::prelude::*;

use crate::kinds::LoraState;

/// A LoRA's card; its files are its versions.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lora")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// Its creator.
    pub created_by: Uuid,
    /// Its name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Its style in words.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// List of tags, lower case.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    /// Licence of the weights.
    #[sea_orm(column_type = "Text")]
    pub license: String,
    /// What the maker chose that others may do with it; none until they have.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub terms: Option<Json>,
    /// Draft, published, unpublished or deleted.
    pub state: LoraState,
    /// The version shown first.
    pub latest_version_id: Option<Uuid>,
    /// Sum of stars.
    pub rating_sum: i64,
    /// Number of ratings.
    pub rating_count: i64,
    /// Bayesian average; what sorting uses.
    pub rating_score: f64,
    /// Downloads.
    pub download_count: i64,
    /// Pictures made with it.
    pub generation_count: i64,
    /// When followers were told of its first publication.
    pub follower_notified_at: Option<DateTimeUtc>,
    /// When it was first published.
    pub published_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When its card last changed.
    pub updated_at: DateTimeUtc,
    /// Tombstone; card and hashes stay.
    pub deleted_at: Option<DateTimeUtc>,
    /// Since when the moderators hide it from everybody but its team.
    pub hidden_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
