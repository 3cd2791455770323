//! How previews look, and what LoRAs were measured to do to base models.

use sea_orm_migration::prelude::*;

/// How previews look, and what LoRAs were measured to do to base models.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [ColumnDef::new("look").blob().to_owned(), ColumnDef::new("describer").text().to_owned()] {
            manager.alter_table(Table::alter().table("preview").add_column(column).to_owned()).await?;
        }
        let table = Table::create()
            .table("compatibility")
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("lora_version_id").uuid().not_null())
            .col(ColumnDef::new("base_model_id").uuid().not_null())
            .col(ColumnDef::new("matched_share").double().not_null())
            .col(ColumnDef::new("by_clip").boolean().not_null())
            .col(ColumnDef::new("strengths").json_binary().not_null())
            .col(ColumnDef::new("safe_low").double())
            .col(ColumnDef::new("safe_high").double())
            .col(ColumnDef::new("sheet_sha256").text())
            .col(ColumnDef::new("measured_at").timestamp_with_time_zone().not_null())
            .foreign_key(ForeignKey::create().from("compatibility", "lora_version_id").to("lora_version", "id"))
            .foreign_key(ForeignKey::create().from("compatibility", "base_model_id").to("base_model", "id"))
            .foreign_key(ForeignKey::create().from("compatibility", "sheet_sha256").to("blob", "sha256"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("compatibility_lora_version_id_base_model_id")
            .table("compatibility")
            .col("lora_version_id")
            .col("base_model_id")
            .unique()
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Alias::new("compatibility")).to_owned()).await?;
        for column in ["look", "describer"] {
            manager.alter_table(Table::alter().table("preview").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
