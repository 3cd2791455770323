//! The pictures of a data set and their captions.

use std::collections::HashMap;

use atelier_entities::{dataset, dataset_picture as picture, scope::Scoped};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect,
};
use serde_json::json;
use uuid::Uuid;

use super::get;
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures, nested,
    page::{Direction, Page, PageRequest},
    policy::{Action, Resource, authorize},
    text,
    widen::widen,
};

/// The longest caption, in characters.
const LONGEST_CAPTION: usize = 1_000;

/// The most captions that one call sets.
const MOST_CAPTIONS: usize = 500;

failures! {
    /// Why a change of pictures was refused.
    pub enum PictureError {
        /// A call that does nothing is a mistake.
        NoCaptions => ("captions", "REQUIRED", "`captions` is empty. Name at least one picture and its caption."),
        /// The call is too large.
        TooManyCaptions { most: usize } => ("captions", "TOO_MANY", "At most {most} captions are set at once. Send the rest in another call."),
    }
}

widen!(ReadError => PictureError);

/// How many pictures a data set holds.
pub(crate) async fn count<C: ConnectionTrait>(db: &C, dataset: Uuid) -> Result<u64, DbErr> {
    picture::Entity::find().filter(picture::Column::DatasetId.eq(dataset)).count(db).await
}

/// How many pictures each data set holds, for loaders.
///
/// # Errors
/// What the database says.
pub async fn counts(ctx: &Context, actor: &Actor, datasets: &[Uuid]) -> Result<HashMap<Uuid, i64>, ReadError> {
    let rows: Vec<(Uuid, i64)> = picture::Entity::visible_to(&actor.scope())
        .select_only()
        .column(picture::Column::DatasetId)
        .column_as(picture::Column::Id.count(), "pictures")
        .filter(picture::Column::DatasetId.is_in(datasets.iter().copied()))
        .group_by(picture::Column::DatasetId)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().collect())
}

/// A picture of one of the actor's teams.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn one(ctx: &Context, actor: &Actor, id: Uuid) -> Result<picture::Model, ReadError> {
    let row =
        picture::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(picture::Model::NAME))?;
    authorize(actor, Action::DatasetRead, &row)?;
    Ok(row)
}

/// Pictures by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, picture::Model>, ReadError> {
    let select = picture::Entity::visible_to(&actor.scope()).filter(picture::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// The same page of the pictures of several data sets, in the order in which they came; data sets that the actor may not
/// see have none.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    datasets: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<picture::Model>>, ReadError> {
    let columns = (picture::Column::DatasetId, picture::Column::Id);
    let select = picture::Entity::visible_to(&actor.scope());
    let keys = |row: &picture::Model| (row.dataset_id, row.id);
    Ok(nested::pages(select, columns, keys, datasets, request, Direction::OldestFirst, ctx.db.read()).await?)
}

/// Writes captions of pictures of one data set, all or none of them.
///
/// # Errors
/// [`PictureError`]; [`Refused::NotFound`] for a picture that is not of the data set.
pub async fn set_captions(
    ctx: &Context,
    actor: &Actor,
    dataset: Uuid,
    captions: &[(Uuid, String)],
) -> Result<dataset::Model, PictureError> {
    if captions.is_empty() {
        return Err(PictureError::NoCaptions);
    }
    if captions.len() > MOST_CAPTIONS {
        return Err(PictureError::TooManyCaptions { most: MOST_CAPTIONS });
    }
    let captions = captions
        .iter()
        .map(|(id, caption)| Ok((*id, text::check("caption", caption, 0, LONGEST_CAPTION)?)))
        .collect::<Result<HashMap<Uuid, String>, Invalid>>()?;
    let row = get(ctx, actor, dataset).await?;
    let permit = authorize(actor, Action::DatasetWrite, &row)?;
    let tx = ctx.db.write().await?;
    let pictures = picture::Entity::find()
        .filter(picture::Column::DatasetId.eq(dataset))
        .filter(picture::Column::Id.is_in(captions.keys().copied()))
        .all(&tx)
        .await?;
    if pictures.len() != captions.len() {
        return Err(Refused::NotFound(picture::Model::NAME).into());
    }
    for picture in pictures {
        let caption = captions.get(&picture.id).cloned().unwrap_or_default();
        let mut picture = picture.into_active_model();
        picture.caption = Set(caption);
        picture.update(&tx).await?;
    }
    audit::record(&tx, ctx, &permit, Some(dataset), json!({ "do": "set captions", "count": captions.len() })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Takes a picture out of its data set.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn remove(ctx: &Context, actor: &Actor, id: Uuid) -> Result<dataset::Model, PictureError> {
    let tx = ctx.db.write().await?;
    let row = picture::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(picture::Model::NAME))?;
    let permit = authorize(actor, Action::DatasetWrite, &row)?;
    picture::Entity::delete_by_id(id).exec(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(row.dataset_id), json!({ "do": "remove picture", "file": row.file_name }))
        .await?;
    ctx.commit(tx).await?;
    Ok(get(ctx, actor, row.dataset_id).await?)
}

/// Names that cameras and programs give, which say nothing of the picture.
const MEANINGLESS: &[&str] = &[
    "img",
    "dsc",
    "dscn",
    "dscf",
    "pxl",
    "mvimg",
    "image",
    "photo",
    "picture",
    "pic",
    "screenshot",
    "scan",
    "untitled",
    "copy",
    "edited",
    "final",
];

/// A first caption from a file name: `red_fox-03.png` gives `red fox`, `IMG_2041.jpg` gives nothing.
pub(crate) fn caption_from_name(file_name: &str) -> String {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let words = stem.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| {
        let word = word.to_lowercase();
        word.chars().any(char::is_alphabetic)
            && !MEANINGLESS.contains(&word.trim_end_matches(char::is_numeric))
            && !is_hash(&word)
    });
    let caption = words.collect::<Vec<_>>().join(" ");
    caption.chars().take(LONGEST_CAPTION).collect()
}

/// Whether a word is a piece of a hash or UUID: four or more hexadecimal digits, among them a decimal one.
fn is_hash(word: &str) -> bool {
    word.len() >= 4 && word.bytes().all(|b| b.is_ascii_hexdigit()) && word.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::caption_from_name;

    #[test]
    fn a_caption_says_what_the_file_name_says_and_nothing_else() {
        for (name, caption) in [
            ("red_fox-03.png", "red fox"),
            ("A quiet harbour at dawn.jpeg", "A quiet harbour at dawn"),
            ("IMG_2041.jpg", ""),
            ("DSC01234.JPG", ""),
            ("photo (1) of bob's boat.webp", "of bob's boat"),
            ("0190f3a2-7c1e-4b6d.png", ""),
            ("été.final.png", "été"),
        ] {
            assert_eq!(caption_from_name(name), caption, "{name}");
        }
    }
}
