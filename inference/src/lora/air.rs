//! AIR names, "Artificial Intelligence Resources": `urn:air:{ecosystem}:{type}:{source}:{id}[@{version}]`, by which sites and
//! programs name models across each other (<https://github.com/civitai/civitai/wiki/AIR-%E2%80%90-Uniform-Resource-Names-for-AI>).

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What every name begins with, in whatever case.
const BEGINNING: &str = "urn:air:";

/// A name that is longer is none.
const LONGEST: usize = 500;

/// An AIR name, in its parts: none is empty or holds a colon, an `@` or a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AirName {
    /// The family of models that it belongs to, such as `sdxl` or `flux2`.
    pub ecosystem: String,
    /// What it is, such as `lora` or `checkpoint`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is found, such as `civitai` or `huggingface`.
    pub source: String,
    /// Its name there: a number, or a path such as `maker/model`.
    pub id: String,
    /// Its version there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl fmt::Display for AirName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ecosystem, kind, source, id, version } = self;
        write!(formatter, "{BEGINNING}{ecosystem}:{kind}:{source}:{id}")?;
        version.iter().try_for_each(|version| write!(formatter, "@{version}"))
    }
}

impl FromStr for AirName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        parse(name).ok_or_else(|| {
            let shown: String = name.chars().take(100).collect();
            Error::Input(format!(
                "`{shown}` is no AIR name. Write `urn:air:{{ecosystem}}:{{type}}:{{source}}:{{id}}@{{version}}`."
            ))
        })
    }
}

fn parse(name: &str) -> Option<AirName> {
    let name = name.trim();
    let (beginning, rest) = name.split_at_checked(BEGINNING.len())?;
    let is_named = beginning.eq_ignore_ascii_case(BEGINNING) && name.len() <= LONGEST;
    let parts: Vec<&str> = rest.split(':').collect();
    let &[ecosystem, kind, source, id] = parts.as_slice() else { return None };
    let (id, version) = match id.split_once('@') {
        Some((id, version)) => (id, Some(version)),
        None => (id, None),
    };
    let is_part =
        |part: &&str| !part.is_empty() && !part.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control());
    let are_parts = [ecosystem, kind, source, id].iter().chain(&version).all(is_part);
    let owned = |part: &str| part.to_owned();
    (is_named && are_parts).then(|| AirName {
        ecosystem: owned(ecosystem),
        kind: owned(kind),
        source: owned(source),
        id: owned(id),
        version: version.map(owned),
    })
}

/// The name that a header gives its file, under whatever key: none is agreed on. The first key's, where there are several.
pub fn air_name(metadata: &BTreeMap<String, String>) -> Option<AirName> {
    metadata.values().find_map(|text| parse(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = AirName> {
        let part = "[a-z0-9灯][A-Za-z0-9._/灯-]{0,12}";
        (part, part, part, part, proptest::option::of(part))
            .prop_map(|(ecosystem, kind, source, id, version)| AirName { ecosystem, kind, source, id, version })
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_was_written(name in names()) {
            let written = name.to_string();
            prop_assert_eq!(parse(&written), Some(name.clone()));
            prop_assert_eq!(parse(&format!(" {} ", written.replacen("urn:air", "URN:AIR", 1))), Some(name));
        }

        #[test]
        fn what_is_read_is_what_was_written(text in "(urn:air:)?[a-z@: \\n灯./0-9]{0,30}") {
            if let Some(name) = parse(&text) {
                prop_assert_eq!(name.to_string(), text.trim());
            }
        }

        #[test]
        fn a_part_too_few_or_too_many_is_no_name(name in names()) {
            let written = name.to_string();
            prop_assert_eq!(parse(&format!("{written}:more")), None);
            prop_assert_eq!(parse(&format!("{written}@")), None);
            prop_assert_eq!(parse(&written["urn:".len()..]), None);
            let without_id = written.rsplit_once(':').map(|(rest, _)| rest).unwrap_or_default();
            prop_assert_eq!(parse(without_id), None);
        }
    }

    #[test]
    fn published_names_are_read_and_found_in_headers() {
        let name: AirName = "urn:air:sdxl:lora:civitai:328553@368189".parse().expect("a name");
        let parts = [&name.ecosystem, &name.kind, &name.source, &name.id].map(String::as_str);
        assert_eq!((parts, name.version.as_deref()), (["sdxl", "lora", "civitai", "328553"], Some("368189")));
        let metadata = [("a", "of urn:air:sdxl:lora:civitai:1"), ("b", "urn:air:sdxl:lora:huggingface:maker/model")];
        let metadata = metadata.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let found = air_name(&metadata).expect("one is a name");
        assert_eq!((found.id.as_str(), found.version), ("maker/model", None));
        let refused = "civitai:1".parse::<AirName>().expect_err("no name").to_string();
        assert!(refused.contains("urn:air:{ecosystem}"), "{refused}");
    }
}
