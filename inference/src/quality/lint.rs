//! What is wrong with the pictures of a data set before a model is trained on them.

use super::{BLURRED_BELOW, hamming_distance, perceptual_hash, sharpness};
use crate::image::Picture;
use serde::{Deserialize, Serialize};

/// Bits in which the perceptual hashes of near-duplicates may differ at most.
const NEAR_BITS: u32 = 10;

/// Mean difference of the colours of near-duplicates, of 255. The hash sees grey only, and drawings on an empty sheet
/// have few frequencies: colour keeps a red ball and a blue one apart.
const NEAR_COLOURS: f64 = 16.0;

/// Edge of the small colour copy that is kept to compare.
const COPY_EDGE: u32 = 8;

/// What the lint needs to know of one picture; small enough to keep for every picture of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureFacts {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// See [`perceptual_hash`](super::perceptual_hash).
    pub perceptual_hash: u64,
    /// See [`sharpness`](super::sharpness).
    pub sharpness: f64,
    /// The picture at 8 x 8 pixels: red, green, blue of each.
    pub colours: Vec<u8>,
}

impl PictureFacts {
    /// Measures a picture.
    pub fn of(picture: &Picture) -> Self {
        Self {
            width: picture.width,
            height: picture.height,
            perceptual_hash: perceptual_hash(picture),
            sharpness: sharpness(picture),
            colours: picture.resized(COPY_EDGE, COPY_EDGE).rgb,
        }
    }

    fn is_near(&self, other: &Self) -> bool {
        if hamming_distance(self.perceptual_hash, other.perceptual_hash) > NEAR_BITS {
            return false;
        }
        let differences = self.colours.iter().zip(&other.colours).map(|(a, b)| f64::from(a.abs_diff(*b)));
        differences.sum::<f64>() <= NEAR_COLOURS * self.colours.len() as f64
    }
}

/// What kind of flaw a picture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LintKind {
    /// It shows nearly the same as an earlier one.
    NearDuplicate {
        /// Index of the earlier picture.
        of: usize,
    },
    /// It has fewer pixels than the model draws.
    TooSmall,
    /// Nothing in it is in focus.
    Blurred,
    /// It could not be decoded.
    Unreadable,
}

/// A flaw of one picture of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintFinding {
    /// Index of the picture.
    pub index: usize,
    /// What is wrong.
    #[serde(flatten)]
    pub kind: LintKind,
    /// One sentence that says what is wrong and what to do.
    pub message: String,
}

impl LintFinding {
    /// The finding for a picture that could not be decoded, with the decoder's sentence.
    pub fn unreadable(index: usize, reason: &crate::error::Error) -> Self {
        Self { index, kind: LintKind::Unreadable, message: reason.to_string() }
    }
}

/// Looks through the pictures of a data set for a model that draws `smallest_edge` pixels along its shorter edge.
/// Findings come in the order of the pictures; of several near-duplicates the first is not a finding, the others name
/// it.
pub fn lint(pictures: &[Picture], smallest_edge: u32) -> Vec<LintFinding> {
    let facts: Vec<PictureFacts> = pictures.iter().map(PictureFacts::of).collect();
    lint_facts(&facts, smallest_edge)
}

/// [`lint`] from facts that were measured before.
pub fn lint_facts(facts: &[PictureFacts], smallest_edge: u32) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for (index, picture) in facts.iter().enumerate() {
        let mut found = |kind, message| findings.push(LintFinding { index, kind, message });
        if let Some(of) = facts[..index].iter().position(|earlier| picture.is_near(earlier)) {
            let (this, other) = (index + 1, of + 1);
            found(
                LintKind::NearDuplicate { of },
                format!("Picture {this} shows nearly the same as picture {other}; keep one of them."),
            );
        }
        let (width, height) = (picture.width, picture.height);
        if width.min(height) < smallest_edge {
            found(
                LintKind::TooSmall,
                format!(
                    "Picture {} has only {width} x {height} pixels, the model draws {smallest_edge}; use a larger one.",
                    index + 1
                ),
            );
        }
        if picture.sharpness < BLURRED_BELOW {
            found(
                LintKind::Blurred,
                format!("Picture {} is blurred, and the LoRA would learn the blur; use a sharper one.", index + 1),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::scenes::scene;

    #[test]
    fn each_flaw_is_found_where_it_is() {
        let mut pictures: Vec<Picture> = [1, 3, 4, 5, 7].map(|seed| scene(seed, 256).picture).to_vec();
        assert_eq!(lint(&pictures, 64), []);
        // A recompressed, scaled and slightly brighter copy; a small one; one out of focus.
        let copy = Picture::decode(&pictures[1].thumbnail(200).encode_jpeg(70)).unwrap();
        pictures.push(Picture { rgb: copy.rgb.iter().map(|value| value.saturating_add(6)).collect(), ..copy });
        pictures.push(scene(15, 60).picture);
        pictures.push(scene(7 + 10, 256).picture.resized(16, 16).resized(256, 256));
        let kinds: Vec<_> = lint(&pictures, 64).into_iter().map(|finding| (finding.index, finding.kind)).collect();
        assert_eq!(kinds, [(5, LintKind::NearDuplicate { of: 1 }), (6, LintKind::TooSmall), (7, LintKind::Blurred)]);
    }
}
