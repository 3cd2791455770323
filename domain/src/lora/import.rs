//! Taking in a `.safetensors` file that was made elsewhere: its metadata fills the card, its tensors say what it is for.

use atelier_entities::{
    base_model,
    kinds::{UploadPurpose, UploadState},
    lora, lora_version as version, upload,
};
use sea_orm::{
    ActiveEnum, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Card, LONGEST_LICENSE, LONGEST_NAME, LONGEST_TAG, MOST_TAGS, announce_draft, insert, locked,
    terms::{self, Terms},
    versions::{self, AddVersionError, NewVersion, VersionSource, add_version, check_strength},
};
use crate::{
    actor::Actor,
    audit, base_model as base_models,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    policy::{Action, Resource, authorize},
    ports::{blobs::Stored, inspector::InspectedLora},
    preview, text,
    widen::widen,
};

const LONGEST_NOTE: usize = 2_000;
const LONGEST_WORD: usize = 60;
const MOST_WORDS: usize = 20;

/// A file to be imported. What is none comes from the file's metadata.
#[derive(Clone, Debug, Serialize)]
pub struct ImportLora {
    /// The upload, checked.
    pub upload: Uuid,
    /// The LoRA that it is a version of; a new one without.
    pub lora: Option<Uuid>,
    /// The base model that it is said to be for; found from its tensors without.
    pub base_model: Option<Uuid>,
    /// Name of a new LoRA.
    pub name: Option<String>,
    /// Its style in words.
    pub description: Option<String>,
    /// Tags.
    pub tags: Option<Vec<String>>,
    /// Licence of the weights.
    pub license: Option<String>,
    /// What others may do with it, where that licence is not a well-known one.
    pub terms: Option<Terms>,
    /// Words that call its style up.
    pub trigger_words: Option<Vec<String>>,
    /// What is new.
    pub change_note: Option<String>,
    /// Strength at which it looks best; 1 without.
    pub recommended_strength: Option<f64>,
}

failures! {
    /// Why [`import`] refused.
    pub enum ImportError {
        /// Its bytes are still on their way.
        NotReceived { received: i64, size: i64 } =>
            ("uploadId", "NOT_RECEIVED", "Only {received} of {size} bytes of this file have been received. Send the rest first."),
        /// It is a picture.
        NotALora => ("uploadId", "NOT_A_LORA", "This upload is a picture. Upload a `.safetensors` file with the purpose LORA_FILE."),
        /// It was refused.
        Rejected { reason: String } => ("uploadId", "UPLOAD_REJECTED", "This file was refused: {reason}"),
        /// It has become a version already.
        Used => ("uploadId", "UPLOAD_USED", "This upload was imported already. Upload the file again to import it elsewhere."),
        /// It was announced for another LoRA.
        OtherTarget => ("loraId", "OTHER_TARGET", "This upload was announced for another LoRA. Name that one, or upload the file again."),
        /// The team of the upload is not the LoRA's.
        OtherTeam => ("loraId", "OTHER_TEAM", "This upload belongs to another team than the LoRA. Upload the file for the LoRA's team."),
        /// A LoRA's versions are all of one kind.
        OtherKind { number: i32, before: String, now: String } =>
            ("uploadId", "OTHER_KIND", "Version {number} of this LoRA is for {before} and this file is for {now}. Import it as a LoRA of its own."),
        /// The LoRA is a tombstone.
        Deleted => ("loraId", "LORA_DELETED", "This LoRA was deleted. Import the file as a new one."),
        /// The LoRA has this very file.
        Repeated { number: i32 } =>
            ("uploadId", "REPEATED_VERSION", "This very file is version {number} of the LoRA already. Nothing was added."),
    }
}

widen!(KeyError, ReadError => ImportError);

impl From<AddVersionError> for ImportError {
    fn from(error: AddVersionError) -> Self {
        match error {
            AddVersionError::Deleted => Self::Deleted,
            AddVersionError::Repeated { number } => Self::Repeated { number },
            AddVersionError::Invalid(invalid) => Self::Invalid(invalid),
            AddVersionError::Refused(refused) => Self::Refused(refused),
            AddVersionError::Unexpected(error) => Self::Unexpected(error),
        }
    }
}

