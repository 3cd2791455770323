//! Tags and people that somebody does not want to see.

use sea_orm_migration::prelude::*;

/// Tags and people that somebody does not want to see.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("tag_block")
            .col(ColumnDef::new("user_id").uuid().not_null())
            .col(ColumnDef::new("tag").text().not_null())
            .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
            .primary_key(Index::create().col("user_id").col("tag"))
            .foreign_key(ForeignKey::create().from("tag_block", "user_id").to("user", "id"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("tag_block_tag").table("tag_block").col("tag").to_owned();
        manager.create_index(index).await?;
        user_block(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["user_block", "tag_block"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn user_block(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("user_block")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("blocker_id").uuid().not_null())
        .col(ColumnDef::new("blocked_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("user_block", "blocker_id").to("user", "id"))
        .foreign_key(ForeignKey::create().from("user_block", "blocked_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("user_block_blocker_id_blocked_id")
        .table("user_block")
        .col("blocker_id")
        .col("blocked_id")
        .unique()
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("user_block_blocked_id").table("user_block").col("blocked_id").to_owned();
    manager.create_index(index).await
}
