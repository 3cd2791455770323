//! The link by which the mails of a kind are ended; it stands in a mail's header.

use sea_orm_migration::prelude::*;

/// The link by which the mails of a kind are ended; it stands in a mail's header.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("unsubscribe_url").text().to_owned();
        manager.alter_table(Table::alter().table("mail").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("mail").drop_column("unsubscribe_url").to_owned()).await
    }
}
