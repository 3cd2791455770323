//! An index of what described previews, so that those that another describer saw are found at once.

use sea_orm_migration::prelude::*;

/// An index of what described previews, so that those that another describer saw are found at once.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create().name("preview_describer").table("preview").col("describer").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("preview_describer").table("preview").to_owned()).await
    }
}
