//! How much each version of a LoRA is used, by day, and what trends. Filled from the outbox: what happened before is
//! written there first.

use sea_orm_migration::prelude::*;

/// How much each version of a LoRA is used, by day, and what trends.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        lora_usage_day(manager).await?;
        lora_usage_team(manager).await?;
        let table = Table::create()
            .table("lora_trend")
            .col(ColumnDef::new("lora_id").uuid().not_null().primary_key())
            .col(ColumnDef::new("score").double().not_null())
            .foreign_key(ForeignKey::create().from("lora_trend", "lora_id").to("lora", "id"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("lora_trend_score").table("lora_trend").col("score").to_owned();
        manager.create_index(index).await?;
        tell_of_the_past(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["lora_trend", "lora_usage_team", "lora_usage_day"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        let events = "DELETE FROM outbox_event WHERE kind IN ('lora_downloaded', 'asset_deleted')";
        manager.get_connection().execute_unprepared(events).await?;
        let position = "DELETE FROM outbox_position WHERE consumer = 'lora_usage'";
        manager.get_connection().execute_unprepared(position).await.map(|_| ())
    }
}

async fn lora_usage_day(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("lora_usage_day")
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("day").date().not_null())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("downloads").big_integer().not_null())
        .col(ColumnDef::new("generations").big_integer().not_null())
        .col(ColumnDef::new("pictures_made").big_integer().not_null())
        .col(ColumnDef::new("pictures_kept").big_integer().not_null())
        .col(ColumnDef::new("teams").big_integer().not_null())
        .primary_key(Index::create().col("lora_version_id").col("day"))
        .foreign_key(ForeignKey::create().from("lora_usage_day", "lora_version_id").to("lora_version", "id"))
        .foreign_key(ForeignKey::create().from("lora_usage_day", "lora_id").to("lora", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index =
        Index::create().name("lora_usage_day_lora_id_day").table("lora_usage_day").col("lora_id").col("day").to_owned();
    manager.create_index(index).await
}

async fn lora_usage_team(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("lora_usage_team")
        .col(ColumnDef::new("lora_version_id").uuid().not_null())
        .col(ColumnDef::new("day").date().not_null())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .primary_key(Index::create().col("lora_version_id").col("day").col("team_id"))
        .foreign_key(ForeignKey::create().from("lora_usage_team", "lora_version_id").to("lora_version", "id"))
        .foreign_key(ForeignKey::create().from("lora_usage_team", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("lora_usage_team", "lora_id").to("lora", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("lora_usage_team_lora_id_day")
        .table("lora_usage_team")
        .col("lora_id")
        .col("day")
        .to_owned();
    manager.create_index(index).await
}

/// Downloads and deleted pictures had no events of their own: they are told of now, at the time at which they happened.
/// Generations had.
async fn tell_of_the_past(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let downloads = "INSERT INTO outbox_event (kind, team_id, actor_id, subject_id, payload, created_at) \
                     SELECT 'lora_downloaded', lora_version.team_id, lora_download.user_id, lora_download.lora_version_id, \
                     '{}', lora_download.created_at FROM lora_download \
                     JOIN lora_version ON lora_version.id = lora_download.lora_version_id \
                     ORDER BY lora_download.created_at, lora_download.id";
    manager.get_connection().execute_unprepared(downloads).await?;
    let deletions = "INSERT INTO outbox_event (kind, team_id, actor_id, subject_id, payload, created_at) \
                     SELECT 'asset_deleted', team_id, NULL, id, '{}', deleted_at FROM asset \
                     WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id";
    manager.get_connection().execute_unprepared(deletions).await.map(|_| ())
}
