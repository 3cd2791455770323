//! That a worker has the files of a base model.

use sea_orm::entity::prelude::*;

/// That a worker has the files of a base model.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "worker_base_model")]
pub struct Model {
    /// The worker.
    #[sea_orm(primary_key, auto_increment = false)]
    #[sea_orm(column_type = "Text")]
    pub worker_name: String,
    /// The base model.
    #[sea_orm(primary_key, auto_increment = false)]
    pub base_model_id: Uuid,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
