//! The story: one person trains and publishes a LoRA, another hears of it, finds it, and makes pictures with it.

use std::{path::Path, time::Instant};

use super::{
    client::{Api, Identified},
    gallery::{self, Kept, Rows},
    person::{Account, Person},
    pictures::{Material, SourcePicture},
    report::{self, Album, Generated, Report, milliseconds},
    stage::Stage,
    studio,
    watch::Notifications,
};

/// What the story is played with.
pub struct Play<'a> {
    /// The service.
    pub api: &'a Api,
    /// Where the service's mails lie.
    pub outbox: &'a Path,
    /// What is trained on.
    pub material: &'a Material,
    /// Where pictures are kept.
    pub out: &'a Path,
    /// How often each picture is seen; none leaves it to the service.
    pub epochs: Option<i32>,
    /// What is seen meanwhile.
    pub stage: &'a Stage,
}

/// Plays the story.
///
/// # Errors
/// The first thing that goes wrong, in the service's own sentence where it has one.
pub async fn play(play: &Play<'_>) -> anyhow::Result<Report> {
    let &Play { material, stage, .. } = play;
    let album = Album::new(play.out);
    let Cast { mut creator, mut follower, mut news } = enter(play).await?;

    stage.tell(format!("The creator uploads {} pictures.", material.pictures.len()));
    let dataset = studio::fill_dataset(&mut creator, material, stage).await?;
    let prompts = gallery::prompts(dataset.pictures.iter().map(|picture| picture.caption.as_str()));
    let with_trigger: Vec<String> = prompts.iter().map(|prompt| gallery::with_trigger(prompt)).collect();

    stage.tell("The creator trains a LoRA from them.");
    let (run, progress_events) = studio::train(&mut creator, &dataset, &with_trigger, play.epochs, stage).await?;
    let previews = studio::previews(&mut creator, &run.version.id, &album, stage).await?;
    let lora = run.lora.id.as_str();
    let published = studio::publish(&mut creator, lora, material).await?;
    stage.tell(format!("The creator has published “{}” with {} previews.", material.name, previews.len()));

    let (found, search) = gallery::find(&mut follower, lora, &material.query).await?;
    let told = news.published(lora).await?;
    stage.tell(format!("The follower was told, and looking for “{}” finds it.", search.query));
    let opened = gallery::visit(&mut follower, lora, stage).await?;

    stage.tell("The follower generates four pictures without the LoRA and four with it, from the same seeds.");
    let rows = gallery::generate(&mut follower, &opened, &prompts, &album, stage).await?;
    let generated = Generated { base: paths(&rows.base), lora: paths(&rows.lora) };
    let style_distance = compare(dataset.pictures, rows, play.out).await?;
    let since = |start: Instant, end: Instant| milliseconds(end.saturating_duration_since(start));
    Ok(Report {
        lora: run.lora.id,
        version: run.version.id,
        images: run.picture_count,
        epochs: run.epochs,
        steps: run.steps,
        training_seconds: run.seconds,
        progress_events,
        validation_loss_base: run.validation_loss_base,
        validation_loss_lora: run.validation_loss,
        previews,
        search,
        index_visible_ms: since(published.answered, found),
        // From the request on: the news may be there before the answer is.
        notification_ms: since(published.sent, told),
        generated,
        style_distance,
    })
}

/// Who takes part.
struct Cast {
    creator: Person,
    follower: Person,
    news: Notifications,
}

/// Both sign up, prove their addresses and sign in; the follower follows the creator and listens.
async fn enter(play: &Play<'_>) -> anyhow::Result<Cast> {
    play.stage.tell("A creator and a follower sign up; one follows the other.");
    let creator_account = Account::sign_up(play.api, play.outbox, "creator", "The creator").await?;
    let follower_account = Account::sign_up(play.api, play.outbox, "follower", "The follower").await?;
    let creator = Person::sign_in(play.api, &creator_account).await?;
    let mut follower = Person::sign_in(play.api, &follower_account).await?;
    let input = serde_json::json!({ "userId": creator.id() });
    let _: Identified = follower.change("followUser", "user { id }", input).await?;
    let news = Notifications::open(Person::sign_in(play.api, &follower_account).await?).await?;
    Ok(Cast { creator, follower, news })
}

fn paths(row: &[Kept]) -> Vec<String> {
    row.iter().map(|picture| picture.path.clone()).collect()
}

/// Measures both rows against the training pictures, and leaves the contact sheet.
async fn compare(training: Vec<SourcePicture>, rows: Rows, out: &Path) -> anyhow::Result<report::StyleDistance> {
    let out = out.to_owned();
    let bytes = |row: Vec<Kept>| row.into_iter().map(|picture| picture.bytes).collect();
    let (base, lora) = (bytes(rows.base), bytes(rows.lora));
    tokio::task::spawn_blocking(move || report::compare(&training, base, lora, &out)).await?
}
