//! Who sends a request: a session, or an address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, header::AUTHORIZATION};

use super::{
    AppState,
    limits::RequestId,
    ports::{AuthenticationError, Session},
    problem::Problem,
};

/// Who sends a request. It lies in the context of every resolver.
#[derive(Clone)]
pub struct Caller {
    /// The session, if somebody is signed in.
    pub session: Option<Session>,
    /// The address it comes from, if known.
    pub address: Option<IpAddr>,
    /// The request's id, as in logs and answers.
    pub request_id: String,
}

impl Caller {
    /// Reads everything but the session from a request.
    pub fn anonymous(headers: &HeaderMap, extensions: &Extensions, forwarded_hops: usize) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let request_id = extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Self { session: None, address: forwarded(headers, forwarded_hops).or(peer), request_id }
    }

    /// The same caller with the session that a token belongs to.
    ///
    /// # Errors
    /// 401 when the token opens nothing, 500 when it cannot be checked.
    pub async fn signed_in(mut self, app: &AppState, token: Option<&str>) -> Result<Self, Problem> {
        let Some(token) = token else { return Ok(self) };
        match app.authenticator.authenticate(token).await {
            Ok(session) => self.session = Some(session),
            Err(AuthenticationError::Refused(sentence)) => return Err(Problem::unauthenticated(sentence)),
            Err(AuthenticationError::Unexpected(error)) => {
                let request_id = &self.request_id;
                tracing::error!(request_id, error = format!("{error:#}"), "a token could not be checked");
                return Err(Problem::internal(request_id));
            }
        }
        Ok(self)
    }

    /// Under what the caller's points are kept.
    pub fn rate_key(&self) -> String {
        match (&self.session, self.address) {
            (Some(session), _) => format!("session {}", session.key()),
            (None, Some(IpAddr::V4(address))) => format!("address {address}"),
            // Whoever has one address of version 6 has the 2^64 beside it.
            (None, Some(IpAddr::V6(address))) => {
                format!("address {}", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            (None, None) => "address unknown".to_owned(),
        }
    }
}

/// The address that stands so many proxies back; each of them appends the one that it saw.
fn forwarded(headers: &HeaderMap, hops: usize) -> Option<IpAddr> {
    let list = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let list: Vec<&str> = list.flat_map(|value| value.split(',')).map(str::trim).collect();
    let index = list.len().checked_sub(hops)?;
    if hops == 0 { None } else { list.get(index)?.parse::<IpAddr>().ok().map(|address| address.to_canonical()) }
}

/// The bearer token of a request.
///
/// # Errors
/// 401 for another kind of authorization.
pub fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default()).map(bearer_of).transpose()
}

/// The token in `Bearer …`.
///
/// # Errors
/// 401 for anything else.
pub fn bearer_of(value: &str) -> Result<String, Problem> {
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() {
        return Ok(token.trim().to_owned());
    }
    Err(Problem::unauthenticated("This kind of authorization is not known here. Send `Authorization: Bearer <token>`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_that_are_known_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", http::HeaderValue::from_static("6.6.6.6, 192.0.2.7, 10.0.0.2"));
        assert_eq!(forwarded(&headers, 0), None);
        assert_eq!(forwarded(&headers, 1), Some([10, 0, 0, 2].into()));
        assert_eq!(forwarded(&headers, 2), Some([192, 0, 2, 7].into()));
        assert_eq!(forwarded(&headers, 4), None);
    }
}
