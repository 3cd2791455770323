//! Lists of published LoRAs are read in their order, and not sorted.

use sea_orm_migration::prelude::*;

/// Lists of published LoRAs are read in their order, and not sorted.
#[derive(DeriveMigrationName)]
pub struct Migration;

const SORTED_BY: [&str; 3] = ["rating_score", "download_count", "published_at"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in SORTED_BY {
            let index = Index::create()
                .name(format!("lora_state_{column}"))
                .table("lora")
                .col("state")
                .col(column)
                .col("id")
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in SORTED_BY {
            manager.drop_index(Index::drop().name(format!("lora_state_{column}")).table("lora").to_owned()).await?;
        }
        Ok(())
    }
}
