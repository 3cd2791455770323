//! One file of a LoRA; immutable but for its note.

use sea_orm::entity::prelude::*;

/// One file of a LoRA; immutable but for its note.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lora_version")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The LoRA.
    pub lora_id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// 1, 2, 3 … within the LoRA.
    pub number: i32,
    /// What is new.
    #[sea_orm(column_type = "Text")]
    pub change_note: String,
    /// The version it continues.
    pub parent_version_id: Option<Uuid>,
    /// The base model it was declared for.
    pub base_model_id: Option<Uuid>,
    /// What the uploader said.
    #[sea_orm(column_type = "Text")]
    pub declared_family: String,
    /// What the tensors say.
    #[sea_orm(column_type = "Text")]
    pub detected_family: String,
    /// What the tensors say.
    #[sea_orm(column_type = "Text")]
    pub detected_variant: String,
    /// Width of the text context that it was made for.
    pub context_width: i32,
    /// Width of the network that it was made for.
    pub hidden_width: i32,
    /// Share of its keys that were understood, 0 to 1.
    pub matched_share: f64,
    /// What is odd about the file, in sentences.
    #[sea_orm(column_type = "JsonBinary")]
    pub problems: Json,
    /// Words that call it.
    #[sea_orm(column_type = "JsonBinary")]
    pub trigger_words: Json,
    /// Rank of its adapters (largest).
    pub rank: i32,
    /// Alpha of its adapters.
    pub alpha: f64,
    /// Layout of the file as it came.
    #[sea_orm(column_type = "Text")]
    pub layout: String,
    /// The file.
    #[sea_orm(column_type = "Text")]
    pub blob_sha256: String,
    /// First ten hex digits of the file's SHA-256.
    #[sea_orm(column_type = "Text")]
    pub auto_v2: String,
    /// SHA-256 after the header.
    #[sea_orm(column_type = "Text")]
    pub auto_v3: String,
    /// BLAKE3 of the file.
    #[sea_orm(column_type = "Text")]
    pub blake3: String,
    /// Bytes.
    pub file_size: i64,
    /// Strength to begin with.
    pub recommended_strength: f64,
    /// Header of the file.
    #[sea_orm(column_type = "JsonBinary")]
    pub metadata: Json,
    /// The run that made it; none for an import.
    pub training_run_id: Option<Uuid>,
    /// The upload it was imported from.
    pub upload_id: Option<Uuid>,
    /// When it was published.
    pub published_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
