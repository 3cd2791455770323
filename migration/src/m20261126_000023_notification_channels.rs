//! By which channels people are told: preferences, what a notification's mail waits for, and publications whose followers
//! are being told.

use sea_orm_migration::prelude::*;

/// By which channels people are told: preferences, what a notification's mail waits for, and publications whose
/// followers are being told.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        notification(manager).await?;
        notification_preference(manager).await?;
        fanout(manager).await?;
        // The followers of one person, piece by piece, from the index alone.
        let index = Index::create()
            .name("follow_followed_id_follower_id")
            .table("follow")
            .col("followed_id")
            .col("follower_id")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("follow_followed_id_follower_id").table("follow").to_owned()).await?;
        for table in ["fanout", "notification_preference"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for index in ["notification_mail_daily", "notification_mail_immediate", "notification_user_id_event_sequence"] {
            manager.drop_index(Index::drop().name(index).table("notification").to_owned()).await?;
        }
        for column in ["mail", "in_app", "event_sequence"] {
            manager.alter_table(Table::alter().table("notification").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// A notification's number was that of its event. From now on it is the person's own count, because followers are told
/// later than others; the event stands beside it.
async fn notification(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for column in [
        ColumnDef::new("event_sequence").big_integer().to_owned(),
        ColumnDef::new("in_app").boolean().not_null().default(true).to_owned(),
        ColumnDef::new("mail").text().not_null().default("off").to_owned(),
    ] {
        manager.alter_table(Table::alter().table("notification").add_column(column).to_owned()).await?;
    }
    let fill = Query::update().table("notification").value("event_sequence", Expr::col("sequence")).to_owned();
    manager.execute(fill).await?;
    let index = Index::create()
        .name("notification_user_id_event_sequence")
        .table("notification")
        .col("user_id")
        .col("event_sequence")
        .unique()
        .to_owned();
    manager.create_index(index).await?;
    // What waits for its mail, and nothing else.
    let index = Index::create()
        .name("notification_mail_immediate")
        .table("notification")
        .col("id")
        .and_where(Expr::col("mail").eq("immediate"))
        .to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("notification_mail_daily")
        .table("notification")
        .col("created_at")
        .col("user_id")
        .and_where(Expr::col("mail").eq("daily"))
        .to_owned();
    manager.create_index(index).await
}

async fn notification_preference(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("notification_preference")
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("in_app").boolean().not_null())
        .col(ColumnDef::new("mail").text().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .primary_key(Index::create().col("user_id").col("kind"))
        .foreign_key(ForeignKey::create().from("notification_preference", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await
}

async fn fanout(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("fanout")
        .col(ColumnDef::new("event_sequence").big_integer().not_null().primary_key())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("followed_id").uuid().not_null())
        .col(ColumnDef::new("publisher_id").uuid())
        .col(ColumnDef::new("lora_id").uuid().not_null())
        .col(ColumnDef::new("message").text().not_null())
        .col(ColumnDef::new("last_follower_id").uuid())
        .col(ColumnDef::new("told").big_integer().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("fanout", "lora_id").to("lora", "id"))
        .to_owned();
    manager.create_table(table).await
}
