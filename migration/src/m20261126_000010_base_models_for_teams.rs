//! Base models that are offered to chosen teams only, the teams' own defaults, and which worker serves which.

use sea_orm_migration::prelude::*;

/// Base models that are offered to chosen teams only, the teams' own defaults, and which worker serves which.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("for_everyone").boolean().not_null().default(true).to_owned();
        manager.alter_table(Table::alter().table("base_model").add_column(column).to_owned()).await?;
        let column = ColumnDef::new("base_model_id").uuid().to_owned();
        manager.alter_table(Table::alter().table("job").add_column(column).to_owned()).await?;
        base_model_team(manager).await?;
        base_model_default(manager).await?;
        worker(manager).await?;
        worker_base_model(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["worker_base_model", "worker", "base_model_default", "base_model_team"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("job").drop_column("base_model_id").to_owned()).await?;
        manager.alter_table(Table::alter().table("base_model").drop_column("for_everyone").to_owned()).await
    }
}

async fn base_model_team(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("base_model_team")
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .primary_key(Index::create().col("base_model_id").col("team_id"))
        .foreign_key(&mut of_base_model("base_model_team"))
        .foreign_key(ForeignKey::create().from("base_model_team", "team_id").to("team", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("base_model_team_team_id").table("base_model_team").col("team_id").to_owned();
    manager.create_index(index).await
}

async fn base_model_default(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("base_model_default")
        .col(ColumnDef::new("team_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(&mut of_base_model("base_model_default"))
        .foreign_key(ForeignKey::create().from("base_model_default", "team_id").to("team", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("base_model_default_base_model_id")
        .table("base_model_default")
        .col("base_model_id")
        .to_owned();
    manager.create_index(index).await
}

async fn worker(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("worker")
        .col(ColumnDef::new("name").text().not_null().primary_key())
        .col(ColumnDef::new("device").text().not_null())
        .col(ColumnDef::new("precision").text().not_null())
        .col(ColumnDef::new("kinds").json_binary().not_null())
        .col(ColumnDef::new("started_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("last_seen_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}

async fn worker_base_model(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("worker_base_model")
        .col(ColumnDef::new("worker_name").text().not_null())
        .col(ColumnDef::new("base_model_id").uuid().not_null())
        .primary_key(Index::create().col("worker_name").col("base_model_id"))
        .foreign_key(
            ForeignKey::create()
                .from("worker_base_model", "worker_name")
                .to("worker", "name")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(&mut of_base_model("worker_base_model"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create()
        .name("worker_base_model_base_model_id")
        .table("worker_base_model")
        .col("base_model_id")
        .to_owned();
    manager.create_index(index).await
}

/// What is said of a base model goes with it.
fn of_base_model(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "base_model_id")
        .to("base_model", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
