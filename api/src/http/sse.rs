//! Operations as an event stream: the distinct connections mode of `graphql-sse`. Each answer is a `next` event, the
//! last event is `complete`; a document that is refused is one `next` with its errors, because an `EventSource` shows
//! nothing of a refused request.

use std::convert::Infallible;

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{StreamExt as _, future, stream};
use http::{HeaderName, HeaderValue, StatusCode};

use super::{admission::Admitted, caller::Caller, problem::Problem, router::Edge};
use crate::graphql::error::Code;

/// Tells proxies not to hold events back.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with a stream.
///
/// # Errors
/// What is refused for reasons other than the document: no points left, too many streams.
pub fn respond(edge: &Edge, caller: &Caller, admitted: Result<Admitted, Problem>) -> Result<Response, Problem> {
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(problem) if problem.status.is_success() || problem.status == StatusCode::BAD_REQUEST => {
            let refusal = serde_json::json!({ "errors": [problem.entry] });
            return Ok(write(edge, stream::iter([next(&refusal), complete()])));
        }
        Err(problem) => return Err(problem),
    };
    let Ok(place) = edge.streams.clone().try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::RateLimited,
            "As many streams are open as this server takes. Try again later.",
        ));
    };
    let mut cost = Some(admitted.cost);
    let answers = edge.app.schema.stream(admitted.request, admitted.operation, caller.request_id.clone());
    let events = answers
        .map(move |mut answer| {
            let _held = &place;
            if let Some(cost) = cost.take() {
                answer.response.extensions.insert("cost".to_owned(), cost);
            }
            next(&answer.to_json())
        })
        .chain(stream::once(future::ready(complete())));
    // When the token expires or the service goes down the stream breaks off without `complete`: clients come back.
    let life = caller.session.as_ref().and_then(super::ports::Session::life);
    let shutdown = edge.app.lifetime.shutdown.clone();
    let end = async move {
        match life {
            Some(life) => drop(tokio::time::timeout(life, shutdown.cancelled()).await),
            None => shutdown.cancelled().await,
        }
    };
    Ok(write(edge, events.take_until(Box::pin(end))))
}

fn write(edge: &Edge, events: impl stream::Stream<Item = Event> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    let alive = KeepAlive::new().interval(edge.app.settings.heartbeat);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    response.headers_mut().insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

fn next(answer: &serde_json::Value) -> Event {
    Event::default().event("next").data(answer.to_string())
}

fn complete() -> Event {
    // Without a data line a browser's `EventSource` would not report the event.
    Event::default().event("complete").data("")
}
