//! Asking for pictures.

use atelier_entities::{base_model, generation, generation_lora, kinds::JobKind, lora_version as version, team};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, EntityTrait, IntoActiveModel};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    margins::Margins,
    pictures::{self, GivenPictures},
    size_conditioning::SizeConditioning,
};
use crate::{
    actor::Actor,
    audit, base_model as models,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    jobs::{self, NewJob},
    lora::{
        compatibility,
        versions::{self, check_strength, holds_word, with_trigger, words},
    },
    policy::{Action, Resource as _, authorize},
    text,
    widen::widen,
};

/// The longest edge of a picture, in pixels.
const LONGEST_EDGE: i32 = 2048;

/// Characters of a prompt, trigger words that are inserted among them.
const LONGEST_PROMPT: usize = 4000;

/// How many pictures one generation makes at most.
const MOST_PICTURES: i32 = 16;

/// How many LoRAs work together at most.
const MOST_LORAS: usize = 8;

/// A LoRA to be used.
#[derive(Clone, Debug, Serialize)]
pub struct WantedLora {
    /// Its version.
    pub version: Uuid,
    /// Its strength, -4 to 4; none takes what the version recommends, within what was measured to be safe.
    pub strength: Option<f64>,
}

/// A picture that others are generated from.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum PictureSource {
    /// One that was generated before.
    Asset(Uuid),
    /// One that was uploaded for it.
    Upload(Uuid),
}

/// A picture that the new pictures begin as.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WantedStart {
    /// The picture.
    pub picture: PictureSource,
    /// Where it is drawn anew: white is, black stays. Everywhere without it.
    pub mask: Option<PictureSource>,
    /// How much of it is drawn anew, above 0 and up to 1.
    pub strength: f64,
    /// What is drawn around it; it stays as it is then, whatever the strength.
    pub margins: Option<Margins>,
}

/// What a person asks for.
#[derive(Clone, Debug, Serialize)]
pub struct StartGeneration {
    /// The team that pays and keeps the pictures; none is the person's own.
    pub team: Option<Uuid>,
    /// The model; none is the one of the first LoRA, or the team's default one.
    pub base_model: Option<Uuid>,
    /// What the pictures show.
    pub prompt: String,
    /// What they do not show.
    pub negative_prompt: String,
    /// LoRAs, applied together.
    pub loras: Vec<WantedLora>,
    /// Whether a LoRA's trigger word is put before the prompt where the prompt has none of its trigger words.
    pub inserts_trigger_words: bool,
    /// Whether the LoRAs are merged into the weights: it takes a while at first, and then a step costs nothing for them.
    pub merges_loras: bool,
    /// Seed of the first picture, the others count on from it; none draws one.
    pub seed: Option<i64>,
    /// Pixels across; none is the model's own.
    pub width: Option<i32>,
    /// Pixels down; none is the model's own.
    pub height: Option<i32>,
    /// Denoising steps; none is the model's own number.
    pub steps: Option<i32>,
    /// Guidance scale; none is the model's own.
    pub guidance: Option<f64>,
    /// Number of pictures.
    pub count: Option<i32>,
    /// Pictures that the new ones are made from, where the model edits.
    pub references: Vec<PictureSource>,
    /// The picture that the new ones begin as, where the model draws over one.
    pub start: Option<WantedStart>,
    /// What SDXL is told of the pictures' sizes; that they are whole without it.
    pub size_conditioning: Option<SizeConditioning>,
    /// Makes a repeated call harmless.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

failures! {
    /// Why [`start`] refused.
    pub enum StartGenerationError {
        /// The model that a LoRA was made for is not the team's to use.
        NotOffered { model: String } => ("baseModelId", "BASE_MODEL_NOT_OFFERED", "The LoRA was made for {model}, which is not offered to this team. Name another base model that it fits, or ask whoever runs this installation to offer {model} to the team."),
        /// The same LoRA twice.
        RepeatedLora => ("loras", "REPEATED_LORA", "The same LoRA version is named twice. Name it once, with the strength it shall have."),
        /// The model does not take references.
        NoReferences { model: String } => ("references", "NOT_SUPPORTED", "{model} takes no reference pictures. Leave them out, or choose a FLUX.2 model."),
        /// The model does not draw over a picture.
        NoStart { model: String } => ("start", "NOT_SUPPORTED", "{model} does not draw over a picture. Give it as a reference, or choose an SDXL model."),
        /// The model is not told of sizes.
        NoSizeConditioning { model: String } => ("sizeConditioning", "NOT_SUPPORTED", "{model} takes no size conditioning. Leave it out, or choose an SDXL model."),
        /// A LoRA was made for another model.
        Mismatch { reason: String } => ("loras", "LORA_MISMATCH", "{reason}"),
    }
}

widen!(KeyError, ReadError => StartGenerationError);

/// Asks for pictures: in one transaction their credits are set aside and generation and job are written. A LoRA that
/// does not fit the model is refused before anything is queued.
///
/// # Errors
/// [`StartGenerationError`]; an [`Invalid`] with `NOT_ENOUGH_CREDITS` when the team cannot pay for it.
pub async fn start(
    ctx: &Context,
    actor: &Actor,
    input: StartGeneration,
) -> Result<generation::Model, StartGenerationError> {
    let given = pictures::given(ctx, actor, &input).await?;
    let key = input.idempotency_key.clone();
    let call = Call { name: "generatePictures", input: &input, key: key.as_deref() };
    begin(ctx, actor, call, &input, given).await
}

/// The call that asks for pictures, as it is told apart from others.
pub(super) struct Call<'a, I> {
    /// Name of the operation.
    pub(super) name: &'static str,
    /// What the caller said.
    pub(super) input: &'a I,
    /// Makes a repeated call harmless.
    pub(super) key: Option<&'a str>,
}

