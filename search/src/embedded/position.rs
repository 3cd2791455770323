//! Where a page ended.

use uuid::Uuid;

use super::matching::Strictness;
use crate::{LoraSort, SearchError};

/// Where a page ended: the next one holds what sorts behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) sort: LoraSort,
    /// How strictly the words were asked for.
    pub(super) strictness: Strictness,
    /// Which state of the index a list by relevance was made from; what words count for changes with every change.
    pub(super) state: u64,
    /// Which list of what lies near a vector it was made from, if any.
    pub(super) near: u64,
    /// Whether it is behind what was found by meaning and words together, among what was found by words alone.
    pub(super) is_behind_both: bool,
    /// What it was sorted by.
    pub(super) score: f64,
    pub(super) id: Uuid,
}

impl Position {
    pub(super) fn write(&self) -> String {
        let sort = self.sort.name();
        let strictness = Strictness::FALLING.iter().position(|s| *s == self.strictness).unwrap_or_default();
        let strictness = strictness + if self.is_behind_both { Strictness::FALLING.len() } else { 0 };
        let (Self { state, near, .. }, score) = (self, self.score.to_bits());
        format!("{sort}.{strictness}.{state:016x}.{near:016x}.{score:016x}.{}", self.id.simple())
    }

    pub(super) fn read(text: &str, sort: LoraSort) -> Result<Self, SearchError> {
        Self::parse(text).filter(|position| position.sort == sort).ok_or(SearchError::BadPosition)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let sort = LoraSort::named(parts.next()?)?;
        let strictness: usize = parts.next()?.parse().ok()?;
        let is_behind_both = strictness >= Strictness::FALLING.len();
        let strictness = strictness - if is_behind_both { Strictness::FALLING.len() } else { 0 };
        let position = Self {
            sort,
            strictness: *Strictness::FALLING.get(strictness)?,
            is_behind_both,
            state: u64::from_str_radix(parts.next()?, 16).ok()?,
            near: u64::from_str_radix(parts.next()?, 16).ok()?,
            score: f64::from_bits(u64::from_str_radix(parts.next()?, 16).ok()?),
            id: Uuid::try_parse(parts.next()?).ok()?,
        };
        (parts.next().is_none() && !position.score.is_nan()).then_some(position)
    }
}
