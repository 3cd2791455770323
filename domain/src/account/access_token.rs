//! Access tokens: JWTs of ten minutes, signed with HMAC-SHA-256 and nothing else.

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::context::Context;

/// How long a token is good.
pub const LIFE: TimeDelta = TimeDelta::minutes(10);

/// For whom tokens are.
const AUDIENCE: &str = "atelier-api";

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Who made it: the installation's public address.
    pub(super) iss: String,
    /// For whom.
    pub(super) aud: String,
    /// The user.
    pub(super) sub: Uuid,
    /// The session: the family of refresh tokens.
    pub(super) sid: Uuid,
    /// Not before, in seconds since 1970.
    pub(super) nbf: i64,
    /// When it was made.
    pub(super) iat: i64,
    /// Not from then on.
    pub(super) exp: i64,
}

/// Makes a token for a session. Returns it with the time from which it is worthless.
///
/// # Errors
/// When it cannot be signed.
pub(super) fn issue(ctx: &Context, user: Uuid, session: Uuid) -> anyhow::Result<(String, DateTime<Utc>)> {
    let now = ctx.now().timestamp();
    let claims = Claims {
        iss: ctx.settings.public_url.clone(),
        aud: AUDIENCE.to_owned(),
        sub: user,
        sid: session,
        nbf: now,
        iat: now,
        exp: now + LIFE.num_seconds(),
    };
    let expires_at = DateTime::from_timestamp(claims.exp, 0).context("The clock is out of range.")?;
    let key = EncodingKey::from_secret(&ctx.secrets.tokens);
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key).context("A token could not be signed.")?;
    Ok((token, expires_at))
}

/// Reads a token; none if it is forged, for somebody else, or not good at this time.
pub(super) fn read(ctx: &Context, token: &str) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[&ctx.settings.public_url]);
    // The crate asks the machine for the time; the house has a clock of its own, and asks it below.
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(&ctx.secrets.tokens);
    let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
    let now = ctx.now().timestamp();
    (claims.nbf <= now && now < claims.exp).then_some(claims)
}
