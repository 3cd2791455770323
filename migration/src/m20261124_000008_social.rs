//! Ratings, comments, follows, notifications.

use sea_orm_migration::prelude::*;

/// Ratings, comments, follows, notifications.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rating(manager).await?;
        comment(manager).await?;
        follow(manager).await?;
        notification(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["notification", "follow", "comment", "rating"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn rating(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("rating")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("stars").integer().not_null())
        .col(ColumnDef::new("review").text().not_null())
        .col(ColumnDef::new("has_used").boolean().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("rating", "lora_id").to("lora", "id"))
        .foreign_key(ForeignKey::create().from("rating", "lora_version_id").to("lora_version", "id"))
        .foreign_key(ForeignKey::create().from("rating", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("rating_lora_id").table("rating").col("lora_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("rating_user_id").table("rating").col("user_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("rating_lora_version_id_user_id")
        .table("rating")
        .col("lora_version_id")
        .col("user_id")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn comment(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("comment")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("parent_id").uuid())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("body").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("edited_at").timestamp_with_time_zone())
        .col(ColumnDef::new("deleted_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("comment", "lora_id").to("lora", "id"))
        .foreign_key(ForeignKey::create().from("comment", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("comment_lora_id").table("comment").col("lora_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("comment_parent_id").table("comment").col("parent_id").to_owned();
    manager.create_index(index).await
}

async fn follow(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("follow")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("follower_id").uuid().not_null())
        .col(ColumnDef::new("followed_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("follow", "follower_id").to("user", "id"))
        .foreign_key(ForeignKey::create().from("follow", "followed_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("follow_followed_id").table("follow").col("followed_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("follow_follower_id_followed_id")
        .table("follow")
        .col("follower_id")
        .col("followed_id")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn notification(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("notification")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("sequence").big_integer().not_null())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("actor_id").uuid())
        .col(ColumnDef::new("lora_id").uuid())
        .col(ColumnDef::new("comment_id").uuid())
        .col(ColumnDef::new("job_id").uuid())
        .col(ColumnDef::new("message").text().not_null())
        .col(ColumnDef::new("read_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("notification", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("notification_user_id_sequence")
        .table("notification")
        .col("user_id")
        .col("sequence")
        .unique()
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("notification_user_id_read_at")
        .table("notification")
        .col("user_id")
        .col("read_at")
        .to_owned();
    manager.create_index(index).await
}
