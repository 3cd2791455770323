//! Opaque tokens: 256 random bits that are handed out once and kept only as their hash.

use sha2::{Digest, Sha256};

use crate::context::Context;

/// A token, and the hash under which it is stored.
pub(crate) struct Opaque {
    /// What is handed out.
    pub(crate) token: String,
    /// What is kept.
    pub(crate) hash: String,
}

/// A new token.
pub(crate) fn issue(ctx: &Context) -> Opaque {
    let token = ctx.random.token();
    let hash = hash(&token);
    Opaque { token, hash }
}

/// The hash of a token. A plain SHA-256 is enough: nobody guesses 256 random bits.
pub(crate) fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.trim().as_bytes()))
}
