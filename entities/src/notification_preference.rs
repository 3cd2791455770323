//! By which channels a person wants to be told of a kind of thing; there is no row for what is as it comes.

use sea_orm::entity::prelude::*;

use crate::kinds::{MailFrequency, NotificationKind};

/// By which channels a person wants to be told of a kind of thing; there is no row for what is as it comes.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification_preference")]
pub struct Model {
    /// Whose wish.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// Of what.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: NotificationKind,
    /// In the list and the subscription.
    pub in_app: bool,
    /// By mail.
    pub mail: MailFrequency,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
