//! What the index knows of a LoRA.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What the index knows of a LoRA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraDocument {
    /// The LoRA.
    pub id: Uuid,
    /// Number of the change that this is the state after; a lower one never overwrites a higher one.
    pub sequence: u64,
    /// Its name.
    pub name: String,
    /// Its style in words.
    pub description: String,
    /// Words that call its style up.
    pub trigger_words: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Words of its captions and of its previews' prompts.
    pub prompts: Vec<String>,
    /// What its creator is called.
    pub creator_name: String,
    /// The creator's handle, without `@`.
    pub creator_handle: String,
    /// The creator.
    pub creator_id: Uuid,
    /// The team it belongs to.
    pub team_id: Uuid,
    /// Whether everybody may see it; otherwise only its team.
    pub public: bool,
    /// Licence of the weights.
    pub license: String,
    /// Base models of its versions.
    pub base_models: Vec<Uuid>,
    /// Bayesian average of its ratings, 0 to 5.
    pub rating_score: f64,
    /// Number of ratings.
    pub rating_count: u64,
    /// Downloads.
    pub downloads: u64,
    /// When it was published, in milliseconds since 1970 UTC.
    pub published_at_millis: i64,
    /// The lowest and the highest strength that were measured to be safe; none where nothing was measured, or none is.
    pub safe_strengths: Option<(f64, f64)>,
    /// How its previews look, a vector each, all of one describer and one length.
    #[serde(skip)]
    pub looks: Vec<Vec<f32>>,
    /// What its words mean, as a sentence encoder says; none without one.
    #[serde(skip)]
    pub meaning: Option<Vec<f32>>,
    /// Logarithm to base 2 of the attention that it has had, its publication included, where attention halves every week:
    /// as of 1970, so that it depends on no clock. None before anything was counted.
    #[serde(default)]
    pub trend: Option<f64>,
}

impl LoraDocument {
    /// How much it is talked about, newer ones ahead: its [`trend`](Self::trend), or that of its publication alone.
    ///
    /// It depends on no clock, since everything ages alike: attention of a week ago counts half as much as that of today.
    pub fn trending(&self) -> f64 {
        const WEEK_MILLIS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;
        let published = self.published_at_millis as f64 / WEEK_MILLIS;
        self.trend.filter(|trend| trend.is_finite()).unwrap_or(published)
    }

    /// Factor on its relevance, 1 to about 1.1: of two that fit the words alike, the better liked one comes first.
    pub fn prominence(&self) -> f64 {
        let downloads = (1.0 + self.downloads as f64).log10().min(8.0) / 8.0;
        let rating = if self.rating_count == 0 { 0.0 } else { self.rating_score.clamp(0.0, 5.0) / 5.0 };
        1.0 + 0.05 * downloads + 0.05 * rating
    }
}
