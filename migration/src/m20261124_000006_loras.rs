//! Base models, LoRAs with versions and previews.

use sea_orm_migration::prelude::*;

/// Base models, LoRAs with versions and previews.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        base_model(manager).await?;
        lora(manager).await?;
        lora_version(manager).await?;
        lora_file(manager).await?;
        lora_download(manager).await?;
        preview(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["preview", "lora_download", "lora_file", "lora_version", "lora", "base_model"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn base_model(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("base_model")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("name").text().not_null().unique_key())
        .col(ColumnDef::new("title").text().not_null())
        .col(ColumnDef::new("family").text().not_null())
        .col(ColumnDef::new("variant").text().not_null())
        .col(ColumnDef::new("folder").text().not_null())
        .col(ColumnDef::new("license").text().not_null())
        .col(ColumnDef::new("context_width").integer().not_null())
        .col(ColumnDef::new("hidden_width").integer().not_null())
        .col(ColumnDef::new("native_width").integer().not_null())
        .col(ColumnDef::new("native_height").integer().not_null())
        .col(ColumnDef::new("size_multiple").integer().not_null())
        .col(ColumnDef::new("default_steps").integer().not_null())
        .col(ColumnDef::new("default_guidance").double().not_null())
        .col(ColumnDef::new("distilled").boolean().not_null())
        .col(ColumnDef::new("enabled").boolean().not_null())
        .col(ColumnDef::new("is_default").boolean().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}

async fn lora(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("lora")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("description").text().not_null())
        .col(ColumnDef::new("tags").json_binary().not_null())
        .col(ColumnDef::new("license").text().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("latest_version_id").uuid())
        .col(ColumnDef::new("rating_sum").big_integer().not_null())
        .col(ColumnDef::new("rating_count").big_integer().not_null())
        .col(ColumnDef::new("rating_score").double().not_null())
        .col(ColumnDef::new("download_count").big_integer().not_null())
        .col(ColumnDef::new("generation_count").big_integer().not_null())
        .col(ColumnDef::new("follower_notified_at").timestamp_with_time_zone())
        .col(ColumnDef::new("published_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("deleted_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("lora", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("lora", "created_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("lora_team_id").table("lora").col("team_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("lora_created_by").table("lora").col("created_by").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("lora_state").table("lora").col("state").to_owned();
    manager.create_index(index).await
}

async fn lora_version(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("lora_version")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("number").integer().not_null())
        .col(ColumnDef::new("change_note").text().not_null())
        .col(ColumnDef::new("parent_version_id").uuid())
        .col(ColumnDef::new("base_model_id").uuid())
        .col(ColumnDef::new("declared_family").text().not_null())
        .col(ColumnDef::new("detected_family").text().not_null())
        .col(ColumnDef::new("detected_variant").text().not_null())
        .col(ColumnDef::new("context_width").integer().not_null())
        .col(ColumnDef::new("hidden_width").integer().not_null())
        .col(ColumnDef::new("matched_share").double().not_null())
        .col(ColumnDef::new("problems").json_binary().not_null())
        .col(ColumnDef::new("trigger_words").json_binary().not_null())
        .col(ColumnDef::new("rank").integer().not_null())
        .col(ColumnDef::new("alpha").double().not_null())
        .col(ColumnDef::new("layout").text().not_null())
        .col(ColumnDef::new("blob_sha256").text().not_null())
        .col(ColumnDef::new("auto_v2").text().not_null())
        .col(ColumnDef::new("auto_v3").text().not_null())
        .col(ColumnDef::new("blake3").text().not_null())
        .col(ColumnDef::new("file_size").big_integer().not_null())
        .col(ColumnDef::new("recommended_strength").double().not_null())
        .col(ColumnDef::new("metadata").json_binary().not_null())
        .col(ColumnDef::new("training_run_id").uuid())
        .col(ColumnDef::new("upload_id").uuid().unique_key())
        .col(ColumnDef::new("published_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("lora_version", "lora_id").to("lora", "id"))
        .foreign_key(ForeignKey::create().from("lora_version", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("lora_version", "base_model_id").to("base_model", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("lora_version_lora_id").table("lora_version").col("lora_id").to_owned();
    manager.create_index(index).await?;
    let index =
        Index::create().name("lora_version_base_model_id").table("lora_version").col("base_model_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("lora_version_blob_sha256").table("lora_version").col("blob_sha256").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("lora_version_auto_v2").table("lora_version").col("auto_v2").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("lora_version_auto_v3").table("lora_version").col("auto_v3").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("lora_version_blake3").table("lora_version").col("blake3").to_owned();
    manager.create_index(index).await?;
    // A training makes a version of each epoch that is chosen, and of the same epoch once.
    let index = Index::create()
        .name("lora_version_training_run_id_blob_sha256")
        .table("lora_version")
        .col("training_run_id")
        .col("blob_sha256")
        .unique()
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("lora_version_lora_id_number")
        .table("lora_version")
        .col("lora_id")
        .col("number")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn lora_file(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("lora_file")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("layout").text().not_null())
        .col(ColumnDef::new("blob_sha256").text().not_null())
        .col(ColumnDef::new("file_size").big_integer().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("lora_file", "lora_version_id").to("lora_version", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("lora_file_lora_version_id_layout")
        .table("lora_file")
        .col("lora_version_id")
        .col("layout")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn lora_download(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("lora_download")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("lora_download", "lora_version_id").to("lora_version", "id"))
        .foreign_key(ForeignKey::create().from("lora_download", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("lora_download_lora_version_id_user_id")
        .table("lora_download")
        .col("lora_version_id")
        .col("user_id")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn preview(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("preview")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("blob_sha256").text().not_null())
        .col(ColumnDef::new("thumbnail_sha256").text().not_null())
        .col(ColumnDef::new("blurhash").text().not_null())
        .col(ColumnDef::new("width").integer().not_null())
        .col(ColumnDef::new("height").integer().not_null())
        .col(ColumnDef::new("prompt").text().not_null())
        .col(ColumnDef::new("seed").big_integer().not_null())
        .col(ColumnDef::new("strength").double().not_null())
        .col(ColumnDef::new("steps").integer().not_null())
        .col(ColumnDef::new("guidance").double().not_null())
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .col(ColumnDef::new("position").integer().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("preview", "lora_version_id").to("lora_version", "id"))
        .foreign_key(ForeignKey::create().from("preview", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("preview", "base_model_id").to("base_model", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("preview_lora_version_id").table("preview").col("lora_version_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("preview_lora_version_id_position")
        .table("preview")
        .col("lora_version_id")
        .col("position")
        .unique()
        .to_owned();
    manager.create_index(index).await
}
