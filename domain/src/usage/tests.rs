//! Everything is counted once, whatever happens in the middle, and counted again it comes to the same.

use atelier_entities::{
    asset, generation, generation_lora, job,
    kinds::{ContentKind, JobKind, JobState},
    lora, lora_trend, lora_usage_day, lora_usage_team,
};
use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, QueryOrder as _};
use uuid::Uuid;

use super::{Figures, UsageCounter, dashboard, lora_usage, rebuild};
use crate::{
    actor::Actor,
    context::Context,
    generation as generations, jobs, lora as loras, moderation,
    outbox::{self, Consumer as _},
    social::rating::{RateLora, rate},
    testing::{TestHouse, published_lora},
};

/// A generation that a worker has done; gives its pictures.
async fn generated(ctx: &Context, person: &Actor, version: Uuid, pictures: i32) -> Vec<Uuid> {
    let person = person.person().expect("a person");
    let (id, job, now) = (ctx.new_id(), ctx.new_id(), ctx.now());
    let model = model(ctx).await;
    let blob = {
        let version = atelier_entities::lora_version::Entity::find_by_id(version).one(ctx.db.read()).await;
        version.expect("reads").expect("a version").blob_sha256
    };
    let tx = ctx.db.write().await.expect("a transaction");
    let row = generation::ActiveModel {
        id: Set(id),
        team_id: Set(person.personal_team),
        created_by: Set(person.id),
        base_model_id: Set(model),
        job_id: Set(Some(job)),
        prompt: Set("a fox".to_owned()),
        negative_prompt: Set(String::new()),
        seed: Set(1),
        width: Set(64),
        height: Set(64),
        steps: Set(4),
        guidance: Set(1.0),
        count: Set(pictures),
        merges_loras: Set(false),
        start_strength: Set(None),
        start_margins: Set(None),
        size_conditioning: Set(None),
        created_at: Set(now),
    };
    row.insert(&tx).await.expect("a generation");
    // Twice the same version, with two strengths: it is used once.
    for position in 0..2 {
        let row = generation_lora::ActiveModel {
            id: Set(ctx.new_id()),
            generation_id: Set(id),
            lora_version_id: Set(version),
            strength: Set(0.5),
            position: Set(position),
        };
        row.insert(&tx).await.expect("a use");
    }
    let mut made = Vec::new();
    for position in 0..pictures {
        let row = asset::ActiveModel {
            id: Set(ctx.new_id()),
            team_id: Set(person.personal_team),
            generation_id: Set(id),
            created_by: Set(person.id),
            blob_sha256: Set(blob.clone()),
            thumbnail_sha256: Set(blob.clone()),
            blurhash: Set(String::new()),
            width: Set(64),
            height: Set(64),
            seed: Set(1),
            position: Set(position),
            recipe: Set(serde_json::json!({})),
            created_at: Set(now),
            deleted_at: Set(None),
        };
        made.push(row.insert(&tx).await.expect("a picture").id);
    }
    let row = done(ctx, person, job, id).insert(&tx).await.expect("a job");
    jobs::announce_end(&tx, ctx, &row, JobState::Succeeded).await.expect("told");
    ctx.commit(tx).await.expect("a commit");
    made
}

fn done(ctx: &Context, person: &crate::actor::Person, id: Uuid, generation: Uuid) -> job::ActiveModel {
    let now = ctx.now();
    job::ActiveModel {
        id: Set(id),
        team_id: Set(person.personal_team),
        created_by: Set(Some(person.id)),
        kind: Set(JobKind::Generate),
        subject_id: Set(generation),
        base_model_id: Set(None),
        payload: Set(serde_json::json!({})),
        state: Set(JobState::Succeeded),
        priority: Set(0),
        attempts: Set(1),
        max_attempts: Set(3),
        run_at: Set(now),
        worker: Set(None),
        lease_expires_at: Set(None),
        fence: Set(1),
        cancel_requested_at: Set(None),
        progress: Set(None),
        last_sequence: Set(0),
        credits: Set(0),
        error: Set(None),
        created_at: Set(now),
        started_at: Set(Some(now)),
        finished_at: Set(Some(now)),
    }
}