/// As [`start`], with the pictures that it is given already found.
pub(super) async fn begin<I: Serialize>(
    ctx: &Context,
    actor: &Actor,
    call: Call<'_, I>,
    input: &StartGeneration,
    given: GivenPictures,
) -> Result<generation::Model, StartGenerationError> {
    let person = actor.person()?;
    let loras = wanted(ctx, actor, &input.loras).await?;
    let tx = ctx.db.write().await?;
    let team = input.team.unwrap_or(person.personal_team);
    let team = team::Entity::find_by_id(team).one(&tx).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::AssetGenerate, &team)?;
    let once = idempotency::begin(&tx, ctx, person.id, call.key, call.name, call.input).await?;
    if let Some(earlier) = once.earlier() {
        let earlier = generation::Entity::find_by_id(earlier).one(&tx).await?;
        return Ok(earlier.ok_or(Refused::NotFound(generation::Model::NAME))?);
    }
    let model =
        choose_model(&tx, team.id, input.base_model, loras.first().and_then(|(lora, _)| lora.base_model_id)).await?;
    pictures::check_model(&given, &model)?;
    let facts = models::facts(&model);
    for (version, _) in &loras {
        let fits = ctx.inspector.fits(&versions::facts(version), &facts);
        fits.map_err(|rejected| StartGenerationError::Mismatch { reason: rejected.0 })?;
    }
    let prompt = match input.inserts_trigger_words {
        true => with_trigger_words(&input.prompt, loras.iter().map(|(version, _)| version)),
        false => input.prompt.clone(),
    };
    let row = row(ctx, (input, &prompt), &given, (person.id, team.id), &model)?.insert(&tx).await?;
    write_loras(&tx, ctx, &row, loras).await?;
    pictures::write(&tx, ctx, row.id, given.pictures).await?;
    let job = NewJob {
        team: team.id,
        created_by: Some(person.id),
        kind: JobKind::Generate,
        subject: row.id,
        base_model: Some(model.id),
        payload: json!({}),
        priority: 2,
        max_attempts: 10,
        credits: ctx.settings.credits_per_picture * i64::from(row.count),
    };
    let job = match jobs::enqueue(&tx, ctx, job).await {
        Ok(job) => job,
        Err(error) => return Err(error.into_invalid()?.into()),
    };
    let mut row = row.into_active_model();
    row.job_id = Set(Some(job.id));
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "pictures": row.count })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// The versions that are asked for, with their strengths, as far as the actor may see them.
async fn wanted(
    ctx: &Context,
    actor: &Actor,
    loras: &[WantedLora],
) -> Result<Vec<(version::Model, Option<f64>)>, StartGenerationError> {
    if loras.len() > MOST_LORAS {
        let message = format!("{} LoRAs are named; at most {MOST_LORAS} work together. Remove some.", loras.len());
        return Err(Invalid::new("loras", "TOO_MANY", message).into());
    }
    let mut found: Vec<(version::Model, Option<f64>)> = Vec::with_capacity(loras.len());
    for lora in loras {
        let (_, version) = versions::get(ctx, actor, lora.version).await?;
        if found.iter().any(|(other, _)| other.id == version.id) {
            return Err(StartGenerationError::RepeatedLora);
        }
        let strength = lora.strength.map(|strength| check_strength("loras.strength", strength));
        found.push((version, strength.transpose()?));
    }
    Ok(found)
}

