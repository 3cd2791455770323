//! Made-up LoRAs, each with a file of its own that really changes pictures.

use std::collections::HashMap;

use anyhow::Context as _;
use atelier_entities::{blob, compatibility, kinds::LoraState, lora, lora_version as version};
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use rand::Rng as _;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait, QueryFilter as _};
use serde_json::json;
use uuid::Uuid;

use super::{Chance, LoraMaker, Progress, ROWS, SeedSpec, people::SeededPerson, words, write_rows};
use crate::{
    context::Context,
    lora::{CommercialUse, Terms, versions},
    ports::{blobs::Stored, inspector::InspectedLora},
    preview,
    social::rating,
};

/// What a licence allows that is not a well-known one.
const BOUGHT: Terms = Terms {
    commercial_use: CommercialUse::Pictures,
    requires_credit: false,
    allows_derivatives: false,
    requires_same_terms: false,
};

/// Files that are written at the same time.
const AT_ONCE: usize = 32;

/// A file that lies in the store.
pub(super) struct StoredLora {
    stored: Stored,
    facts: InspectedLora,
}

/// A LoRA with its one version, before it is written.
pub(super) struct SeededLora {
    pub(super) id: Uuid,
    pub(super) version: Uuid,
    measurement: Uuid,
    /// Its creator, by number.
    pub(super) creator: usize,
    creator_id: Uuid,
    team: Uuid,
    base_model: Uuid,
    name: String,
    description: String,
    tags: Vec<&'static str>,
    trigger: String,
    license: &'static str,
    pub(super) at: DateTime<Utc>,
    /// How much it is talked about, beside the others.
    pub(super) fame: f64,
    pub(super) rating_sum: i64,
    pub(super) rating_count: i64,
}

/// Makes the files and puts them into the store. Files that stay there although nothing comes of the rest are taken again
/// by the next try.
pub(super) async fn store_files(
    ctx: &Context,
    spec: &SeedSpec,
    maker: &dyn LoraMaker,
    progress: Progress<'_>,
) -> anyhow::Result<Vec<StoredLora>> {
    let made = futures::stream::iter(0..spec.loras).map(|number| async move {
        let (bytes, facts) = maker.make(spec.seed << 32 | u64::from(number))?;
        let stored = ctx.blobs.put(bytes, "application/octet-stream").await?;
        if number % 256 == 0 {
            progress("files", number, spec.loras);
        }
        anyhow::Ok(StoredLora { stored, facts })
    });
    made.buffered(AT_ONCE).try_collect().await
}

/// Draws the LoRAs, a file each.
pub(super) fn draw(
    spec: &SeedSpec,
    people: &[SeededPerson],
    files: &[StoredLora],
    base_model: Uuid,
    chance: &mut Chance,
) -> Vec<SeededLora> {
    // A third of the people publish, a few of them much.
    let creators = (people.len() / 3).max(1);
    let drawn = files.iter().take(spec.loras as usize).map(|_| {
        let at = chance.within_days(700);
        let creator = ((creators as f64) * chance.random.random::<f64>().powi(2)) as usize;
        let person = &people[creator];
        let medium = chance.one_of(words::MEDIA);
        let (era, subject, mood) =
            (chance.one_of(words::ERAS), chance.one_of(words::SUBJECTS), chance.one_of(words::MOODS));
        let syllables = chance.random.random_range(3..5);
        let brand = words::word(chance, syllables);
        SeededLora {
            id: chance.id(at),
            version: chance.id(at),
            measurement: chance.id(at),
            creator,
            creator_id: person.id,
            team: person.team,
            base_model,
            name: format!("{} {mood} {era} {subject}", words::capital(&brand)),
            description: format!("{} of {subject} in a {mood} {era} manner.", words::capital(medium)),
            tags: vec![medium, era, subject, mood],
            trigger: format!("{brand}style"),
            license: chance.one_of(words::LICENSES),
            at,
            fame: chance.heavy(1.1),
            rating_sum: 0,
            rating_count: 0,
        }
    });
    drawn.collect()
}

