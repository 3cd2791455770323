//! The configuration of the service: flags, each with an environment variable beside it. Everything has a default, so
//! that nothing need be said.

pub mod location;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use atelier_worker::inference::{DeviceName, Error, Precision};
use clap::{ArgAction, Args, builder::BoolishValueParser};

use self::location::{BlobLocation, DatabaseLocation, SearchLocation, Secret};
use crate::{
    house::DIGEST_HOUR,
    http::{HttpSettings, rate_limit::RateSettings},
    telemetry::LogFormat,
};

/// Name of the index on a search server, where nobody says another.
pub const SEARCH_INDEX: &str = "atelier_loras";

/// What every command is told that opens the house: where its things lie.
#[derive(Args, Clone, Debug)]
pub struct HouseSettings {
    /// Folder for everything the service keeps: database, files, models, search index, mails
    #[arg(long, env = "ATELIER_DATA", value_name = "DIR", default_value = "atelier-data")]
    pub data: PathBuf,

    /// Database: `sqlite:PATH` or `postgres://…` [default: atelier.sqlite3 in the data folder]
    #[arg(
        long,
        env = "ATELIER_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        value_parser = DatabaseLocation::parse
    )]
    pub database_url: Option<DatabaseLocation>,

    /// Where files are kept: a folder or `s3://BUCKET` [default: blobs in the data folder]
    #[arg(long, env = "ATELIER_BLOBS_URL", value_name = "URL", value_parser = BlobLocation::parse)]
    pub blobs_url: Option<BlobLocation>,

    /// The bucket
    #[command(flatten)]
    pub s3: S3Settings,

    /// Search engine: `embedded`, or the address of a Meilisearch server
    #[arg(
        long,
        env = "ATELIER_SEARCH",
        value_name = "URL",
        default_value = "embedded",
        value_parser = SearchLocation::parse
    )]
    pub search: SearchLocation,

    /// Key that the Meilisearch server is shown
    #[arg(long, env = "ATELIER_SEARCH_KEY", value_name = "KEY", hide_env_values = true)]
    pub search_key: Option<Secret>,

    /// Name of the index on the Meilisearch server
    #[arg(
        long,
        env = "ATELIER_SEARCH_INDEX",
        value_name = "NAME",
        default_value = SEARCH_INDEX,
        value_parser = location::search_index
    )]
    pub search_index: String,

    /// Seconds that a worker holds a job without a sign of life
    #[arg(
        long,
        env = "ATELIER_LEASE_SECONDS",
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(3..=3_600)
    )]
    pub lease_seconds: u64,

    /// Folder of a sentence encoder in the layout of the MiniLM models: words then find what means the same as well
    #[arg(long, env = "ATELIER_SENTENCE_ENCODER", value_name = "DIR")]
    pub sentence_encoder: Option<PathBuf>,

    /// Folder of a CLIP model as transformers writes it: pictures then look alike that show alike things, and it is measured by
    /// CLIP how much of prompts LoRAs keep. Give it to the service and to its workers alike
    #[arg(long, env = "ATELIER_CLIP", value_name = "DIR")]
    pub clip: Option<PathBuf>,

    /// Whether a worker measures what published LoRAs do to the base models that could take them
    #[arg(
        long,
        env = "ATELIER_MEASURE_COMPATIBILITY",
        value_name = "on|off",
        action = ArgAction::Set,
        default_value = "on",
        value_parser = BoolishValueParser::new()
    )]
    pub measure_compatibility: bool,

    /// The log
    #[command(flatten)]
    pub log: LogSettings,
}

/// What the models compute on.
#[derive(Args, Clone, Debug)]
pub struct DeviceSettings {
    /// Device of the models: `cpu`, or `cuda:0` for the first NVIDIA card
    #[arg(long, env = "ATELIER_DEVICE", value_name = "DEVICE", default_value = "cpu")]
    pub device: DeviceName,

    /// Numbers that the models compute in: `f32`; `bf16`; or `fp8`, which is bf16 with the denoiser's weights in eight bits
    /// [default: f32 on the CPU, which knows no other, bf16 on CUDA]
    #[arg(long = "dtype", env = "ATELIER_DTYPE", value_name = "DTYPE")]
    pub precision: Option<Precision>,

    /// Memory that loaded models may fill; those used last stay loaded in it [default: half of the device's]
    #[arg(long, env = "ATELIER_MODEL_MEMORY", value_name = "GIB")]
    pub model_memory: Option<f64>,
}

