//! Something a person is told.

use sea_orm::entity::prelude::*;

use crate::kinds::{NotificationKind, NotificationMail};

/// Something a person is told.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who is told.
    pub user_id: Uuid,
    /// The person's own count, which grows; subscriptions go by it.
    pub sequence: i64,
    /// The outbox event it stems from; nobody is told twice of one.
    pub event_sequence: Option<i64>,
    /// What happened.
    pub kind: NotificationKind,
    /// Who did it.
    pub actor_id: Option<Uuid>,
    /// The LoRA concerned.
    pub lora_id: Option<Uuid>,
    /// The comment concerned.
    pub comment_id: Option<Uuid>,
    /// The job concerned.
    pub job_id: Option<Uuid>,
    /// One sentence.
    #[sea_orm(column_type = "Text")]
    pub message: String,
    /// Whether it stands in the list and the subscription; otherwise it is for a mail alone.
    pub in_app: bool,
    /// What its mail waits for.
    pub mail: NotificationMail,
    /// When it was read.
    pub read_at: Option<DateTimeUtc>,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
