//! The pictures that are learnt from, and those that are held out.

use super::spec::TrainingSpec;
use crate::{
    error::{Error, Result},
    image::Picture,
    quality::{StyleStatistics, style_distance, style_statistics},
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

/// Numbers of the pictures to learn from and of those held out: at least one is held out where any are to be and four are there.
///
/// Held out are those that stand for all of them best, in colour and texture: how well a picture is predicted that is like no other
/// says nothing of what was learnt of the others, and of three pictures that are held out one such decides the mean.
pub fn split<'a>(pictures: impl Iterator<Item = &'a Picture>, share: f64) -> (Vec<usize>, Vec<usize>) {
    let looks: Vec<_> = pictures.map(|picture| style_statistics(std::slice::from_ref(picture))).collect();
    let count = looks.len();
    let wanted = (count as f64 * share).round() as usize;
    let least = usize::from(share > 0.0 && count >= 4);
    let held_out = representatives(&looks, wanted.max(least).min(count.saturating_sub(1)));
    (0..count).partition(|number| !held_out.contains(number))
}

/// So many pictures whose distances to all others, each to the nearest of them, are least together: taken one after the other, each the
/// best beside those before it (Nemhauser, Wolsey and Fisher, "An Analysis of Approximations for Maximizing Submodular Set Functions",
/// 1978).
fn representatives(looks: &[StyleStatistics], wanted: usize) -> Vec<usize> {
    let distances: Vec<Vec<f64>> =
        looks.iter().map(|one| looks.iter().map(|other| style_distance(one, other)).collect()).collect();
    let mut nearest = vec![f64::INFINITY; looks.len()];
    let mut chosen = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        let left = |candidate: usize| -> f64 {
            nearest.iter().zip(&distances[candidate]).map(|(nearest, distance)| nearest.min(*distance)).sum()
        };
        let others = (0..looks.len()).filter(|number| !chosen.contains(number));
        let Some(best) = others.min_by(|one, other| left(*one).total_cmp(&left(*other))) else { break };
        nearest.iter_mut().zip(&distances[best]).for_each(|(nearest, distance)| *nearest = nearest.min(*distance));
        chosen.push(best);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_learnt_from_or_held_out() {
        for (count, share, held) in [(16, 0.15, 2), (10, 0.0, 0), (4, 0.01, 1), (3, 0.1, 0), (20, 0.5, 10), (0, 0.1, 0)]
        {
            // Alike, every other one, so that distances of nothing occur as well.
            let pictures: Vec<_> = (0..count).map(|number| plain((number / 2 * 20) as u8)).collect();
            let (learnt, held_out) = split(pictures.iter(), share);
            assert_eq!(held_out.len(), held, "{count} pictures, share {share}");
            let mut all = [learnt, held_out].concat();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    fn plain(brightness: u8) -> Picture {
        Picture { width: 64, height: 64, rgb: vec![brightness; 64 * 64 * 3] }
    }

    #[test]
    fn pictures_that_are_like_no_other_are_learnt_from() {
        // A red one, five dark ones and four bright ones.
        let mut pictures: Vec<_> = [20, 24, 30, 36, 40, 196, 200, 210, 214].map(plain).into();
        let mut red = plain(0);
        red.rgb.iter_mut().step_by(3).for_each(|value| *value = 255);
        pictures.insert(0, red);
        let (learnt, held_out) = split(pictures.iter(), 0.2);
        assert!(learnt.contains(&0), "{held_out:?}");
        let [dark, bright] = held_out[..] else { panic!("{held_out:?}") };
        assert!((1..=5).contains(&dark) && (6..=9).contains(&bright), "{held_out:?}");
        let reversed = pictures.iter().rev();
        assert!(!split(reversed, 0.2).1.contains(&9));
    }

    #[test]
    fn the_trigger_word_stands_in_every_prompt_once() {
        assert_eq!(prompt("zorn", "a cat"), "zorn a cat");
        assert_eq!(prompt("zorn", "a cat, Zorn style"), "a cat, Zorn style");
        assert_eq!(prompt("zorn", " "), "zorn");
        assert_eq!(prompt("", "a cat"), "a cat");
    }
}