impl DeviceSettings {
    /// Checks that the device is there and computes in the numbers that are asked for.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), Error> {
        self.device.check()?;
        self.device.check_precision(self.precision())
    }

    /// Bytes that loaded models may fill, where somebody said so.
    pub fn room_for_models(&self) -> Option<u64> {
        self.model_memory.map(|gibibytes| (gibibytes.max(0.0) * f64::from(1 << 30)) as u64)
    }

    /// Numbers that the models compute in.
    pub fn precision(&self) -> Precision {
        self.precision.unwrap_or(match self.device {
            DeviceName::Cpu => Precision::F32,
            DeviceName::Cuda(_) => Precision::Bf16,
        })
    }
}

/// How a worker goes about its work.
#[derive(Args, Clone, Debug)]
pub struct WorkerSettings {
    /// Seconds after which a worker looks again which base models it has the files of
    #[arg(
        long,
        env = "ATELIER_MODEL_CHECK_SECONDS",
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=120)
    )]
    pub model_check_seconds: u64,
}

impl WorkerSettings {
    /// How often a worker looks.
    pub fn looks_every(&self) -> Duration {
        Duration::from_secs(self.model_check_seconds)
    }
}

/// What `atelier serve` can be told.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Address and port to listen on
    #[arg(
        long,
        env = "ATELIER_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = location::listen_address
    )]
    pub listen: SocketAddr,

    /// Where its things lie
    #[command(flatten)]
    pub house: HouseSettings,

    /// What the models compute on
    #[command(flatten)]
    pub device: DeviceSettings,

    /// How the worker goes about its work
    #[command(flatten)]
    pub work: WorkerSettings,

    /// Address under which people reach the service; links begin with it [default: http://ADDR]
    #[arg(long, env = "ATELIER_PUBLIC_URL", value_name = "URL", value_parser = location::public_url)]
    pub public_url: Option<String>,

    /// Production: no GraphiQL, no introspection, no suggestions in errors
    #[arg(
        long,
        env = "ATELIER_PRODUCTION",
        action = ArgAction::Set,
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        value_parser = BoolishValueParser::new()
    )]
    pub production: bool,

    /// Mail server: `smtp://…` or `smtps://USER:PASSWORD@HOST` [default: mails are files in the data folder's outbox]
    #[arg(
        long,
        env = "ATELIER_SMTP_URL",
        value_name = "URL",
        hide_env_values = true,
        value_parser = location::smtp_url
    )]
    pub smtp_url: Option<Secret>,

    /// Sender of mails
    #[arg(long, env = "ATELIER_MAIL_FROM", value_name = "ADDRESS", default_value = "Atelier <atelier@localhost>")]
    pub mail_from: String,

    /// Hour of the day, by UTC, at which daily digests of notifications are mailed
    #[arg(
        long,
        env = "ATELIER_DIGEST_HOUR",
        value_name = "HOUR",
        default_value_t = DIGEST_HOUR,
        value_parser = clap::value_parser!(u32).range(0..=23)
    )]
    pub digest_hour: u32,

    /// Whether this process works on jobs itself
    #[arg(
        long,
        env = "ATELIER_WORKER",
        value_name = "on|off",
        action = ArgAction::Set,
        default_value = "on",
        value_parser = BoolishValueParser::new()
    )]
    pub worker: bool,

    /// How many proxies in front append to X-Forwarded-For
    #[arg(long, env = "ATELIER_FORWARDED_HOPS", value_name = "NUMBER", default_value_t = 0)]
    pub forwarded_hops: usize,

    /// Origin whose pages may call the API from a browser; may be given several times, or with commas
    #[arg(
        long = "allow-origin",
        env = "ATELIER_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = location::origin
    )]
    pub allow_origin: Vec<String>,

    /// Bearer token that /metrics asks for [default: open]
    #[arg(long, env = "ATELIER_METRICS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub metrics_token: Option<Secret>,

    /// Points that a caller may spend at once on GraphQL
    #[arg(
        long,
        env = "ATELIER_RATE_BURST",
        value_name = "POINTS",
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(2_000..)
    )]
    pub rate_burst: u32,

    /// Points that a caller gets back each second
    #[arg(
        long,
        env = "ATELIER_RATE_PER_SECOND",
        value_name = "POINTS",
        default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub rate_per_second: u32,
}

