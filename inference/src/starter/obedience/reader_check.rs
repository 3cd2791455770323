//! How well the reader reads: on drawings, as the autoencoder shows them.

use burn::tensor::backend::Backend;

use super::{question::Question, reading::read, tally::Tally};
use crate::{
    flux2::autoencoder::Autoencoder,
    image::Picture,
    starter::{
        pictures::{from_tensor, to_tensor},
        scenes::scene_from,
    },
};

/// What the reader says of drawings that are right by construction, and of those that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReaderCheck {
    /// Questions whose own drawing was read as right.
    pub own: Tally,
    /// Pairs of a question and the drawing of another one of the same kind that wants something else, where the drawing
    /// was refused.
    pub others: Tally,
}

/// A drawing for each question; `seed` decides what the questions leave open.
pub fn drawings(questions: &[Question], seed: u64, size: u32) -> Vec<Picture> {
    questions.iter().zip(seed..).map(|(question, seed)| scene_from(&question.scene, seed, size).picture).collect()
}

/// Pictures as they come out of the autoencoder, which is what a model's pictures look like.
pub fn autoencoded<B: Backend>(autoencoder: &Autoencoder<B>, pictures: &[Picture], device: &B::Device) -> Vec<Picture> {
    let shown = |pictures: &[Picture]| {
        from_tensor(autoencoder.decode_packed(autoencoder.encode_packed(to_tensor::<B>(pictures, device))))
    };
    pictures.chunks(16).flat_map(shown).collect()
}

/// Reads every question on its own picture and on those of the next `others` of its kind that want something else.
pub fn measure(questions: &[Question], pictures: &[Picture], others: usize) -> ReaderCheck {
    let mut check = ReaderCheck::default();
    for (number, question) in questions.iter().enumerate() {
        check.own.add(question.kind, read(question, &pictures[number]).right);
        let different =
            |place: &usize| questions[*place].kind == question.kind && questions[*place].wanted != question.wanted;
        let after = (number + 1..questions.len()).chain(0..number).filter(different).take(others);
        after.for_each(|place| check.others.add(question.kind, !read(question, &pictures[place]).right));
    }
    check
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::LazyLock};

    use burn::backend::Flex;

    use super::*;
    use crate::{
        starter::obedience::{Kind, questions},
        weights::{
            folder::{read_json, weight_files},
            module_file::load,
        },
    };

    /// The smallest share of its own drawings that the reader has to find right, of every kind.
    const RIGHT: f64 = 0.97;

    /// The smallest share of other drawings that it has to refuse, of every kind.
    const REFUSED: f64 = 0.97;

    /// Questions of each kind, and drawings of others that each is shown.
    const ASKED: usize = 100;
    const OTHERS: usize = 12;

    /// The figures with the autoencoder that ships.
    static CHECK: LazyLock<ReaderCheck> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter/vae");
        let device = Default::default();
        let config = read_json(&folder.join("config.json")).unwrap();
        let drawn = Autoencoder::<Flex>::new(&config, &device);
        let autoencoder = load(drawn, &weight_files(&folder).unwrap(), |name| Some(name.to_owned())).unwrap();
        let questions = questions(7, Kind::ALL.len() * ASKED, &[]);
        measure(&questions, &autoencoded(&autoencoder, &drawings(&questions, 1000, 64), &device), OTHERS)
    });

    #[test]
    fn drawings_of_a_question_are_read_as_right() {
        for kind in Kind::ALL {
            let (right, asked) = CHECK.own.of_kind(kind);
            assert!(asked == ASKED && right as f64 >= RIGHT * asked as f64, "{}", CHECK.own);
        }
    }

    #[test]
    fn drawings_of_other_questions_are_refused() {
        for kind in Kind::ALL {
            let (refused, shown) = CHECK.others.of_kind(kind);
            assert!(shown == ASKED * OTHERS && refused as f64 >= REFUSED * shown as f64, "{}", CHECK.others);
        }
    }
}