/// Makes a version, and a LoRA unless one is named, of a file that was uploaded and checked.
///
/// A base model that is named must fit the file. Without one, the first that fits is taken; a file that fits none here
/// is kept, and can be handed out but not used to generate.
///
/// # Errors
/// [`ImportError`]; an [`Invalid`] with `BASE_MODEL_MISMATCH` names both.
pub async fn import(
    ctx: &Context,
    actor: &Actor,
    input: ImportLora,
    key: Option<&str>,
) -> Result<version::Model, ImportError> {
    let person = actor.person()?;
    let tx = ctx.db.read();
    let upload = find_upload(tx, input.upload).await?;
    authorize(actor, Action::UploadRead, &upload)?;
    let facts = checked_facts(&upload)?;
    let words = check_words(&input, &facts)?;
    let base_model = base_model(ctx, upload.team_id, &input, facts.as_ref()).await?;

    let tx = ctx.db.write().await?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "importLora", &input).await?;
    if let Some(id) = once.earlier() {
        drop(tx);
        return Ok(versions::get(ctx, actor, id).await?.1);
    }
    // Locked, so that an upload becomes one version only.
    let upload = upload::Entity::find_by_id(upload.id).lock_exclusive().one(&tx).await?.ok_or_else(missing_upload)?;
    let facts = checked_facts(&upload)?.ok_or(ImportError::Used)?;
    let (lora, permit) = target(&tx, ctx, actor, &upload, &input, &facts).await?;
    refuse_other_kind(&tx, &lora, &facts).await?;
    let new = NewVersion {
        lora: lora.id,
        change_note: words.change_note,
        parent: lora.latest_version_id,
        base_model: base_model.map(|model| model.id),
        trigger_words: words.trigger_words,
        file: stored(&upload, &facts)?,
        facts,
        recommended_strength: words.strength,
        source: VersionSource::Upload(upload.id),
    };
    let version = add_version(&tx, ctx, &permit, new).await?;
    if version.base_model_id.is_some() {
        preview::enqueue(&tx, ctx, &version, person.id).await?;
    }
    upload::Entity::update_many()
        .col_expr(upload::Column::State, Expr::value(UploadState::Ready.to_value()))
        .col_expr(upload::Column::TargetId, Expr::value(lora.id))
        .filter(upload::Column::Id.eq(upload.id))
        .exec(&tx)
        .await?;
    once.remember(&tx, ctx, version.id).await?;
    announce_draft(&tx, ctx, actor, &lora).await?;
    ctx.commit(tx).await?;
    Ok(version)
}

fn missing_upload() -> Refused {
    Refused::NotFound(upload::Model::NAME)
}

async fn find_upload<C: sea_orm::ConnectionTrait>(db: &C, id: Uuid) -> Result<upload::Model, ImportError> {
    Ok(upload::Entity::find_by_id(id).one(db).await?.ok_or_else(missing_upload)?)
}

/// What the check found in the file; none when it was imported before.
fn checked_facts(upload: &upload::Model) -> Result<Option<InspectedLora>, ImportError> {
    if upload.purpose != UploadPurpose::LoraFile {
        return Err(ImportError::NotALora);
    }
    match upload.state {
        UploadState::Receiving | UploadState::Quarantined => {
            Err(ImportError::NotReceived { received: upload.received, size: upload.size })
        }
        UploadState::Rejected => Err(ImportError::Rejected { reason: upload.reason.clone().unwrap_or_default() }),
        UploadState::Ready => Ok(None),
        UploadState::Checked => {
            let facts =
                upload.facts.clone().ok_or_else(|| anyhow::anyhow!("checked upload {} has no facts", upload.id))?;
            Ok(Some(serde_json::from_value(facts).map_err(anyhow::Error::from)?))
        }
    }
}

/// Texts and numbers of the version.
struct Words {
    change_note: String,
    trigger_words: Vec<String>,
    strength: f64,
}

fn check_words(input: &ImportLora, facts: &Option<InspectedLora>) -> Result<Words, Invalid> {
    let trigger_words = match &input.trigger_words {
        Some(words) => text::check_words("triggerWords", words, MOST_WORDS, LONGEST_WORD)?,
        None => tidy(facts.iter().flat_map(|facts| facts.trigger_words.iter().cloned()), MOST_WORDS, LONGEST_WORD),
    };
    Ok(Words {
        change_note: text::check("changeNote", input.change_note.as_deref().unwrap_or_default(), 0, LONGEST_NOTE)?,
        trigger_words,
        strength: check_strength("recommendedStrength", input.recommended_strength.unwrap_or(1.0))?,
    })
}

/// Words of a file's metadata, of which nobody could be asked to mend those that are unfit.
fn tidy(words: impl Iterator<Item = String>, most: usize, longest: usize) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if let Ok(word) = text::check("", &word, 1, longest)
            && !kept.contains(&word)
        {
            kept.push(word);
        }
    }
    kept.truncate(most);
    kept
}

