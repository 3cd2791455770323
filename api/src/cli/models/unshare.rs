//! `atelier models unshare`.

use anyhow::bail;
use atelier_domain::base_model::{self, ShareBaseModelError};
use clap::Parser;

use super::{named, say, shown, start_log, teams_named};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse},
};

/// Offer a base model to a team no longer.
#[derive(Parser, Debug)]
pub struct Unshare {
    /// Name or id of the base model
    #[arg(value_name = "NAME|ID")]
    model: String,

    /// Teams that it was shared with: their names in addresses, or ids
    #[arg(long = "team", value_name = "TEAM", num_args = 1.., required = true)]
    teams: Vec<String>,

    #[command(flatten)]
    house: HouseSettings,
}

impl Unshare {
    /// Takes it back.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let model = named(&house, &self.model).await?;
        let teams = teams_named(&house, &self.teams).await?;
        match base_model::unshare(&house, model.id, &teams).await {
            Ok(_) => {}
            Err(error @ ShareBaseModelError::ForEveryone { .. }) => {
                bail!("{error} `atelier models share {} --team TEAM` does it.", model.name)
            }
            Err(error) => return Err(error.into()),
        }
        let audience = base_model::audiences(&house).await?.remove(&model.id).unwrap_or_default();
        say(if audience.teams.is_empty() {
            format!("`{}` is offered to no team any more.", model.name)
        } else {
            format!("`{}` is offered to these teams only: {}.", model.name, shown(&audience.teams))
        });
        Ok(())
    }
}
