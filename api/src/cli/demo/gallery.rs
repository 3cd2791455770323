//! What the follower does: find the LoRA in words, open it, say what they think, generate with it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    client::{Identified, Link, Page},
    person::Person,
    report::{Album, Search, milliseconds},
    stage::{self, Stage},
    studio::TRIGGER_WORD,
    watch,
};

/// Pictures with the LoRA, and as many without it.
const PICTURES: usize = 4;

/// Seed of the first picture of each row; the others count on from it.
const FIRST_SEED: u64 = 20_000;

/// What is asked for where the data set has no captions: motifs that even a small model knows.
const PLAIN_PROMPTS: [&str; PICTURES] =
    ["a mountain at evening", "a boat on the sea", "a forest", "a house beside a tree"];

/// Longer captions are not repeated as prompts: with the trigger word they would be longer than prompts may be.
const LONGEST_PROMPT: usize = 900;

/// How long a LoRA may take to be found.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait between two searches.
const PAUSE: Duration = Duration::from_millis(25);

/// What is asked for, as the data set's captions say it: at most four prompts, at least one.
pub fn prompts<'a>(captions: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut prompts: Vec<String> = Vec::new();
    for caption in captions.filter(|caption| !caption.is_empty() && caption.chars().count() <= LONGEST_PROMPT) {
        if prompts.len() < PICTURES && !prompts.iter().any(|prompt| prompt == caption) {
            prompts.push(caption.to_owned());
        }
    }
    if prompts.is_empty() {
        prompts.extend(PLAIN_PROMPTS.map(str::to_owned));
    }
    prompts
}

/// A prompt that calls the style up, joined as the training joins trigger word and caption.
pub fn with_trigger(prompt: &str) -> String {
    if prompt.to_lowercase().contains(TRIGGER_WORD) { prompt.to_owned() } else { format!("{TRIGGER_WORD} {prompt}") }
}

/// Looks for a LoRA in words until it is found, then once more. Gives when it was first found, and the last search.
///
/// # Errors
/// When it is not found in time.
pub async fn find(follower: &mut Person, lora: &str, query: &str) -> anyhow::Result<(Instant, Search)> {
    let begun = Instant::now();
    while rank(follower, lora, query).await?.is_none() {
        if begun.elapsed() > PATIENCE {
            bail!("Looking for “{query}” did not find the LoRA within {} seconds.", PATIENCE.as_secs());
        }
        sleep(PAUSE).await;
    }
    let found = Instant::now();
    let rank = rank(follower, lora, query).await?.context("The LoRA was found once and then not any more.")?;
    Ok((found, Search { query: query.to_owned(), rank, ms: milliseconds(found.elapsed()) }))
}

/// At which place a search finds a LoRA, from 1.
async fn rank(follower: &mut Person, lora: &str, query: &str) -> anyhow::Result<Option<usize>> {
    let document = "query($search: String!) { loras(search: $search, first: 20) { nodes { id } } }";
    let found: Page<Identified> = follower.read("loras", document, json!({ "search": query })).await?;
    Ok(found.nodes.iter().position(|found| found.id == lora).map(|place| place + 1))
}

/// A LoRA as the follower opens it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    name: String,
    latest_version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    id: String,
    trigger_words: Vec<String>,
    base_model: Identified,
    previews: Vec<Identified>,
}

/// Opens a LoRA, rates it and comments on it.
///
/// # Errors
/// The service's own sentences.
pub async fn visit(follower: &mut Person, lora: &str, stage: &Stage) -> anyhow::Result<Opened> {
    let document =
        "query($id: ID!) { lora(id: $id) { name latestVersion { id triggerWords baseModel { id } previews { id } } } }";
    let opened: Opened = follower.read("lora", document, json!({ "id": lora })).await?;
    let (version, words) = (&opened.latest_version, opened.latest_version.trigger_words.join(", "));
    stage.tell(format!("  “{}” shows {} previews; its trigger word is {words}.", opened.name, version.previews.len()));
    let input = json!({ "loraId": lora, "versionId": version.id, "stars": 5, "review": "It looks like the pictures." });
    let _: Identified = follower.change("rateLora", "rating { id }", input).await?;
    let input = json!({ "loraId": lora, "body": "Thank you for showing it. I am trying it at once." });
    let _: Identified = follower.change("addComment", "comment { id }", input).await?;
    Ok(opened)
}

