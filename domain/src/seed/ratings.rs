//! Made-up ratings: a few LoRAs have many, most have few.

use std::collections::HashSet;

use anyhow::Context as _;
use atelier_entities::rating;
use rand::{
    Rng as _,
    distr::{Distribution as _, weighted::WeightedIndex},
};
use sea_orm::{ActiveValue::Set, DatabaseTransaction, DbErr};

use super::{Chance, Progress, SeedSpec, loras::SeededLora, people::SeededPerson, words, write_rows};

/// Of so many ratings one says why.
const REVIEWED: u32 = 8;

/// Draws the ratings and counts them in the LoRAs. Nobody rates twice, nor what is their own.
pub(super) fn draw(
    spec: &SeedSpec,
    people: &[SeededPerson],
    loras: &mut [SeededLora],
    chance: &mut Chance,
) -> anyhow::Result<Vec<rating::ActiveModel>> {
    let quality: Vec<f64> = loras.iter().map(|_| 3.2 + 1.5 * chance.random.random::<f64>()).collect();
    let by_fame =
        WeightedIndex::new(loras.iter().map(|lora| lora.fame)).context("No LoRA can be drawn to be rated.")?;
    let mut given = HashSet::new();
    let mut rows = Vec::with_capacity(spec.ratings as usize);
    while rows.len() < spec.ratings as usize {
        let person = chance.random.random_range(0..people.len());
        let mut number = by_fame.sample(&mut chance.random);
        // The famous ones have everybody's rating some day: then it is another's turn.
        while loras[number].creator == person || !given.insert((number, person)) {
            number = chance.random.random_range(0..loras.len());
        }
        let lora = &mut loras[number];
        let stars = (quality[number] + 2.0 * chance.random.random::<f64>() - 1.0).round().clamp(1.0, 5.0) as i32;
        lora.rating_sum += i64::from(stars);
        lora.rating_count += 1;
        let at = chance.after(lora.at);
        let reviews = chance.random.random_ratio(1, REVIEWED);
        rows.push(rating::ActiveModel {
            id: Set(chance.id(at)),
            lora_id: Set(lora.id),
            lora_version_id: Set(lora.version),
            user_id: Set(people[person].id),
            stars: Set(stars),
            review: Set(if reviews { chance.one_of(words::REVIEWS).to_owned() } else { String::new() }),
            has_used: Set(chance.random.random()),
            created_at: Set(at),
            updated_at: Set(at),
            ..Default::default()
        });
    }
    Ok(rows)
}

/// Writes the ratings.
pub(super) async fn write(
    tx: &DatabaseTransaction,
    rows: Vec<rating::ActiveModel>,
    progress: Progress<'_>,
) -> Result<(), DbErr> {
    let all = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    write_rows(tx, rows, |done| progress("ratings", done, all)).await
}
