//! How well and how fast an engine finds things in a synthetic catalogue whose right answers are known.
//!
//! A catalogue is a folder with `loras.jsonl`, a LoRA a line, and `queries.jsonl`, a query a line with the ids that
//! should be found. The quality of a kind of query is its mean reciprocal rank: 1 if something expected always comes
//! first, 0.5 if second, 0 where none is among the first ten.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tantivy::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{LoraDocument, LoraFilter, LoraIndex, LoraQuery, SearchError};

/// Documents that are handed over together.
const PIECE: usize = 1000;
/// Pieces that are on their way at the same time.
const PIECES_AT_ONCE: usize = 8;
/// Hits that are asked for and judged.
const JUDGED: usize = 10;
/// How often the queries are run; the time of every run counts.
const ROUNDS: usize = 3;
/// Ids that a catalogue names for a query at most; where it names so many, there are more that fit as well.
const MOST_EXPECTED: usize = 1000;

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file of the catalogue cannot be read.
    #[error("The catalogue's file {} cannot be read: {reason}. Check the folder.", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A line of the catalogue is not what it should be.
    #[error("Line {line} of {} is not part of a catalogue: {reason}. Write the catalogue again.", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A task of the measurement did not end.
    #[error("The measurement broke off: {0}")]
    BrokenOff(#[from] tokio::task::JoinError),
    /// The engine failed.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// LoRAs in the index.
    pub documents: u64,
    /// LoRAs taken in a second, from the first handed over until the last is found.
    pub documents_per_second: f64,
    /// Most memory that this process held at a time, in 10⁶ bytes; none where the system does not say, and where the
    /// engine is elsewhere.
    pub memory_mb: Option<f64>,
    /// Size of the engine's folder in 10⁶ bytes, if it has one here.
    pub disk_mb: Option<f64>,
    /// By kind of query.
    pub kinds: BTreeMap<String, KindReport>,
}

/// What was measured of one kind of query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindReport {
    /// Queries of this kind.
    pub queries: usize,
    /// Mean reciprocal rank of the first expected one among the first ten.
    pub mrr_at_10: f64,
    /// Half of the searches took at most this many milliseconds, with three facets.
    pub p50_ms: f64,
    /// 99 of 100 searches took at most this many milliseconds.
    pub p99_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogLora {
    id: String,
    name: String,
    description: String,
    tags: Vec<String>,
    trigger_words: Vec<String>,
    creator: String,
    base_model: String,
    license: String,
    average_rating: f64,
    rating_count: u64,
    downloads: u64,
    created_at: String,
}