async fn model(ctx: &Context) -> Uuid {
    let folder = ctx.settings.models.join("klein");
    std::fs::create_dir_all(&folder).expect("a folder");
    let facts = serde_json::json!({
        "family": "flux2", "variant": "klein-4b", "context_width": 7680, "hidden_width": 3072, "native_width": 512,
        "native_height": 512, "size_multiple": 16, "default_steps": 4, "default_guidance": 1.0, "distilled": true,
    });
    std::fs::write(folder.join("model.json"), facts.to_string()).expect("a model");
    crate::base_model::register(ctx, "klein", "klein", "klein", "Apache-2.0").await.expect("a base model").id
}

/// Everything that is counted.
type Counted = (Vec<lora_usage_day::Model>, Vec<lora_usage_team::Model>, Vec<(Uuid, i64)>);

async fn counted(ctx: &Context) -> Counted {
    use lora_usage_day::Column as Day;
    let days = lora_usage_day::Entity::find().order_by_asc(Day::LoraVersionId).order_by_asc(Day::Day);
    let mut teams = lora_usage_team::Entity::find().all(ctx.db.read()).await.expect("reads");
    teams.sort();
    let trends = lora_trend::Entity::find().order_by_asc(lora_trend::Column::LoraId).all(ctx.db.read()).await;
    let millionths = |row: lora_trend::Model| (row.lora_id, (row.score * 1e6).round() as i64);
    let trends = trends.expect("reads").into_iter().map(millionths).collect();
    (days.all(ctx.db.read()).await.expect("reads"), teams, trends)
}

async fn count(ctx: &Context) {
    while outbox::run_once(ctx, &UsageCounter).await.expect("counts") > 0 {}
}

/// The counter is killed after it has written and before it has committed.
async fn crash(ctx: &Context) {
    let tx = ctx.db.write().await.expect("a transaction");
    let position = outbox::position(&tx, UsageCounter.name()).await.expect("reads");
    let events = outbox::after(&tx, position, 3).await.expect("reads");
    assert!(!events.is_empty(), "there must be something to lose");
    UsageCounter.consume(ctx, &tx, &events).await.expect("counts");
    outbox::advance(&tx, ctx, UsageCounter.name(), position + 3).await.expect("moves");
    drop(tx);
}

#[tokio::test]
async fn everything_is_counted_once_over_crashes_and_comes_to_the_same_when_it_is_counted_again() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let (ink, version) = published_lora(ctx, &ada, "Ink wash").await;
    let (felt, felt_version) = published_lora(ctx, &ada, "Wool felt").await;
    count(ctx).await;
    for person in [&bob, &bob, &eve, &ada] {
        loras::download(ctx, person, version, None).await.expect("downloaded");
    }
    crash(ctx).await;
    generated(ctx, &bob, version, 2).await;
    // The same team again on the same day, after the first time was counted.
    count(ctx).await;
    let pictures = generated(ctx, &bob, version, 2).await;
    generated(ctx, &ada, version, 1).await;
    crash(ctx).await;
    count(ctx).await;
    let first_day = ctx.now().date_naive();
    house.clock.advance(TimeDelta::days(1));
    generations::delete_asset(ctx, &bob, pictures[0]).await.expect("deleted");
    generated(ctx, &eve, version, 3).await;
    let stars = RateLora { lora: felt, version: None, stars: 4, review: String::new() };
    rate(ctx, &eve, stars, None).await.expect("rated");
    loras::download(ctx, &eve, felt_version, None).await.expect("downloaded");
    crash(ctx).await;
    count(ctx).await;

    let usage = lora_usage(ctx, &ada, ink, Some(first_day), None).await.expect("usage");
    assert_eq!(usage.days.len(), 30);
    let first = Figures { downloads: 3, generations: 3, pictures_made: 5, pictures_kept: 4, teams: 2 };
    let second = Figures { downloads: 0, generations: 1, pictures_made: 3, pictures_kept: 3, teams: 1 };
    assert_eq!([usage.days[0].1, usage.days[1].1], [first, second], "a deleted picture is missing where it was made");
    let totals = Figures { downloads: 3, generations: 4, pictures_made: 8, pictures_kept: 7, teams: 3 };
    assert_eq!((usage.totals, usage.versions.as_slice()), (totals, [(version, totals)].as_slice()));
    let card = lora::Entity::find_by_id(ink).one(ctx.db.read()).await.expect("reads").expect("a card");
    assert_eq!(card.download_count, totals.downloads, "the card's own count says the same");
    assert!(lora_usage(ctx, &bob, ink, None, None).await.is_err(), "only its team sees it");

    let right = counted(ctx).await;
    let rebuilt = rebuild(ctx).await.expect("counted again");
    assert_eq!(rebuilt.wrong, 0);
    assert_eq!(counted(ctx).await, right);

    // What was spoilt is found and put right; what the counter has not come to yet is counted, and no mistake.
    let tx = ctx.db.write().await.expect("a transaction");
    let mut spoilt: lora_usage_day::ActiveModel = right.0[0].clone().into();
    spoilt.downloads = Set(77);
    spoilt.update(&tx).await.expect("spoilt");
    ctx.commit(tx).await.expect("a commit");
    generated(ctx, &bob, felt_version, 1).await;
    assert_eq!(rebuild(ctx).await.expect("counted again").wrong, 1);
    let whole = counted(ctx).await;
    assert_eq!(whole.0.iter().map(|row| row.generations).sum::<i64>(), 5);
    count(ctx).await;
    assert_eq!(counted(ctx).await, whole, "the counter goes on after the rebuild and counts nothing twice");
}

