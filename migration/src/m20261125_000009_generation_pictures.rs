//! Pictures that generations are given: references, starts and masks.

use sea_orm_migration::prelude::*;

/// Pictures that generations are given: references, starts and masks.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column =
            Table::alter().table("generation").add_column(ColumnDef::new("start_strength").double()).to_owned();
        manager.alter_table(column).await?;
        let table = Table::create()
            .table("generation_picture")
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("generation_id").uuid().not_null())
            .col(ColumnDef::new("role").text().not_null())
            .col(ColumnDef::new("position").integer().not_null())
            .col(ColumnDef::new("blob_sha256").text().not_null())
            .foreign_key(ForeignKey::create().from("generation_picture", "generation_id").to("generation", "id"))
            .foreign_key(ForeignKey::create().from("generation_picture", "blob_sha256").to("blob", "sha256"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("generation_picture_generation_id_role_position")
            .table("generation_picture")
            .col("generation_id")
            .col("role")
            .col("position")
            .unique()
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Alias::new("generation_picture")).to_owned()).await?;
        let column = Table::alter().table("generation").drop_column("start_strength").to_owned();
        manager.alter_table(column).await
    }
}
