//! What trends: attention that halves every week.
//!
//! The attention of a LoRA is the sum of weights, each halved once for every week since its moment. As everything ages
//! alike, LoRAs can be compared without a clock: the sum is kept as if it aged back to 1970, as a logarithm to base 2. It
//! changes only when something happens, and nothing has to be computed again as time goes by.

use std::{collections::HashMap, f64::consts::LN_2};

use atelier_entities::lora_trend;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

/// Attention halves in so many seconds.
const HALF_LIFE: f64 = 7.0 * 24.0 * 3600.0;

/// What somebody's first rating of a version counts for. A publication, a first download, and a day on which a team
/// generates count for 1.
pub(super) const RATING: f64 = 5.0;

/// The score of weight 1 at a moment.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
pub(super) fn at(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0 / HALF_LIFE
}

/// A score after more attention at a moment.
pub(super) fn add(score: Option<f64>, weight: f64, time: DateTime<Utc>) -> f64 {
    let new = at(time) + weight.log2();
    let Some(score) = score else { return new };
    let (larger, smaller) = if score > new { (score, new) } else { (new, score) };
    larger + (smaller - larger).exp2().ln_1p() / LN_2
}

/// The scores of several LoRAs.
pub(crate) async fn trends<C: ConnectionTrait>(
    db: &C,
    loras: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, f64>, DbErr> {
    let rows = lora_trend::Entity::find().filter(lora_trend::Column::LoraId.is_in(loras)).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.lora_id, row.score)).collect())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn attention_halves_in_a_week_whenever_it_is_looked_at() {
        let start: DateTime<Utc> = "2030-01-01T00:00:00Z".parse().expect("a time");
        let week = |number: i64| start + TimeDelta::weeks(number);
        // Four at first are as much as two a week later, and one two weeks later.
        assert!((add(None, 4.0, start) - add(None, 2.0, week(1))).abs() < 1e-9);
        assert!((add(None, 4.0, start) - add(None, 1.0, week(2))).abs() < 1e-9);
        // A sum of two moments, in either order: 8 a week ago and 4 now are 8 now.
        let sum = add(Some(add(None, 8.0, start)), 4.0, week(1));
        assert!((sum - add(None, 8.0, week(1))).abs() < 1e-9, "{sum}");
        let other_order = add(Some(add(None, 4.0, week(1))), 8.0, start);
        assert!((sum - other_order).abs() < 1e-9);
        // What was famous long ago stands behind what is a little known now.
        let famous = add(None, 100_000.0, start);
        assert!(famous < add(None, 2.0, week(20)) && famous > add(None, 2.0, week(10)));
    }
}