#[tokio::test]
async fn what_is_used_now_trends_before_what_was_and_a_dashboard_says_so() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let (ink, version) = published_lora(ctx, &ada, "Ink wash").await;
    let (felt, felt_version) = published_lora(ctx, &ada, "Wool felt").await;
    for person in [&bob, &eve] {
        loras::download(ctx, person, version, None).await.expect("downloaded");
    }
    count(ctx).await;
    let ranks = async || {
        let board = dashboard(ctx, &ada, None, None).await.expect("a dashboard");
        let rank = |id: Uuid| board.loras.iter().find(|row| row.lora.id == id).and_then(|row| row.trending_rank);
        (rank(ink), rank(felt))
    };
    assert_eq!(ranks().await, (Some(1), Some(2)));
    // One's own work does not trend by one's own doing, nor by a hundred generations of one team in a day.
    for _ in 0..3 {
        generated(ctx, &ada, felt_version, 1).await;
        loras::download(ctx, &ada, felt_version, None).await.expect("downloaded");
    }
    count(ctx).await;
    assert_eq!(ranks().await, (Some(1), Some(2)));
    house.clock.advance(TimeDelta::weeks(3));
    for _ in 0..3 {
        generated(ctx, &bob, felt_version, 1).await;
    }
    count(ctx).await;
    assert_eq!(ranks().await, (Some(2), Some(1)), "3 of three weeks ago are less than 1 of today");
    // Others' stand between, above and below; what is hidden or was taken back has no place and takes none.
    let (_, of_bob) = published_lora(ctx, &bob, "Etching").await;
    generated(ctx, &eve, of_bob, 1).await;
    published_lora(ctx, &eve, "Gouache").await;
    count(ctx).await;
    assert_eq!(ranks().await, (Some(4), Some(2)), "what is new stands between");
    let mut moderator = house.person("mod").await.person().expect("a person").clone();
    moderator.is_administrator = true;
    let (moderator, content) = (Actor::Person(moderator), (ContentKind::Lora, felt));
    moderation::hide(ctx, &moderator, content, "It is spam.").await.expect("hidden");
    assert_eq!(ranks().await, (Some(3), None));
    moderation::restore(ctx, &moderator, content).await.expect("restored");
    loras::unpublish(ctx, &ada, ink).await.expect("taken back");
    assert_eq!(ranks().await, (None, Some(2)));
    let again = loras::PublishLora { id: ink, version: None, license: None, terms: None };
    loras::publish(ctx, &ada, again).await.expect("published again");
    assert_eq!(ranks().await, (Some(4), Some(2)));

    let board = dashboard(ctx, &ada, None, Some(7)).await.expect("a dashboard");
    let now = Figures { downloads: 0, generations: 3, pictures_made: 3, pictures_kept: 3, teams: 1 };
    assert_eq!((board.totals, board.days.len(), board.earlier), (now, 7, Figures::default()));
    assert_eq!(board.days[6].1, now);
    assert_eq!(board.loras[0].figures, now);
    let board = dashboard(ctx, &ada, None, Some(20)).await.expect("a dashboard");
    assert_eq!((board.earlier.downloads, board.earlier.generations), (3, 3), "the twenty days before");
    assert!(dashboard(ctx, &bob, ada.person().ok().map(|person| person.personal_team), None).await.is_err());
    assert!(dashboard(ctx, &ada, None, Some(0)).await.is_err());
}
