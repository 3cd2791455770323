//! `atelier bench marketplace`: how fast the marketplace's page is answered while people arrive independently of each other.

use std::{
    net::TcpListener,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use atelier_domain::ports::tls;
use atelier_search::bench::percentile_ms;
use clap::Parser;
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::super::say;

/// How fast the marketplace's page is answered: 24 cards with creator, preview, rating and base model, and the facets, in one
/// request. Requests arrive at a rate and independently of each other, whether or not earlier ones were answered; the time of
/// each counts from its arrival.
///
/// A service is started for it, without a worker, on a free port, and ended afterwards. What stands behind `--` is given to
/// `atelier serve`, such as `-- --data DIR --database-url URL`.
#[derive(Parser, Debug)]
pub struct Marketplace {
    /// Requests a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,

    /// For how long, after some that do not count
    #[arg(long, default_value_t = 30)]
    seconds: u32,

    /// Where chance begins: arrivals, words and filters
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,

    /// What `atelier serve` is given
    #[arg(last = true)]
    serve: Vec<String>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    requests: usize,
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    largest_ms: f64,
    /// Processor time of the service for each request; none where the system does not say.
    cpu_ms: Option<f64>,
    /// Answers that were none.
    failed: usize,
    /// Cards on the pages, on average.
    cards: f64,
}

/// Requests that do not count, in seconds: caches fill, connections open.
const WARM_UP: f64 = 3.0;

/// How long the service may take to start: the index is looked through, and built where it is missing.
const START_TIME: Duration = Duration::from_secs(600);

const PAGE: &str = "query ($search: String, $sort: LoraSortOrder, $filter: LoraFilterInput) {
  loras(search: $search, sort: $sort, filter: $filter, first: 24) {
    edges { node {
      id name license terms { commercialUse } tags ratingAverage ratingCount downloadCount
      creator { handle displayName }
      latestVersion {
        id triggerWords recommendedStrength baseModel { name title }
        compatibility { matchedShare safeStrengths { low high } baseModel { name title } }
      }
      previews { thumbnailUrl blurhash width height }
    } }
    facets { tags { value count } licenses { value count } baseModels { count baseModel { name } } }
    pageInfo { hasNextPage endCursor }
  }
}";

impl Marketplace {
    /// Starts the service, sends the requests, and says how long the answers took.
    ///
    /// # Errors
    /// When the service does not start, or the numbers make no sense.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        if !(self.rate > 0.0 && self.rate <= 10_000.0) || self.seconds == 0 {
            bail!(
                "The rate is above 0 and at most 10000 requests a second, and a measurement takes a second at least."
            );
        }
        tls::use_ring();
        let client = reqwest::Client::new();
        let service = RunningService::start(&client, &self.serve).await?;
        let mut random = ChaCha20Rng::seed_from_u64(self.seed);
        self.send(&client, &service, &mut random, WARM_UP).await?;
        let before = service.processor_ms();
        let answers = self.send(&client, &service, &mut random, f64::from(self.seconds)).await?;
        let used = service.processor_ms().zip(before).map(|(after, before)| after - before);
        let report = report(self.rate, answers, used)?;
        if self.json {
            say(serde_json::to_string(&report)?);
        } else {
            table(&report);
        }
        Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Sends requests for so many seconds. Gives how long each answer took, and how many cards it had; none where there was
    /// no answer.
    async fn send(
        &self,
        client: &reqwest::Client,
        service: &RunningService,
        random: &mut ChaCha20Rng,
        seconds: f64,
    ) -> anyhow::Result<Vec<Option<(Duration, usize)>>> {
        let begin = Instant::now();
        let (mut at, mut under_way) = (0.0, JoinSet::new());
        loop {
            // Independent arrivals: the time between two of them is exponentially distributed.
            at -= random.random_range(f64::EPSILON..1.0f64).ln() / self.rate;
            if at >= seconds {
                break;
            }
            let arrival = begin + Duration::from_secs_f64(at);
            let request = client.post(&service.url).json(&json!({ "query": PAGE, "variables": visit(random) }));
            tokio::time::sleep_until(arrival).await;
            under_way.spawn(async move {
                let answer = request.send().await.ok()?.bytes().await.ok()?;
                let took = arrival.elapsed();
                let answer: Value = serde_json::from_slice(&answer).ok()?;
                Some((took, answer["data"]["loras"]["edges"].as_array()?.len()))
            });
        }
        Ok(under_way.join_all().await)
    }
}

