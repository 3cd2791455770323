//! Training runs with their epochs, generations and the assets they made.

use sea_orm_migration::prelude::*;

/// Training runs with their epochs, generations and the assets they made.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        training_run(manager).await?;
        training_epoch(manager).await?;
        generation(manager).await?;
        generation_lora(manager).await?;
        asset(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["asset", "generation_lora", "generation", "training_epoch", "training_run"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn training_run(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("training_run")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("dataset_id").uuid().not_null())
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("job_id").uuid().unique_key())
        .col(ColumnDef::new("trigger_word").text().not_null())
        .col(ColumnDef::new("strength").double().not_null())
        .col(ColumnDef::new("epochs").integer().not_null())
        .col(ColumnDef::new("rank").integer().not_null())
        .col(ColumnDef::new("alpha").double().not_null())
        .col(ColumnDef::new("learning_rate").double().not_null())
        .col(ColumnDef::new("batch_size").integer().not_null())
        .col(ColumnDef::new("resolution").integer())
        .col(ColumnDef::new("seed").big_integer().not_null())
        .col(ColumnDef::new("sample_prompts").json_binary().not_null())
        .col(ColumnDef::new("change_note").text().not_null())
        .col(ColumnDef::new("picture_count").integer().not_null())
        .col(ColumnDef::new("steps").integer())
        .col(ColumnDef::new("seconds").double())
        .col(ColumnDef::new("validation_loss_base").double())
        .col(ColumnDef::new("validation_loss").double())
        .col(ColumnDef::new("best_epoch").integer())
        .col(ColumnDef::new("chosen_epoch").integer())
        .col(ColumnDef::new("version_id").uuid())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("finished_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("training_run", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("training_run", "created_by").to("user", "id"))
        .foreign_key(ForeignKey::create().from("training_run", "dataset_id").to("dataset", "id"))
        .foreign_key(ForeignKey::create().from("training_run", "base_model_id").to("base_model", "id"))
        .foreign_key(ForeignKey::create().from("training_run", "lora_id").to("lora", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("training_run_team_id").table("training_run").col("team_id").to_owned();
    manager.create_index(index).await
}

async fn training_epoch(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("training_epoch")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("training_run_id").uuid().not_null())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("epoch").integer().not_null())
        .col(ColumnDef::new("training_loss").double().not_null())
        .col(ColumnDef::new("validation_loss").double())
        .col(ColumnDef::new("adapter_sha256").text().not_null())
        .col(ColumnDef::new("sample_sha256s").json_binary().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("training_epoch", "training_run_id").to("training_run", "id"))
        .foreign_key(ForeignKey::create().from("training_epoch", "team_id").to("team", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("training_epoch_training_run_id_epoch")
        .table("training_epoch")
        .col("training_run_id")
        .col("epoch")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn generation(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("generation")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .col(ColumnDef::new("job_id").uuid().unique_key())
        .col(ColumnDef::new("prompt").text().not_null())
        .col(ColumnDef::new("negative_prompt").text().not_null())
        .col(ColumnDef::new("seed").big_integer().not_null())
        .col(ColumnDef::new("width").integer().not_null())
        .col(ColumnDef::new("height").integer().not_null())
        .col(ColumnDef::new("steps").integer().not_null())
        .col(ColumnDef::new("guidance").double().not_null())
        .col(ColumnDef::new("count").integer().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("generation", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("generation", "created_by").to("user", "id"))
        .foreign_key(ForeignKey::create().from("generation", "base_model_id").to("base_model", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("generation_team_id").table("generation").col("team_id").to_owned();
    manager.create_index(index).await
}

async fn generation_lora(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("generation_lora")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("generation_id").uuid().not_null())
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("strength").double().not_null())
        .col(ColumnDef::new("position").integer().not_null())
        .foreign_key(ForeignKey::create().from("generation_lora", "generation_id").to("generation", "id"))
        .foreign_key(ForeignKey::create().from("generation_lora", "lora_version_id").to("lora_version", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index =
        Index::create().name("generation_lora_generation_id").table("generation_lora").col("generation_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("generation_lora_lora_version_id")
        .table("generation_lora")
        .col("lora_version_id")
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("generation_lora_generation_id_position")
        .table("generation_lora")
        .col("generation_id")
        .col("position")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn asset(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("asset")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("generation_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid().not_null())
        .col(ColumnDef::new("blob_sha256").text().not_null())
        .col(ColumnDef::new("thumbnail_sha256").text().not_null())
        .col(ColumnDef::new("blurhash").text().not_null())
        .col(ColumnDef::new("width").integer().not_null())
        .col(ColumnDef::new("height").integer().not_null())
        .col(ColumnDef::new("seed").big_integer().not_null())
        .col(ColumnDef::new("position").integer().not_null())
        .col(ColumnDef::new("recipe").json_binary().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("deleted_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("asset", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("asset", "generation_id").to("generation", "id"))
        .foreign_key(ForeignKey::create().from("asset", "created_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("asset_team_id").table("asset").col("team_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("asset_generation_id_position")
        .table("asset")
        .col("generation_id")
        .col("position")
        .unique()
        .to_owned();
    manager.create_index(index).await
}
