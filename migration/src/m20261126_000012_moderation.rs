//! Reports of what people published, and what was hidden because of them.

use sea_orm_migration::prelude::*;

/// Reports of what people published, and what was hidden because of them.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// What can be hidden.
const HIDEABLE: [&str; 5] = ["lora", "preview", "comment", "rating", "user"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in HIDEABLE {
            let column = ColumnDef::new("hidden_at").timestamp_with_time_zone().to_owned();
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        moderation_case(manager).await?;
        content_report(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["content_report", "moderation_case"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        for table in HIDEABLE {
            manager.alter_table(Table::alter().table(table).drop_column("hidden_at").to_owned()).await?;
        }
        Ok(())
    }
}

async fn moderation_case(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("moderation_case")
        .col(ColumnDef::new("subject_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("subject_kind").text().not_null())
        .col(ColumnDef::new("owner_id").uuid().not_null())
        .col(ColumnDef::new("team_id").uuid())
        .col(ColumnDef::new("open_report_count").big_integer().not_null())
        .col(ColumnDef::new("report_count").big_integer().not_null())
        .col(ColumnDef::new("activity_id").uuid().not_null())
        .col(ColumnDef::new("last_reported_at").timestamp_with_time_zone())
        .col(ColumnDef::new("hidden_at").timestamp_with_time_zone())
        .col(ColumnDef::new("hidden_by").uuid())
        .col(ColumnDef::new("hidden_reason").text())
        .foreign_key(ForeignKey::create().from("moderation_case", "owner_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("moderation_case_activity_id")
        .table("moderation_case")
        .col("activity_id")
        .unique()
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("moderation_case_open_report_count_activity_id")
        .table("moderation_case")
        .col("open_report_count")
        .col("activity_id")
        .to_owned();
    manager.create_index(index).await
}

async fn content_report(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("content_report")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("subject_id").uuid().not_null())
        .col(ColumnDef::new("subject_kind").text().not_null())
        .col(ColumnDef::new("reporter_id").uuid().not_null())
        .col(ColumnDef::new("reason").text().not_null())
        .col(ColumnDef::new("explanation").text().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("closed_at").timestamp_with_time_zone())
        .col(ColumnDef::new("closed_by").uuid())
        .foreign_key(ForeignKey::create().from("content_report", "subject_id").to("moderation_case", "subject_id"))
        .foreign_key(ForeignKey::create().from("content_report", "reporter_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("content_report_subject_id").table("content_report").col("subject_id").to_owned();
    manager.create_index(index).await?;
    // One open report a person and subject; both engines know indexes of a part of a table.
    let one_open = "CREATE UNIQUE INDEX content_report_reporter_id_subject_id_open \
                    ON content_report (reporter_id, subject_id) WHERE closed_at IS NULL";
    manager.get_connection().execute_unprepared(one_open).await.map(|_| ())
}
