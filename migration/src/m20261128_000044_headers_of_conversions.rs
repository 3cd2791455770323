//! What stands in the header of a converted file.

use sea_orm_migration::prelude::*;

/// What stands in the header of a converted file.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("card_sha256").text().to_owned();
        manager.alter_table(Table::alter().table("lora_file").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("lora_file").drop_column(Alias::new("card_sha256")).to_owned()).await
    }
}
