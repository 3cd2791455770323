//! The domain's inspector, by the models' own code.

use std::{cmp::Reverse, collections::BTreeMap, path::Path};

use anyhow::Context as _;
use atelier_domain::ports::inspector::{
    InspectedLora, InspectedModel, InspectedPicture, Inspector, LintFinding, LintedPicture, LoraLayout, Rejected,
};
use atelier_inference::{
    DeviceName, Error, Layout, Picture, Precision, Scorer, SentenceEncoder,
    lora::{Base, fits},
    quality, scoring,
};

/// The longer edge of a thumbnail, in pixels.
const THUMBNAIL_EDGE: u32 = 256;

/// What describes looks without CLIP: colour and texture. Another number where their vectors change.
const COLOUR_AND_TEXTURE: &str = "colour-texture-1";

/// Looks into pictures, LoRAs and model folders.
#[derive(Default)]
pub struct ModelInspector {
    sentences: Option<SentenceEncoder>,
    clip: Option<ClipDescriber>,
}

/// CLIP, by which pictures look alike that show alike things, and its name.
struct ClipDescriber {
    scorer: Scorer,
    name: String,
}

impl ModelInspector {
    /// With a sentence encoder, so that search knows what words mean.
    ///
    /// # Errors
    /// When the folder holds no encoder that is understood.
    pub fn with_sentence_encoder(self, folder: &Path) -> anyhow::Result<Self> {
        let encoder = SentenceEncoder::load(folder);
        let encoder =
            encoder.with_context(|| format!("The sentence encoder in `{}` cannot be used.", folder.display()))?;
        Ok(Self { sentences: Some(encoder), ..self })
    }

    /// With CLIP, so that pictures look alike that show alike things.
    ///
    /// # Errors
    /// When the folder holds no CLIP that is understood.
    pub fn with_clip(self, folder: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("CLIP in `{}` cannot be used.", folder.display());
        let scorer = Scorer::load(folder, &DeviceName::Cpu, Precision::F32).with_context(cannot)?;
        let name = format!("clip-{}", scoring::fingerprint(folder).with_context(cannot)?);
        Ok(Self { clip: Some(ClipDescriber { scorer, name }), ..self })
    }
}

impl Inspector for ModelInspector {
    fn describer(&self) -> &str {
        self.clip.as_ref().map_or(COLOUR_AND_TEXTURE, |clip| &clip.name)
    }

    fn knows_meanings(&self) -> bool {
        self.sentences.is_some()
    }

    fn meanings(&self, texts: &[String]) -> Option<Vec<Vec<f32>>> {
        let encoder = self.sentences.as_ref()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match encoder.encode(&texts) {
            Ok(meanings) => Some(meanings),
            Err(error) => {
                tracing::warn!(%error, "search goes without meanings");
                None
            }
        }
    }

    fn look(&self, picture: &[u8]) -> Result<Vec<f32>, Rejected> {
        let picture = Picture::decode(picture).map_err(rejected)?;
        let by_clip = self.clip.as_ref().and_then(|clip| clip.scorer.look(&picture));
        Ok(by_clip.unwrap_or_else(|| quality::look(&picture)))
    }

    fn picture(&self, file: &Path) -> Result<InspectedPicture, Rejected> {
        let bytes = std::fs::read(file).map_err(|error| Rejected(format!("The file cannot be read: {error}.")))?;
        let picture = Picture::decode(&bytes).map_err(rejected)?;
        let thumbnail = picture.thumbnail(THUMBNAIL_EDGE);
        let facts = quality::PictureFacts::of(&picture);
        Ok(InspectedPicture {
            width: picture.width,
            height: picture.height,
            png: picture.encode_png(&[]),
            thumbnail_webp: thumbnail.encode_webp(),
            blurhash: quality::blurhash(&thumbnail),
            perceptual_hash: facts.perceptual_hash,
            sharpness: facts.sharpness,
            colours: facts.colours,
        })
    }

