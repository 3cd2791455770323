//! Jobs, their numbered events, and the double-entry ledger that pays for them.

use sea_orm_migration::prelude::*;

/// Jobs, their numbered events, and the double-entry ledger that pays for them.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        job(manager).await?;
        job_event(manager).await?;
        ledger_account(manager).await?;
        ledger_entry(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["ledger_entry", "ledger_account", "job_event", "job"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn job(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("job")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_by").uuid())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("subject_id").uuid().not_null())
        .col(ColumnDef::new("payload").json_binary().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("priority").integer().not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(ColumnDef::new("max_attempts").integer().not_null())
        .col(ColumnDef::new("run_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("worker").text())
        .col(ColumnDef::new("lease_expires_at").timestamp_with_time_zone())
        .col(ColumnDef::new("fence").big_integer().not_null())
        .col(ColumnDef::new("cancel_requested_at").timestamp_with_time_zone())
        .col(ColumnDef::new("progress").json_binary())
        .col(ColumnDef::new("last_sequence").big_integer().not_null())
        .col(ColumnDef::new("credits").big_integer().not_null())
        .col(ColumnDef::new("error").text())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("started_at").timestamp_with_time_zone())
        .col(ColumnDef::new("finished_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("job", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("job", "created_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("job_team_id").table("job").col("team_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("job_subject_id").table("job").col("subject_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("job_state_run_at_priority")
        .table("job")
        .col("state")
        .col("run_at")
        .col("priority")
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("job_team_id_started_at").table("job").col("team_id").col("started_at").to_owned();
    manager.create_index(index).await
}

async fn job_event(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("job_event")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("job_id").uuid().not_null())
        .col(ColumnDef::new("sequence").big_integer().not_null())
        .col(ColumnDef::new("payload").json_binary().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("job_event", "job_id").to("job", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("job_event_job_id_sequence")
        .table("job_event")
        .col("job_id")
        .col("sequence")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn ledger_account(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("ledger_account")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("balance").big_integer().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("ledger_account", "team_id").to("team", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("ledger_account_team_id_kind")
        .table("ledger_account")
        .col("team_id")
        .col("kind")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn ledger_entry(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("ledger_entry")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("account_id").uuid().not_null())
        .col(ColumnDef::new("operation").text().not_null())
        .col(ColumnDef::new("amount").big_integer().not_null())
        .col(ColumnDef::new("job_id").uuid())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("ledger_entry", "account_id").to("ledger_account", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("ledger_entry_account_id_operation")
        .table("ledger_entry")
        .col("account_id")
        .col("operation")
        .unique()
        .to_owned();
    manager.create_index(index).await
}
