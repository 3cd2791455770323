//! The fields of the index, and how a document fills them.

use tantivy::{
    TantivyDocument, Term,
    schema::{
        BytesOptions, FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STORED, STRING, Schema, SchemaBuilder,
        TextFieldIndexing, TextOptions,
    },
};
use uuid::Uuid;

use crate::{
    LoraDocument, SearchError, Viewer,
    words::{
        analysis::{self, STEMS, WORDS},
        cut, whole_value,
    },
};

/// Number of the layout below; an index with another one is built anew.
pub(super) const FORMAT: &str = "2";

/// Names of the fields that are read column by column.
pub(super) mod column {
    pub(in crate::embedded) const ID_HIGH: &str = "id_high";
    pub(in crate::embedded) const ID_LOW: &str = "id_low";
    pub(in crate::embedded) const SEQUENCE: &str = "sequence";
    pub(in crate::embedded) const TAG: &str = "tag";
    pub(in crate::embedded) const LICENSE: &str = "license";
    pub(in crate::embedded) const BASE_MODEL: &str = "base_model";
    pub(in crate::embedded) const RATING: &str = "rating";
    pub(in crate::embedded) const SAFE_LOW: &str = "safe_low";
    pub(in crate::embedded) const SAFE_HIGH: &str = "safe_high";
    pub(in crate::embedded) const DOWNLOADS: &str = "downloads";
    pub(in crate::embedded) const PUBLISHED: &str = "published";
    pub(in crate::embedded) const TRENDING: &str = "trending";
    pub(in crate::embedded) const PROMINENCE: &str = "prominence";
}

/// The fields of the index.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    /// Key, to delete by.
    pub(super) id: Field,
    /// The key's halves. A column of 128 bits would be read anew, whole, by every search.
    id_high: Field,
    id_low: Field,
    sequence: Field,
    /// `live` on every LoRA (not on what stands for a removed one), `public`, and `team:` with the team.
    audience: Field,
    pub(super) team: Field,
    pub(super) creator_id: Field,
    /// Words of everything, which misspelt and unfinished words are completed from.
    pub(super) every: Field,
    pub(super) name: Field,
    pub(super) trigger: Field,
    pub(super) tags: Field,
    pub(super) creator: Field,
    pub(super) description: Field,
    pub(super) prompts: Field,
    pub(super) name_stems: Field,
    pub(super) text_stems: Field,
    /// The whole name, and each whole trigger word.
    pub(super) name_whole: Field,
    pub(super) trigger_whole: Field,
    pub(super) tag: Field,
    pub(super) license: Field,
    pub(super) base_model: Field,
    pub(super) rating: Field,
    pub(super) safe_low: Field,
    pub(super) safe_high: Field,
    downloads: Field,
    pub(super) published: Field,
    trending: Field,
    prominence: Field,
    /// The document, as JSON.
    pub(super) source: Field,
}

fn text(builder: &mut SchemaBuilder, name: &str, analyzer: &str, record: IndexRecordOption) -> Field {
    let indexing = TextFieldIndexing::default().set_tokenizer(analyzer).set_index_option(record);
    builder.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
}

impl Fields {
    pub(super) fn new() -> Self {
        let mut builder = Schema::builder();
        let positions = IndexRecordOption::WithFreqsAndPositions;
        let frequencies = IndexRecordOption::WithFreqs;
        let value = || NumericOptions::from(FAST);
        Self {
            id: builder.add_bytes_field("id", BytesOptions::from(INDEXED)),
            id_high: builder.add_u64_field(column::ID_HIGH, value()),
            id_low: builder.add_u64_field(column::ID_LOW, value()),
            sequence: builder.add_u64_field(column::SEQUENCE, value()),
            audience: builder.add_text_field("audience", STRING),
            team: builder.add_text_field("team", STRING),
            creator_id: builder.add_text_field("creator_id", STRING),
            every: text(&mut builder, "every", WORDS, IndexRecordOption::Basic),
            name: text(&mut builder, "name", WORDS, positions),
            trigger: text(&mut builder, "trigger", WORDS, positions),
            tags: text(&mut builder, "tags", WORDS, positions),
            creator: text(&mut builder, "creator", WORDS, positions),
            description: text(&mut builder, "description", WORDS, positions),
            prompts: text(&mut builder, "prompts", WORDS, positions),
            name_stems: text(&mut builder, "name_stems", STEMS, frequencies),
            text_stems: text(&mut builder, "text_stems", STEMS, frequencies),
            name_whole: builder.add_text_field("name_whole", STRING),
            trigger_whole: builder.add_text_field("trigger_whole", STRING),
            tag: builder.add_text_field(column::TAG, STRING | FAST),
            license: builder.add_text_field(column::LICENSE, STRING | FAST),
            base_model: builder.add_text_field(column::BASE_MODEL, STRING | FAST),
            rating: builder.add_f64_field(column::RATING, FAST | INDEXED),
            safe_low: builder.add_f64_field(column::SAFE_LOW, FAST | INDEXED),
            safe_high: builder.add_f64_field(column::SAFE_HIGH, FAST | INDEXED),
            downloads: builder.add_u64_field(column::DOWNLOADS, value()),
            published: builder.add_i64_field(column::PUBLISHED, FAST | INDEXED),
            trending: builder.add_f64_field(column::TRENDING, value()),
            prominence: builder.add_f64_field(column::PROMINENCE, value()),
            source: builder.add_bytes_field("source", STORED),
            schema: builder.build(),
        }
    }

