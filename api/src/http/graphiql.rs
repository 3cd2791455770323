//! GraphiQL, outside production: a page to try the API with. Everything it needs comes from here; it works without a
//! network.

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

/// Scripts and the API from this server alone; styles that the editor writes into the page; fonts inside the style
/// sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type and content of each part.
const PARTS: [(&str, &str, &str); 6] = [
    ("/graphiql", "text/html; charset=utf-8", include_str!("../../assets/graphiql/index.html")),
    ("/graphiql/page.js", JAVASCRIPT, include_str!("../../assets/graphiql/page.js")),
    ("/graphiql/graphiql.min.js", JAVASCRIPT, include_str!("../../assets/graphiql/graphiql.min.js")),
    ("/graphiql/graphiql.min.css", "text/css; charset=utf-8", include_str!("../../assets/graphiql/graphiql.min.css")),
    ("/graphiql/react.production.min.js", JAVASCRIPT, include_str!("../../assets/graphiql/react.production.min.js")),
    (
        "/graphiql/react-dom.production.min.js",
        JAVASCRIPT,
        include_str!("../../assets/graphiql/react-dom.production.min.js"),
    ),
];

/// Adds the page and its parts.
pub fn routes(router: Router<Edge>) -> Router<Edge> {
    PARTS.into_iter().fold(router, |router, (path, media_type, content)| {
        router.route(path, get(move || async move { part(media_type, content) }))
    })
}

fn part(media_type: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, &'static str); 3] =
        [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    (headers, content).into_response()
}
