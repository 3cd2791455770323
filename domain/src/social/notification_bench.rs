//! How fast the followers of a publication are told, and how long others wait meanwhile. For a database that holds nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use atelier_entities::{
    follow,
    kinds::{EventKind, LoraState, Role},
    lora, membership, notification, team, user,
};
use atelier_search::bench::percentile_ms;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::{NotificationConsumer, fanout};
use crate::{
    actor::{Actor, Person},
    context::Context,
    outbox,
    social::notification::{ReadMark, mark_read},
};

/// How many rows are written at once while people are made.
const ROWS: usize = 500;

/// How long whoever makes small requests rests between them.
const PAUSE: Duration = Duration::from_millis(20);

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// How many people followed.
    pub followers: u64,
    /// How many were told.
    pub notifications: u64,
    /// From the event in the outbox until the last one was told.
    pub seconds: f64,
    /// Told in a second.
    pub notifications_per_second: f64,
    /// Transactions that it took.
    pub transactions: usize,
    /// The longest of them.
    pub longest_transaction_ms: f64,
    /// How many small writes others made meanwhile.
    pub other_writes: usize,
    /// How long the median one of those took.
    pub other_write_p50_ms: f64,
    /// How long all but one in a hundred took at most.
    pub other_write_p99_ms: f64,
    /// How long the longest took.
    pub other_write_longest_ms: f64,
}

/// Makes somebody whom so many follow, publishes, and tells them all.
///
/// # Errors
/// When the database holds people already; what it says.
pub async fn run(ctx: &Arc<Context>, followers: u64) -> anyhow::Result<Report> {
    let people = user::Entity::find().count(ctx.db.read()).await?;
    ensure!(people == 0, "This database holds people already. Measure on one that holds nothing.");
    let maker = person(ctx, "maker").await?;
    let ids = follow_all(ctx, maker.id, followers).await?;
    publish(ctx, &maker).await?;
    let other = ids.first().copied().unwrap_or(maker.id);
    let (done, stop) = watch::channel(false);
    let others = tokio::spawn(write_meanwhile(Arc::clone(ctx), other, stop));
    let begin = Instant::now();
    let mut transactions = Vec::new();
    while timed(&mut transactions, outbox::run_once(ctx, &NotificationConsumer)).await? > 0 {}
    while timed(&mut transactions, fanout::run_once(ctx)).await? > 0 {}
    let seconds = begin.elapsed().as_secs_f64();
    // Nobody listens any more only if the other side has failed, which the next line tells.
    let _ = done.send(true);
    let mut others = others.await??;
    let told = notification::Column::UserId.ne(maker.id);
    let notifications = notification::Entity::find().filter(told).count(ctx.db.read()).await?;
    ensure!(notifications == followers, "{notifications} of {followers} followers were told.");
    others.sort_unstable();
    Ok(Report {
        engine: if ctx.db.backend() == sea_orm::DbBackend::Sqlite { "sqlite" } else { "postgres" },
        followers,
        notifications,
        seconds,
        notifications_per_second: per_second(notifications, seconds),
        longest_transaction_ms: milliseconds(transactions.iter().max().copied()),
        transactions: transactions.len(),
        other_write_p50_ms: percentile_ms(&others, 50),
        other_write_p99_ms: percentile_ms(&others, 99),
        other_write_longest_ms: milliseconds(others.last().copied()),
        other_writes: others.len(),
    })
}

/// Does a round, and keeps how long it took if there was something to do.
async fn timed(
    rounds: &mut Vec<Duration>,
    round: impl Future<Output = anyhow::Result<usize>>,
) -> anyhow::Result<usize> {
    let begin = Instant::now();
    let count = round.await?;
    if count > 0 {
        rounds.push(begin.elapsed());
    }
    Ok(count)
}

/// What somebody else does meanwhile: a small write, again and again. Gives how long each took.
async fn write_meanwhile(ctx: Arc<Context>, id: Uuid, stop: watch::Receiver<bool>) -> anyhow::Result<Vec<Duration>> {
    let person = Person { id, session: id, personal_team: id, is_administrator: false, memberships: Vec::new() };
    let actor = Actor::Person(person);
    let mut times = Vec::new();
    while !*stop.borrow() {
        let begin = Instant::now();
        mark_read(&ctx, &actor, ReadMark { ids: None, through: Some(0) }).await?;
        times.push(begin.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(times)
}

fn milliseconds(time: Option<Duration>) -> f64 {
    time.unwrap_or_default().as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss, reason = "numbers of people are far below 2^53")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::EPSILON)
}

