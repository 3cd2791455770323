//! What others may do with a LoRA's weights and with pictures made with it: four switches, which well-known licences set by
//! themselves and which its maker sets for every other one. A licence that only stands in a file's metadata is nobody's choice.

use atelier_entities::lora;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Invalid;

/// What may be earned money with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommercialUse {
    /// Nothing.
    None,
    /// Pictures made with the LoRA.
    Pictures,
    /// Those, and the LoRA itself: sold, or offered as a service.
    Any,
}

/// The switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What may be earned money with.
    pub commercial_use: CommercialUse,
    /// Who uses it has to name its maker.
    pub requires_credit: bool,
    /// It may be merged, trained further and passed on changed.
    pub allows_derivatives: bool,
    /// What is made of it may be passed on under the same terms only.
    pub requires_same_terms: bool,
}

/// Well-known licences, in lower case, with commercial use, credit, derivatives and same terms.
const KNOWN: [(&str, CommercialUse, [bool; 3]); 14] = {
    use CommercialUse::{Any, None};
    [
        ("cc0-1.0", Any, [false, true, false]),
        ("unlicense", Any, [false, true, false]),
        ("apache-2.0", Any, [true, true, false]),
        ("mit", Any, [true, true, false]),
        ("bsd-3-clause", Any, [true, true, false]),
        ("cc-by-4.0", Any, [true, true, false]),
        ("cc-by-sa-4.0", Any, [true, true, true]),
        ("cc-by-nd-4.0", Any, [true, false, false]),
        ("cc-by-nc-4.0", None, [true, true, false]),
        ("cc-by-nc-sa-4.0", None, [true, true, true]),
        ("cc-by-nc-nd-4.0", None, [true, false, false]),
        // What these forbid has to be forbidden by what is made of it.
        ("openrail", Any, [false, true, true]),
        ("openrail++-m", Any, [false, true, true]),
        ("creativeml-openrail-m", Any, [false, true, true]),
    ]
};

impl Terms {
    /// What a well-known licence says; nothing for any other.
    pub fn of_license(license: &str) -> Option<Self> {
        let license = license.trim().to_lowercase();
        let (_, commercial_use, [requires_credit, allows_derivatives, requires_same_terms]) =
            *KNOWN.iter().find(|(name, ..)| *name == license)?;
        Some(Self { commercial_use, requires_credit, allows_derivatives, requires_same_terms })
    }

    /// What was chosen for a LoRA; nothing until somebody has.
    pub fn of(lora: &lora::Model) -> Option<Self> {
        serde_json::from_value(lora.terms.clone()?).ok()
    }

    pub(super) fn kept(self) -> serde_json::Value {
        json!(self)
    }
}

/// What somebody says about licence and terms, each perhaps: the terms that hold from then on. Nothing, where a licence was
/// named that is not well known, and no terms were: then nobody has chosen yet.
///
/// # Errors
/// [`Invalid`] with `TERMS_DIFFER` for terms that are not those of the well-known licence that is named.
pub(super) fn choose(license: &str, said: Option<Terms>) -> Result<Option<Terms>, Invalid> {
    let known = Terms::of_license(license);
    match (known, said) {
        (Some(known), Some(said)) if known != said => {
            let message = format!(
                "`{license}` says something else than these terms. Leave the terms out, or name a licence of your own."
            );
            Err(Invalid::new("terms", "TERMS_DIFFER", message))
        }
        _ => Ok(said.or(known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_known_licence_says_its_terms_and_no_other_does() {
        let terms = Terms::of_license(" CC-BY-NC-SA-4.0 ").expect("it is well known");
        assert_eq!((terms.commercial_use, terms.requires_credit), (CommercialUse::None, true));
        assert!(terms.allows_derivatives && terms.requires_same_terms);
        assert_eq!(choose("CC0-1.0", None).expect("chosen"), Terms::of_license("cc0-1.0"));
        assert_eq!(choose("House rules", None).expect("not yet"), None);
        assert_eq!(choose("House rules", Some(terms)).expect("chosen"), Some(terms));
        assert_eq!(choose("MIT", Some(terms)).expect_err("it says otherwise").code, "TERMS_DIFFER");
        assert_eq!(choose("MIT", Terms::of_license("MIT")).expect("the same"), Terms::of_license("mit"));
    }
}
