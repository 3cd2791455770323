//! The one monotonic sequence of events and the positions of those who read it.

use sea_orm_migration::prelude::*;

/// The one monotonic sequence of events and the positions of those who read it.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        outbox_event(manager).await?;
        outbox_position(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["outbox_position", "outbox_event"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn outbox_event(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("outbox_event")
        .col(ColumnDef::new("sequence").big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("team_id").uuid())
        .col(ColumnDef::new("actor_id").uuid())
        .col(ColumnDef::new("subject_id").uuid().not_null())
        .col(ColumnDef::new("payload").json_binary().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}

async fn outbox_position(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("outbox_position")
        .col(ColumnDef::new("consumer").text().not_null().primary_key())
        .col(ColumnDef::new("sequence").big_integer().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}
