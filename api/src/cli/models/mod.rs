//! `atelier models`: which base models there are, and where they come from.

mod add;
mod default;
mod list;
mod pull;
mod remove;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;
use atelier_domain::{base_model, context::Context, entities};
use clap::{Parser, Subcommand};

use super::{say, start_log};

/// Make model folders known, download them, check them and list them.
#[derive(Parser, Debug)]
pub struct Models {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Subcommand, Debug)]
enum ModelsCommand {
    /// Make a folder in the diffusers layout known as a base model; it stays where it is
    Add(Box<add::Add>),
    /// Download a model from the Hugging Face hub into the data folder and make it a base model
    Pull(Box<pull::Pull>),
    /// List the base models: licence, where they come from, whether they are offered
    List(Box<list::List>),
    /// Make a base model the one that is taken when nobody names one
    Default(Box<default::ChooseDefault>),
    /// Take a base model out of the offer
    Remove(Box<remove::Remove>),
    /// Check the files of a base model; status 1 when something is wrong
    Verify(Box<verify::Verify>),
}

impl Models {
    /// Does what the subcommand says; status 1 when `verify` finds something.
    ///
    /// # Errors
    /// When the folder holds no model that is understood, the hub does not give one, or there is none of the name.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            ModelsCommand::Add(add) => add.run().await?,
            ModelsCommand::Pull(pull) => pull.run().await?,
            ModelsCommand::List(list) => list.run().await?,
            ModelsCommand::Default(default) => default.run().await?,
            ModelsCommand::Remove(remove) => remove.run().await?,
            ModelsCommand::Verify(verify) => return verify.run().await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The base model that somebody names.
async fn named(house: &Context, name_or_id: &str) -> anyhow::Result<entities::base_model::Model> {
    base_model::find(house, name_or_id)
        .await?
        .with_context(|| format!("There is no base model `{name_or_id}`. `atelier models list` lists them."))
}

/// Offers a base model that was made known, and makes it the default one if that is wished.
async fn offer(house: &Context, model: &entities::base_model::Model, default: bool) -> anyhow::Result<()> {
    if !model.enabled {
        base_model::offer(house, model.id).await?;
    }
    if default {
        base_model::set_default(house, model.id).await?;
    }
    say(format!(
        "`{}` is a base model now: {} {}, {}x{}.",
        model.name, model.family, model.variant, model.native_width, model.native_height
    ));
    Ok(())
}
