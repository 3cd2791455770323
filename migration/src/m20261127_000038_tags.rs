//! Which LoRAs have a tag.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Which LoRAs have a tag.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite has no index of what stands in a list; there, lists end with the page.
        if manager.get_database_backend() == DbBackend::Postgres {
            let index = "CREATE INDEX lora_tags ON lora USING gin (tags jsonb_path_ops)";
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.drop_index(Index::drop().name("lora_tags").table("lora").to_owned()).await?;
        }
        Ok(())
    }
}
