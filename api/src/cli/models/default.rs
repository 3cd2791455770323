//! `atelier models default`.

use anyhow::{Context as _, bail};
use atelier_domain::{
    base_model::{self, BaseModelDefaultError},
    context::Context,
    entities::team::Model as Team,
};
use clap::Parser;

use super::{named, say, start_log, team_named};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse},
};

/// Choose the default.
#[derive(Parser, Debug)]
pub struct ChooseDefault {
    /// Name or id of the base model
    #[arg(value_name = "NAME|ID", required_unless_present = "reset")]
    model: Option<String>,

    /// For this team only: its name in addresses, or its id
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,

    /// Let the team use the installation's default again
    #[arg(long, requires = "team", conflicts_with = "model")]
    reset: bool,

    #[command(flatten)]
    house: HouseSettings,
}

impl ChooseDefault {
    /// Makes it the default one.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let team = match &self.team {
            Some(team) => Some(team_named(&house, team).await?),
            None => None,
        };
        match (&self.model, team) {
            (Some(model), None) => choose(&house, model).await,
            (Some(model), Some(team)) => choose_for_team(&house, model, &team).await,
            (None, team) => reset(&house, &team.context("Name the team with `--team`.")?).await,
        }
    }
}

async fn choose(house: &Context, model: &str) -> anyhow::Result<()> {
    let model = named(house, model).await?;
    match base_model::set_default(house, model.id).await {
        Ok(_) => {}
        Err(error @ BaseModelDefaultError::NotForEveryone { .. }) => {
            bail!("{error} `atelier models share {} --everyone` does the one, `--team TEAM` the other.", model.name)
        }
        Err(error) => return Err(error.into()),
    }
    say(format!("`{}` is taken when nobody names a base model.", model.name));
    Ok(())
}

async fn choose_for_team(house: &Context, model: &str, team: &Team) -> anyhow::Result<()> {
    let model = named(house, model).await?;
    match base_model::set_team_default(house, model.id, team).await {
        Ok(_) => {}
        Err(error @ BaseModelDefaultError::NotOffered { .. }) => {
            bail!("{error} `atelier models share {} --team {}` does it.", model.name, team.slug)
        }
        Err(error) => return Err(error.into()),
    }
    say(format!("`{}` is taken when nobody names a base model in the team `{}`.", model.name, team.slug));
    Ok(())
}

async fn reset(house: &Context, team: &Team) -> anyhow::Result<()> {
    let had_one = base_model::reset_team_default(house, team).await?;
    let since = if had_one { "again" } else { "already" };
    say(format!("The team `{}` uses the installation's default {since}.", team.slug));
    Ok(())
}
