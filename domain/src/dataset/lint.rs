//! What is wrong with a data set: near-duplicates, pictures that are too small or blurred, files that could not be read.

use std::collections::{BTreeSet, HashMap};

use atelier_entities::{
    dataset_picture as picture,
    kinds::{UploadPurpose, UploadState},
    scope::Scoped,
    upload,
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::get;
use crate::{
    actor::Actor,
    base_model,
    context::Context,
    error::ReadError,
    ports::inspector::{Inspector, LintedPicture, inspect},
};

/// The most rejected files that are named, for each data set.
const MOST_REJECTED: u64 = 100;

/// One thing that is wrong, with the file that it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// `NEAR_DUPLICATE`, `TOO_SMALL`, `BLURRED` or `UNREADABLE`.
    pub code: &'static str,
    /// The file's name.
    pub file_name: String,
    /// The picture; none for a file that could not be read.
    pub picture: Option<Uuid>,
    /// The picture that it nearly repeats.
    pub other: Option<Uuid>,
    /// What is wrong and what to do, naming the file.
    pub message: String,
}

/// Looks a data set over.
///
/// # Errors
/// [`Refused::NotFound`](crate::error::Refused::NotFound).
pub async fn lint(ctx: &Context, actor: &Actor, dataset: Uuid) -> Result<Vec<Finding>, ReadError> {
    let row = get(ctx, actor, dataset).await?;
    Ok(of_datasets(ctx, actor, &[row.id]).await?.remove(&row.id).unwrap_or_default())
}

/// Looks several data sets over, for loaders; of those that the actor may not see nothing is found.
///
/// # Errors
/// What the database says.
pub async fn of_datasets(
    ctx: &Context,
    actor: &Actor,
    datasets: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Finding>>, ReadError> {
    let rows = picture::Entity::visible_to(&actor.scope())
        .filter(picture::Column::DatasetId.is_in(datasets.iter().copied()))
        .order_by_asc(picture::Column::Id)
        .all(ctx.db.read())
        .await?;
    let mut pictures: HashMap<Uuid, Vec<picture::Model>> = HashMap::new();
    for row in rows {
        pictures.entry(row.dataset_id).or_default().push(row);
    }
    let teams: BTreeSet<Uuid> = pictures.values().flatten().map(|picture| picture.team_id).collect();
    let teams: Vec<Uuid> = teams.into_iter().collect();
    let edges = base_model::smallest_edges(ctx, &teams).await?;
    let mut findings = inspect(&ctx.inspector, move |inspector| {
        let found = pictures.into_iter().map(|(dataset, pictures)| {
            // Without a base model no picture is too small.
            let smallest =
                pictures.first().and_then(|picture| edges.get(&picture.team_id)).copied().unwrap_or_default();
            (dataset, look_over(inspector, &pictures, smallest))
        });
        found.collect::<HashMap<_, _>>()
    })
    .await?;
    for upload in rejected(ctx, actor, datasets).await? {
        let Some(dataset) = upload.target_id else { continue };
        findings.entry(dataset).or_default().push(Finding {
            code: "UNREADABLE",
            message: sentence(&upload.file_name, None, upload.reason.as_deref().unwrap_or("It could not be read.")),
            file_name: upload.file_name,
            picture: None,
            other: None,
        });
    }
    Ok(findings)
}

/// The findings of one data set's pictures.
fn look_over(inspector: &dyn Inspector, pictures: &[picture::Model], smallest_edge: u32) -> Vec<Finding> {
    let linted: Vec<LintedPicture> = pictures.iter().map(linted).collect();
    let findings = inspector.lint(&linted, smallest_edge).into_iter().filter_map(|finding| {
        let picture = pictures.get(finding.picture)?;
        let other = finding.other.and_then(|other| pictures.get(other));
        Some(Finding {
            code: finding.code,
            file_name: picture.file_name.clone(),
            picture: Some(picture.id),
            other: other.map(|other| other.id),
            message: sentence(&picture.file_name, other.map(|other| other.file_name.as_str()), &finding.message),
        })
    });
    findings.collect()
}

/// The inspector knows pictures by their place only: people know them by name.
fn sentence(file_name: &str, other: Option<&str>, message: &str) -> String {
    match other {
        Some(other) => format!("`{file_name}` and `{other}`: {message}"),
        None => format!("`{file_name}`: {message}"),
    }
}

fn linted(picture: &picture::Model) -> LintedPicture {
    LintedPicture {
        width: picture.width.unsigned_abs(),
        height: picture.height.unsigned_abs(),
        perceptual_hash: picture.perceptual_hash.cast_unsigned(),
        sharpness: picture.sharpness,
        colours: picture.colours.clone(),
    }
}

async fn rejected(ctx: &Context, actor: &Actor, datasets: &[Uuid]) -> Result<Vec<upload::Model>, ReadError> {
    let rows = upload::Entity::visible_to(&actor.scope())
        .filter(upload::Column::Purpose.eq(UploadPurpose::DatasetPicture))
        .filter(upload::Column::TargetId.is_in(datasets.iter().copied()))
        .filter(upload::Column::State.eq(UploadState::Rejected))
        .order_by_asc(upload::Column::Id)
        .limit(MOST_REJECTED * datasets.len() as u64)
        .all(ctx.db.read())
        .await?;
    Ok(rows)
}
