//! Indexes for what is asked, and none beside another that begins with the same columns.

use sea_orm_migration::prelude::*;

/// Indexes for what is asked, and none beside another that begins with the same columns.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Indexes that nothing needs: name, table and column. The last one is asked for by person and tag, which is its key.
const UNUSED: [(&str, &str, &str); 5] = [
    ("lora_state", "lora", "state"),
    ("lora_created_by", "lora", "created_by"),
    ("rating_lora_id", "rating", "lora_id"),
    ("follow_followed_id", "follow", "followed_id"),
    ("tag_block_tag", "tag_block", "tag"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A person's published LoRAs, in the order of profile and feed.
        let index = Index::create()
            .name("lora_created_by_state_published_at")
            .table("lora")
            .col("created_by")
            .col("state")
            .col("published_at")
            .col("id")
            .to_owned();
        manager.create_index(index).await?;
        // Few are hidden, and those are looked for.
        let index = Index::create()
            .name("lora_hidden_at")
            .table("lora")
            .col("hidden_at")
            .cond_where(Expr::col("hidden_at").is_not_null())
            .to_owned();
        manager.create_index(index).await?;
        for (name, table, _) in UNUSED {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, column) in UNUSED {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        for name in ["lora_hidden_at", "lora_created_by_state_published_at"] {
            manager.drop_index(Index::drop().name(name).table("lora").to_owned()).await?;
        }
        Ok(())
    }
}
