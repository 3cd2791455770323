//! Content-addressed blobs, uploads, data sets.

use sea_orm_migration::prelude::*;

/// Content-addressed blobs, uploads, data sets.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        blob(manager).await?;
        upload(manager).await?;
        dataset(manager).await?;
        dataset_picture(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["dataset_picture", "dataset", "upload", "blob"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn blob(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("blob")
        .col(ColumnDef::new("sha256").text().not_null().primary_key())
        .col(ColumnDef::new("size").big_integer().not_null())
        .col(ColumnDef::new("media_type").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}

async fn upload(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("upload")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("purpose").text().not_null())
        .col(ColumnDef::new("file_name").text().not_null())
        .col(ColumnDef::new("size").big_integer().not_null())
        .col(ColumnDef::new("received").big_integer().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("reason").text())
        .col(ColumnDef::new("blob_sha256").text())
        .col(ColumnDef::new("facts").json_binary())
        .col(ColumnDef::new("target_id").uuid())
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("upload", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("upload", "created_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("upload_team_id").table("upload").col("team_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("upload_expires_at").table("upload").col("expires_at").to_owned();
    manager.create_index(index).await
}

async fn dataset(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("dataset")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("description").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("deleted_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("dataset", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("dataset", "created_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("dataset_team_id").table("dataset").col("team_id").to_owned();
    manager.create_index(index).await
}

async fn dataset_picture(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("dataset_picture")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("dataset_id").uuid().not_null())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("upload_id").uuid().not_null().unique_key())
        .col(ColumnDef::new("blob_sha256").text().not_null())
        .col(ColumnDef::new("thumbnail_sha256").text().not_null())
        .col(ColumnDef::new("blurhash").text().not_null())
        .col(ColumnDef::new("file_name").text().not_null())
        .col(ColumnDef::new("caption").text().not_null())
        .col(ColumnDef::new("width").integer().not_null())
        .col(ColumnDef::new("height").integer().not_null())
        .col(ColumnDef::new("perceptual_hash").big_integer().not_null())
        .col(ColumnDef::new("sharpness").double().not_null())
        .col(ColumnDef::new("colours").binary().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("dataset_picture", "dataset_id").to("dataset", "id"))
        .foreign_key(ForeignKey::create().from("dataset_picture", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("dataset_picture", "upload_id").to("upload", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index =
        Index::create().name("dataset_picture_dataset_id").table("dataset_picture").col("dataset_id").to_owned();
    manager.create_index(index).await
}
