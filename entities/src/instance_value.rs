//! A named value of the installation, such as the signing secret.

use sea_orm::entity::prelude::*;

/// A named value of the installation, such as the signing secret.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "instance_value")]
pub struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Its value.
    #[sea_orm(column_type = "Text")]
    pub value: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
