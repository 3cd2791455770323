//! A mail to be sent, written in the transaction of what caused it.

use sea_orm::entity::prelude::*;

/// A mail to be sent, written in the transaction of what caused it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mail")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Address.
    #[sea_orm(column_type = "Text")]
    pub recipient: String,
    /// Subject line.
    #[sea_orm(column_type = "Text")]
    pub subject: String,
    /// Plain text.
    #[sea_orm(column_type = "Text")]
    pub text_body: String,
    /// HTML.
    #[sea_orm(column_type = "Text")]
    pub html_body: String,
    /// The link that ends the mails of its kind; none for those that people asked for themselves.
    #[sea_orm(column_type = "Text", nullable)]
    pub unsubscribe_url: Option<String>,
    /// How often sending was tried.
    pub attempts: i32,
    /// Not before this time.
    pub next_attempt_at: DateTimeUtc,
    /// When it went out.
    pub sent_at: Option<DateTimeUtc>,
    /// Why the last attempt failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    /// When it was written.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
