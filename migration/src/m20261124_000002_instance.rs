//! What holds for the whole installation: secrets and settings, outgoing mail, the audit trail.

use sea_orm_migration::prelude::*;

/// What holds for the whole installation: secrets and settings, outgoing mail, the audit trail.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        instance_value(manager).await?;
        mail(manager).await?;
        audit_entry(manager).await?;
        idempotency_record(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["idempotency_record", "audit_entry", "mail", "instance_value"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn instance_value(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("instance_value")
        .col(ColumnDef::new("name").text().not_null().primary_key())
        .col(ColumnDef::new("value").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}

async fn mail(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("mail")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("recipient").text().not_null())
        .col(ColumnDef::new("subject").text().not_null())
        .col(ColumnDef::new("text_body").text().not_null())
        .col(ColumnDef::new("html_body").text().not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(ColumnDef::new("next_attempt_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("sent_at").timestamp_with_time_zone())
        .col(ColumnDef::new("error").text())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("mail_next_attempt_at").table("mail").col("next_attempt_at").to_owned();
    manager.create_index(index).await
}

async fn audit_entry(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_entry")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("actor_id").uuid())
        .col(ColumnDef::new("team_id").uuid())
        .col(ColumnDef::new("action").text().not_null())
        .col(ColumnDef::new("subject_id").uuid())
        .col(ColumnDef::new("detail").json_binary().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("audit_entry_actor_id").table("audit_entry").col("actor_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("audit_entry_team_id").table("audit_entry").col("team_id").to_owned();
    manager.create_index(index).await
}

async fn idempotency_record(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("idempotency_record")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("key").text().not_null())
        .col(ColumnDef::new("operation").text().not_null())
        .col(ColumnDef::new("input_hash").text().not_null())
        .col(ColumnDef::new("result_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("idempotency_record", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index =
        Index::create().name("idempotency_record_created_at").table("idempotency_record").col("created_at").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("idempotency_record_user_id_key")
        .table("idempotency_record")
        .col("user_id")
        .col("key")
        .unique()
        .to_owned();
    manager.create_index(index).await
}
