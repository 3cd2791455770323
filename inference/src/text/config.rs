//! What the configurations of text encoders have in common.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, Result};

/// The refusal of a text encoder's configuration: `what` is the setting and what is wrong with it.
pub(super) fn refuse(what: String) -> Result<()> {
    Err(Error::Config(format!("The text encoder's {what}.")))
}

/// Refuses the first stated key that is not among the known ones.
pub(super) fn check_keys(rest: &BTreeMap<String, Value>, known: &[&str]) -> Result<()> {
    match rest.iter().find(|(key, value)| !known.contains(&key.as_str()) && !value.is_null()) {
        Some((key, _)) => refuse(format!("`{key}` is not understood; it may change the result")),
        None => Ok(()),
    }
}

/// Refuses other activations of a decoder than SiLU.
pub(super) fn check_activation(name: &str) -> Result<()> {
    if name == silu() {
        return Ok(());
    }
    refuse(format!("`hidden_act` is `{name}`, which is not supported; `silu` is"))
}

/// Refuses layers of a decoder whose attention does not reach all tokens before.
pub(super) fn check_layer_types(types: Option<&[String]>) -> Result<()> {
    match types.unwrap_or_default().iter().find(|kind| *kind != "full_attention") {
        Some(kind) => refuse(format!("`layer_types` holds `{kind}`, which is not supported; `full_attention` is")),
        None => Ok(()),
    }
}

/// The activation of decoders that do not name one.
pub(super) fn silu() -> String {
    "silu".to_owned()
}
