//! What is needed to find more: the search index takes in what is not published yet, and converted files are found by their
//! hashes.

use sea_orm_migration::prelude::*;

/// What is needed to find more: the search index takes in what is not published yet, and converted files are found by their
/// hashes.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Hashes of a converted file that were not kept before.
const FURTHER: [&str; 2] = ["auto_v3", "blake3"];

/// Hashes that a converted file is found by.
const HASHES: [&str; 3] = ["blob_sha256", "auto_v3", "blake3"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        wish_for_a_new_index(manager).await?;
        for column in FURTHER {
            // One at a time: SQLite adds no two columns in one statement.
            let added = Table::alter().table("lora_file").add_column(ColumnDef::new(column).text()).to_owned();
            manager.alter_table(added).await?;
        }
        for column in HASHES {
            let index = Index::create().name(format!("lora_file_{column}")).table("lora_file").col(column).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in HASHES {
            let index = Index::drop().name(format!("lora_file_{column}")).table("lora_file").to_owned();
            manager.drop_index(index).await?;
        }
        for column in FURTHER {
            manager.alter_table(Table::alter().table("lora_file").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// An index that was filled before holds published LoRAs alone: it is built anew while people search. Where there is no LoRA yet
/// there is nothing to build.
async fn wish_for_a_new_index(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let wish = "INSERT INTO instance_value (name, value, created_at) \
                SELECT 'search_rebuild', '{\"is\":\"wished\"}', created_at FROM lora ORDER BY id DESC LIMIT 1 \
                ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at";
    manager.get_connection().execute_unprepared(wish).await.map(|_| ())
}