/// What somebody who comes along looks at: most browse, some type words.
fn visit(random: &mut ChaCha20Rng) -> Value {
    const SORTS: [&str; 4] = ["TRENDING", "RATING", "DOWNLOADS", "NEWEST"];
    const WORDS: [&str; 12] = [
        "1970s advertising photography",
        "moody portraits",
        "watercolor",
        "art deco posters",
        "linocut botanicals",
        "neon cityscapes",
        "soft pastel",
        "ink wash landscapes",
        "bauhaus packaging",
        "grainy instant film",
        "embrodery",
        "stained glas",
    ];
    const TAGS: [&str; 6] = ["photography", "watercolor", "1970s", "moody", "architecture", "collage"];
    let sort = SORTS.choose(random);
    let filter = match random.random_range(0..4) {
        0 => json!({ "tags": [TAGS.choose(random)] }),
        1 => json!({ "minimumRating": 4.0 }),
        _ => json!({}),
    };
    match random.random_range(0..10) {
        0..3 => json!({ "search": WORDS.choose(random), "sort": "RELEVANCE", "filter": filter }),
        3..6 => json!({ "sort": "TRENDING" }),
        _ => json!({ "sort": sort, "filter": filter }),
    }
}

/// A service in a process of its own, which ends with this value.
struct RunningService {
    process: Child,
    url: String,
}

impl RunningService {
    async fn start(client: &reqwest::Client, given: &[String]) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // A caller of its own has the limits of one person.
        let edge = ["serve", "--worker", "off", "--rate-burst", "1000000000", "--rate-per-second", "1000000000"];
        let process = Command::new(std::env::current_exe()?)
            .args(edge)
            .args(["--listen", &address.to_string()])
            .args(given)
            .stdout(Stdio::null())
            .spawn()
            .context("The service cannot be started.")?;
        let mut service = Self { process, url: format!("http://{address}/graphql") };
        let ready = format!("http://{address}/readyz");
        let begin = Instant::now();
        loop {
            if client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(service);
            }
            if let Some(status) = service.process.try_wait()? {
                bail!("The service ended at once ({status}); what it said stands above.");
            }
            if begin.elapsed() > START_TIME {
                bail!("The service was not ready within {} seconds.", START_TIME.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Milliseconds that the service has been computing, on all cores together, where Linux says so.
    fn processor_ms(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).ok()?;
        // The name in brackets may hold blanks; user and system time are the 12th and 13th field behind it, in hundredths.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) * 10.0)
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn report(rate: f64, answers: Vec<Option<(Duration, usize)>>, used: Option<f64>) -> anyhow::Result<Report> {
    let requests = answers.len();
    let (mut times, cards): (Vec<Duration>, Vec<usize>) = answers.into_iter().flatten().unzip();
    if times.is_empty() {
        bail!("No request was answered; what the service said stands above.");
    }
    times.sort_unstable();
    Ok(Report {
        requests,
        rate,
        p50_ms: percentile_ms(&times, 50),
        p99_ms: percentile_ms(&times, 99),
        largest_ms: percentile_ms(&times, 100),
        cpu_ms: used.map(|used| used / requests as f64),
        failed: requests - times.len(),
        cards: cards.iter().sum::<usize>() as f64 / cards.len() as f64,
    })
}

fn table(report: &Report) {
    let Report { requests, rate, p50_ms, p99_ms, largest_ms, cpu_ms, failed, cards } = report;
    say(format!("{requests} pages at {rate} a second, {cards:.1} cards each; {failed} were not answered"));
    say(format!("half within {p50_ms:.1} ms, 99 of 100 within {p99_ms:.1} ms, all within {largest_ms:.1} ms"));
    if let Some(cpu_ms) = cpu_ms {
        say(format!("The service computed {cpu_ms:.2} ms for each."));
    }
}
