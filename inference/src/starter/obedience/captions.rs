//! Captions to ask a model for.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    held_out::{SeedRange, keep_outside},
    question::{Kind, Question, Sight},
    wishes::{Wish, wishes},
};
/// How many captions are thought of for each question; the first that lies outside the training list is asked.
const CANDIDATES: usize = 64;

/// `count` questions whose captions lie outside the scenes of `trained`, an equal number of each kind (but for what is
/// left over). Within a kind every answer is asked for about as often. The captions are worded as those of scenes are:
/// most leave unsaid that the drawing is flat. The same seed gives the same questions.
pub fn questions(seed: u64, count: usize, trained: &[SeedRange]) -> Vec<Question> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let wanted = Kind::ALL.map(|kind| shuffled(wishes(kind), &mut random));
    let slots = (0..count).map(|number| {
        let (kind, round) = (number % Kind::ALL.len(), number / Kind::ALL.len());
        let wish = wanted[kind][round % wanted[kind].len()];
        (0..CANDIDATES).map(|_| question(Kind::ALL[kind], wish, &mut random)).collect()
    });
    keep_outside(slots.collect(), trained)
}

fn shuffled(mut wishes: Vec<Wish>, random: &mut ChaCha8Rng) -> Vec<Wish> {
    wishes.shuffle(random);
    wishes
}

fn question(kind: Kind, wish: Wish, random: &mut ChaCha8Rng) -> Question {
    let (scene, wanted) = wish.scene(random);
    let mut prompt = scene.caption(random);
    while !says(&prompt, &wanted) {
        prompt = scene.caption(random);
    }
    Question { kind, prompt, scene, wanted }
}

/// Whether a caption says what is wanted: those on white may leave the colour of the ground out.
fn says(caption: &str, wanted: &Sight) -> bool {
    match wanted {
        Sight::Colours { background, .. } => caption.replace("gray", "grey").contains(background.word()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::starter::scenes::{SceneSpec, description};

    #[test]
    fn a_seed_gives_the_same_questions_and_as_many_of_each_kind() {
        let asked = questions(3, 120, &[]);
        assert_eq!(asked, questions(3, 120, &[]));
        assert_ne!(asked, questions(4, 120, &[]));
        for kind in Kind::ALL {
            assert_eq!(asked.iter().filter(|question| question.kind == kind).count(), 20);
        }
        let prompts: HashSet<&str> = asked.iter().map(|question| question.prompt.as_str()).collect();
        assert_eq!(prompts.len(), 120);
    }

    #[test]
    fn no_question_was_trained_on() {
        let trained = [SeedRange::of_scenes(1, 40_000)];
        let asked = questions(1, 240, &trained);
        assert_eq!(asked.len(), 240);
        let seen: Vec<(SceneSpec, String)> = (1..=40_000).map(description).collect();
        let (scenes, captions): (HashSet<_>, HashSet<_>) = seen.into_iter().unzip();
        for question in asked {
            assert!(!scenes.contains(&question.scene) && !captions.contains(&question.prompt), "{}", question.prompt);
        }
    }
}
