//! `atelier models default`.

use atelier_domain::base_model;
use clap::Parser;

use super::{named, say, start_log};
use crate::{
    config::HouseSettings,
    house::{self, SearchUse},
};

/// Choose the default.
#[derive(Parser, Debug)]
pub struct ChooseDefault {
    /// Name or id of the base model
    #[arg(value_name = "NAME|ID")]
    model: String,

    #[command(flatten)]
    house: HouseSettings,
}

impl ChooseDefault {
    /// Makes it the default one.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), SearchUse::None).await?;
        let model = named(&house, &self.model).await?;
        base_model::set_default(&house, model.id).await?;
        say(format!("`{}` is taken when nobody names a base model.", model.name));
        Ok(())
    }
}
