//! The pages behind the links in mails: confirm an address, set a password, accept an invitation.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{
    HeaderName,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use super::router::Edge;

/// The paths that links in mails lead to.
const DOORS: [&str; 3] = ["/verify-email", "/reset-password", "/accept-invitation"];

/// The script and the API from this server alone; the style that stands in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const PAGE: &str = include_str!("../../assets/doors/page.html");
const SCRIPT: &str = include_str!("../../assets/doors/page.js");

/// Adds the pages and their script.
pub fn routes(router: Router<Edge>) -> Router<Edge> {
    let router = router.route("/doors/page.js", get(async || part("text/javascript; charset=utf-8", SCRIPT)));
    DOORS
        .into_iter()
        .fold(router, |router, path| router.route(path, get(async || part("text/html; charset=utf-8", PAGE))))
}

fn part(media_type: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, &'static str); 3] =
        [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    (headers, content).into_response()
}