/// How the bucket of `--blobs-url s3://…` is reached.
#[derive(Args, Clone, Debug)]
pub struct S3Settings {
    /// Region of the bucket
    #[arg(long, env = "ATELIER_S3_REGION", value_name = "REGION", default_value = "us-east-1")]
    pub s3_region: String,

    /// Address of a service that speaks S3 [default: Amazon's]
    #[arg(long, env = "ATELIER_S3_ENDPOINT", value_name = "URL", value_parser = location::public_url)]
    pub s3_endpoint: Option<String>,

    /// Key id [default: what the environment of Amazon's tools says]
    #[arg(long, env = "ATELIER_S3_ACCESS_KEY_ID", value_name = "ID", requires = "s3_secret_access_key")]
    pub s3_access_key_id: Option<String>,

    /// Secret key
    #[arg(
        long,
        env = "ATELIER_S3_SECRET_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true,
        requires = "s3_access_key_id"
    )]
    pub s3_secret_access_key: Option<Secret>,
}

/// How the log looks; every command takes it.
#[derive(Args, Clone, Debug)]
pub struct LogSettings {
    /// How log lines look
    #[arg(long, env = "ATELIER_LOG_FORMAT", value_name = "FORMAT", default_value = "pretty", value_enum)]
    pub log_format: LogFormat,

    /// What is logged, such as `info` or `atelier=debug,sqlx=warn`
    #[arg(
        long = "log",
        env = "ATELIER_LOG",
        value_name = "FILTER",
        default_value = "info,tantivy=warn,sqlx=warn,sea_orm_migration=warn"
    )]
    pub log_filter: String,
}

impl HouseSettings {
    /// A house of its own in a folder, in which the environment has no say: for what must not touch an installation.
    pub fn apart(data: &Path, log_filter: &str) -> Self {
        Self {
            data: data.to_owned(),
            database_url: None,
            blobs_url: None,
            s3: S3Settings {
                s3_region: "us-east-1".to_owned(),
                s3_endpoint: None,
                s3_access_key_id: None,
                s3_secret_access_key: None,
            },
            search: SearchLocation::Embedded,
            search_key: None,
            search_index: SEARCH_INDEX.to_owned(),
            lease_seconds: 30,
            measure_compatibility: false,
            sentence_encoder: None,
            clip: None,
            log: LogSettings { log_format: LogFormat::Pretty, log_filter: log_filter.to_owned() },
        }
    }

    /// Checks what no single flag shows.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        location::folder(&self.data)
    }

    /// Which database.
    pub fn database(&self) -> DatabaseLocation {
        self.database_url.clone().unwrap_or_else(|| DatabaseLocation::Sqlite(self.data.join("atelier.sqlite3")))
    }

    /// Where files are kept.
    pub fn blobs(&self) -> BlobLocation {
        self.blobs_url.clone().unwrap_or_else(|| BlobLocation::Folder(self.data.join("blobs")))
    }

    /// Where mails are written when there is no mail server.
    pub fn outbox(&self) -> PathBuf {
        self.data.join("outbox")
    }

    /// How long a worker holds a job without a sign of life.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// Where the search index lies, and the list of synonyms.
    pub fn search_folder(&self) -> PathBuf {
        self.data.join("search")
    }

    /// Where base models lie.
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// Where uploads grow.
    pub fn uploads(&self) -> PathBuf {
        self.data.join("uploads")
    }

    /// Where work in progress lies.
    pub fn work(&self) -> PathBuf {
        self.data.join("work")
    }
}