async fn choose_model(
    tx: &DatabaseTransaction,
    team: Uuid,
    asked: Option<Uuid>,
    of_lora: Option<Uuid>,
) -> Result<base_model::Model, StartGenerationError> {
    if asked.is_none()
        && let Some(id) = of_lora
    {
        // Nobody named it: that it is not there would say nothing.
        let model = base_model::Entity::find_by_id(id).one(tx).await?.ok_or(Refused::NotFound("base model"))?;
        if !models::is_offered(tx, &model, team).await? {
            return Err(StartGenerationError::NotOffered { model: model.title });
        }
    }
    Ok(models::choose(tx, team, asked.or(of_lora)).await?)
}

fn row(
    ctx: &Context,
    (input, prompt): (&StartGeneration, &str),
    given: &GivenPictures,
    (person, team): (Uuid, Uuid),
    model: &base_model::Model,
) -> Result<generation::ActiveModel, StartGenerationError> {
    let guidance = input.guidance.unwrap_or(model.default_guidance);
    let width = edge("width", input.width.unwrap_or(model.native_width), model.size_multiple)?;
    let height = edge("height", input.height.unwrap_or(model.native_height), model.size_multiple)?;
    let margins = given.margins.map(|margins| margins.check((width, height), model.size_multiple, LONGEST_EDGE));
    let sizes = input.size_conditioning.map(|sizes| sizes.check(model));
    Ok(generation::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team),
        created_by: Set(person),
        base_model_id: Set(model.id),
        job_id: Set(None),
        prompt: Set(text::check("prompt", prompt, 0, LONGEST_PROMPT)?),
        negative_prompt: Set(text::check("negativePrompt", &input.negative_prompt, 0, 4000)?),
        seed: Set(text::check_range("seed", input.seed.unwrap_or_else(|| ctx.random.seed()), 0, (1 << 53) - 1)?),
        width: Set(width),
        height: Set(height),
        steps: Set(text::check_range("steps", input.steps.unwrap_or(model.default_steps), 1, 150)?),
        guidance: Set(text::check_range("guidance", guidance, 0.0, 30.0)?),
        count: Set(text::check_range("count", input.count.unwrap_or(1), 1, MOST_PICTURES)?),
        merges_loras: Set(input.merges_loras),
        start_strength: Set(given.strength.map(pictures::strength).transpose()?),
        size_conditioning: Set(sizes.transpose()?.map(|sizes| json!(sizes))),
        start_margins: Set(margins.transpose()?.map(|margins| json!(margins))),
        created_at: Set(ctx.now()),
    })
}

/// The prompt behind the first trigger word of each LoRA of whose trigger words it has none, as in training.
fn with_trigger_words<'a>(prompt: &str, versions: impl DoubleEndedIterator<Item = &'a version::Model>) -> String {
    versions.rev().fold(prompt.to_owned(), |prompt, version| {
        let triggers = words(&version.trigger_words);
        match triggers.first() {
            Some(first) if !triggers.iter().any(|trigger| holds_word(&prompt, trigger)) => with_trigger(first, &prompt),
            _ => prompt,
        }
    })
}

/// Checks an edge of the picture: within bounds, and a multiple of what the model divides it by.
fn edge(field: &'static str, pixels: i32, multiple: i32) -> Result<i32, Invalid> {
    let pixels = text::check_range(field, pixels, multiple, LONGEST_EDGE)?;
    if pixels % multiple == 0 {
        return Ok(pixels);
    }
    let near = pixels / multiple * multiple;
    let message = format!(
        "`{field}` is {pixels}; this model renders multiples of {multiple}. Take {near} or {}.",
        near + multiple
    );
    Err(Invalid::new(field, "NOT_A_MULTIPLE", message))
}

async fn write_loras(
    tx: &DatabaseTransaction,
    ctx: &Context,
    generation: &generation::Model,
    loras: Vec<(version::Model, Option<f64>)>,
) -> Result<(), StartGenerationError> {
    for (position, (version, strength)) in loras.into_iter().enumerate() {
        let strength = match strength {
            Some(strength) => strength,
            None => compatibility::default_strength(tx, &version, generation.base_model_id).await?,
        };
        let row = generation_lora::ActiveModel {
            id: Set(ctx.new_id()),
            generation_id: Set(generation.id),
            lora_version_id: Set(version.id),
            strength: Set(strength),
            position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
        };
        row.insert(tx).await?;
    }
    Ok(())
}
