//! What base models may be called.

use crate::{error::Invalid, text};

/// The longest name, in characters.
const LONGEST: usize = 60;

/// Checks a name of a base model: lower-case letters, digits, dots, dashes and underscores, of which the first is a letter or a digit.
/// Names stand on command lines, and a checkpoint that is made a folder gets one of that name: so a name is no path.
///
/// # Errors
/// [`Invalid`] with `INVALID_NAME`, or as [`text::check`] says of its length.
pub fn check_name(name: &str) -> Result<String, Invalid> {
    let name = text::check("name", name, 1, LONGEST)?;
    let is_plain = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    if name.bytes().all(|sign| is_plain(sign) || b".-_".contains(&sign)) && name.bytes().next().is_some_and(is_plain) {
        return Ok(name);
    }
    let message = format!(
        "`{name}` is no name of a base model. Give one of lower-case letters, digits, dots, dashes and underscores that begins with a \
         letter or a digit, such as `flux.2-klein-4b`."
    );
    Err(Invalid::new("name", "INVALID_NAME", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_and_no_path() {
        for name in ["starter", "flux.2-klein-4b", "sd_xl_base_1.0", " klein ", "7"] {
            assert_eq!(check_name(name), Ok(name.trim().to_owned()));
        }
        for name in ["", "..", ".", "../x", "a/b", "a\\b", "-x", ".hidden", "Klein", "a b", "größe", &"x".repeat(61)]
        {
            assert!(check_name(name).is_err(), "`{name}` is taken");
        }
    }
}
