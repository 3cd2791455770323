//! What a LoRA must be like, as Meilisearch reads it.

use uuid::Uuid;

use super::record::{audience, encoded, millionths};
use crate::{LoraFilter, Viewer, words};

/// What lets nothing pass.
const NOTHING: &str = "live = true AND live = false";

/// The filter, with what the viewer may see.
pub(super) fn filter(filter: &LoraFilter, viewer: &Viewer) -> String {
    let mut conditions = vec!["live = true".to_owned()];
    conditions.extend(audience(viewer).map(|values| any("audience", values)));
    conditions.extend(filter.tags.iter().map(|tag| any("tag_values", [value(tag)])));
    if !filter.licenses.is_empty() {
        conditions.push(any("license", filter.licenses.iter().map(|license| value(license))));
    }
    if !filter.base_models.is_empty() {
        conditions.push(any("base_models", filter.base_models.iter().map(Uuid::to_string)));
    }
    conditions.extend(filter.creator_id.map(|id| any("creator_id", [id.to_string()])));
    conditions.extend(filter.team_id.map(|id| any("team", [id.to_string()])));
    conditions.extend(filter.rating_at_least.map(|least| match least {
        least if least.is_nan() => NOTHING.to_owned(),
        least => format!("rating >= {}", millionths(least)),
    }));
    conditions.extend(filter.published_after_millis.map(|time| format!("published > {time}")));
    conditions.extend(filter.safe_at.map(|strength| match strength {
        strength if strength.is_nan() => NOTHING.to_owned(),
        strength => format!("safe_low <= {0} AND safe_high >= {0}", millionths(strength)),
    }));
    if !filter.without_tags.is_empty() {
        conditions.push(format!("NOT {}", any("tag_values", filter.without_tags.iter().map(|tag| value(tag)))));
    }
    if !filter.without_creators.is_empty() {
        conditions.push(format!("NOT {}", any("creator_id", filter.without_creators.iter().map(Uuid::to_string))));
    }
    conditions.join(" AND ")
}

/// What sorts behind a value and an id, where the largest come first.
pub(super) fn behind(attribute: &str, value: i64, id: Uuid) -> String {
    format!("({attribute} < {value} OR ({attribute} = {value} AND id < \"{id}\"))")
}

fn value(text: &str) -> String {
    encoded(&words::whole_value(text))
}

/// That an attribute has one of some values.
pub(super) fn any(attribute: &str, values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| format!("\"{value}\"")).collect();
    format!("{attribute} IN [{}]", values.join(", "))
}
