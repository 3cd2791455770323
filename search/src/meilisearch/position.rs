//! Where a page ended.

use uuid::Uuid;

use super::wording::Wording;
use crate::{LoraSort, SearchError, words::reading::Reading};

/// What a list is ordered by, the largest first: the score, then the prominence, then the id. In lists by an attribute,
/// the score is its value and the prominence counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub(super) score: f64,
    pub(super) prominence: i64,
    pub(super) id: Uuid,
}

/// Where a page ended: the next one holds what sorts behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) sort: LoraSort,
    pub(super) wording: Wording,
    /// How many hits came up to here, when they were counted.
    pub(super) count: usize,
    pub(super) key: Key,
}

impl Position {
    pub(super) fn write(&self) -> String {
        let sort = self.sort.name();
        let Key { score, prominence, id } = self.key;
        let (wording, count) = (self.wording.write(), self.count);
        format!("{sort}.{wording}.{count}.{:016x}.{prominence}.{}", score.to_bits(), id.simple())
    }

    /// # Errors
    /// [`SearchError::BadPosition`] if it belongs to another list.
    pub(super) fn read(text: &str, sort: LoraSort, reading: &Reading) -> Result<Self, SearchError> {
        Self::parse(text, reading).filter(|position| position.sort == sort).ok_or(SearchError::BadPosition)
    }

    fn parse(text: &str, reading: &Reading) -> Option<Self> {
        let mut parts = text.split('.');
        let sort = LoraSort::named(parts.next()?)?;
        let wording = Wording::read(parts.next()?, reading)?;
        let count = parts.next()?.parse().ok()?;
        let score = f64::from_bits(u64::from_str_radix(parts.next()?, 16).ok()?);
        let key = Key { score, prominence: parts.next()?.parse().ok()?, id: Uuid::try_parse(parts.next()?).ok()? };
        (parts.next().is_none() && !score.is_nan()).then_some(Self { sort, wording, count, key })
    }
}