async fn base_model(
    ctx: &Context,
    team: Uuid,
    input: &ImportLora,
    facts: Option<&InspectedLora>,
) -> Result<Option<base_model::Model>, ReadError> {
    let Some(facts) = facts else { return Ok(None) };
    match input.base_model {
        None => base_models::matching(ctx, team, facts).await,
        Some(id) => {
            let model = base_models::choose(ctx.db.read(), team, Some(id)).await?;
            base_models::check_fit(ctx, facts, &model).await?;
            Ok(Some(model))
        }
    }
}

/// The LoRA that the version goes to, and the leave to change it.
async fn target(
    tx: &DatabaseTransaction,
    ctx: &Context,
    actor: &Actor,
    upload: &upload::Model,
    input: &ImportLora,
    facts: &InspectedLora,
) -> Result<(lora::Model, crate::policy::Permit), ImportError> {
    let person = actor.person()?;
    if upload.target_id.is_some() && input.lora.is_some() && upload.target_id != input.lora {
        return Err(ImportError::OtherTarget);
    }
    let Some(id) = input.lora.or(upload.target_id) else {
        let permit = authorize(actor, Action::LoraWrite, &Owner(upload))?;
        let lora = insert(tx, ctx, upload.team_id, person.id, card(input, upload, facts)?).await?;
        audit::record(tx, ctx, &permit, Some(lora.id), json!({ "do": "import", "upload": upload.id })).await?;
        return Ok((lora, permit));
    };
    let lora = locked(tx, id).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraWrite, &lora)?;
    if lora.team_id != upload.team_id {
        return Err(ImportError::OtherTeam);
    }
    Ok((lora, permit))
}

/// The team of an upload, as the owner of a LoRA that is to be.
struct Owner<'a>(&'a upload::Model);

impl Resource for Owner<'_> {
    const NAME: &'static str = upload::Model::NAME;

    fn target(&self) -> crate::policy::Target {
        self.0.target()
    }
}

/// The card of a new LoRA: what the person says, else what the metadata says, else the file's name.
fn card(input: &ImportLora, upload: &upload::Model, facts: &InspectedLora) -> Result<Card, Invalid> {
    let said = |key: &str, longest: usize| -> Option<String> {
        let value = facts.metadata.get(key)?.as_str()?.trim();
        (!value.is_empty()).then(|| value.chars().filter(|c| !c.is_control()).take(longest).collect())
    };
    let stem = upload.file_name.rsplit_once('.').map_or(upload.file_name.as_str(), |(stem, _)| stem);
    let title = facts.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    let name = input.name.clone().unwrap_or_else(|| title.unwrap_or(stem).chars().take(LONGEST_NAME).collect());
    let description = input.description.clone().or_else(|| said("modelspec.description", 2_000)).unwrap_or_default();
    let license = input.license.clone().or_else(|| said("modelspec.license", LONGEST_LICENSE)).unwrap_or_default();
    let tags = input.tags.clone().unwrap_or_else(|| {
        let tags = said("modelspec.tags", 2_000);
        let tags = tags.map(|tags| tags.split(',').map(str::to_owned).collect());
        tidy(tags.unwrap_or_else(|| facts.tags.clone()).into_iter(), MOST_TAGS, LONGEST_TAG)
    });
    // What the file says is nobody's choice yet.
    let is_chosen = input.license.is_some() || input.terms.is_some();
    let terms = if is_chosen { terms::choose(license.trim(), input.terms)? } else { None };
    Ok(Card { terms, ..Card::check(&name, &description, &tags, &license)? })
}

/// A LoRA's versions are all for one family and variant: who uses it must be able to take the newest.
async fn refuse_other_kind(
    tx: &DatabaseTransaction,
    lora: &lora::Model,
    facts: &InspectedLora,
) -> Result<(), ImportError> {
    let newest = version::Entity::find()
        .filter(version::Column::LoraId.eq(lora.id))
        .order_by_desc(version::Column::Number)
        .one(tx)
        .await?;
    match newest {
        Some(newest) if (&newest.detected_family, &newest.detected_variant) != (&facts.family, &facts.variant) => {
            Err(ImportError::OtherKind {
                number: newest.number,
                before: format!("{} {}", newest.detected_family, newest.detected_variant),
                now: format!("{} {}", facts.family, facts.variant),
            })
        }
        _ => Ok(()),
    }
}

fn stored(upload: &upload::Model, facts: &InspectedLora) -> anyhow::Result<Stored> {
    let sha256 =
        upload.blob_sha256.clone().ok_or_else(|| anyhow::anyhow!("checked upload {} has no blob", upload.id))?;
    Ok(Stored { sha256, size: i64::try_from(facts.size)?, media_type: super::MEDIA_TYPE })
}
