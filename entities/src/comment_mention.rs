//! That a comment mentions a person.

use sea_orm::entity::prelude::*;

/// That a comment mentions a person.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "comment_mention")]
pub struct Model {
    /// The comment.
    #[sea_orm(primary_key, auto_increment = false)]
    pub comment_id: Uuid,
    /// Who is mentioned.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// 0, 1, 2 … in the order of the text.
    pub position: i32,
    /// Set once the text names them no more: whoever was told is not told again.
    pub withdrawn_at: Option<DateTimeUtc>,
    /// When they were first mentioned.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
