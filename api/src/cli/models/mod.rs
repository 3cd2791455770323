//! `atelier models`: which base models there are, and where they come from.

mod add;
mod default;
mod list;
mod pull;
mod remove;
mod share;
mod unshare;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;
use atelier_domain::{base_model, context::Context, entities, team};
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
    /// List the base models: licence, where they come from, for whom they are, which workers have them
    List(Box<list::List>),
    /// Make a base model the one that is taken when nobody names one, everywhere or in a team
    Default(Box<default::ChooseDefault>),
    /// Offer a base model to chosen teams only, or to everyone
    Share(Box<share::Share>),
    /// Offer a base model to a team no longer
    Unshare(Box<unshare::Unshare>),
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
            ModelsCommand::Share(share) => share.run().await?,
            ModelsCommand::Unshare(unshare) => unshare.run().await?,
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

/// The team that somebody names.
async fn team_named(house: &Context, slug_or_id: &str) -> anyhow::Result<entities::team::Model> {
    team::find(house, slug_or_id)
        .await?
        .with_context(|| format!("There is no team `{slug_or_id}`. Give its name in addresses, or its id."))
}

/// The teams that somebody names.
async fn teams_named(house: &Context, slugs_or_ids: &[String]) -> anyhow::Result<Vec<entities::team::Model>> {
    let mut teams = Vec::with_capacity(slugs_or_ids.len());
    for name in slugs_or_ids {
        teams.push(team_named(house, name).await?);
    }
    Ok(teams)
}

/// Names, as a sentence has them.
fn shown<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
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
