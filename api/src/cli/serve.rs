//! `atelier serve`.

use std::path::Path;

use anyhow::Context as _;
use atelier_domain::account::{self, FirstAdministrator};
use clap::Parser;

use super::{say, start_log};
use crate::{config::ServeSettings, server, service::Service, telemetry};

/// Start the service.
#[derive(Parser, Debug)]
pub struct Serve {
    #[command(flatten)]
    settings: ServeSettings,
}

impl Serve {
    /// Serves until a signal ends it.
    ///
    /// # Errors
    /// A sentence that says why the service cannot run.
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = self.settings;
        start_log(&settings.house.log)?;
        let metrics = telemetry::start_metrics()?;
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        let service = Service::start(settings.clone(), Some(metrics)).await?;
        server::stop_on_signal(service.shutdown())?;
        let administrator = account::first_administrator(&service.house).await?;
        say(welcome(&settings, &service, administrator.as_ref()));
        service.ended().await.context("The service has ended early.")
    }
}

/// Says where everything is.
fn welcome(settings: &ServeSettings, service: &Service, administrator: Option<&FirstAdministrator>) -> String {
    let url = &service.house.settings.public_url;
    let data = std::path::absolute(&settings.house.data).unwrap_or_else(|_| settings.house.data.clone());
    let mut lines = vec![String::from("Atelier is running."), String::new(), format!("  GraphQL API    {url}/graphql")];
    if !settings.production {
        lines.push(format!("  GraphiQL       {url}/graphiql"));
    }
    lines.push(format!("  health         {url}/healthz  {url}/readyz  {url}/metrics"));
    lines.push(format!("  data           {}", data.display()));
    lines.push(format!("  mail           {}", mail_place(settings, &data)));
    let worker =
        if settings.worker { format!("in this process, on {}", settings.device.device) } else { "none here".into() };
    lines.push(format!("  worker         {worker}"));
    if let Some(administrator) = administrator {
        let until = administrator.expires_at.format("%Y-%m-%d %H:%M UTC");
        lines.push(String::new());
        lines.push(format!(
            "  The first administrator signs in as {}. Until {until} a password is chosen at",
            administrator.email
        ));
        lines.push(format!("    {}", administrator.link));
    }
    lines.push(String::new());
    lines.push(String::from("  Ctrl-C or SIGTERM stops it."));
    lines.join("\n")
}

fn mail_place(settings: &ServeSettings, data: &Path) -> String {
    match settings.smtp_url {
        Some(_) => "by SMTP".to_owned(),
        None => format!("as files in {}", data.join("outbox").display()),
    }
}
