//! Whether the LoRAs of a generation are merged into the model's weights.

use sea_orm_migration::prelude::*;

/// Whether the LoRAs of a generation are merged into the model's weights.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut column = ColumnDef::new("merges_loras");
        let table =
            Table::alter().table("generation").add_column(column.boolean().not_null().default(false)).to_owned();
        manager.alter_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("generation").drop_column("merges_loras").to_owned()).await
    }
}