#[derive(Deserialize)]
struct CatalogQuery {
    kind: String,
    q: String,
    filter: CatalogFilter,
    expect: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CatalogFilter {
    base_model: Option<String>,
    min_rating: Option<f64>,
}

/// A query and what it should find.
struct Known {
    kind: String,
    query: LoraQuery,
    expected: HashSet<Uuid>,
}

/// The time, in milliseconds, within which so many of a hundred lie; nothing where there is none. The times rise.
pub fn percentile_ms(rising: &[Duration], hundredth: usize) -> f64 {
    let place = (rising.len() * hundredth / 100).min(rising.len().saturating_sub(1));
    rising.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Fills the index with the catalogue, which takes the place of whatever it held, and runs the catalogue's queries.
///
/// `folder` is where the engine keeps its files, if that is on this machine.
///
/// # Errors
/// [`BenchError`], for a catalogue that cannot be read and an engine that fails.
pub async fn run(index: Arc<dyn LoraIndex>, catalog: &Path, folder: Option<&Path>) -> Result<Report, BenchError> {
    let catalog = catalog.to_owned();
    let path = catalog.clone();
    let mut queries: Vec<Known> = tokio::task::spawn_blocking(move || queries(&path)).await??;
    let (documents, seconds) = fill(&index, &catalog, &mut queries).await?;
    let mut kinds: BTreeMap<String, (f64, usize, Vec<Duration>)> = BTreeMap::new();
    for round in 0..ROUNDS {
        for known in &queries {
            let started = Instant::now();
            let hits = index.search(&known.query).await?;
            let took = started.elapsed();
            let kind = kinds.entry(known.kind.clone()).or_default();
            kind.2.push(took);
            if round == 0 {
                let rank = hits.hits.iter().position(|hit| known.expected.contains(&hit.id));
                kind.0 += rank.map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
                kind.1 += 1;
            }
        }
    }
    let kinds = kinds.into_iter().map(|(kind, (ranks, queries, mut times))| {
        times.sort_unstable();
        let (p50_ms, p99_ms) = (percentile_ms(&times, 50), percentile_ms(&times, 99));
        (kind, KindReport { queries, mrr_at_10: ranks / queries as f64, p50_ms, p99_ms })
    });
    Ok(Report {
        documents,
        documents_per_second: documents as f64 / seconds,
        memory_mb: folder.and_then(|_| most_memory()).map(|bytes| bytes as f64 / 1e6),
        disk_mb: folder.map(size).transpose().map_err(SearchError::from)?.map(|bytes| bytes as f64 / 1e6),
        kinds: kinds.collect(),
    })
}

/// Hands the LoRAs over. Returns how many there are, and how many seconds the engine took; the reading does not count
/// where the engine is slower, since it goes on meanwhile.
async fn fill(index: &Arc<dyn LoraIndex>, catalog: &Path, queries: &mut Vec<Known>) -> Result<(u64, f64), BenchError> {
    index.clear().await?;
    let started = Instant::now();
    let (pieces, mut arriving) = tokio::sync::mpsc::channel(2);
    let file = catalog.join("loras.jsonl");
    let mut known = std::mem::take(queries);
    let reading = tokio::task::spawn_blocking(move || {
        let mut piece = Vec::with_capacity(PIECE);
        for_each_line(&file, |lora: CatalogLora| {
            let document = document(lora)?;
            for query in &mut known {
                if query.kind_names_too_few() && query.fits(&document) {
                    query.expected.insert(document.id);
                }
            }
            piece.push(document);
            if piece.len() == PIECE {
                // Nobody receives after an error, which is told then instead.
                let _gone = pieces.blocking_send(std::mem::replace(&mut piece, Vec::with_capacity(PIECE)));
            }
            Ok(())
        })?;
        let _gone = pieces.blocking_send(piece);
        Ok::<_, BenchError>(known)
    });
    let mut on_their_way = JoinSet::new();
    while let Some(piece) = arriving.recv().await {
        if on_their_way.len() >= PIECES_AT_ONCE
            && let Some(done) = on_their_way.join_next().await
        {
            done??;
        }
        let index = index.clone();
        on_their_way.spawn(async move { index.upsert(piece).await });
    }
    while let Some(done) = on_their_way.join_next().await {
        done??;
    }
    *queries = reading.await??;
    let seconds = started.elapsed().as_secs_f64();
    index.rebuilt().await?;
    Ok((index.count().await?, seconds))
}

impl Known {
    /// Whether the catalogue names a part of what fits only: it cuts its lists.
    fn kind_names_too_few(&self) -> bool {
        self.expected.len() >= MOST_EXPECTED
    }

    /// Whether a LoRA is among what a cut list was taken from: those with the words of the query as their style or as
    /// a tag, that pass its filter.
    fn fits(&self, lora: &LoraDocument) -> bool {
        let filter = &self.query.filter;
        let text = self.query.text.as_deref().unwrap_or_default();
        (lora.description.contains(text) || lora.tags.iter().any(|tag| tag == text))
            && (filter.base_models.is_empty() || lora.base_models.iter().any(|base| filter.base_models.contains(base)))
            && filter.rating_at_least.is_none_or(|least| lora.rating_score >= least)
    }
}

fn queries(catalog: &Path) -> Result<Vec<Known>, BenchError> {
    let mut queries = Vec::new();
    for_each_line(&catalog.join("queries.jsonl"), |line: CatalogQuery| {
        let filter = LoraFilter {
            base_models: line.filter.base_model.iter().map(|name| id_of("base", name)).collect(),
            rating_at_least: line.filter.min_rating,
            ..LoraFilter::default()
        };
        let query = LoraQuery { text: Some(line.q), filter, first: JUDGED, facets: true, ..LoraQuery::default() };
        let expected = line.expect.iter().map(|id| id_of("lora", id)).collect();
        queries.push(Known { kind: line.kind, query, expected });
        Ok(())
    })?;
    Ok(queries)
}

fn document(lora: CatalogLora) -> Result<LoraDocument, String> {
    let created = OffsetDateTime::parse(&lora.created_at, &Rfc3339).map_err(|error| error.to_string())?;
    let creator_id = id_of("creator", &lora.creator);
    Ok(LoraDocument {
        id: id_of("lora", &lora.id),
        sequence: 1,
        name: lora.name,
        description: lora.description,
        trigger_words: lora.trigger_words,
        tags: lora.tags,
        prompts: Vec::new(),
        creator_handle: lora.creator.clone(),
        creator_name: lora.creator,
        creator_id,
        team_id: creator_id,
        public: true,
        license: lora.license,
        base_models: vec![id_of("base", &lora.base_model)],
        rating_score: lora.average_rating,
        rating_count: lora.rating_count,
        downloads: lora.downloads,
        published_at_millis: created.unix_timestamp() * 1000,
        safe_strengths: None,
        looks: Vec::new(),
        meaning: None,
        trend: None,
    })
}

/// An id for a name of the catalogue, the same in every run.
fn id_of(kind: &str, name: &str) -> Uuid {
    let half = |number: u8| {
        let mut hasher = DefaultHasher::new();
        (number, kind, name).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    Uuid::from_u128(half(0) << 64 | half(1))
}

fn for_each_line<T: DeserializeOwned>(
    file: &Path,
    mut take: impl FnMut(T) -> Result<(), String>,
) -> Result<(), BenchError> {
    let unreadable = |reason| BenchError::Unreadable { file: file.to_owned(), reason };
    for (number, line) in BufReader::new(File::open(file).map_err(unreadable)?).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let malformed = |reason| BenchError::Malformed { file: file.to_owned(), line: number + 1, reason };
        let value = serde_json::from_str(&line).map_err(|error| malformed(error.to_string()))?;
        take(value).map_err(malformed)?;
    }
    Ok(())
}

/// Bytes that this process held at most at a time, where Linux says so.
fn most_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let facts = match entry.metadata() {
            Ok(facts) => facts,
            // The engine merges its files meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        bytes += if facts.is_dir() { size(&entry.path())? } else { facts.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmbeddedIndex;

    fn lora(number: usize, name: &str, base: &str) -> String {
        format!(
            r#"{{"id":"lora-{number}","name":"{name}","description":"Ink wash","tags":["moody"],"triggerWords":["x"],
            "creator":"kaven","baseModel":"{base}","license":"cc0-1.0","averageRating":4.6,"ratingCount":2,
            "downloads":30,"createdAt":"2025-09-08T08:00:00Z"}}"#
        )
        .replace('\n', "")
    }

