//! `atelier models pull`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use atelier_domain::{base_model, context::Context, entities};
use clap::Parser;
use indicatif::BinaryBytes;
use url::Url;

use super::{offer, say, start_log};
use crate::{
    config::{
        HouseSettings,
        location::{self, Secret},
    },
    house::{self, HouseUse, STARTER},
    hub::{self, HubClient, License, Progress, Repository},
};

/// Download a model.
#[derive(Parser, Debug)]
pub struct Pull {
    /// The repository, as its page on the hub is called, such as `black-forest-labs/FLUX.2-klein-4B`
    #[arg(value_name = "OWNER/NAME")]
    repository: Repository,

    /// Branch, tag or commit of the repository
    #[arg(long, value_name = "REVISION", default_value = "main")]
    revision: String,

    /// Name of the base model: lower-case letters, digits, dots, dashes and underscores [default: the repository's NAME]
    #[arg(long)]
    name: Option<String>,

    /// Title shown to people [default: the repository's NAME]
    #[arg(long)]
    title: Option<String>,

    /// Take it when nobody names a base model
    #[arg(long)]
    default: bool,

    /// Address of the hub, or of a mirror that speaks its routes
    #[arg(
        long,
        env = "HF_ENDPOINT",
        value_name = "URL",
        default_value = "https://huggingface.co",
        value_parser = location::hub_endpoint
    )]
    endpoint: Url,

    /// Access token of an account on the hub, for models that are private or whose terms must be accepted first; shown
    /// to the hub only. Others on this machine can read a command line: the variable is safer
    #[arg(long, env = "HF_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<Secret>,

    /// Accept the model's licence, which is printed, also when it may restrict what the model is used for
    #[arg(long)]
    accept_license: bool,

    #[command(flatten)]
    house: HouseSettings,
}

impl Pull {
    /// Downloads and makes known.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        if self.token.is_some() && location::is_overheard(&self.endpoint) {
            bail!("The token would travel to {} without encryption. Give an address with https.", self.endpoint);
        }
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        tokio::select! {
            done = self.pull(&house) => done,
            asked = tokio::signal::ctrl_c() => {
                asked?;
                bail!("Stopped. Give the same command again to go on: what is there already is not downloaded again.")
            }
        }
    }

    async fn pull(&self, house: &Context) -> anyhow::Result<()> {
        let name = self.name.clone().unwrap_or_else(|| self.repository.name.to_lowercase());
        let former = self.check_name(house, &name).await?;
        let client = HubClient::new(self.endpoint.clone(), self.token.clone())
            .context("No connection can be made. Check that the system's certificates are installed.")?;
        let progress = Progress::of_standard_error();
        let pull = hub::Pull {
            client: &client,
            repository: &self.repository,
            revision: &self.revision,
            inspector: &house.inspector,
            progress: &progress,
        };
        let info = pull.info().await?;
        let license = License::of(&info, &self.repository, &self.endpoint);
        say(license.sentence(&self.repository));
        self.ask_consent(&license).await?;
        // Below `models`, so that workers with another data folder path find it too.
        let folder = format!("{}/{}", self.repository.folder(), info.commit);
        let pulled = pull.fetch(&info, &license, house.settings.models.join(&folder)).await;
        progress.end();
        let pulled = pulled?;
        say(format!(
            "{} files, {}, are in {}.",
            pulled.files,
            BinaryBytes(pulled.bytes),
            house.settings.models.join(&folder).display()
        ));
        let own_title = former.as_ref().map_or(&self.repository.name, |former| &former.title);
        let title = self.title.as_ref().unwrap_or(own_title);
        let model = base_model::register(house, &name, title, &folder, &license.kept()).await?;
        offer(house, &model, self.default).await?;
        if let Some(former) = former.filter(|former| former.folder != folder) {
            let place = house.settings.models.join(former.folder);
            say(format!("It was in {} before. Delete that folder if you do not need it any more.", place.display()));
        }
        Ok(())
    }

    /// The base model that is brought up to date, if there is one; another model must not be replaced by accident.
    async fn check_name(&self, house: &Context, name: &str) -> anyhow::Result<Option<entities::base_model::Model>> {
        let former = base_model::find(house, name).await?;
        if former.is_none() {
            base_model::check_name(name)?;
        }
        let own = format!("{}/", self.repository.folder());
        let is_taken = name == STARTER || former.as_ref().is_some_and(|former| !former.folder.starts_with(&own));
        if is_taken {
            bail!("Another base model is called `{name}`. Give this one another name with `--name`.");
        }
        Ok(former)
    }

    /// Lets somebody read what a licence may restrict before anything is downloaded.
    async fn ask_consent(&self, license: &License) -> anyhow::Result<()> {
        if license.is_permissive || self.accept_license {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            bail!("Read the licence at {}. If you accept it, give `--accept-license`.", license.link);
        }
        let answer = tokio::task::spawn_blocking(ask).await??;
        if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        bail!("The licence was not accepted. Nothing was downloaded.")
    }
}

fn ask() -> io::Result<String> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "Do you accept it? [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}
