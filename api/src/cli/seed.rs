//! `atelier seed`.

use std::{sync::Arc, time::Duration};

use atelier_domain::{
    context::Context,
    lora::rebuild,
    seed::{self, SeedSpec},
};
use atelier_worker::SeededLoras;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{say, start_log};
use crate::{
    config::{DeviceSettings, HouseSettings, WorkerSettings},
    house::{self, HouseUse, STARTER},
    service,
};

/// How often to look how many previews are left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Fill an empty installation with made-up LoRAs, people and ratings, to try things out and to measure with.
///
/// The same numbers and the same seed give the same marketplace. Every LoRA has a file of its own for the starter model, and
/// the first ones have previews that are really rendered. The service must not run meanwhile.
#[derive(Parser, Debug)]
pub struct Seed {
    /// Published LoRAs
    #[arg(long, default_value_t = 1000)]
    loras: u32,

    /// People, each of whom has a personal team
    #[arg(long, default_value_t = 200)]
    people: u32,

    /// Ratings, each of one person for one LoRA
    #[arg(long, default_value_t = 5000)]
    ratings: u32,

    /// LoRAs whose previews are rendered [default: one in 200, 24 at least]
    #[arg(long)]
    previews: Option<u32>,

    /// Where all chance begins
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Password that every one of the people can sign in with; nobody of them can without it
    #[arg(long, env = "ATELIER_SEED_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,

    #[command(flatten)]
    house: HouseSettings,

    #[command(flatten)]
    device: DeviceSettings,

    #[command(flatten)]
    work: WorkerSettings,
}

impl Seed {
    /// Writes everything, renders the previews, and builds the search index.
    ///
    /// # Errors
    /// When there are LoRAs already, the service runs, or the disk is full.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        self.device.check()?;
        let house = house::open(&self.house, String::new(), HouseUse::Serve).await?;
        house::provide_starter(&house).await?;
        let maker = SeededLoras::new(&house.settings.models.join(STARTER))?;
        let spec = SeedSpec {
            loras: self.loras,
            people: self.people,
            ratings: self.ratings,
            previews: self.previews.unwrap_or((self.loras / 200).max(24)).min(self.loras),
            seed: self.seed,
            password: self.password.clone(),
        };
        let bar = bar();
        let told = |what: &'static str, done: u32, of: u32| {
            bar.set_message(what);
            bar.set_length(u64::from(of));
            bar.set_position(u64::from(done));
        };
        seed::seed(&house, &spec, &maker, &told).await?;
        self.render_previews(&house, &bar).await?;
        bar.set_message("search");
        rebuild::wish(&house).await?;
        let loras = rebuild::fulfil(&house).await?;
        bar.finish_and_clear();
        say(format!("There are {loras} LoRAs, {} people and {} ratings now.", self.people, self.ratings));
        Ok(())
    }

    /// Works until no preview is left.
    async fn render_previews(&self, house: &Arc<Context>, bar: &ProgressBar) -> anyhow::Result<()> {
        let left = seed::previews_left(house).await?;
        bar.set_message("previews");
        bar.set_length(left);
        let worker = service::worker(house, &self.device, &self.work, "seed")?;
        let stop = CancellationToken::new();
        let working = worker.run(stop.clone());
        let looking = async {
            loop {
                match seed::previews_left(house).await {
                    Ok(0) | Err(_) => break,
                    Ok(now) => bar.set_position(left.saturating_sub(now)),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            stop.cancel();
        };
        tokio::join!(working, looking);
        match seed::previews_left(house).await? {
            0 => Ok(()),
            left => anyhow::bail!("{left} previews were not rendered. Start the service: its worker renders them."),
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
