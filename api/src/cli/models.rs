//! `atelier models`.

use std::path::PathBuf;

use anyhow::Context as _;
use atelier_domain::base_model;
use clap::{Parser, Subcommand};

use super::{say, start_log};
use crate::{
    config::HouseSettings,
    house::{self, SearchUse},
};

/// Make model folders known and list them.
#[derive(Parser, Debug)]
pub struct Models {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Subcommand, Debug)]
enum ModelsCommand {
    /// Make a folder in the diffusers layout known as a base model; it stays where it is
    Add(Add),
    /// List the base models
    List(List),
}

#[derive(Parser, Debug)]
struct Add {
    /// The folder: it holds model_index.json
    folder: PathBuf,

    /// Name of the base model: lower-case letters, digits, dots and dashes [default: the folder's name]
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

#[derive(Parser, Debug)]
struct List {
    #[command(flatten)]
    house: HouseSettings,
}

impl Models {
    /// Does what the subcommand says.
    ///
    /// # Errors
    /// When the folder holds no model that is understood.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            ModelsCommand::Add(add) => add.run().await,
            ModelsCommand::List(list) => list.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let folder = std::path::absolute(&self.folder)?;
        let own_name = folder.file_name().and_then(|name| name.to_str()).map(str::to_lowercase);
        let name = self.name.or(own_name).context("The folder has no name. Give one with `--name`.")?;
        let title = self.title.unwrap_or_else(|| name.clone());
        let path = folder.to_str().context("The folder's path is not UTF-8. Move it.")?;
        let house = house::open(&self.house, String::new(), SearchUse::None).await?;
        let model = base_model::register(&house, &name, &title, path, &self.license).await?;
        if self.default {
            base_model::set_default(&house, model.id).await?;
        }
        say(format!(
            "`{}` is a base model now: {} {}, {}x{}.",
            model.name, model.family, model.variant, model.native_width, model.native_height
        ));
        Ok(())
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), SearchUse::None).await?;
        for model in base_model::list(&house).await? {
            let default = if model.is_default { " (default)" } else { "" };
            say(format!(
                "{}{default}: {} {}, {}x{}, licence {}, in {}",
                model.name,
                model.family,
                model.variant,
                model.native_width,
                model.native_height,
                model.license,
                model.folder
            ));
        }
        Ok(())
    }
}
