//! What lists began from, kept for a while so that each goes on as it began.
//!
//! What a word counts for depends on how rare it is, so every change of the index shifts every score a little, and what lies
//! near a vector has another rank as soon as something nearer comes or goes. A page that went on from the old scores among
//! the new ones could miss or repeat a LoRA. So a list goes on in the state of the index that it began in; where that is
//! gone, it is refused rather than continued in another one.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tantivy::Searcher;

use super::ranking::Key;
use crate::likeness::Space;

/// How long something is kept after a list was last gone on with.
const KEPT_FOR: Duration = Duration::from_secs(30 * 60);

/// States of the index that are kept. Each takes a tenth of a megabyte and maps the files that changed since the one before:
/// eleven of them, and Linux gives a process 65,530 maps.
const MOST_SEARCHERS: usize = 1_000;

/// Lists of what lies near a vector that are kept; each is a few kilobytes.
const MOST_NEAR: usize = 4_000;

/// What lists began from.
pub(super) struct States {
    /// States of the index, by [`name`].
    pub(super) searchers: Kept<Searcher>,
    /// What was near a vector in a state, by [`name_of_near`].
    pub(super) near: Kept<Arc<[Key]>>,
}

impl Default for States {
    fn default() -> Self {
        Self { searchers: Kept::new(MOST_SEARCHERS), near: Kept::new(MOST_NEAR) }
    }
}

/// What a state of the index is known by, also after a restart: its segments and what is deleted of them.
pub(super) fn name(searcher: &Searcher) -> u64 {
    let mut hasher = DefaultHasher::new();
    searcher.generation().segments().hash(&mut hasher);
    hasher.finish()
}

/// What a list of what lies near a vector is known by: the state that it began in, and what was asked.
pub(super) fn name_of_near(state: u64, space: Space, vector: &[f32], passing: &impl std::fmt::Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    (state, space as u8).hash(&mut hasher);
    vector.iter().for_each(|value| value.to_bits().hash(&mut hasher));
    format!("{passing:?}").hash(&mut hasher);
    hasher.finish()
}

/// Values by their names. Those that were not used for longest go first.
pub(super) struct Kept<V> {
    most: usize,
    values: Mutex<HashMap<u64, (Instant, V)>>,
}

impl<V: Clone> Kept<V> {
    fn new(most: usize) -> Self {
        Self { most, values: Mutex::default() }
    }

    /// Keeps a value that a list may go on from.
    pub(super) fn keep(&self, name: u64, value: V) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|_, (used, _)| used.elapsed() < KEPT_FOR);
        values.insert(name, (Instant::now(), value));
        if values.len() > self.most {
            let oldest = values.iter().min_by_key(|(_, (used, _))| *used).map(|(name, _)| *name);
            oldest.and_then(|name| values.remove(&name));
        }
    }

    /// A value that was kept. It is kept for as long again.
    pub(super) fn get(&self, name: u64) -> Option<V> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, value) = values.get_mut(&name).filter(|(used, _)| used.elapsed() < KEPT_FOR)?;
        *used = Instant::now();
        Some(value.clone())
    }
}