/// Writes the LoRAs, and asks for the previews of the first ones.
pub(super) async fn write(
    tx: &DatabaseTransaction,
    ctx: &Context,
    spec: &SeedSpec,
    loras: Vec<SeededLora>,
    files: Vec<StoredLora>,
    progress: Progress<'_>,
) -> anyhow::Result<()> {
    let (mut blobs, mut cards, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut measured, mut previewed) = (Vec::new(), Vec::new());
    for (lora, file) in loras.into_iter().zip(files) {
        blobs.push(blob::ActiveModel {
            sha256: Set(file.stored.sha256.clone()),
            size: Set(file.stored.size),
            media_type: Set(file.stored.media_type.to_owned()),
            created_at: Set(lora.at),
        });
        if previewed.len() < spec.previews as usize {
            previewed.push((lora.version, lora.creator_id));
        }
        measured.push(measured_row(&lora));
        versions.push(version_row(&lora, file));
        cards.push(card(lora));
    }
    write_rows(tx, blobs, |_| ()).await?;
    write_rows(tx, cards, |done| progress("loras", done, spec.loras)).await?;
    write_rows(tx, versions, |_| ()).await?;
    write_rows(tx, measured, |_| ()).await?;
    for piece in previewed.chunks(ROWS) {
        enqueue_previews(tx, ctx, piece).await?;
    }
    Ok(())
}

/// Asks for the previews of versions that were written, each for its creator.
async fn enqueue_previews(tx: &DatabaseTransaction, ctx: &Context, previewed: &[(Uuid, Uuid)]) -> anyhow::Result<()> {
    let ids = previewed.iter().map(|(id, _)| *id);
    let rows = version::Entity::find().filter(version::Column::Id.is_in(ids)).all(tx).await?;
    let mut rows: HashMap<Uuid, version::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    for (id, creator) in previewed {
        let row = rows.remove(id).context("A version that was just written is missing.")?;
        preview::enqueue(tx, ctx, &row, *creator).await?;
    }
    Ok(())
}

fn card(lora: SeededLora) -> lora::ActiveModel {
    let score = rating::score(lora.rating_sum, lora.rating_count);
    lora::ActiveModel {
        id: Set(lora.id),
        team_id: Set(lora.team),
        created_by: Set(lora.creator_id),
        name: Set(lora.name),
        description: Set(lora.description),
        tags: Set(json!(lora.tags)),
        license: Set(lora.license.to_owned()),
        terms: Set(Some(json!(Terms::of_license(lora.license).unwrap_or(BOUGHT)))),
        state: Set(LoraState::Published),
        latest_version_id: Set(Some(lora.version)),
        rating_sum: Set(lora.rating_sum),
        rating_count: Set(lora.rating_count),
        rating_score: Set(score),
        // Made up: no download or generation stands behind them.
        download_count: Set((20.0 * lora.fame) as i64),
        generation_count: Set((5.0 * lora.fame) as i64),
        follower_notified_at: Set(Some(lora.at)),
        published_at: Set(Some(lora.at)),
        created_at: Set(lora.at),
        updated_at: Set(lora.at),
        ..Default::default()
    }
}

/// What a LoRA does to its base model. Made up like its figures: a few that are well known bear more strength.
fn measured_row(lora: &SeededLora) -> compatibility::ActiveModel {
    let high = if lora.fame > 2.0 { 1.5 } else { 1.0 };
    let found = |strength: f64| {
        let (effect, retention) = (0.4 * strength, 1.0 - 0.25 * strength / high);
        json!({ "strength": strength, "effect": effect, "retention": retention, "lost": 0.0 })
    };
    compatibility::ActiveModel {
        id: Set(lora.measurement),
        lora_version_id: Set(lora.version),
        base_model_id: Set(lora.base_model),
        matched_share: Set(1.0),
        by_clip: Set(false),
        strengths: Set(json!([0.5, 0.75, 1.0, 1.25, 1.5].map(found))),
        safe_low: Set(Some(0.5)),
        safe_high: Set(Some(high)),
        sheet_sha256: Set(None),
        measured_at: Set(lora.at),
    }
}

fn version_row(lora: &SeededLora, StoredLora { stored, facts }: StoredLora) -> version::ActiveModel {
    version::ActiveModel {
        id: Set(lora.version),
        lora_id: Set(lora.id),
        team_id: Set(lora.team),
        number: Set(1),
        change_note: Set(String::new()),
        parent_version_id: Set(None),
        base_model_id: Set(Some(lora.base_model)),
        trigger_words: Set(json!([lora.trigger])),
        recommended_strength: Set(1.0),
        training_run_id: Set(None),
        upload_id: Set(None),
        published_at: Set(Some(lora.at)),
        created_at: Set(lora.at),
        ..versions::of_file(stored, facts)
    }
}
