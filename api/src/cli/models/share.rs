//! `atelier models share`.

use anyhow::bail;
use atelier_domain::base_model::{self, ShareBaseModelError};
use clap::Parser;

use super::{named, say, shown, start_log, teams_named};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse},
};

/// Say for whom a base model is.
#[derive(Parser, Debug)]
pub struct Share {
    /// Name or id of the base model
    #[arg(value_name = "NAME|ID")]
    model: String,

    /// Offer it to these teams only, and to those that it was shared with before: their names in addresses, or ids
    #[arg(
        long = "team",
        value_name = "TEAM",
        num_args = 1..,
        required_unless_present = "everyone",
        conflicts_with = "everyone"
    )]
    teams: Vec<String>,

    /// Offer it to everyone, and forget the teams that it was shared with
    #[arg(long)]
    everyone: bool,

    #[command(flatten)]
    house: HouseSettings,
}

impl Share {
    /// Offers it.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let model = named(&house, &self.model).await?;
        if self.everyone {
            base_model::share_with_everyone(&house, model.id).await?;
            say(format!("`{}` is offered to everyone.", model.name));
            return Ok(());
        }
        let teams = teams_named(&house, &self.teams).await?;
        match base_model::share(&house, model.id, &teams).await {
            Ok(_) => {}
            Err(error @ ShareBaseModelError::IsDefault { .. }) => {
                bail!("{error} `atelier models default NAME` does it.")
            }
            Err(error) => return Err(error.into()),
        }
        let audience = base_model::audiences(&house).await?.remove(&model.id).unwrap_or_default();
        say(format!("`{}` is offered to these teams only: {}.", model.name, shown(&audience.teams)));
        Ok(())
    }
}
