//! Helpful votes on ratings, ratings that were taken back, and people's votes on what a version works with.

use sea_orm_migration::prelude::*;

/// Helpful votes on ratings, ratings that were taken back, and people's votes on what a version works with.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ColumnDef::new("helpful_count").big_integer().not_null().default(0).to_owned(),
            ColumnDef::new("deleted_at").timestamp_with_time_zone().to_owned(),
        ];
        for column in columns {
            manager.alter_table(Table::alter().table("rating").add_column(column).to_owned()).await?;
        }
        let index = Index::create()
            .name("rating_lora_id_helpful_count")
            .table("rating")
            .col("lora_id")
            .col("helpful_count")
            .col("id")
            .to_owned();
        manager.create_index(index).await?;
        rating_vote(manager).await?;
        compatibility_vote(manager).await?;
        // Who had downloaded what they rated has used it as well; so far only pictures counted.
        let downloaded = "UPDATE rating SET has_used = TRUE WHERE EXISTS (SELECT 1 FROM lora_download \
                          WHERE lora_download.lora_version_id = rating.lora_version_id \
                          AND lora_download.user_id = rating.user_id)";
        manager.get_connection().execute_unprepared(downloaded).await.map(|_| ())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["compatibility_vote", "rating_vote"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        manager.drop_index(Index::drop().name("rating_lora_id_helpful_count").table("rating").to_owned()).await?;
        for column in ["deleted_at", "helpful_count"] {
            manager.alter_table(Table::alter().table("rating").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

async fn rating_vote(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("rating_vote")
        .col(ColumnDef::new("rating_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .primary_key(Index::create().col("rating_id").col("user_id"))
        .foreign_key(ForeignKey::create().from("rating_vote", "rating_id").to("rating", "id"))
        .foreign_key(ForeignKey::create().from("rating_vote", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await
}

async fn compatibility_vote(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let of_base_model = ForeignKey::create()
        .from("compatibility_vote", "base_model_id")
        .to("base_model", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    let table = Table::create()
        .table("compatibility_vote")
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("works").boolean().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .primary_key(Index::create().col("lora_version_id").col("base_model_id").col("user_id"))
        .foreign_key(ForeignKey::create().from("compatibility_vote", "lora_version_id").to("lora_version", "id"))
        .foreign_key(&mut of_base_model.clone())
        .foreign_key(ForeignKey::create().from("compatibility_vote", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("compatibility_vote_base_model_id")
        .table("compatibility_vote")
        .col("base_model_id")
        .to_owned();
    manager.create_index(index).await
}
