//! Whom comments mention, and threads that are resolved.

use sea_orm_migration::prelude::*;

/// Whom comments mention, and threads that are resolved.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("resolved_at").timestamp_with_time_zone().to_owned();
        manager.alter_table(Table::alter().table("comment").add_column(column).to_owned()).await?;
        let column = ColumnDef::new("resolved_by").uuid().to_owned();
        manager.alter_table(Table::alter().table("comment").add_column(column).to_owned()).await?;
        let table = Table::create()
            .table("comment_mention")
            .col(ColumnDef::new("comment_id").uuid().not_null())
            .col(ColumnDef::new("user_id").uuid().not_null())
            .col(ColumnDef::new("position").integer().not_null())
            .col(ColumnDef::new("withdrawn_at").timestamp_with_time_zone())
            .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
            .primary_key(Index::create().col("comment_id").col("user_id"))
            .foreign_key(ForeignKey::create().from("comment_mention", "comment_id").to("comment", "id"))
            .foreign_key(ForeignKey::create().from("comment_mention", "user_id").to("user", "id"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("comment_mention_user_id").table("comment_mention").col("user_id").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("comment_mention").to_owned()).await?;
        for column in ["resolved_by", "resolved_at"] {
            manager.alter_table(Table::alter().table("comment").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
