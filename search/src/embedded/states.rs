//! Earlier states of the index, kept for a while so that a list by relevance goes on as it began.
//!
//! What a word counts for depends on how rare it is, so every change of the index shifts every score a little. A page
//! that went on from the old scores among the new ones could miss or repeat a LoRA.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tantivy::Searcher;

/// States that are kept.
const MOST: usize = 32;
/// How long.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Earlier states of the index, oldest first.
#[derive(Default)]
pub(super) struct States {
    kept: Mutex<VecDeque<(u64, Instant, Searcher)>>,
}

/// What a state of the index is known by, also after a restart: its segments and what is deleted of them.
pub(super) fn name(searcher: &Searcher) -> u64 {
    let mut hasher = DefaultHasher::new();
    searcher.generation().segments().hash(&mut hasher);
    hasher.finish()
}

impl States {
    /// Keeps a state that a list may go on from.
    pub(super) fn keep(&self, searcher: &Searcher) {
        let name = name(searcher);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, since, _)| *known != name && since.elapsed() < KEPT_FOR);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back((name, Instant::now(), searcher.clone()));
    }

    /// A state that was kept.
    pub(super) fn get(&self, name: u64) -> Option<Searcher> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, since, _)| *known == name && since.elapsed() < KEPT_FOR).map(|entry| entry.2.clone())
    }
}
