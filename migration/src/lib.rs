//! Migrations, one file a change, applied at start. They expand first and contract in a later release, so that the
//! previous binary keeps working while the next one is rolled out. They never name an entity: entities move on, a
//! migration stays what it was.

use sea_orm_migration::prelude::{MigrationTrait, async_trait};
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod m20261124_000001_accounts;
mod m20261124_000002_instance;
mod m20261124_000003_outbox;
mod m20261124_000004_jobs;
mod m20261124_000005_pictures;
mod m20261124_000006_loras;
mod m20261124_000007_studio;
mod m20261124_000008_social;
mod m20261125_000009_generation_pictures;
mod m20261126_000010_base_models_for_teams;
mod m20261126_000011_judgement;
mod m20261126_000012_moderation;
mod m20261126_000013_blocks;
mod m20261126_000014_usage;
mod m20261126_000021_comment_threads;
mod m20261126_000022_profiles_and_collections;
mod m20261126_000023_notification_channels;
mod m20261126_000024_mail_unsubscribe;
mod m20261126_000031_merged_loras;
mod m20261126_000032_looks_and_compatibility;
mod m20261126_000033_lists_of_loras;
mod m20261126_000034_indexes_that_are_used;
mod m20261127_000035_describers;
mod m20261127_000036_found_drafts_and_hashes;
mod m20261127_000037_terms;
mod m20261127_000038_tags;
mod m20261128_000041_what_trainings_begin_with;
mod m20261128_000042_what_is_left_out;
mod m20261128_000043_margins_and_sizes;
mod m20261128_000044_headers_of_conversions;

/// All migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_accounts::Migration),
            Box::new(m20261124_000002_instance::Migration),
            Box::new(m20261124_000003_outbox::Migration),
            Box::new(m20261124_000004_jobs::Migration),
            Box::new(m20261124_000005_pictures::Migration),
            Box::new(m20261124_000006_loras::Migration),
            Box::new(m20261124_000007_studio::Migration),
            Box::new(m20261124_000008_social::Migration),
            Box::new(m20261125_000009_generation_pictures::Migration),
            Box::new(m20261126_000010_base_models_for_teams::Migration),
            Box::new(m20261126_000011_judgement::Migration),
            Box::new(m20261126_000012_moderation::Migration),
            Box::new(m20261126_000013_blocks::Migration),
            Box::new(m20261126_000014_usage::Migration),
            Box::new(m20261126_000021_comment_threads::Migration),
            Box::new(m20261126_000022_profiles_and_collections::Migration),
            Box::new(m20261126_000023_notification_channels::Migration),
            Box::new(m20261126_000024_mail_unsubscribe::Migration),
            Box::new(m20261126_000031_merged_loras::Migration),
            Box::new(m20261126_000032_looks_and_compatibility::Migration),
            Box::new(m20261126_000033_lists_of_loras::Migration),
            Box::new(m20261126_000034_indexes_that_are_used::Migration),
            Box::new(m20261127_000035_describers::Migration),
            Box::new(m20261127_000036_found_drafts_and_hashes::Migration),
            Box::new(m20261127_000037_terms::Migration),
            Box::new(m20261127_000038_tags::Migration),
            Box::new(m20261128_000041_what_trainings_begin_with::Migration),
            Box::new(m20261128_000042_what_is_left_out::Migration),
            Box::new(m20261128_000043_margins_and_sizes::Migration),
            Box::new(m20261128_000044_headers_of_conversions::Migration),
        ]
    }
}
