//! Starting a training.

use atelier_entities::{
    base_model, dataset, dataset_picture as picture,
    kinds::{JobKind, LoraState, TrainedLayers},
    lora, lora_version as version, training_run as run,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    continued,
    defaults::{Defaults, EPOCHS, STRENGTH},
};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    jobs::{self, NewJob},
    lora::{CreateLoraError, announce_draft, insert_draft, versions::with_trigger},
    policy::{Action, Resource as _, authorize},
    text,
    widen::widen,
};

/// A data set that is trained on holds at least so many pictures, and at most so many.
const PICTURES: std::ops::RangeInclusive<u64> = 4..=200;

/// What a person sets to start a training.
#[derive(Clone, Debug, Serialize)]
pub struct StartTraining {
    /// The pictures.
    pub dataset: Uuid,
    /// The model to train on; none is the team's default one.
    pub base_model: Option<Uuid>,
    /// The LoRA that gets a new version; none makes a LoRA.
    pub lora: Option<Uuid>,
    /// The version whose matrices are trained further; none begins with new ones.
    pub continued_version: Option<Uuid>,
    /// Name of a new LoRA; none takes the data set's.
    pub name: Option<String>,
    /// A word that will call the style up.
    pub trigger_word: String,
    /// Strength of samples and previews, 0 to 2.
    pub strength: Option<f64>,
    /// How often each picture is seen.
    pub epochs: Option<i32>,
    /// Rank of the matrices.
    pub rank: Option<i32>,
    /// Alpha; none is the rank.
    pub alpha: Option<f64>,
    /// Which layers get matrices.
    pub layers: Option<TrainedLayers>,
    /// Learning rate at its peak.
    pub learning_rate: Option<f64>,
    /// Pictures a step.
    pub batch_size: Option<i32>,
    /// Edge, in pixels, of a square with as many pixels as the pictures are brought to; none is the model's own.
    pub resolution: Option<i32>,
    /// Seed of everything random; none draws one.
    pub seed: Option<i64>,
    /// Prompts of the sample pictures; none takes captions of the data set.
    pub sample_prompts: Vec<String>,
    /// What is new about the version.
    pub change_note: String,
    /// Makes a repeated call harmless.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

failures! {
    /// Why [`start`] refused.
    pub enum StartTrainingError {
        /// Too few pictures.
        TooFewPictures { found: u64, least: u64 } =>
            ("datasetId", "TOO_FEW_PICTURES", "This data set holds {found} pictures; a training needs at least {least}, and 10 to 30 do best. Upload more."),
        /// Too many pictures.
        TooManyPictures { found: u64, most: u64 } =>
            ("datasetId", "TOO_MANY_PICTURES", "This data set holds {found} pictures; at most {most} are trained on, and 10 to 30 do best. Remove some."),
        /// The LoRA was deleted.
        LoraDeleted => ("loraId", "LORA_DELETED", "This LoRA was deleted. Choose another or make a new one."),
        /// The version to be continued would lose something, or its file is not read.
        NotContinuable { reason: String } => ("continueFromVersionId", "NOT_CONTINUABLE", "{reason}"),
        /// The version to be continued was made for another model.
        Mismatch { reason: String } => ("continueFromVersionId", "LORA_MISMATCH", "{reason}"),
        /// The maker of the version to be continued does not allow it.
        NoDerivatives { name: String } => ("continueFromVersionId", "NO_DERIVATIVES", "The terms of {name} do not allow it to be trained further. Continue another version, or ask its maker."),
        /// The model of the version to be continued is not the team's to use.
        NotOffered { model: String } => ("baseModelId", "BASE_MODEL_NOT_OFFERED", "The version was made for {model}, which is not offered to this team. Name another base model that it fits, or ask whoever runs this installation to offer {model} to the team."),
        /// The LoRA belongs to another team than the data set.
        OtherTeam => ("loraId", "OTHER_TEAM", "The LoRA and the data set belong to different teams. Choose two of the same team."),
    }
}

widen!(KeyError, ReadError => StartTrainingError);
widen!(CreateLoraError => StartTrainingError);

/// Starts a training: in one transaction its credits are set aside and run and job are written.
///
/// # Errors
/// [`StartTrainingError`]; an [`Invalid`] with `NOT_ENOUGH_CREDITS` when the team cannot pay for it.
pub async fn start(ctx: &Context, actor: &Actor, input: StartTraining) -> Result<run::Model, StartTrainingError> {
    let person = actor.person()?;
    let continued = continued::chosen(ctx, actor, &input).await?;
    let tx = ctx.db.write().await?;
    let dataset = dataset::Entity::find_by_id(input.dataset)
        .one(&tx)
        .await?
        .filter(|dataset| dataset.deleted_at.is_none())
        .ok_or(Refused::NotFound(dataset::Model::NAME))?;
    let permit = authorize(actor, Action::TrainingStart, &dataset)?;
    let once =
        idempotency::begin(&tx, ctx, person.id, input.idempotency_key.as_deref(), "startTraining", &input).await?;
    if let Some(earlier) = once.earlier() {
        return Ok(run::Entity::find_by_id(earlier).one(&tx).await?.ok_or(Refused::NotFound(run::Model::NAME))?);
    }
    let pictures = count_pictures(&tx, dataset.id).await?;
    let base_model = continued::choose_model(&tx, ctx, dataset.team_id, input.base_model, continued.as_ref()).await?;
    let plan = Plan::check(ctx, &input, Defaults::of(&base_model), continued)?;
    let lora = choose_lora(&tx, ctx, actor, person.id, &input, &dataset).await?;
    let prompts = sample_prompts(&tx, &input, dataset.id).await?;
    let run = plan.row(ctx, person.id, &dataset, &base_model, lora.id, pictures, prompts).insert(&tx).await?;
    let job = NewJob {
        team: run.team_id,
        created_by: Some(person.id),
        kind: JobKind::Train,
        subject: run.id,
        base_model: Some(base_model.id),
        payload: json!({}),
        priority: 0,
        max_attempts: 10,
        credits: ctx.settings.credits_per_epoch * i64::from(run.epochs),
    };
    let job = match jobs::enqueue(&tx, ctx, job).await {
        Ok(job) => job,
        Err(error) => return Err(error.into_invalid()?.into()),
    };
    let mut row = run.into_active_model();
    row.job_id = Set(Some(job.id));
    let run = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(run.id), json!({ "lora": run.lora_id, "epochs": run.epochs })).await?;
    once.remember(&tx, ctx, run.id).await?;
    if input.lora.is_none() {
        announce_draft(&tx, ctx, actor, &lora).await?;
    }
    ctx.commit(tx).await?;
    Ok(run)
}

