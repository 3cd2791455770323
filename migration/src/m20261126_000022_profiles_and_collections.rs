//! Avatars and links of people, their collections, and what lists of their work are read by.

use sea_orm_migration::prelude::*;

/// Avatars and links of people, their collections, and what lists of their work are read by.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("avatar_sha256").text().to_owned();
        manager.alter_table(Table::alter().table("user").add_column(column).to_owned()).await?;
        let column = ColumnDef::new("links").json_binary().not_null().default("[]").to_owned();
        manager.alter_table(Table::alter().table("user").add_column(column).to_owned()).await?;
        collection(manager).await?;
        collection_lora(manager).await?;
        // A feed reads the versions of a LoRA by when they were published.
        let index = Index::create()
            .name("lora_version_lora_id_published_at")
            .table("lora_version")
            .col("lora_id")
            .col("published_at")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("lora_version_lora_id_published_at").table("lora_version").to_owned();
        manager.drop_index(index).await?;
        for table in ["collection_lora", "collection"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for column in ["links", "avatar_sha256"] {
            manager.alter_table(Table::alter().table("user").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

async fn collection(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("collection")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("description").text().not_null())
        .col(ColumnDef::new("is_public").boolean().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("collection", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("collection", "created_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("collection_team_id").table("collection").col("team_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("collection_created_by").table("collection").col("created_by").to_owned();
    manager.create_index(index).await
}

async fn collection_lora(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("collection_lora")
        .col(ColumnDef::new("collection_id").uuid().not_null())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("position").integer().not_null())
        .col(ColumnDef::new("note").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .primary_key(Index::create().col("collection_id").col("lora_id"))
        .foreign_key(
            ForeignKey::create()
                .from("collection_lora", "collection_id")
                .to("collection", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(ForeignKey::create().from("collection_lora", "lora_id").to("lora", "id"))
        .to_owned();
    manager.create_table(table).await?;
    // Not unique: while LoRAs change places, two stand on one for the length of a statement.
    let index = Index::create()
        .name("collection_lora_collection_id_position")
        .table("collection_lora")
        .col("collection_id")
        .col("position")
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("collection_lora_lora_id").table("collection_lora").col("lora_id").to_owned();
    manager.create_index(index).await
}
