//! Looks into files that people bring: pictures, LoRAs, model folders. The calls compute and block; use-cases make them
//! through [`inspect`], off the threads that answer requests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// Why a file is not taken, in a sentence for the person who brought it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(pub String);

/// A picture, re-encoded without metadata.
#[derive(Debug, Clone)]
pub struct InspectedPicture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The picture as PNG, orientation applied, without metadata.
    pub png: Vec<u8>,
    /// A thumbnail as WebP, at most 256 pixels on its longer edge.
    pub thumbnail_webp: Vec<u8>,
    /// A blurred placeholder of some thirty characters.
    pub blurhash: String,
    /// 64-bit perceptual hash.
    pub perceptual_hash: u64,
    /// Variance of the Laplacian, from 0 (blank) upward.
    pub sharpness: f64,
    /// A copy of 8 x 8 pixels, red, green and blue of each.
    pub colours: Vec<u8>,
}

/// What a data set's lint looks at.
#[derive(Debug, Clone)]
pub struct LintedPicture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// 64-bit perceptual hash.
    pub perceptual_hash: u64,
    /// Variance of the Laplacian.
    pub sharpness: f64,
    /// A copy of 8 x 8 pixels, red, green and blue of each.
    pub colours: Vec<u8>,
}

/// What a data set's lint finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding {
    /// Which picture, by its place in the list.
    pub picture: usize,
    /// `NEAR_DUPLICATE`, `TOO_SMALL`, `BLURRED` or `UNREADABLE`.
    pub code: &'static str,
    /// The picture that it nearly repeats.
    pub other: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a LoRA file says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InspectedLora {
    /// `flux2`, `sdxl`, … as detected from tensor shapes.
    pub family: String,
    /// `klein-4b`, `dev`, … as detected.
    pub variant: String,
    /// What the file's metadata declares; empty when it does not.
    pub declared: String,
    /// Width of the text context that it was made for.
    pub context_width: u32,
    /// Width of the network that it was made for.
    pub hidden_width: u32,
    /// Rank of its matrices.
    pub rank: u32,
    /// Alpha.
    pub alpha: f64,
    /// `BFL`, `DIFFUSERS` or `KOHYA`.
    pub layout: String,
    /// Trigger words from the metadata.
    pub trigger_words: Vec<String>,
    /// Title from the metadata, or the name that its trainer gave the file.
    pub title: Option<String>,
    /// Tags of the pictures that it was trained on, as its trainer counted them, the most frequent first.
    #[serde(default)]
    pub tags: Vec<String>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// AutoV2: its first ten digits.
    pub auto_v2: String,
    /// AutoV3: SHA-256 of what follows the header.
    pub auto_v3: String,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// Bytes.
    pub size: u64,
    /// Share of keys that were understood, 0 to 1.
    pub matched_share: f64,
    /// What is wrong with it, in sentences.
    pub problems: Vec<String>,
    /// The header's metadata.
    pub metadata: serde_json::Value,
}

/// What a base model's folder says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InspectedModel {
    /// `flux2` or `sdxl`.
    pub family: String,
    /// `klein`, `dev`, ….
    pub variant: String,
    /// Width of the text context.
    pub context_width: u32,
    /// Width of the network.
    pub hidden_width: u32,
    /// Picture width that it was trained for.
    pub native_width: u32,
    /// Picture height that it was trained for.
    pub native_height: u32,
    /// Picture sizes are multiples of this.
    pub size_multiple: u32,
    /// Steps by default.
    pub default_steps: u32,
    /// Guidance scale by default.
    pub default_guidance: f64,
    /// Whether it was distilled to few steps without guidance.
    pub distilled: bool,
}

/// The layouts in which a LoRA is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LoraLayout {
    /// Black Forest Labs' keys, as ComfyUI and ai-toolkit read them.
    Bfl,
    /// diffusers' keys.
    Diffusers,
    /// kohya's keys.
    Kohya,
}

/// Looks into files.
pub trait Inspector: Send + Sync {
    /// What describes looks: looks of one describer are of one length, and near where pictures look alike.
    fn describer(&self) -> &str;

    /// Whether a sentence encoder is there.
    fn knows_meanings(&self) -> bool;

    /// What texts mean, a vector of one length each, near where their meanings are; none where no sentence encoder is there.
    fn meanings(&self, texts: &[String]) -> Option<Vec<Vec<f32>>>;

    /// How a picture looks, of the bytes of a PNG, JPEG or WebP file.
    ///
    /// # Errors
    /// [`Rejected`] when the file is not understood.
    fn look(&self, picture: &[u8]) -> Result<Vec<f32>, Rejected>;

    /// Checks a picture (PNG, JPEG, WebP), turns it upright and re-encodes it without metadata.
    ///
    /// # Errors
    /// [`Rejected`] for what is no picture, is damaged or too large.
    fn picture(&self, file: &Path) -> Result<InspectedPicture, Rejected>;

    /// Looks for near-duplicates, blurred pictures, and pictures whose shorter edge has fewer pixels than `smallest_edge`.
    fn lint(&self, pictures: &[LintedPicture], smallest_edge: u32) -> Vec<LintFinding>;

    /// Checks a `.safetensors` LoRA.
    ///
    /// # Errors
    /// [`Rejected`] for what is no LoRA, is damaged or of a kind that is not supported.
    fn lora(&self, file: &Path) -> Result<InspectedLora, Rejected>;

    /// Writes a LoRA in another layout, and gives what programs leave out of the new file, in sentences. `metadata` goes into its
    /// header, in place of what the file says under these keys.
    ///
    /// # Errors
    /// [`Rejected`] when the LoRA has no form in that layout.
    fn convert_lora(
        &self,
        file: &Path,
        layout: LoraLayout,
        metadata: &BTreeMap<String, String>,
        out: &Path,
    ) -> Result<Vec<String>, Rejected>;

    /// Whether a training can go on from a LoRA without losing something of it.
    ///
    /// # Errors
    /// [`Rejected`] with what would be lost, or why the file is not read.
    fn continuable(&self, file: &Path) -> Result<(), Rejected>;

    /// Whether a LoRA fits a base model.
    ///
    /// # Errors
    /// [`Rejected`] with both names.
    fn fits(&self, lora: &InspectedLora, model: &InspectedModel) -> Result<(), Rejected>;

    /// Reads the configuration of a model folder.
    ///
    /// # Errors
    /// [`Rejected`] for a folder that is missing or not understood.
    fn model(&self, folder: &Path) -> Result<InspectedModel, Rejected>;
}

/// Makes a blocking call of the inspector on a thread that may block.
///
/// # Errors
/// When the call panicked: a damaged file must not take a request with it.
pub async fn inspect<T, F>(inspector: &Arc<dyn Inspector>, call: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: FnOnce(&dyn Inspector) -> T + Send + 'static,
{
    let inspector = Arc::clone(inspector);
    Ok(tokio::task::spawn_blocking(move || call(inspector.as_ref())).await?)
}

/// The folder of a base model: absolute, or below the data directory's `models`.
pub fn model_folder(models: &Path, folder: &str) -> PathBuf {
    models.join(folder)
}
