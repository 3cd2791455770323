//! Values that the installation keeps for itself, by name: wishes, and how far something has come.

use atelier_entities::instance_value as value;
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, sea_query::OnConflict};

use crate::context::Context;

/// What is kept under a name.
pub(crate) async fn read<C: ConnectionTrait>(db: &C, name: &str) -> Result<Option<String>, DbErr> {
    Ok(value::Entity::find_by_id(name.to_owned()).one(db).await?.map(|row| row.value))
}

/// Keeps a value in place of what was kept under its name.
pub(crate) async fn put<C: ConnectionTrait>(tx: &C, ctx: &Context, name: &str, text: String) -> Result<(), DbErr> {
    let row = value::ActiveModel { name: Set(name.to_owned()), value: Set(text), created_at: Set(ctx.now()) };
    let columns = [value::Column::Value, value::Column::CreatedAt];
    let conflict = OnConflict::column(value::Column::Name).update_columns(columns).to_owned();
    value::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await.map(|_| ())
}
