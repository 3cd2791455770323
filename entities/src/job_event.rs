//! One numbered progress event of a job.

use sea_orm::entity::prelude::*;

/// One numbered progress event of a job.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_event")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The job.
    pub job_id: Uuid,
    /// Number within the job, from 1, without gaps.
    pub sequence: i64,
    /// The event (a tagged `JobProgress`).
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
