//! What a LoRA's maker allows, and since when a collection is hidden.

use sea_orm_migration::prelude::*;

/// What a LoRA's maker allows, and since when a collection is hidden.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("terms").json_binary().to_owned();
        manager.alter_table(Table::alter().table("lora").add_column(column).to_owned()).await?;
        let column = ColumnDef::new("hidden_at").timestamp_with_time_zone().to_owned();
        manager.alter_table(Table::alter().table("collection").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("collection").drop_column(Alias::new("hidden_at")).to_owned()).await?;
        manager.alter_table(Table::alter().table("lora").drop_column(Alias::new("terms")).to_owned()).await
    }
}
