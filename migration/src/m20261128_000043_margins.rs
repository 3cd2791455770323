//! What is drawn around the picture that a generation begins as.

use sea_orm_migration::prelude::*;

/// What is drawn around the picture that a generation begins as.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("start_margins").json_binary().to_owned();
        manager.alter_table(Table::alter().table("generation").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = Table::alter().table("generation").drop_column(Alias::new("start_margins")).to_owned();
        manager.alter_table(column).await
    }
}