    /// The document as the index takes it. A rating that is not a number counts as none.
    pub(super) fn document(&self, mut lora: LoraDocument) -> Result<TantivyDocument, SearchError> {
        if !lora.rating_score.is_finite() {
            lora.rating_score = 0.0;
        }
        let mut document = self.tombstone(lora.id, lora.sequence);
        document.add_text(self.audience, "live");
        if lora.public {
            document.add_text(self.audience, "public");
        }
        document.add_text(self.audience, team_audience(lora.team_id));
        document.add_text(self.team, lora.team_id.to_string());
        document.add_text(self.creator_id, lora.creator_id.to_string());
        self.add_words(&mut document, &lora);
        for tag in &lora.tags {
            document.add_text(self.tag, whole_value(tag));
        }
        document.add_text(self.license, whole_value(&lora.license));
        for base_model in &lora.base_models {
            document.add_text(self.base_model, base_model.to_string());
        }
        document.add_f64(self.rating, lora.rating_score);
        if let Some((low, high)) = lora.safe_strengths {
            document.add_f64(self.safe_low, low);
            document.add_f64(self.safe_high, high);
        }
        document.add_u64(self.downloads, lora.downloads);
        document.add_i64(self.published, lora.published_at_millis);
        document.add_f64(self.trending, lora.trending());
        document.add_f64(self.prominence, lora.prominence());
        let source = serde_json::to_vec(&lora).map_err(|error| SearchError::Unavailable(error.to_string()))?;
        document.add_bytes(self.source, &source);
        Ok(document)
    }

    fn add_words(&self, document: &mut TantivyDocument, lora: &LoraDocument) {
        let creator = [lora.creator_name.as_str(), lora.creator_handle.as_str()];
        let lists: [(Field, Option<Field>, Vec<&str>); 6] = [
            (self.name, Some(self.name_stems), vec![&lora.name]),
            (self.trigger, None, lora.trigger_words.iter().map(String::as_str).collect()),
            (self.tags, Some(self.text_stems), lora.tags.iter().map(String::as_str).collect()),
            (self.creator, None, creator.to_vec()),
            (self.description, Some(self.text_stems), vec![&lora.description]),
            (self.prompts, Some(self.text_stems), lora.prompts.iter().map(String::as_str).collect()),
        ];
        for (field, stems, texts) in lists {
            for text in texts {
                document.add_text(field, text);
                document.add_text(self.every, text);
                if let Some(stems) = stems {
                    document.add_text(stems, text);
                }
            }
        }
        document.add_text(self.name_whole, cut(&analysis::normalized(&lora.name)));
        for trigger in &lora.trigger_words {
            document.add_text(self.trigger_whole, cut(&analysis::normalized(trigger)));
        }
    }

    /// What is kept of a LoRA that was removed, so that what comes late does not bring it back.
    pub(super) fn tombstone(&self, id: Uuid, sequence: u64) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_bytes(self.id, id.as_bytes());
        let (high, low) = id.as_u64_pair();
        document.add_u64(self.id_high, high);
        document.add_u64(self.id_low, low);
        document.add_u64(self.sequence, sequence);
        document
    }

    /// The key of a LoRA.
    pub(super) fn id_term(&self, id: Uuid) -> Term {
        Term::from_field_bytes(self.id, id.as_bytes())
    }

    /// What a document must have one of for the viewer to see it.
    pub(super) fn audience_terms(&self, viewer: &Viewer) -> Vec<Term> {
        let term = |text: &str| Term::from_field_text(self.audience, text);
        match viewer {
            Viewer::Everything => vec![term("live")],
            Viewer::Teams(teams) => {
                let own = teams.iter().map(|team| term(&team_audience(*team)));
                std::iter::once(term("public")).chain(own).collect()
            }
        }
    }
}

fn team_audience(team: Uuid) -> String {
    format!("team:{team}")
}
