//! `atelier models add`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atelier_domain::{base_model, context::Context, entities::base_model::Model};
use atelier_worker::inference::single_file::unpack;
use clap::Parser;

use super::{offer, start_log};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse},
};

/// Make a folder known.
///
/// A checkpoint in one `.safetensors` file is made a folder first, in the data folder. It holds weights alone: name with `--like` a
/// folder of the same architecture, which gives its configurations and tokenizers.
#[derive(Parser, Debug)]
pub struct Add {
    /// The folder: it holds model_index.json; or a checkpoint in one file
    folder: PathBuf,

    /// A folder of the same architecture, for a checkpoint in one file
    #[arg(long, value_name = "DIR")]
    like: Option<PathBuf>,

    /// Name of the base model: lower-case letters, digits, dots, dashes and underscores [default: the folder's name]
    #[arg(long)]
    name: Option<String>,

    /// Title shown to people [default: the name]
    #[arg(long)]
    title: Option<String>,

    /// Licence of the weights, shown wherever the model is offered
    #[arg(long, default_value = "see the model's folder")]
    license: String,

    /// Take it when nobody names a base model
    #[arg(long)]
    default: bool,

    #[command(flatten)]
    house: HouseSettings,
}

impl Add {
    /// Makes the folder known.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let source = std::path::absolute(&self.folder)?;
        let stem = if source.is_file() { source.file_stem() } else { source.file_name() };
        let own_name = stem.and_then(|name| name.to_str()).map(str::to_lowercase);
        let name = self.name.clone().or(own_name).context("The folder has no name. Give one with `--name`.")?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        if !source.is_file() {
            let model = self.registered(&house, &name, &source).await?;
            return offer(&house, &model, self.default).await;
        }
        // What is wrong with the name is said before gigabytes are written, and where they are written follows from it.
        let name = base_model::check_name(&name)?;
        let folder = self.unpacked(&source, &name)?;
        let registered = self.registered(&house, &name, &folder).await;
        if registered.is_err() {
            // The first failure is what is told.
            std::fs::remove_dir_all(&folder).ok();
        }
        offer(&house, &registered?, self.default).await
    }

    /// The folder's row.
    async fn registered(&self, house: &Context, name: &str, folder: &Path) -> anyhow::Result<Model> {
        let title = self.title.as_deref().unwrap_or(name);
        let path = folder.to_str().context("The folder's path is not UTF-8. Move it.")?;
        Ok(base_model::register(house, name, title, path, &self.license).await?)
    }

    /// Makes a folder of a checkpoint in one file, in the data folder.
    fn unpacked(&self, file: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let like = self.like.as_ref().context(
            "A checkpoint in one file holds neither configurations nor tokenizers. Name a folder of the same architecture with `--like`.",
        )?;
        let models = std::path::absolute(self.house.data.join("models"))?;
        std::fs::create_dir_all(&models).with_context(|| format!("`{}` cannot be made.", models.display()))?;
        let out = models.join(name);
        unpack(file, like, &out)?;
        Ok(out)
    }
}
