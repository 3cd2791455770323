//! The page behind the link in a mail that ends such mails: `GET` shows a button, `POST` does it. Nothing ends by looking
//! at the page, for some mail programs look at every link. Mail programs that know RFC 8058 send the `POST` themselves.

use axum::{
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
};

use super::{
    limits::RequestId,
    ports::{LinkQuery, TransferError},
    problem::Problem,
    router::Edge,
};

const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// The style that stands in the page, and its form, which leads back here.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const PAGE: &str = include_str!("../../assets/doors/unsubscribe.html");

/// Answers `/unsubscribe?…`.
pub async fn endpoint(State(edge): State<Edge>, Query(link): Query<LinkQuery>, request: Request) -> Response {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let outcome = match *request.method() {
        Method::GET | Method::HEAD => edge.app.mail_endings.look(&link).await.map(|what| ask(&what)),
        Method::POST => edge.app.mail_endings.end(&link).await.map(|what| say(&what)),
        Method::OPTIONS => return (StatusCode::NO_CONTENT, [(ALLOW, METHODS)]).into_response(),
        _ => return Problem::method(METHODS, "GET shows what would end, POST ends it.").into_response(),
    };
    match outcome {
        Ok(page) => page,
        Err(TransferError::NotFound(_)) => {
            let sentence = "This link ends nothing: a part of it is missing. Copy all of it from the mail.";
            (StatusCode::NOT_FOUND, page("That did not work", sentence, "")).into_response()
        }
        Err(error) => Problem::transfer(error, &request_id).into_response(),
    }
}

fn ask(what: &str) -> Response {
    // Without an action a form leads to the address that it stands at, signature and all.
    let form = "<form method=\"post\"><button>Send me no more of them</button></form>";
    page("No more mails?", &format!("You get {what} from Atelier."), form)
}

fn say(what: &str) -> Response {
    let sentence = format!("You get no more {what}. `updateNotificationPreferences` brings them back.");
    page("Done", &sentence, "")
}

fn page(title: &str, sentence: &str, form: &str) -> Response {
    let page = PAGE.replace("{title}", title).replace("{sentence}", &escape(sentence)).replace("{form}", form);
    let headers: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