/// What was set, checked and completed.
struct Plan {
    trigger_word: String,
    strength: f64,
    epochs: i32,
    rank: i32,
    alpha: f64,
    layers: TrainedLayers,
    continued_version: Option<Uuid>,
    learning_rate: f64,
    batch_size: i32,
    resolution: Option<i32>,
    seed: i64,
    change_note: String,
}

impl Plan {
    fn check(
        ctx: &Context,
        input: &StartTraining,
        suits: Defaults,
        continued: Option<version::Model>,
    ) -> Result<Self, Invalid> {
        let (rank, alpha) = match &continued {
            Some(version) => (version.rank, version.alpha),
            None => {
                let rank = text::check_range("rank", input.rank.unwrap_or(suits.rank), 1, 128)?;
                let alpha = input.alpha.unwrap_or(f64::from(rank));
                (rank, text::check_range("alpha", alpha, 0.01, 512.0)?)
            }
        };
        let rate = input.learning_rate.unwrap_or(suits.learning_rate);
        let resolution =
            input.resolution.map(|pixels| text::check_range("resolution", pixels, 32, 2048)).transpose()?;
        Ok(Self {
            trigger_word: text::check("triggerWord", &input.trigger_word, 1, 60)?,
            strength: text::check_range("strength", input.strength.unwrap_or(STRENGTH), 0.0, 2.0)?,
            epochs: text::check_range("epochs", input.epochs.unwrap_or(EPOCHS), 1, 200)?,
            rank,
            alpha,
            layers: input.layers.unwrap_or(suits.layers),
            continued_version: continued.map(|version| version.id),
            learning_rate: text::check_range("learningRate", rate, 1e-7, 0.1)?,
            batch_size: text::check_range("batchSize", input.batch_size.unwrap_or(suits.batch_size), 1, 64)?,
            resolution,
            seed: text::check_range("seed", input.seed.unwrap_or_else(|| ctx.random.seed()), 0, (1 << 53) - 1)?,
            change_note: text::check("changeNote", &input.change_note, 0, 2000)?,
        })
    }

