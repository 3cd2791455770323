//! What every engine does with words: takes texts and queries apart, knows words that mean the same, marks what was
//! found.

pub(crate) mod analysis;
pub(crate) mod highlight;
pub(crate) mod reading;
pub(crate) mod suggestion;
pub(crate) mod synonyms;

/// Bytes of a whole name, tag or licence that are compared.
const LONGEST_VALUE: usize = 512;

/// A tag or licence as it is compared: lower case, without spaces around it.
pub(crate) fn whole_value(value: &str) -> String {
    cut(&value.trim().to_lowercase()).to_owned()
}

/// The first bytes of a value.
pub(crate) fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(LONGEST_VALUE)]
}
