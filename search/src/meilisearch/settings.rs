//! What Meilisearch is told of an index: what is searched, filtered and sorted by, and how much each rule counts.

use std::collections::{BTreeMap, HashMap};

use meilisearch_sdk::settings::{
    FacetSortValue, FacetingSettings, MinWordSizeForTypos, PaginationSetting, Settings, TypoToleranceSettings,
};

use crate::{Facets, words::synonyms::Meanings};

/// Number of the layout below and of the records; an index with another one is built anew.
pub(super) const LAYOUT: u32 = 2;

/// Hits that can be paged through.
const MOST_HITS: usize = 10_000_000;

/// Everything that an index is told.
pub(super) fn settings(meanings: &Meanings) -> Settings {
    let strings = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    // Where words stand, the most telling place first; `plain` has them once more without accents and grammar.
    let searched =
        ["trigger_words", "name", "tags", "creator_name", "creator_handle", "description", "prompts", "plain"];
    let filtered = [
        "live",
        "audience",
        "creator_id",
        "team",
        "tag_values",
        "license",
        "base_models",
        "rating",
        "downloads",
        "published",
        "trending",
        "id",
    ];
    let rules = ["sort", "words", "typo", "proximity", "attribute", "exactness", "prominence:desc", "id:desc"];
    Settings {
        searchable_attributes: Some(strings(&searched)),
        filterable_attributes: Some(filtered.iter().map(|&name| name.into()).collect()),
        sortable_attributes: Some(strings(&["rating", "downloads", "published", "trending", "id"])),
        ranking_rules: Some(strings(&rules)),
        synonyms: Some(synonyms(meanings)),
        typo_tolerance: Some(TypoToleranceSettings {
            enabled: Some(true),
            min_word_size_for_typos: Some(MinWordSizeForTypos { one_typo: Some(4), two_typos: Some(8) }),
            ..TypoToleranceSettings::default()
        }),
        pagination: Some(PaginationSetting { max_total_hits: MOST_HITS }),
        faceting: Some(FacetingSettings {
            max_values_per_facet: Facets::MOST_VALUES,
            sort_facet_values_by: Some(BTreeMap::from([("*".to_owned(), FacetSortValue::Count)])),
        }),
        ..Settings::default()
    }
}

/// Words that mean the same, alone.
pub(super) fn synonyms(meanings: &Meanings) -> HashMap<String, Vec<String>> {
    let line = |(word, others): (&String, &Vec<Vec<String>>)| {
        (word.clone(), others.iter().map(|words| words.join(" ")).collect())
    };
    meanings.iter().map(line).collect()
}
