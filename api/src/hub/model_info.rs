//! What the hub says of a repository at a revision.

use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value;

use super::{
    digest::{Expected, is_hex},
    error::HubError,
};

/// A repository at a commit.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The commit: 40 hex digits.
    pub commit: String,
    /// Its files, each with a path that stays in the folder.
    pub files: Vec<RemoteFile>,
    /// What its card says of the licence.
    pub card: Card,
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Where it lies in the repository, with slashes.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The hash that its bytes must have.
    pub expected: Expected,
}

/// What a repository's card says of the licence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The hub's short name of it, such as `apache-2.0`, or `other`.
    pub license: Option<String>,
    /// Its name, where the short name says nothing.
    pub license_name: Option<String>,
    /// Where it can be read: an address, or a file of the repository.
    pub license_link: Option<String>,
}

/// The hub's answer.
#[derive(Debug, Deserialize)]
pub struct Answer {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData")]
    card_data: Option<Value>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: Option<u64>,
}

impl Answer {
    /// Checks everything that is relied on later: an answer comes from elsewhere and is not believed.
    ///
    /// # Errors
    /// When it names no commit, a file without size or hash, or a path that leads out of the folder.
    pub fn check(self) -> Result<ModelInfo, HubError> {
        let card = self.card();
        let commit = self.sha.filter(|sha| is_hex(sha, 40)).ok_or_else(|| {
            HubError::Lasting("The hub names no commit of this revision. Check `--endpoint`.".to_owned())
        })?;
        let files = self.siblings.into_iter().map(Sibling::check).collect::<Result<Vec<_>, _>>()?;
        Ok(ModelInfo { commit, files, card })
    }

    fn card(&self) -> Card {
        let field = |name: &str| self.card_data.as_ref().and_then(|card| first_text(card.get(name)?));
        let tag = || self.tags.iter().find_map(|tag| Some(plain(tag.strip_prefix("license:")?)));
        Card {
            license: field("license").or_else(tag),
            license_name: field("license_name"),
            license_link: field("license_link"),
        }
    }
}

impl Sibling {
    fn check(self) -> Result<RemoteFile, HubError> {
        let path = self.rfilename;
        if !is_inside(&path) {
            return Err(HubError::Lasting(format!(
                "The repository names a file `{}`, which does not lie in its folder. Nothing was downloaded; do not \
                 trust this repository.",
                plain(&path)
            )));
        }
        let (size, expected) = match (self.lfs, self.blob_id) {
            (Some(lfs), _) if is_hex(&lfs.sha256, 64) => (lfs.size.or(self.size), Expected::Sha256(lfs.sha256)),
            (None, Some(blob)) if is_hex(&blob, 40) => (self.size, Expected::GitBlob(blob)),
            _ => return Err(unchecked(&path)),
        };
        Ok(RemoteFile { size: size.ok_or_else(|| unchecked(&path))?, path, expected })
    }
}

fn unchecked(path: &str) -> HubError {
    HubError::Lasting(format!(
        "The hub says no size or no hash of `{path}`, so that a download could not be checked. Check `--endpoint`."
    ))
}

/// Whether a path stays in the folder that it is joined to, on every system.
pub fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

/// A text, or the first of several.
fn first_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Array(values) => values.first()?.as_str()?,
        value => value.as_str()?,
    };
    Some(plain(text.trim())).filter(|text| !text.is_empty())
}

/// What may be shown on a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(answer: Value) -> Result<ModelInfo, String> {
        serde_json::from_value::<Answer>(answer).unwrap().check().map_err(|error| error.to_string())
    }

    #[test]
    fn files_come_with_size_and_hash_or_are_refused() {
        let (sha1, sha256) = ("a".repeat(40), "b".repeat(64));
        let info = check(json!({ "sha": sha1, "gated": "auto", "siblings": [
            { "rfilename": "unet/config.json", "size": 5, "blobId": sha1 },
            { "rfilename": "unet/model.safetensors", "size": 9, "blobId": sha1,
              "lfs": { "sha256": sha256, "size": 9, "pointerSize": 130 } },
        ] }))
        .unwrap();
        assert_eq!(info.files[0].expected, Expected::GitBlob(sha1.clone()));
        assert_eq!(info.files[1].expected, Expected::Sha256(sha256));
        for (sibling, reason) in [
            (json!({ "rfilename": "config.json", "size": 5 }), "no hash"),
            (json!({ "rfilename": "config.json", "blobId": sha1 }), "no size"),
            (json!({ "rfilename": "x", "size": 1, "lfs": { "sha256": "../x" } }), "no hash"),
            (json!({ "rfilename": "../x", "size": 1, "blobId": sha1 }), "not lie in its folder"),
        ] {
            let sentence = check(json!({ "sha": sha1, "siblings": [sibling] })).unwrap_err();
            assert!(sentence.contains(reason), "{sentence}");
        }
        assert!(check(json!({ "sha": "../..", "siblings": [] })).unwrap_err().contains("no commit"));
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["model_index.json", "unet/config.json", "a/b..c/d"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/passwd", "..", "a/../b", "./a", "a\\b", "..\\a", "a/\u{7}", "a\n"] {
            assert!(!is_inside(path), "{path:?}");
        }
    }

    #[test]
    fn the_licence_stands_in_the_card_or_in_a_tag() {
        let sha = "a".repeat(40);
        let card = |answer| check(answer).unwrap().card;
        assert_eq!(card(json!({ "sha": sha, "tags": ["x", "license:mit"] })).license.as_deref(), Some("mit"));
        let other = card(json!({ "sha": sha, "tags": ["license:mit"], "cardData": {
            "license": ["other"], "license_name": "flux-\u{1b}dev", "license_link": "LICENSE.md" } }));
        assert_eq!(other.license.as_deref(), Some("other"));
        assert_eq!(other.license_name.as_deref(), Some("flux-dev"));
        assert_eq!(other.license_link.as_deref(), Some("LICENSE.md"));
        assert_eq!(card(json!({ "sha": sha })), Card::default());
    }
}
