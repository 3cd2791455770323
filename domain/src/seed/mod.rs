//! A marketplace of made-up LoRAs, people and ratings, to try things out and to measure with. The same numbers and the same
//! seed give the same marketplace.

mod loras;
mod people;
mod ratings;
mod words;

use anyhow::Context as _;
use atelier_entities::{
    base_model, job,
    kinds::{JobKind, JobState},
    lora,
};
use bytes::Bytes;
use chrono::{DateTime, Duration, Utc};
use rand::{Rng, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use uuid::{Builder, Uuid};

use crate::{context::Context, error::Invalid, failures, ports::inspector::InspectedLora};

/// Rows that go into one statement: few enough for the variables that SQLite takes.
const ROWS: usize = 400;

/// How many of each there may be at most.
const MOST: u32 = 5_000_000;

/// What is made.
#[derive(Clone, Debug)]
pub struct SeedSpec {
    /// Published LoRAs.
    pub loras: u32,
    /// People, each with a personal team.
    pub people: u32,
    /// Ratings, each of one person for one LoRA.
    pub ratings: u32,
    /// LoRAs, the first ones, whose previews a worker renders.
    pub previews: u32,
    /// Where all chance begins.
    pub seed: u64,
    /// What every one of the people signs in with; without it nobody of them can.
    pub password: Option<String>,
}

/// Makes the files of LoRAs.
pub trait LoraMaker: Send + Sync {
    /// The file of a LoRA for the starter model, and what an inspector says of it. Another number gives another file, and
    /// the same number the same.
    ///
    /// # Errors
    /// When it cannot be made.
    fn make(&self, number: u64) -> anyhow::Result<(Bytes, InspectedLora)>;
}

/// How far the seeding is: what is being made, how many are there, and of how many.
pub type Progress<'a> = &'a (dyn Fn(&'static str, u32, u32) + Send + Sync);

failures! {
    /// Why [`seed`] refused.
    pub enum SeedError {
        /// Made-up things do not go between real ones.
        NotEmpty { loras: u64 } => ("data", "NOT_EMPTY", "There are {loras} LoRAs here already. Made-up ones go into an empty installation only: name another folder with --data, or another database."),
    }
}

/// Makes everything in one transaction: all of it is there afterwards, or nothing. The search index is to be built anew
/// then.
///
/// # Errors
/// [`SeedError`]; an [`Invalid`] for numbers that do not go together.
pub async fn seed(
    ctx: &Context,
    spec: &SeedSpec,
    maker: &dyn LoraMaker,
    progress: Progress<'_>,
) -> Result<(), SeedError> {
    check(spec)?;
    let there = lora::Entity::find().count(ctx.db.read()).await?;
    if there > 0 {
        return Err(SeedError::NotEmpty { loras: there });
    }
    let base_model = base_model::Entity::find().order_by_desc(base_model::Column::IsDefault).one(ctx.db.read()).await?;
    let base_model =
        base_model.context("There is no base model. Start the service once, so that the starter is there.")?;
    let mut chance = Chance::new(spec.seed);
    let files = loras::store_files(ctx, spec, maker, progress).await?;
    let password_hash = people::password_hash(ctx, spec.password.as_deref()).await?;
    let tx = ctx.db.write().await?;
    let people = people::write(&tx, spec, &password_hash, &mut chance, progress).await?;
    let mut loras = loras::draw(spec, &people, &files, base_model.id, &mut chance);
    let ratings = ratings::draw(spec, &people, &mut loras, &mut chance)?;
    loras::write(&tx, ctx, spec, loras, files, progress).await?;
    ratings::write(&tx, ratings, progress).await?;
    ctx.commit(tx).await?;
    ctx.db.count_rows().await?;
    Ok(())
}

/// How many LoRAs wait for their previews, or have them rendered right now.
///
/// # Errors
/// What the database says.
pub async fn previews_left(ctx: &Context) -> Result<u64, DbErr> {
    let waiting = job::Entity::find()
        .filter(job::Column::Kind.eq(JobKind::Preview))
        .filter(job::Column::State.is_in([JobState::Queued, JobState::Running]));
    waiting.count(ctx.db.read()).await
}

fn check(spec: &SeedSpec) -> Result<(), Invalid> {
    let most = [("loras", spec.loras), ("people", spec.people), ("ratings", spec.ratings)];
    for (field, number) in most {
        if number > MOST {
            let message = format!("{number} {field} are asked for; {MOST} are the most. Ask for fewer.");
            return Err(Invalid::new(field, "OUT_OF_RANGE", message));
        }
    }
    if spec.people < 2 || spec.loras == 0 {
        return Err(Invalid::new(
            "people",
            "OUT_OF_RANGE",
            "A marketplace takes two people and a LoRA at least.".to_owned(),
        ));
    }
    if u64::from(spec.ratings) > u64::from(spec.loras) * u64::from(spec.people - 1) / 4 {
        let message = "A person rates a LoRA once, and its own creator does not: ask for fewer ratings, or for more people or LoRAs.";
        return Err(Invalid::new("ratings", "OUT_OF_RANGE", message.to_owned()));
    }
    Ok(())
}

/// Where everything of a seed comes from that looks like chance.
pub(crate) struct Chance {
    random: ChaCha20Rng,
    last: DateTime<Utc>,
}

impl Chance {
    fn new(seed: u64) -> Self {
        let last = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
        Self { random: ChaCha20Rng::seed_from_u64(seed), last }
    }

    /// A time within so many days before the last one.
    fn within_days(&mut self, days: i64) -> DateTime<Utc> {
        self.last - Duration::seconds(self.random.random_range(0..days * 86_400))
    }

    /// A time between another and the last one.
    fn after(&mut self, begin: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = (self.last - begin).num_seconds().max(1);
        begin + Duration::seconds(self.random.random_range(0..seconds))
    }

    /// A key as it would have been given at a time.
    fn id(&mut self, at: DateTime<Utc>) -> Uuid {
        let mut bytes = [0; 10];
        self.random.fill_bytes(&mut bytes);
        Builder::from_unix_timestamp_millis(at.timestamp_millis().unsigned_abs(), &bytes).into_uuid()
    }

    /// A number from 1 on that is small mostly, and now and then large: Pareto's distribution.
    fn heavy(&mut self, shape: f64) -> f64 {
        self.random.random_range(f64::EPSILON..1.0f64).powf(-1.0 / shape)
    }

    fn one_of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.random.random_range(0..list.len())]
    }
}

/// Writes rows, many in a statement.
async fn write_rows<A>(tx: &DatabaseTransaction, rows: Vec<A>, mut told: impl FnMut(u32)) -> Result<(), DbErr>
where
    A: ActiveModelTrait + Send,
{
    let mut written = 0;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let piece: Vec<A> = rows.by_ref().take(ROWS).collect();
        written += u32::try_from(piece.len()).unwrap_or(u32::MAX);
        <A::Entity as EntityTrait>::insert_many(piece).exec_without_returning(tx).await?;
        told(written);
    }
    Ok(())
}
