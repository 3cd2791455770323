//! What is drawn around the picture that a generation begins as, and what SDXL is told of its size.

use sea_orm_migration::prelude::*;

/// What is drawn around the picture that a generation begins as, and what SDXL is told of its size.
#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [&str; 2] = ["start_margins", "size_conditioning"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            let column = ColumnDef::new(column).json_binary().to_owned();
            manager.alter_table(Table::alter().table("generation").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            manager.alter_table(Table::alter().table("generation").drop_column(Alias::new(column)).to_owned()).await?;
        }
        Ok(())
    }
}