impl ServeSettings {
    /// Checks what no single flag shows.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        self.house.check()?;
        let public_url = self.public_url();
        let is_local =
            ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|l| public_url.starts_with(l));
        if self.production && !public_url.starts_with("https://") && !is_local {
            return Err(format!(
                "In production people's passwords travel to `{public_url}`, which is not encrypted. Put a proxy that \
                 speaks HTTPS in front and give its address with `--public-url https://…`."
            ));
        }
        if !self.mail_from.contains('@') {
            return Err(format!("`{}` cannot send mail. Give `--mail-from` an address.", self.mail_from));
        }
        Ok(())
    }

    /// What runs, but not as somebody might think.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.public_url.is_none() && self.listen.ip().is_unspecified() {
            let url = self.public_url();
            warnings.push(format!("Links begin with {url}, which only this machine understands. Give `--public-url`."));
        }
        if self.production && self.smtp_url.is_none() {
            let outbox = self.house.outbox();
            warnings.push(format!("Mails are written to {} and not sent. Give `--smtp-url`.", outbox.display()));
        }
        warnings
    }

    /// Address under which people reach the service, without a slash at the end.
    pub fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| match self.listen.ip() {
            ip if ip.is_unspecified() => format!("http://127.0.0.1:{}", self.listen.port()),
            _ => format!("http://{}", self.listen),
        })
    }

    /// Limits and switches of the edge.
    pub fn http(&self) -> HttpSettings {
        HttpSettings {
            rate: RateSettings { burst: self.rate_burst, per_second: f64::from(self.rate_per_second) },
            forwarded_hops: self.forwarded_hops,
            allowed_origins: self.allow_origin.clone(),
            metrics_token: self.metrics_token.clone(),
            ..HttpSettings::new(self.production, self.public_url())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        settings: ServeSettings,
    }

    fn parse(arguments: &[&str]) -> Result<ServeSettings, String> {
        let arguments = std::iter::once("atelier").chain(arguments.iter().copied());
        let settings = Serve::try_parse_from(arguments).map_err(|error| error.to_string())?.settings;
        settings.check().map(|()| settings)
    }

    #[test]
    fn nothing_need_be_said() {
        Serve::command().debug_assert();
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.public_url(), "http://127.0.0.1:8080");
        assert_eq!(settings.house.database(), DatabaseLocation::Sqlite("atelier-data/atelier.sqlite3".into()));
        assert_eq!(settings.house.blobs(), BlobLocation::Folder("atelier-data/blobs".into()));
        assert!(settings.worker && !settings.production);
    }

    #[test]
    fn what_is_wrong_is_said_and_what_to_write() {
        for (arguments, advice) in [
            (&["--listen", "8080"][..], "127.0.0.1:8080"),
            (&["--database-url", "mysql://x/y"], "postgres://"),
            (&["--database-url", "sqlite::memory:"], "needs a file"),
            (&["--blobs-url", "s3://A"], "3 to 63"),
            (&["--blobs-url", "gs://bucket"], "s3://BUCKET"),
            (&["--public-url", "atelier.example"], "https://atelier.example"),
            (&["--public-url", "https://example.org/atelier"], "root of a host"),
            (&["--smtp-url", "mail.example"], "smtp://"),
            (&["--allow-origin", "https://a.example/path"], "without a path"),
            (&["--lease-seconds", "1"], "3..=3600"),
            (&["--digest-hour", "24"], "0..=23"),
            (&["--model-check-seconds", "180"], "1..=120"),
            (&["--production", "--public-url", "http://atelier.example"], "HTTPS"),
            (&["--s3-access-key-id", "k"], "--s3-secret-access-key"),
        ] {
            let Err(sentence) = parse(arguments) else { panic!("{arguments:?} is taken") };
            assert!(sentence.contains(advice), "{arguments:?}: {sentence}");
        }
    }

    #[test]
    fn numbers_that_the_device_does_not_compute_in_are_refused() {
        for dtype in ["bf16", "fp8"] {
            let sentence = parse(&["--dtype", dtype]).unwrap().device.check().unwrap_err().to_string();
            assert!(sentence.contains(dtype) && sentence.contains("`f32`"), "{sentence}");
        }
        parse(&["--dtype", "f32"]).unwrap().device.check().unwrap();
        parse(&[]).unwrap().device.check().unwrap();
    }

    #[test]
    fn a_file_is_no_data_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sentence = parse(&["--data", file.path().to_str().unwrap()]).unwrap_err();
        assert!(sentence.contains("is a file"), "{sentence}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings =
            parse(&["--database-url", "postgres://u:hunter2@h/d", "--smtp-url", "smtps://u:hunter2@h"]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        let shown = Serve::command().render_long_help().to_string();
        assert!(shown.contains("ATELIER_SMTP_URL"));
    }

    #[test]
    fn switches_are_switched() {
        let settings = parse(&["--production", "--worker", "off"]).unwrap();
        assert!(settings.production && !settings.worker);
        assert_eq!(settings.warnings().len(), 1, "mails stay here");
        assert!(!parse(&["--production=false"]).unwrap().production);
    }
}
