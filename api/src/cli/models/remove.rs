//! `atelier models remove`.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use atelier_domain::{
    base_model::{self, Removal, Uses},
    context::Context,
    entities::base_model::Model,
};
use clap::Parser;

use super::{named, say, start_log};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse, STARTER},
    hub::MANIFEST,
};

/// Take a base model out of the offer.
#[derive(Parser, Debug)]
pub struct Remove {
    /// Name or id of the base model
    #[arg(value_name = "NAME|ID")]
    model: String,

    /// Delete its folder too, if `atelier models pull` made it
    #[arg(long)]
    files: bool,

    #[command(flatten)]
    house: HouseSettings,
}

impl Remove {
    /// Takes it out, and its files with it if that is wished.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let model = named(&house, &self.model).await?;
        if model.name == STARTER {
            bail!(
                "`{STARTER}` ships with Atelier and cannot be removed. `atelier models default` makes another the default."
            );
        }
        // What stands in the way of the files is said before anything is done.
        let folder = if self.files { Some(own_folder(&house, &model).await?) } else { None };
        match base_model::remove(&house, model.id).await {
            Ok(removal) => say(sentence(&model.name, removal)),
            Err(error @ base_model::RemoveBaseModelError::IsDefault { .. }) => {
                bail!("{error} `atelier models default NAME` does it.")
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(folder) = folder {
            delete(&folder)?;
            say(format!("{} is deleted.", folder.display()));
        }
        Ok(())
    }
}

fn sentence(name: &str, removal: Removal) -> String {
    match removal {
        Removal::Deleted => format!("`{name}` is no base model any more."),
        Removal::Withdrawn(Uses { versions, trainings, generations, previews }) => format!(
            "`{name}` is not offered any more. It stays known to what was made with it: {versions} LoRA versions, \
             {trainings} trainings, {generations} generations, {previews} previews."
        ),
    }
}

/// The folder of a base model, if it was downloaded and nothing needs it.
async fn own_folder(house: &Context, model: &Model) -> anyhow::Result<PathBuf> {
    let models = &house.settings.models;
    let path = Path::new(&model.folder);
    let name = &model.name;
    // A path from outside is somebody's own, whatever lies in it.
    if !path.components().all(|component| matches!(component, Component::Normal(_))) {
        bail!("`{name}` was added by its path: its files stay. Remove it without `--files`.");
    }
    let folder = models.join(path);
    if !folder.exists() {
        bail!("The folder of `{name}`, {}, is gone already. Remove it without `--files`.", folder.display());
    }
    if !folder.join(MANIFEST).is_file() || !lies_in(models, &folder)? {
        bail!(
            "{} was not made by `atelier models pull`: it stays. Remove `{name}` without `--files`.",
            folder.display()
        );
    }
    let all = base_model::list_all(house).await?;
    if let Some(other) = all.iter().find(|other| other.id != model.id && other.folder == model.folder) {
        bail!("`{}` uses the same files. Remove `{name}` without `--files`.", other.name);
    }
    let jobs = base_model::unfinished_jobs(house, model.id).await?;
    if jobs > 0 {
        bail!("Jobs that need the files of `{name}` wait or run: {jobs}. Let them end or cancel them first.");
    }
    Ok(folder)
}

/// Whether a folder really lies in another, with every link followed.
fn lies_in(models: &Path, folder: &Path) -> anyhow::Result<bool> {
    Ok(folder.canonicalize()?.starts_with(models.canonicalize()?))
}

fn delete(folder: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(folder)
        .with_context(|| format!("{} cannot be deleted. Check who may write there.", folder.display()))?;
    if let Some(repository) = folder.parent() {
        // Other commits of the repository may lie there; then it stays.
        let _ = std::fs::remove_dir(repository);
    }
    Ok(())
}
