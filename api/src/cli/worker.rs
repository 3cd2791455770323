//! `atelier worker`.

use atelier_domain::ports::events;
use clap::Parser;

use super::{say, start_log};
use crate::{
    config::{DeviceSettings, HouseSettings, WorkerSettings},
    house::{self, HouseUse},
    server, service,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Start a worker alone.
#[derive(Parser, Debug)]
pub struct WorkerCommand {
    #[command(flatten)]
    house: HouseSettings,

    #[command(flatten)]
    device: DeviceSettings,

    #[command(flatten)]
    work: WorkerSettings,

    /// Name of the worker, as jobs show it; each has one of its own
    #[arg(long, env = "ATELIER_WORKER_NAME", value_name = "NAME", default_value = "worker")]
    name: String,
}

impl WorkerCommand {
    /// Works until a signal ends it; the job at hand is then given back.
    ///
    /// # Errors
    /// A sentence that says why the worker cannot run.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        self.device.check()?;
        // A worker writes no links.
        let house = house::open(&self.house, String::new(), HouseUse::Work).await?;
        house::provide_starter(&house).await?;
        let shutdown = CancellationToken::new();
        server::stop_on_signal(shutdown.clone())?;
        let worker = service::worker(&house, &self.device, &self.work, &self.name)?;
        say(format!(
            "The worker `{}` waits for jobs on {}. Ctrl-C or SIGTERM stops it.",
            self.name, self.device.device
        ));
        let watch = events::watch_other_processes(house.db.clone(), Arc::clone(&house.events));
        tokio::select! {
            () = worker.run(shutdown) => Ok(()),
            () = watch => Ok(()),
        }
    }
}
