//! Pictures that a generation is given: references, a start, a mask.

use std::collections::HashMap;

use atelier_entities::{
    base_model, generation, generation_picture,
    kinds::{GenerationPictureRole, UploadPurpose, UploadState},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
};
use uuid::Uuid;

use super::{
    assets, by_ids,
    margins::Margins,
    start::{PictureSource, StartGeneration, StartGenerationError},
};
use crate::{
    actor::Actor,
    context::Context,
    error::{Invalid, ReadError},
    text, upload,
};

/// How many references a generation takes at most.
const MOST_REFERENCES: usize = 10;

/// The least of a start that is drawn anew.
const LEAST_STRENGTH: f64 = 0.01;

/// A picture that the actor may see, and what it is to be.
pub(super) struct Given {
    role: GenerationPictureRole,
    sha256: String,
}

/// The pictures of a generation, how much of the one that it begins as is drawn anew, and what is drawn around it.
pub(super) struct GivenPictures {
    pub(super) pictures: Vec<Given>,
    pub(super) strength: Option<f64>,
    pub(super) margins: Option<Margins>,
}

impl GivenPictures {
    fn has(&self, role: GenerationPictureRole) -> bool {
        self.pictures.iter().any(|given| given.role == role)
    }

    /// Those that another generation was given. Ask for one that the actor may see.
    pub(super) async fn again(ctx: &Context, earlier: &generation::Model) -> Result<Self, DbErr> {
        let rows = generation_picture::Entity::find()
            .filter(generation_picture::Column::GenerationId.eq(earlier.id))
            .order_by_asc(generation_picture::Column::Position)
            .all(ctx.db.read())
            .await?;
        let pictures = rows.into_iter().map(|row| Given { role: row.role, sha256: row.blob_sha256 }).collect();
        Ok(Self { pictures, strength: earlier.start_strength, margins: Margins::of(earlier) })
    }
}

/// The pictures that are asked for, as far as the actor may see them.
pub(super) async fn given(
    ctx: &Context,
    actor: &Actor,
    input: &StartGeneration,
) -> Result<GivenPictures, StartGenerationError> {
    if input.references.len() > MOST_REFERENCES {
        let message = format!(
            "{} reference pictures are given; at most {MOST_REFERENCES} are taken. Remove some.",
            input.references.len()
        );
        return Err(Invalid::new("references", "TOO_MANY", message).into());
    }
    let margins = input.start.and_then(|start| start.margins);
    if margins.is_some() && input.start.is_some_and(|start| start.mask.is_some()) {
        let message =
            "A mask is given with margins, and the margins say already what is drawn anew. Leave one of them out.";
        return Err(Invalid::new("start.mask", "MASK_WITH_MARGINS", message).into());
    }
    let references = input.references.iter().map(|source| (GenerationPictureRole::Reference, "references", *source));
    let start = input.start.iter().map(|start| (GenerationPictureRole::Start, "start.picture", start.picture));
    let mask = input.start.iter().filter_map(|start| start.mask);
    let mask = mask.map(|mask| (GenerationPictureRole::Mask, "start.mask", mask));
    let mut found = Vec::new();
    for (role, field, source) in references.chain(start).chain(mask) {
        found.push(Given { role, sha256: find(ctx, actor, field, source).await? });
    }
    // What is drawn around a picture begins as nothing that could be kept.
    let strength = input.start.map(|start| if margins.is_some() { 1.0 } else { start.strength });
    Ok(GivenPictures { pictures: found, strength, margins })
}

/// The file of a picture that the actor may see.
pub(crate) async fn find(
    ctx: &Context,
    actor: &Actor,
    field: &'static str,
    source: PictureSource,
) -> Result<String, ReadError> {
    let id = match source {
        PictureSource::Asset(id) => return Ok(assets::asset(ctx, actor, id).await?.blob_sha256),
        PictureSource::Upload(id) => id,
    };
    let upload = upload::get(ctx, actor, id).await?;
    let message = match (upload.purpose, upload.state, upload.blob_sha256) {
        (UploadPurpose::GenerationPicture, UploadState::Ready, Some(sha256)) => return Ok(sha256),
        (UploadPurpose::GenerationPicture, UploadState::Rejected, _) => upload.reason.unwrap_or_default(),
        (UploadPurpose::GenerationPicture, ..) => {
            "This picture has not been received in full yet. Send the rest, and wait until it was checked.".to_owned()
        }
        _ => "This upload is no picture to generate from. Upload one for the purpose GENERATION_PICTURE.".to_owned(),
    };
    Err(Invalid::new(field, "PICTURE_NOT_READY", message).into())
}

/// Refuses pictures that the model makes nothing of.
pub(super) fn check_model(given: &GivenPictures, model: &base_model::Model) -> Result<(), StartGenerationError> {
    let edits = model.family == "flux2";
    if !edits && given.has(GenerationPictureRole::Reference) {
        return Err(StartGenerationError::NoReferences { model: model.name.clone() });
    }
    if edits && given.has(GenerationPictureRole::Start) {
        return Err(StartGenerationError::NoStart { model: model.name.clone() });
    }
    Ok(())
}

/// The strength of a start, within its bounds.
pub(super) fn strength(strength: f64) -> Result<f64, Invalid> {
    text::check_range("start.strength", strength, LEAST_STRENGTH, 1.0)
}

/// Writes the pictures of a generation.
pub(super) async fn write(
    tx: &DatabaseTransaction,
    ctx: &Context,
    generation: Uuid,
    given: Vec<Given>,
) -> Result<(), DbErr> {
    for (position, picture) in (0..).zip(given) {
        let row = generation_picture::ActiveModel {
            id: Set(ctx.new_id()),
            generation_id: Set(generation),
            role: Set(picture.role),
            position: Set(position),
            blob_sha256: Set(picture.sha256),
        };
        row.insert(tx).await?;
    }
    Ok(())
}

/// The pictures that generations were given, in order, for loaders. Ask for generations that were loaded for the same
/// actor.
///
/// # Errors
/// What the database says.
pub async fn pictures_of(
    ctx: &Context,
    actor: &Actor,
    generations: &[Uuid],
) -> Result<HashMap<Uuid, Vec<generation_picture::Model>>, ReadError> {
    let visible = by_ids(ctx, actor, generations).await?;
    let rows = generation_picture::Entity::find()
        .filter(generation_picture::Column::GenerationId.is_in(visible.into_keys()))
        .order_by_asc(generation_picture::Column::Position)
        .all(ctx.db.read())
        .await?;
    let mut pictures: HashMap<Uuid, Vec<generation_picture::Model>> = HashMap::new();
    for row in rows {
        pictures.entry(row.generation_id).or_default().push(row);
    }
    Ok(pictures)
}
