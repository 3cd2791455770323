//! What may be done with the weights.

use url::Url;

use super::{model_info::ModelInfo, repository::Repository};

/// Short names of licences that allow every use. The hub's names:
/// <https://huggingface.co/docs/hub/repositories-licenses>.
const PERMISSIVE: &[&str] = &[
    "0bsd",
    "apache-2.0",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc0-1.0",
    "isc",
    "mit",
    "unlicense",
    "zlib",
];

/// Characters that are kept with a base model.
const LONGEST: usize = 200;

/// The licence of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Its name.
    pub name: String,
    /// Where it can be read.
    pub link: String,
    /// Whether it is known to allow every use.
    pub is_permissive: bool,
}

impl License {
    /// What a repository's card says.
    pub fn of(info: &ModelInfo, repository: &Repository, endpoint: &Url) -> Self {
        let card = &info.card;
        let short = card.license.as_deref().map(str::to_lowercase);
        let is_permissive = short.as_deref().is_some_and(|short| PERMISSIVE.contains(&short));
        // `other` names nothing; the card then has a name beside it.
        let named = short.as_deref().filter(|short| *short != "other" && *short != "unknown");
        let name = named.or(card.license_name.as_deref()).unwrap_or("not named").to_owned();
        let page = format!("{}/{repository}", endpoint.as_str().trim_end_matches('/'));
        let link = match card.license_link.as_deref() {
            Some(link) if link.starts_with("https://") || link.starts_with("http://") => link.to_owned(),
            Some(file) if !file.contains(':') => {
                format!("{page}/blob/{}/{}", info.commit, file.trim_start_matches("./").trim_start_matches('/'))
            }
            _ => page,
        };
        Self { name, link, is_permissive }
    }

    /// What is shown before a download.
    pub fn sentence(&self, repository: &Repository) -> String {
        if self.is_permissive {
            return format!("{repository} has the licence {}: {}", self.name, self.link);
        }
        let lower = self.name.to_lowercase();
        let terms = if lower.contains("non-commercial") || lower.contains("noncommercial") || lower.contains("-nc") {
            "By its name it forbids commercial use"
        } else {
            "It may forbid commercial use, or other uses"
        };
        format!("{repository} has the licence {}. {terms}: read it at {}", self.name, self.link)
    }

    /// What is kept with the base model and shown wherever it is offered.
    pub fn kept(&self) -> String {
        let with_link = format!("{} ({})", self.name, self.link);
        if self.is_permissive || with_link.chars().count() > LONGEST {
            return self.name.chars().take(LONGEST).collect();
        }
        with_link
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::model_info::Card;

    fn license(license: Option<&str>, name: Option<&str>, link: Option<&str>) -> License {
        let card = Card {
            license: license.map(str::to_owned),
            license_name: name.map(str::to_owned),
            license_link: link.map(str::to_owned),
        };
        let info = ModelInfo { commit: "c0ffee".into(), files: Vec::new(), card };
        let endpoint = Url::parse("https://hub.example").unwrap();
        License::of(&info, &"ada/fox".parse().unwrap(), &endpoint)
    }

    #[test]
    fn what_is_known_to_be_permissive_needs_no_consent() {
        assert!(license(Some("Apache-2.0"), None, None).is_permissive);
        assert_eq!(license(Some("mit"), None, None).kept(), "mit");
        for (short, name) in
            [(Some("openrail++"), None), (Some("other"), Some("flux-dev-non-commercial-license")), (None, None)]
        {
            assert!(!license(short, name, None).is_permissive, "{short:?}");
        }
    }

    #[test]
    fn the_name_and_the_link_are_said() {
        let repository = "ada/fox".parse().unwrap();
        let dev = license(Some("other"), Some("flux-dev-non-commercial-license"), Some("LICENSE.md"));
        assert_eq!(dev.link, "https://hub.example/ada/fox/blob/c0ffee/LICENSE.md");
        assert!(dev.sentence(&repository).contains("forbids commercial use"));
        assert!(dev.kept().starts_with("flux-dev-non-commercial-license (https://"));
        let open = license(Some("openrail++"), None, None);
        assert!(open.sentence(&repository).contains("may forbid commercial use"));
        let unnamed = license(None, None, Some("javascript:alert(1)"));
        assert_eq!((unnamed.name.as_str(), unnamed.link.as_str()), ("not named", "https://hub.example/ada/fox"));
        let long = license(Some("other"), Some(&"x".repeat(300)), None);
        assert_eq!(long.kept().chars().count(), LONGEST);
    }
}
