//! The name of a repository on the hub.

use std::{fmt, str::FromStr};

/// A repository: whose it is, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// A person or an organisation.
    pub owner: String,
    /// Its name among the owner's.
    pub name: String,
}

impl Repository {
    /// Its folder among the models. The hub has no two dashes in a name, so that no two repositories share one.
    pub fn folder(&self) -> String {
        format!("{}--{}", self.owner, self.name)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for Repository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err("write it as on its page, such as `black-forest-labs/FLUX.2-klein-4B`".into()),
        }
    }
}

/// The hub's own rule: it also keeps a name from leading out of a folder.
fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=96).contains(&text.len())
        && text.bytes().all(fits)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
        && !text.contains("--")
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_no_name_leads_elsewhere() {
        let repository: Repository = "black-forest-labs/FLUX.2-klein-4B".parse().unwrap();
        assert_eq!(repository.to_string(), "black-forest-labs/FLUX.2-klein-4B");
        assert_eq!(repository.folder(), "black-forest-labs--FLUX.2-klein-4B");
        for text in ["", "x", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", "a b/c", "a--b/c", "a\\b/c", "a/b\n"] {
            assert!(text.parse::<Repository>().is_err(), "{text:?}");
        }
    }
}