    #[allow(clippy::too_many_arguments, reason = "the row has so many parents")]
    fn row(
        self,
        ctx: &Context,
        person: Uuid,
        dataset: &dataset::Model,
        base_model: &base_model::Model,
        lora: Uuid,
        pictures: i32,
        prompts: Vec<String>,
    ) -> run::ActiveModel {
        run::ActiveModel {
            id: Set(ctx.new_id()),
            team_id: Set(dataset.team_id),
            created_by: Set(person),
            dataset_id: Set(dataset.id),
            base_model_id: Set(base_model.id),
            lora_id: Set(lora),
            job_id: Set(None),
            trigger_word: Set(self.trigger_word),
            strength: Set(self.strength),
            epochs: Set(self.epochs),
            rank: Set(self.rank),
            alpha: Set(self.alpha),
            layers: Set(self.layers),
            continued_version_id: Set(self.continued_version),
            learning_rate: Set(self.learning_rate),
            batch_size: Set(self.batch_size),
            resolution: Set(self.resolution),
            seed: Set(self.seed),
            sample_prompts: Set(json!(prompts)),
            change_note: Set(self.change_note),
            picture_count: Set(pictures),
            steps: Set(None),
            seconds: Set(None),
            validation_loss_base: Set(None),
            validation_loss: Set(None),
            best_epoch: Set(None),
            chosen_epoch: Set(None),
            version_id: Set(None),
            created_at: Set(ctx.now()),
            finished_at: Set(None),
        }
    }
}

async fn count_pictures(tx: &DatabaseTransaction, dataset: Uuid) -> Result<i32, StartTrainingError> {
    let found = picture::Entity::find().filter(picture::Column::DatasetId.eq(dataset)).count(tx).await?;
    if found < *PICTURES.start() {
        return Err(StartTrainingError::TooFewPictures { found, least: *PICTURES.start() });
    }
    if found > *PICTURES.end() {
        return Err(StartTrainingError::TooManyPictures { found, most: *PICTURES.end() });
    }
    Ok(i32::try_from(found).unwrap_or(i32::MAX))
}

async fn choose_lora(
    tx: &DatabaseTransaction,
    ctx: &Context,
    actor: &Actor,
    person: Uuid,
    input: &StartTraining,
    dataset: &dataset::Model,
) -> Result<lora::Model, StartTrainingError> {
    let Some(id) = input.lora else {
        let name = input.name.as_deref().unwrap_or(&dataset.name);
        return Ok(insert_draft(tx, ctx, dataset.team_id, person, name).await?);
    };
    let lora = lora::Entity::find_by_id(id).one(tx).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    authorize(actor, Action::LoraWrite, &lora)?;
    match lora.state {
        LoraState::Deleted => Err(StartTrainingError::LoraDeleted),
        _ if lora.team_id != dataset.team_id => Err(StartTrainingError::OtherTeam),
        _ => Ok(lora),
    }
}

/// The prompts of the sample pictures: what was asked for, or the captions of the first four pictures, with the trigger
/// word in front.
async fn sample_prompts(
    tx: &DatabaseTransaction,
    input: &StartTraining,
    dataset: Uuid,
) -> Result<Vec<String>, StartTrainingError> {
    if !input.sample_prompts.is_empty() {
        return Ok(text::check_words("samplePrompts", &input.sample_prompts, 8, 1000)?);
    }
    let captions = first_captions(tx, dataset).await?;
    let mut prompts: Vec<String> = captions.iter().map(|caption| with_trigger(&input.trigger_word, caption)).collect();
    prompts.dedup();
    Ok(prompts)
}

async fn first_captions(tx: &DatabaseTransaction, dataset: Uuid) -> Result<Vec<String>, DbErr> {
    use sea_orm::{QueryOrder as _, QuerySelect as _};
    let rows = picture::Entity::find()
        .filter(picture::Column::DatasetId.eq(dataset))
        .order_by_asc(picture::Column::Id)
        .limit(4)
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.caption).collect())
}
