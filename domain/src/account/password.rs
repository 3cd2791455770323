//! Passwords: argon2id, off the async threads and only a few at once, for each takes 19 MiB and two passes.

use anyhow::{Context as _, anyhow};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use crate::{context::Context, error::Invalid};

/// Characters of the shortest password.
pub const SHORTEST: usize = 10;

/// Characters of the longest password: what is longer would be work for nothing.
pub const LONGEST: usize = 200;

/// Checks a new password. It is kept as it is: spaces at its ends count.
///
/// # Errors
/// [`Invalid`] with `TOO_SHORT`, `TOO_LONG` or `TOO_EASY`.
pub(super) fn check(field: &'static str, password: &str, email: &str) -> Result<(), Invalid> {
    let length = password.chars().count();
    if length < SHORTEST {
        let message = format!("A password has at least {SHORTEST} characters; this one has {length}. Add some words.");
        return Err(Invalid::new(field, "TOO_SHORT", message));
    }
    check_length(field, password)?;
    let first = password.chars().next();
    if password.chars().all(|character| Some(character) == first) || password.to_lowercase() == email {
        let message =
            "This password is the first that anybody would try. Take several words that do not belong together.";
        return Err(Invalid::new(field, "TOO_EASY", message));
    }
    Ok(())
}

/// Checks that a password is not too long to be one.
///
/// # Errors
/// [`Invalid`] with `TOO_LONG`.
pub(super) fn check_length(field: &'static str, password: &str) -> Result<(), Invalid> {
    if password.chars().count() > LONGEST {
        let message = format!("A password has at most {LONGEST} characters. Shorten it.");
        return Err(Invalid::new(field, "TOO_LONG", message));
    }
    Ok(())
}

/// Hashes a new password, in PHC string form.
///
/// # Errors
/// When the machine has no memory or no threads left.
pub(crate) async fn hash(ctx: &Context, password: &str) -> anyhow::Result<String> {
    let mut salt = [0; 16];
    ctx.random.fill(&mut salt);
    work(ctx, password, move |password| Ok(digest(password, &salt)?.to_string())).await
}

/// Whether a password is the one that was hashed. Without a hash it is not, and finding that out takes the same work.
///
/// # Errors
/// As [`hash`].
pub(super) async fn matches(ctx: &Context, password: &str, hash: Option<&str>) -> anyhow::Result<bool> {
    let hash = hash.filter(|hash| !hash.is_empty()).map(str::to_owned);
    work(ctx, password, move |password| match hash {
        Some(hash) => verify(password, &hash),
        None => digest(password, b"nobody has this.").map(|_| false),
    })
    .await
}

fn digest(password: &str, salt: &[u8]) -> anyhow::Result<PasswordHash> {
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt);
    hash.map_err(|error| anyhow!("A password could not be hashed: {error}."))
}

fn verify(password: &str, hash: &str) -> anyhow::Result<bool> {
    let hash = PasswordHash::new(hash).map_err(|error| anyhow!("A stored password hash cannot be read: {error}."))?;
    match Argon2::default().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(anyhow!("A password could not be verified: {error}.")),
    }
}

async fn work<T: Send + 'static>(
    ctx: &Context,
    password: &str,
    task: impl FnOnce(&str) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let _slot = ctx.password_slots.acquire().await.context("The password slots are closed.")?;
    let password = password.to_owned();
    tokio::task::spawn_blocking(move || task(&password)).await.context("A password could not be worked on.")?
}
