//! On which base models versions are measured, and who is shown what came of it.

use std::sync::Arc;

use atelier_entities::{base_model, compatibility as measured, instance_value, job, kinds::JobKind, team};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, IntoActiveModel as _, QueryFilter as _};

use super::*;
use crate::lora::{compatibility, measuring};

/// A house that measures what is published.
async fn measuring_house() -> TestHouse {
    let mut house = TestHouse::new().await;
    Arc::get_mut(&mut house.ctx).expect("nobody else has it").settings.measures_compatibility = true;
    house
}

/// Versions and base models of the measurements that wait.
async fn waiting(ctx: &Context) -> Vec<(Uuid, Uuid)> {
    let jobs = job::Entity::find().filter(job::Column::Kind.eq(JobKind::Compare)).all(ctx.db.read()).await;
    let mut jobs: Vec<_> =
        jobs.expect("jobs").iter().filter_map(|job| Some((job.subject_id, job.base_model_id?))).collect();
    jobs.sort_unstable();
    jobs
}

fn sorted<const N: usize>(mut pairs: [(Uuid, Uuid); N]) -> Vec<(Uuid, Uuid)> {
    pairs.sort_unstable();
    pairs.to_vec()
}

async fn version(ctx: &Context, actor: &Actor, lora: Uuid) -> Uuid {
    get(ctx, actor, lora).await.expect("the card").latest_version_id.expect("a version")
}

/// Offers a base model to somebody's own team and to nobody else.
async fn share_with(ctx: &Context, model: &base_model::Model, actor: &Actor) {
    let team = actor.person().expect("a person").personal_team;
    let team = team::Entity::find_by_id(team).one(ctx.db.read()).await.expect("read").expect("a team");
    base_models::share(ctx, model.id, &[team]).await.expect("shared");
}

async fn withdraw(ctx: &Context, model: &base_model::Model) {
    let mut row = model.clone().into_active_model();
    row.enabled = Set(false);
    row.update(ctx.db.writer()).await.expect("withdrawn");
}

async fn fulfilled(ctx: &Context) {
    while measuring::fulfil(ctx).await.expect("queued") > 0 {}
}

#[tokio::test]
async fn a_version_is_measured_on_what_its_team_may_use_and_shown_on_what_the_reader_may() {
    let house = measuring_house().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let klein = register(ctx, "klein", "flux2", "klein-4b").await;
    let [bobs, old] =
        [register(ctx, "bobs", "flux2", "klein-4b").await, register(ctx, "old", "flux2", "klein-4b").await];
    register(ctx, "sdxl", "sdxl", "base").await;
    share_with(ctx, &bobs, &bob).await;
    withdraw(ctx, &old).await;

    let ink = published(ctx, &ada, "Ink wash").await;
    let ink_version = version(ctx, &ada, ink).await;
    assert_eq!(waiting(ctx).await, [(ink_version, klein.id)]);
    unpublish(ctx, &ada, ink).await.expect("taken back");
    publish(ctx, &ada, publishing(ink, None)).await.expect("published again");
    assert_eq!(waiting(ctx).await, [(ink_version, klein.id)], "it waits for one already");

    // As if it had been measured while all were offered to everyone.
    for model in [&klein, &bobs, &old] {
        let row = measured::ActiveModel {
            id: Set(ctx.new_id()),
            lora_version_id: Set(ink_version),
            base_model_id: Set(model.id),
            matched_share: Set(1.0),
            by_clip: Set(false),
            strengths: Set(serde_json::json!([])),
            safe_low: Set(None),
            safe_high: Set(None),
            sheet_sha256: Set(None),
            measured_at: Set(ctx.now()),
        };
        row.insert(ctx.db.writer()).await.expect("measured");
    }
    let shown = async |actor: &Actor| {
        let mut rows = compatibility::of_versions(ctx, actor, &[ink_version]).await.expect("read");
        rows.remove(&ink_version).unwrap_or_default().iter().map(|row| row.base_model_id).collect::<Vec<_>>()
    };
    assert_eq!(shown(&ada).await, [klein.id]);
    assert_eq!(shown(&Actor::Anonymous).await, [klein.id]);
    assert_eq!(shown(&bob).await, [klein.id, bobs.id]);
}

#[tokio::test]
async fn what_was_published_before_a_base_model_came_is_measured_then() {
    let house = measuring_house().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let of_ada = version(ctx, &ada, published(ctx, &ada, "Ink wash").await).await;
    let of_bob = version(ctx, &bob, published(ctx, &bob, "Wool felt").await).await;
    imported(ctx, &ada, "A draft").await;
    assert!(waiting(ctx).await.is_empty());

    let klein = register(ctx, "klein", "flux2", "klein-4b").await;
    register(ctx, "sdxl", "sdxl", "base").await;
    fulfilled(ctx).await;
    let both = sorted([(of_ada, klein.id), (of_bob, klein.id)]);
    assert_eq!(waiting(ctx).await, both, "on what they fit, and no draft");
    base_models::offer(ctx, klein.id).await.expect("offered again");
    fulfilled(ctx).await;
    assert_eq!(waiting(ctx).await, both, "each once");

    let bobs = register(ctx, "bobs", "flux2", "klein-4b").await;
    share_with(ctx, &bobs, &bob).await;
    fulfilled(ctx).await;
    assert_eq!(waiting(ctx).await, sorted([both[0], both[1], (of_bob, bobs.id)]), "on what the team may use");
    base_models::share_with_everyone(ctx, bobs.id).await.expect("offered to all");
    fulfilled(ctx).await;
    assert_eq!(waiting(ctx).await, sorted([both[0], both[1], (of_bob, bobs.id), (of_ada, bobs.id)]));
    let wishes = instance_value::Entity::find().filter(instance_value::Column::Name.starts_with("measure_on:"));
    assert_eq!(wishes.all(ctx.db.read()).await.expect("read").len(), 0, "nothing is left to be done");
}
