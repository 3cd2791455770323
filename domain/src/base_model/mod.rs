//! Base models: model folders that LoRAs are trained on and combined with.

mod choice;
mod default;
mod here;
mod name;
mod offer;
mod sharing;

use std::collections::HashMap;

use atelier_entities::base_model;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures,
    id::{Noun, decode},
    lora::measuring,
    ports::inspector::{InspectedLora, InspectedModel, inspect, model_folder},
    text,
};

pub use choice::{choose, get, is_offered, list, matching, smallest_edges};
pub(crate) use choice::{offered, offered_to};
pub use default::{BaseModelDefaultError, reset_team_default, set_default, set_team_default};
pub use here::present;
pub use name::check_name;
pub use offer::{Removal, RemoveBaseModelError, Uses, offer, remove, unfinished_jobs};
pub use sharing::{Audience, ShareBaseModelError, audiences, share, share_with_everyone, unshare};

failures! {
    /// Why [`register`] refused.
    pub enum RegisterBaseModelError {
        /// The folder is missing or holds no model that is understood.
        NotUnderstood { reason: String } => ("folder", "NOT_A_MODEL", "{reason}"),
    }
}

/// Makes a model folder known, or brings what is known of it up to date. The first one becomes the default. The folder
/// is absolute or lies below the data directory's `models`.
///
/// # Errors
/// [`RegisterBaseModelError::NotUnderstood`] with what is wrong with the folder; a name that is none (see [`check_name`]), unless a base
/// model is called so already.
pub async fn register(
    ctx: &Context,
    name: &str,
    title: &str,
    folder: &str,
    license: &str,
) -> Result<base_model::Model, RegisterBaseModelError> {
    let name = text::check("name", name, 1, 60)?;
    let title = text::check("title", title, 1, 120)?;
    let license = text::check("license", license, 1, 200)?;
    let path = model_folder(&ctx.settings.models, folder);
    let facts = inspect(&ctx.inspector, move |inspector| inspector.model(&path))
        .await?
        .map_err(|rejected| RegisterBaseModelError::NotUnderstood { reason: rejected.0 })?;
    let tx = ctx.db.write().await?;
    crate::database::serialize(&tx, "base_model").await?;
    let known = base_model::Entity::find().filter(base_model::Column::Name.eq(&name)).one(&tx).await?;
    let row = match known {
        Some(known) => {
            let mut row = known.clone().into_active_model();
            describe(&mut row, title, folder, license, &facts)?;
            // A start that changes nothing writes nothing.
            if row.is_changed() { row.update(&tx).await? } else { known }
        }
        None => {
            let name = check_name(&name)?;
            let is_first = base_model::Entity::find().one(&tx).await?.is_none();
            let mut row = base_model::ActiveModel {
                id: Set(ctx.new_id()),
                name: Set(name),
                enabled: Set(true),
                is_default: Set(is_first),
                for_everyone: Set(true),
                created_at: Set(ctx.now()),
                ..Default::default()
            };
            describe(&mut row, title, folder, license, &facts)?;
            let row = row.insert(&tx).await?;
            measuring::wish_in(&tx, ctx, row.id).await?;
            row
        }
    };
    ctx.commit(tx).await?;
    Ok(row)
}

fn describe(
    row: &mut base_model::ActiveModel,
    title: String,
    folder: &str,
    license: String,
    facts: &InspectedModel,
) -> anyhow::Result<()> {
    row.title.set_if_not_equals(title);
    row.folder.set_if_not_equals(folder.to_owned());
    row.license.set_if_not_equals(license);
    row.family.set_if_not_equals(facts.family.clone());
    row.variant.set_if_not_equals(facts.variant.clone());
    row.context_width.set_if_not_equals(i32::try_from(facts.context_width)?);
    row.hidden_width.set_if_not_equals(i32::try_from(facts.hidden_width)?);
    row.native_width.set_if_not_equals(i32::try_from(facts.native_width)?);
    row.native_height.set_if_not_equals(i32::try_from(facts.native_height)?);
    row.size_multiple.set_if_not_equals(i32::try_from(facts.size_multiple)?);
    row.default_steps.set_if_not_equals(i32::try_from(facts.default_steps)?);
    row.default_guidance.set_if_not_equals(facts.default_guidance);
    row.distilled.set_if_not_equals(facts.distilled);
    Ok(())
}

fn missing() -> Refused {
    Refused::NotFound("base model")
}

/// Every base model, those too that are no longer offered; the default one first.
///
/// # Errors
/// What the database says.
pub async fn list_all(ctx: &Context) -> Result<Vec<base_model::Model>, ReadError> {
    let all = base_model::Entity::find()
        .order_by_desc(base_model::Column::IsDefault)
        .order_by_asc(base_model::Column::Name)
        .all(ctx.db.read())
        .await?;
    Ok(all)
}

/// The base model of a name or an id, also one that is no longer offered.
///
/// # Errors
/// What the database says.
pub async fn find(ctx: &Context, name_or_id: &str) -> Result<Option<base_model::Model>, ReadError> {
    let by_name = base_model::Entity::find().filter(base_model::Column::Name.eq(name_or_id));
    if let Some(found) = by_name.one(ctx.db.read()).await? {
        return Ok(Some(found));
    }
    match decode(Noun::BaseModel, name_or_id) {
        Ok(id) => Ok(base_model::Entity::find_by_id(id).one(ctx.db.read()).await?),
        Err(_) => Ok(None),
    }
}

/// Base models by key, for loaders; everybody may see them.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, _: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, base_model::Model>, ReadError> {
    let select = base_model::Entity::find().filter(base_model::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

fn check_enabled(row: &base_model::Model) -> Result<(), Invalid> {
    if row.enabled {
        return Ok(());
    }
    let message = format!("The base model `{}` is no longer offered here. Choose another.", row.title);
    Err(Invalid::new("baseModelId", "BASE_MODEL_DISABLED", message))
}

/// What the inspector found in a model's folder, as it was kept with its row.
pub fn facts(model: &base_model::Model) -> InspectedModel {
    InspectedModel {
        family: model.family.clone(),
        variant: model.variant.clone(),
        context_width: model.context_width.unsigned_abs(),
        hidden_width: model.hidden_width.unsigned_abs(),
        native_width: model.native_width.unsigned_abs(),
        native_height: model.native_height.unsigned_abs(),
        size_multiple: model.size_multiple.unsigned_abs(),
        default_steps: model.default_steps.unsigned_abs(),
        default_guidance: model.default_guidance,
        distilled: model.distilled,
    }
}

/// Checks that a LoRA fits a base model, before any work is queued.
///
/// # Errors
/// [`Invalid`] with `BASE_MODEL_MISMATCH`, naming both.
pub async fn check_fit(ctx: &Context, lora: &InspectedLora, model: &base_model::Model) -> Result<(), ReadError> {
    let (lora, facts) = (lora.clone(), facts(model));
    let fits = inspect(&ctx.inspector, move |inspector| inspector.fits(&lora, &facts)).await?;
    Ok(fits.map_err(|rejected| Invalid::new("baseModelId", "BASE_MODEL_MISMATCH", rejected.0))?)
}
