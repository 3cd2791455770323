//! What is needed to find more: the search index takes in what is not published yet.

use sea_orm_migration::prelude::*;

/// What is needed to find more: the search index takes in what is not published yet.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        wish_for_a_new_index(manager).await
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

/// An index that was filled before holds published LoRAs alone: it is built anew while people search. Where there is no LoRA yet
/// there is nothing to build.
async fn wish_for_a_new_index(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let wish = "INSERT INTO instance_value (name, value, created_at) \
                SELECT 'search_rebuild', '{\"is\":\"wished\"}', created_at FROM lora ORDER BY id DESC LIMIT 1 \
                ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at";
    manager.get_connection().execute_unprepared(wish).await.map(|_| ())
}
