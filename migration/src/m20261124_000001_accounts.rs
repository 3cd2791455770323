//! People, their sessions, the mails that prove who they are, teams and who belongs to them.

use sea_orm_migration::prelude::*;

/// People, their sessions, the mails that prove who they are, teams and who belongs to them.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        user(manager).await?;
        sign_up(manager).await?;
        throttle(manager).await?;
        refresh_token(manager).await?;
        mail_token(manager).await?;
        team(manager).await?;
        membership(manager).await?;
        invitation(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["invitation", "membership", "team", "mail_token", "refresh_token", "throttle", "sign_up", "user"]
        {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

async fn user(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("user")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("email").text().not_null().unique_key())
        .col(ColumnDef::new("email_verified_at").timestamp_with_time_zone())
        .col(ColumnDef::new("handle").text().not_null().unique_key())
        .col(ColumnDef::new("display_name").text().not_null())
        .col(ColumnDef::new("bio").text().not_null())
        .col(ColumnDef::new("password_hash").text().not_null())
        .col(ColumnDef::new("is_administrator").boolean().not_null())
        .col(ColumnDef::new("suspended_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await
}

async fn sign_up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("sign_up")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("email").text().not_null())
        .col(ColumnDef::new("handle").text().not_null())
        .col(ColumnDef::new("display_name").text().not_null())
        .col(ColumnDef::new("password_hash").text().not_null())
        .col(ColumnDef::new("token_hash").text().not_null().unique_key())
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("sign_up_email").table("sign_up").col("email").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("sign_up_expires_at").table("sign_up").col("expires_at").to_owned();
    manager.create_index(index).await
}

async fn throttle(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("throttle")
        .col(ColumnDef::new("key").text().not_null().primary_key())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(ColumnDef::new("last_attempt_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("throttle_last_attempt_at").table("throttle").col("last_attempt_at").to_owned();
    manager.create_index(index).await
}

async fn refresh_token(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("refresh_token")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("family_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("token_hash").text().not_null().unique_key())
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("spent_at").timestamp_with_time_zone())
        .col(ColumnDef::new("revoked_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("refresh_token", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("refresh_token_family_id").table("refresh_token").col("family_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("refresh_token_user_id").table("refresh_token").col("user_id").to_owned();
    manager.create_index(index).await
}

async fn mail_token(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("mail_token")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("purpose").text().not_null())
        .col(ColumnDef::new("token_hash").text().not_null().unique_key())
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("used_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("mail_token", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("mail_token_user_id").table("mail_token").col("user_id").to_owned();
    manager.create_index(index).await
}

async fn team(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("team")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("slug").text().not_null().unique_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("personal_user_id").uuid().unique_key())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("deleted_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().from("team", "personal_user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await
}

async fn membership(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("membership")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("role").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("membership", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("membership", "user_id").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("membership_team_id").table("membership").col("team_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create().name("membership_user_id").table("membership").col("user_id").to_owned();
    manager.create_index(index).await?;
    let index = Index::create()
        .name("membership_team_id_user_id")
        .table("membership")
        .col("team_id")
        .col("user_id")
        .unique()
        .to_owned();
    manager.create_index(index).await
}

async fn invitation(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("invitation")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("team_id").uuid().not_null())
        .col(ColumnDef::new("email").text().not_null())
        .col(ColumnDef::new("role").text().not_null())
        .col(ColumnDef::new("token_hash").text().not_null().unique_key())
        .col(ColumnDef::new("invited_by").uuid().not_null())
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("accepted_at").timestamp_with_time_zone())
        .col(ColumnDef::new("revoked_at").timestamp_with_time_zone())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .foreign_key(ForeignKey::create().from("invitation", "team_id").to("team", "id"))
        .foreign_key(ForeignKey::create().from("invitation", "invited_by").to("user", "id"))
        .to_owned();
    manager.create_table(table).await?;
    let index = Index::create().name("invitation_team_id").table("invitation").col("team_id").to_owned();
    manager.create_index(index).await
}
