//! `atelier demo`: the main job from beginning to end, played by two people through the public API.
//!
//! ```text
//! pictures       what is trained on: a folder's pictures or those in the program
//! client         the service as any client sees it: GraphQL, uploads, downloads
//! mailbox        mails that the service sent
//! person         somebody with an account and a session
//! subscription   events over a WebSocket
//! watch          what these tell: the progress of a job, notifications
//! studio         what the creator does: data set, training, publication
//! gallery        what the follower does: find the LoRA, open it, generate with it
//! play           the story
//! report         what is left: pictures, report.json, contact sheet, table
//! stage          what is seen meanwhile
//! ```

mod client;
mod gallery;
mod mailbox;
mod person;
mod pictures;
mod play;
mod report;
mod stage;
mod studio;
mod subscription;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Parser;

use super::{say, start_log};
use crate::{
    config::{DeviceSettings, HouseSettings, ServeSettings, WorkerSettings},
    house::DIGEST_HOUR,
    server,
    service::Service,
};

use self::{
    client::Api,
    pictures::Material,
    play::{Play, play},
    report::Report,
    stage::Stage,
};

/// Play the main job through the public API: train a LoRA, publish it, find it, generate with it.
///
/// A service of its own is started on a free port of this machine, with everything it keeps in a temporary folder.
#[derive(Parser, Debug)]
pub struct Demo {
    /// Folder of pictures to train on, 10 to 30 do best; `NAME.txt` beside a picture is its caption [default: the
    /// program's own pictures]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,

    /// Folder for report.json, contact-sheet.png and the pictures that were made
    #[arg(long, value_name = "DIR", default_value = "atelier-demo")]
    out: PathBuf,

    /// Print one line of JSON instead of a table
    #[arg(long)]
    json: bool,

    /// How often each picture is seen [default: what the service takes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=200))]
    epochs: Option<i32>,

    #[command(flatten)]
    device: DeviceSettings,
}

impl Demo {
    /// Plays, and leaves report.json and contact-sheet.png.
    ///
    /// # Errors
    /// A sentence that says what is in the way: the pictures, the folder for the results, the service's own refusal.
    pub async fn run(self) -> anyhow::Result<()> {
        let material = match &self.images {
            Some(folder) => Material::of_folder(folder)?,
            None => Material::bundled(),
        };
        report::prepare(&self.out, self.images.as_deref())?;
        let data = tempfile::tempdir().context(
            "No temporary folder can be made. Check that the disk has room, or set TMPDIR to another place.",
        )?;
        let settings = settings(data.path(), self.device.clone());
        start_log(&settings.house.log)?;
        let service = Service::start(settings, None).await?;
        let outcome = self.play(&service, data.path(), &material).await;
        service.shutdown().cancel();
        let ended = service.ended().await;
        // What went wrong first is what somebody wants to read.
        let report = outcome?;
        ended.context("The service did not end in order.")?;
        say(if self.json { report.line()? } else { report.table(&material.name, &self.out) });
        Ok(())
    }

    /// Plays against a service that runs, until the end or a signal.
    async fn play(&self, service: &Service, data: &Path, material: &Material) -> anyhow::Result<Report> {
        let shutdown = service.shutdown();
        server::stop_on_signal(shutdown.clone())?;
        let api = Api::new(service.address)?;
        let stage = Stage::new(!self.json);
        let (outbox, out, epochs) = (data.join("outbox"), self.out.as_path(), self.epochs);
        let setting = Play { api: &api, outbox: &outbox, material, out, epochs, stage: &stage };
        let report = tokio::select! {
            report = play(&setting) => report?,
            () = shutdown.cancelled() => bail!("The demo was interrupted. Start it again to play it from the beginning."),
        };
        report.write(&self.out).await?;
        Ok(report)
    }
}

/// Only what went wrong is logged: the rest would run through the progress bars.
const LOG_FILTER: &str = "warn,tantivy=error,sqlx=error";

/// A service on a free port of this machine. The environment has no say in where its things lie: the demo must not
/// touch an installation.
fn settings(data: &Path, device: DeviceSettings) -> ServeSettings {
    ServeSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        house: HouseSettings::apart(data, LOG_FILTER),
        device,
        work: WorkerSettings { model_check_seconds: 60 },
        public_url: None,
        production: false,
        smtp_url: None,
        mail_from: "Atelier <atelier@localhost>".to_owned(),
        digest_hour: DIGEST_HOUR,
        worker: true,
        forwarded_hops: 0,
        allow_origin: Vec::new(),
        metrics_token: None,
        rate_burst: 20_000,
        rate_per_second: 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_need_be_said() {
        let demo = Demo::try_parse_from(["demo"]).unwrap();
        assert_eq!((demo.out.as_path(), demo.images, demo.epochs), (Path::new("atelier-demo"), None, None));
        assert!(Demo::try_parse_from(["demo", "--epochs", "0"]).is_err());
    }

    #[test]
    fn its_service_is_of_this_machine_and_lies_in_its_folder() {
        let device = Demo::try_parse_from(["demo"]).unwrap().device;
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), device);
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.listen.ip().is_loopback() && settings.worker);
        assert!(settings.house.outbox().starts_with(folder.path()));
    }
}