    fn lint(&self, pictures: &[LintedPicture], smallest_edge: u32) -> Vec<LintFinding> {
        let facts: Vec<quality::PictureFacts> = pictures
            .iter()
            .map(|picture| quality::PictureFacts {
                width: picture.width,
                height: picture.height,
                perceptual_hash: picture.perceptual_hash,
                sharpness: picture.sharpness,
                colours: picture.colours.clone(),
            })
            .collect();
        quality::lint_facts(&facts, smallest_edge)
            .into_iter()
            .map(|finding| {
                let (code, other) = match finding.kind {
                    quality::LintKind::NearDuplicate { of } => ("NEAR_DUPLICATE", Some(of)),
                    quality::LintKind::TooSmall => ("TOO_SMALL", None),
                    quality::LintKind::Blurred => ("BLURRED", None),
                    quality::LintKind::Unreadable => ("UNREADABLE", None),
                };
                LintFinding { picture: finding.index, code, other, message: finding.message }
            })
            .collect()
    }

    fn lora(&self, file: &Path) -> Result<InspectedLora, Rejected> {
        let report = atelier_inference::inspect(file).map_err(rejected)?;
        Ok(InspectedLora {
            family: report.family,
            variant: report.variant,
            declared: report.declared.unwrap_or_default(),
            context_width: report.context_width,
            hidden_width: report.hidden_width,
            rank: report.rank,
            alpha: report.alpha,
            layout: report.layout.to_string(),
            trigger_words: report.trigger_words,
            title: report.metadata.get("modelspec.title").cloned().or(report.training.output_name),
            tags: most_frequent(report.training.tags),
            sha256: report.hashes.sha256,
            auto_v2: report.hashes.auto_v2,
            auto_v3: report.hashes.auto_v3,
            blake3: report.hashes.blake3,
            size: report.size,
            matched_share: report.matched_share,
            problems: report.problems,
            metadata: serde_json::to_value(report.metadata).unwrap_or_default(),
        })
    }

    fn convert_lora(
        &self,
        file: &Path,
        layout: LoraLayout,
        metadata: &BTreeMap<String, String>,
        out: &Path,
    ) -> Result<Vec<String>, Rejected> {
        let layout = match layout {
            LoraLayout::Bfl => Layout::Bfl,
            LoraLayout::Diffusers => Layout::Diffusers,
            LoraLayout::Kohya => Layout::Kohya,
        };
        atelier_inference::convert(file, layout, metadata, out).map_err(rejected)
    }

    fn continuable(&self, file: &Path) -> Result<(), Rejected> {
        atelier_inference::check_continued(file).map_err(rejected)
    }

    fn fits(&self, lora: &InspectedLora, model: &InspectedModel) -> Result<(), Rejected> {
        let lora = Base { family: &lora.family, hidden_width: lora.hidden_width, context_width: lora.context_width };
        let model =
            Base { family: &model.family, hidden_width: model.hidden_width, context_width: model.context_width };
        fits(lora, model).map_err(rejected)
    }

    fn model(&self, folder: &Path) -> Result<InspectedModel, Rejected> {
        let facts = atelier_inference::facts(folder).map_err(rejected)?;
        Ok(InspectedModel {
            family: facts.family,
            variant: facts.variant,
            context_width: facts.context_width,
            hidden_width: facts.hidden_width,
            native_width: facts.native_width,
            native_height: facts.native_height,
            size_multiple: facts.size_multiple,
            default_steps: facts.default_steps,
            default_guidance: facts.default_guidance,
            distilled: facts.distilled,
        })
    }
}

/// Tags, the most frequent first; of those that are as frequent the first in the alphabet.
fn most_frequent(counts: BTreeMap<String, u64>) -> Vec<String> {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.into_iter().map(|(tag, _)| tag.trim().to_owned()).collect()
}

fn rejected(error: Error) -> Rejected {
    Rejected(error.to_string())
}