    async fn measured(loras: &[String], queries: &[&str]) -> Result<Report, BenchError> {
        let catalog = tempfile::tempdir().expect("a folder");
        fs::write(catalog.path().join("loras.jsonl"), loras.join("\n")).expect("written");
        fs::write(catalog.path().join("queries.jsonl"), queries.join("\n")).expect("written");
        let index = EmbeddedIndex::open(&catalog.path().join("index")).expect("an index");
        run(Arc::new(index), catalog.path(), Some(&catalog.path().join("index"))).await
    }

    #[tokio::test]
    async fn a_right_answer_counts_by_its_rank() {
        let loras = [lora(1, "Kavimo", "sdxl"), lora(2, "Kavimo in a boat", "flux"), lora(3, "Torvel", "sdxl")];
        let queries = [
            r#"{"kind":"exact","q":"kavimo","filter":{},"expect":["lora-1"]}"#,
            r#"{"kind":"exact","q":"kavimo","filter":{},"expect":["lora-2"]}"#,
            r#"{"kind":"filter","q":"moody","filter":{"baseModel":"flux","minRating":4.5},"expect":["lora-2"]}"#,
            r#"{"kind":"typo","q":"kavmio ","filter":{},"expect":["lora-3"]}"#,
        ];
        let report = measured(&loras, &queries).await.expect("a report");
        assert_eq!(report.documents, 3);
        assert_eq!(report.kinds["exact"].mrr_at_10, 0.75);
        assert_eq!(report.kinds["filter"].mrr_at_10, 1.0);
        assert_eq!(report.kinds["typo"].mrr_at_10, 0.0, "what is not found counts nothing");
        assert!(report.disk_mb.is_some_and(|size| size > 0.0));
    }

    #[tokio::test]
    async fn a_broken_line_is_named() {
        let loras = [lora(1, "Kavimo", "sdxl"), "{\"id\":3".to_owned()];
        let error = measured(&loras, &[]).await.expect_err("a broken line");
        assert!(matches!(&error, BenchError::Malformed { line: 2, .. }), "{error}");
    }
}
