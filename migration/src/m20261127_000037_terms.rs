//! What a LoRA's maker allows.

use sea_orm_migration::prelude::*;

/// What a LoRA's maker allows.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("terms").json_binary().to_owned();
        manager.alter_table(Table::alter().table("lora").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("lora").drop_column(Alias::new("terms")).to_owned()).await
    }
}
