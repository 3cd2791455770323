//! What "outside the training list" means.
//!
//! Training draws its scenes from consecutive seeds, so that everything it has seen can be drawn again. A question lies
//! outside when none of those scenes has the same description (subjects with colour, texture, size, number and place,
//! background, style), however it was worded, and none has the same caption, whatever was drawn for it. Each single
//! word of a question was seen in training; the combination was not.

use std::collections::HashSet;

use rayon::prelude::*;

use super::question::Question;
use crate::starter::scenes::{SceneSpec, description, with_studies};

/// Consecutive seeds of scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedRange {
    /// The first seed.
    pub first: u64,
    /// How many there are.
    pub count: u64,
    /// Whether every second one was drawn as a [study](with_studies).
    pub studies: bool,
}

impl SeedRange {
    /// Seeds of scenes alone.
    pub const fn of_scenes(first: u64, count: u64) -> Self {
        Self { first, count, studies: false }
    }

    /// Seeds of scenes of which every second was drawn as a study.
    pub const fn with_studies(first: u64, count: u64) -> Self {
        Self { first, count, studies: true }
    }

    /// The scenes' descriptions.
    fn descriptions(self) -> impl ParallelIterator<Item = (SceneSpec, String)> {
        let seeds = (self.first..self.first.saturating_add(self.count)).into_par_iter();
        seeds.map(move |seed| description(if self.studies { with_studies(seed) } else { seed }))
    }
}

/// The scenes that the starter model was trained on. Whoever trains it further adds the seeds of that go: it begins at
/// its first seed plus the step it goes on from times 2^20, and draws sixteen scenes a step. The ranges are wider than
/// what was drawn; the third go's, from 31,337 on, lies within the first.
pub const TRAINED: &[SeedRange] = &[
    SeedRange::of_scenes(1, 100_000),
    SeedRange::of_scenes(20_261_125, 100_000),
    SeedRange::with_studies(40_000_000, 60_000),
];

/// Of each list of candidates the first that no training scene is like and no earlier question says. A list without
/// one is left out.
pub(super) fn keep_outside(slots: Vec<Vec<Question>>, trained: &[SeedRange]) -> Vec<Question> {
    let candidates = || slots.iter().flatten();
    let scenes: HashSet<SceneSpec> = candidates().map(|question| question.scene).collect();
    let prompts: HashSet<&str> = candidates().map(|question| question.prompt.as_str()).collect();
    let like_one =
        |(scene, caption): &(SceneSpec, String)| scenes.contains(scene) || prompts.contains(caption.as_str());
    let hits: Vec<(SceneSpec, String)> =
        trained.par_iter().flat_map(|range| range.descriptions()).filter(like_one).collect();
    let mut used: HashSet<String> = HashSet::new();
    let (seen_scenes, seen_captions): (HashSet<SceneSpec>, HashSet<String>) = hits.into_iter().unzip();
    let mut kept = Vec::with_capacity(slots.len());
    for slot in slots {
        let outside = |question: &Question| {
            !seen_scenes.contains(&question.scene)
                && !seen_captions.contains(&question.prompt)
                && !used.contains(&question.prompt)
        };
        if let Some(question) = slot.into_iter().find(outside) {
            used.insert(question.prompt.clone());
            kept.push(question);
        }
    }
    kept
}
