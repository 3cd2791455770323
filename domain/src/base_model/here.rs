//! Which base models this machine has the files of.

use atelier_entities::base_model;
use uuid::Uuid;

use crate::{
    context::Context,
    ports::inspector::{inspect, model_folder},
};

/// Those of some base models whose folders lie on this machine and are understood.
///
/// # Errors
/// When looking into a folder failed in a way that nobody expected.
pub async fn present(ctx: &Context, models: &[base_model::Model]) -> anyhow::Result<Vec<Uuid>> {
    let folders: Vec<_> =
        models.iter().map(|model| (model.id, model_folder(&ctx.settings.models, &model.folder))).collect();
    inspect(&ctx.inspector, move |inspector| {
        let understood = folders.iter().filter(|(_, folder)| folder.is_dir() && inspector.model(folder).is_ok());
        understood.map(|(id, _)| *id).collect()
    })
    .await
}