/// Somebody with a team of their own.
async fn person(ctx: &Context, handle: &str) -> anyhow::Result<Person> {
    let (id, team) = (ctx.new_id(), ctx.new_id());
    let tx = ctx.db.write().await?;
    account(ctx, id, handle.to_owned()).insert(&tx).await?;
    let row = team::ActiveModel {
        id: Set(team),
        slug: Set(handle.to_owned()),
        name: Set(handle.to_owned()),
        personal_user_id: Set(Some(id)),
        created_at: Set(ctx.now()),
        deleted_at: Set(None),
    };
    row.insert(&tx).await?;
    let row = membership::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team),
        user_id: Set(id),
        role: Set(Role::Owner),
        created_at: Set(ctx.now()),
    };
    row.insert(&tx).await?;
    tx.commit().await?;
    let memberships = vec![(team, Role::Owner)];
    Ok(Person { id, session: id, personal_team: team, is_administrator: false, memberships })
}

fn account(ctx: &Context, id: Uuid, handle: String) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(id),
        email: Set(format!("{handle}@bench.invalid")),
        email_verified_at: Set(Some(ctx.now())),
        display_name: Set(handle.clone()),
        handle: Set(handle),
        bio: Set(String::new()),
        avatar_sha256: Set(None),
        links: Set(json!([])),
        password_hash: Set(String::new()),
        is_administrator: Set(false),
        suspended_at: Set(None),
        hidden_at: Set(None),
        created_at: Set(ctx.now()),
    }
}

/// So many people who follow somebody. They follow in another order than they came, as people do.
async fn follow_all(ctx: &Context, maker: Uuid, count: u64) -> anyhow::Result<Vec<Uuid>> {
    let mut ids: Vec<Uuid> = (0..count).map(|_| ctx.new_id()).collect();
    let accounts: Vec<_> =
        ids.iter().enumerate().map(|(number, id)| account(ctx, *id, format!("follower-{number}"))).collect();
    for piece in accounts.chunks(ROWS) {
        let tx = ctx.db.write().await?;
        user::Entity::insert_many(piece.to_vec()).exec_without_returning(&tx).await?;
        tx.commit().await?;
    }
    ids.sort_by_key(|id| id.as_bytes()[15]);
    let follows: Vec<_> = ids
        .iter()
        .map(|id| follow::ActiveModel {
            id: Set(ctx.new_id()),
            follower_id: Set(*id),
            followed_id: Set(maker),
            created_at: Set(ctx.now()),
        })
        .collect();
    for piece in follows.chunks(ROWS) {
        let tx = ctx.db.write().await?;
        follow::Entity::insert_many(piece.to_vec()).exec_without_returning(&tx).await?;
        tx.commit().await?;
    }
    Ok(ids)
}

/// A LoRA that the maker publishes, as far as telling of it looks at it.
async fn publish(ctx: &Context, maker: &Person) -> anyhow::Result<()> {
    let row = lora::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(maker.personal_team),
        created_by: Set(maker.id),
        name: Set("Measured".to_owned()),
        description: Set(String::new()),
        tags: Set(json!([])),
        terms: Set(None),
        license: Set("CC0-1.0".to_owned()),
        state: Set(LoraState::Published),
        latest_version_id: Set(None),
        rating_sum: Set(0),
        rating_count: Set(0),
        rating_score: Set(0.0),
        download_count: Set(0),
        generation_count: Set(0),
        follower_notified_at: Set(None),
        published_at: Set(Some(ctx.now())),
        created_at: Set(ctx.now()),
        updated_at: Set(ctx.now()),
        deleted_at: Set(None),
        hidden_at: Set(None),
    };
    let tx = ctx.db.write().await?;
    let row = row.insert(&tx).await?;
    let event = outbox::Event {
        kind: EventKind::LoraPublished,
        team: Some(maker.personal_team),
        actor: Some(maker.id),
        subject: row.id,
        payload: json!({ "number": 1 }),
    };
    outbox::append(&tx, ctx, event).await?;
    Ok(ctx.commit(tx).await?)
}
