//! The pictures that are learnt from, and those that are held out.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::spec::TrainingSpec;
use crate::{
    error::{Error, Result},
    image::Picture,
};

/// A picture and the prompt that it is learnt under.
pub struct Example {
    /// The picture.
    pub picture: Picture,
    /// Trigger word and caption.
    pub prompt: String,
}

/// Reads every picture of a spec.
///
/// # Errors
/// [`Error::Image`] with the name of a file that cannot be read.
pub fn read(spec: &TrainingSpec) -> Result<Vec<Example>> {
    let read = |picture: &super::TrainingPicture| {
        let path = &picture.path;
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let decoded = Picture::decode(&bytes).map_err(|error| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Error::Image(format!("`{name}` cannot be learnt from: {error}"))
        })?;
        Ok(Example { picture: decoded, prompt: prompt(&spec.trigger_word, &picture.caption) })
    };
    spec.pictures.iter().map(read).collect()
}

/// The trigger word stands before a caption that does not hold it.
fn prompt(trigger: &str, caption: &str) -> String {
    let (trigger, caption) = (trigger.trim(), caption.trim());
    let holds = caption.to_lowercase().contains(&trigger.to_lowercase());
    match (caption.is_empty(), holds) {
        (true, _) => trigger.to_owned(),
        (false, true) => caption.to_owned(),
        (false, false) => format!("{trigger} {caption}"),
    }
}

/// Numbers of the pictures to learn from and of those held out: at least one is held out where any are to be and four are
/// there.
pub fn split(count: usize, share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let wanted = (count as f64 * share).round() as usize;
    let least = usize::from(share > 0.0 && count >= 4);
    let mut learnt = order.split_off(wanted.max(least).min(count.saturating_sub(1)));
    learnt.sort_unstable();
    order.sort_unstable();
    (learnt, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_learnt_from_or_held_out() {
        for (count, share, held) in [(16, 0.15, 2), (10, 0.0, 0), (4, 0.01, 1), (3, 0.1, 0), (20, 0.5, 10)] {
            let (learnt, held_out) = split(count, share, 7);
            assert_eq!(held_out.len(), held, "{count} pictures, share {share}");
            let mut all = [learnt, held_out].concat();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_trigger_word_stands_in_every_prompt_once() {
        assert_eq!(prompt("zorn", "a cat"), "zorn a cat");
        assert_eq!(prompt("zorn", "a cat, Zorn style"), "a cat, Zorn style");
        assert_eq!(prompt("zorn", " "), "zorn");
        assert_eq!(prompt("", "a cat"), "a cat");
    }
}
