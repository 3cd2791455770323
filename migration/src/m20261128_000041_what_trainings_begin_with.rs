//! Which layers a training trains, and the version that it continues.

use sea_orm_migration::prelude::*;

/// Which layers a training trains, and the version that it continues.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let layers = ColumnDef::new("layers").text().not_null().default("all").to_owned();
        manager.alter_table(Table::alter().table("training_run").add_column(layers).to_owned()).await?;
        let continued = ColumnDef::new("continued_version_id").uuid().to_owned();
        manager.alter_table(Table::alter().table("training_run").add_column(continued).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["continued_version_id", "layers"] {
            manager
                .alter_table(Table::alter().table("training_run").drop_column(Alias::new(column)).to_owned())
                .await?;
        }
        Ok(())
    }
}
