//! What programs leave out of a file in another layout.

use sea_orm_migration::prelude::*;

/// What programs leave out of a file in another layout.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("left_out").json_binary().to_owned();
        manager.alter_table(Table::alter().table("lora_file").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("lora_file").drop_column(Alias::new("left_out")).to_owned()).await
    }
}
