//! Marks ratings whose authors come to use the version later.

use async_trait::async_trait;
use atelier_entities::{
    generation_lora, job,
    kinds::{EventKind, JobKind, JobState},
    outbox_event, rating,
};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use crate::{context::Context, outbox::Consumer};

/// Marks ratings whose authors make pictures with the LoRA or download it later.
#[derive(Debug, Default)]
pub struct UseMarker;

#[async_trait]
impl Consumer for UseMarker {
    fn name(&self) -> &'static str {
        "rating_use"
    }

    async fn consume(
        &self,
        _ctx: &Context,
        tx: &DatabaseTransaction,
        events: &[outbox_event::Model],
    ) -> anyhow::Result<()> {
        let ended = events.iter().filter(|event| event.kind == EventKind::JobFinished).map(|event| event.subject_id);
        let done = job::Entity::find()
            .filter(job::Column::Id.is_in(ended))
            .filter(job::Column::Kind.eq(JobKind::Generate))
            .filter(job::Column::State.eq(JobState::Succeeded))
            .all(tx)
            .await?;
        for job in done {
            if let Some(user) = job.created_by {
                mark(tx, user, used_by(job.subject_id)).await?;
            }
        }
        for event in events.iter().filter(|event| event.kind == EventKind::LoraDownloaded) {
            if let Some(user) = event.actor_id {
                mark(tx, user, rating::Column::LoraVersionId.eq(event.subject_id)).await?;
            }
        }
        Ok(())
    }
}

fn used_by(generation: Uuid) -> SimpleExpr {
    let used = generation_lora::Entity::find()
        .select_only()
        .column(generation_lora::Column::LoraVersionId)
        .filter(generation_lora::Column::GenerationId.eq(generation))
        .into_query();
    rating::Column::LoraVersionId.in_subquery(used)
}

async fn mark(tx: &DatabaseTransaction, user: Uuid, versions: SimpleExpr) -> Result<(), DbErr> {
    rating::Entity::update_many()
        .col_expr(rating::Column::HasUsed, Expr::value(true))
        .filter(rating::Column::UserId.eq(user))
        .filter(versions)
        .exec(tx)
        .await
        .map(|_| ())
}