/// A picture that was generated and kept.
pub struct Kept {
    /// Its file.
    pub path: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Both rows of pictures, from the same prompts and seeds.
pub struct Rows {
    /// Without the LoRA.
    pub base: Vec<Kept>,
    /// With it, and the trigger word in front.
    pub lora: Vec<Kept>,
}

#[derive(Deserialize)]
struct Queued {
    id: String,
    job: Identified,
}

/// Generates four pictures without the LoRA and four with it.
///
/// # Errors
/// The service's own sentences; pictures that cannot be kept.
pub async fn generate(
    follower: &mut Person,
    opened: &Opened,
    prompts: &[String],
    album: &Album<'_>,
    stage: &Stage,
) -> anyhow::Result<Rows> {
    let version = &opened.latest_version;
    let (mut base, mut lora) = (Vec::new(), Vec::new());
    for (seed, prompt) in (FIRST_SEED..).zip(prompts.iter().cycle().take(PICTURES)) {
        let input = |prompt: &str, loras: Value| {
            json!({
                "prompt": prompt, "seed": seed, "count": 1, "baseModelId": version.base_model.id, "loras": loras,
            })
        };
        base.push(ask(follower, input(prompt, json!([]))).await?);
        lora.push(ask(follower, input(&with_trigger(prompt), json!([{ "versionId": version.id }]))).await?);
    }
    let bar = stage.bar("generating", (base.len() + lora.len()) as u64);
    let rows = Rows {
        base: fetch(follower, &base, "base", album, &bar).await?,
        lora: fetch(follower, &lora, "lora", album, &bar).await?,
    };
    bar.finish_and_clear();
    Ok(rows)
}

async fn ask(follower: &mut Person, input: Value) -> anyhow::Result<Queued> {
    follower.change("generatePictures", "generation { id job { id } }", input).await
}

#[derive(Deserialize)]
struct Made {
    assets: Vec<Link>,
}

/// Waits for the pictures of a row and keeps them.
async fn fetch(
    follower: &mut Person,
    row: &[Queued],
    name: &str,
    album: &Album<'_>,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Kept>> {
    let document = "query($id: ID!) { generation(id: $id) { assets { url } } }";
    let mut kept = Vec::with_capacity(row.len());
    for (number, queued) in (1..).zip(row) {
        let ended = watch::job(follower, &queued.job.id, |progress| stage::show(bar, progress)).await;
        ended.context("The pictures came to nothing.")?;
        let made: Made = follower.read("generation", document, json!({ "id": queued.id })).await?;
        let asset = made.assets.first().context("A generation that is done has no picture.")?;
        let bytes = follower.api().get(&asset.url).await?;
        kept.push(Kept { path: album.keep(&format!("{name}-{number}.png"), &bytes).await?, bytes });
        bar.inc(1);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_captions_where_there_are_some() {
        let long = "x".repeat(LONGEST_PROMPT + 1);
        let captions = ["", "a fox", "a fox", long.as_str(), "a boat", "a cup", "a tree", "a moon"];
        assert_eq!(prompts(captions.into_iter()), ["a fox", "a boat", "a cup", "a tree"]);
        assert_eq!(prompts(["", ""].into_iter()), PLAIN_PROMPTS);
        assert_eq!(with_trigger("a fox"), format!("{TRIGGER_WORD} a fox"));
        assert_eq!(with_trigger("a DemoStyle fox"), "a DemoStyle fox");
    }
}
