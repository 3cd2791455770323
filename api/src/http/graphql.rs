//! GraphQL over HTTP: one operation by GET or POST, as the specification of that name has it.

use std::time::Instant;

use async_graphql::parser::types::OperationType;
use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts as _, Request, State, WebSocketUpgrade},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE, VARY},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{
    admission::{Admitted, admit},
    caller::{Caller, bearer},
    negotiation::{Accepted, MediaType, accepted, check_content},
    parameters::Parameters,
    problem::Problem,
    router::Edge,
    sse, websocket,
};
use crate::graphql::{
    error::Code,
    executor::{Answer, Outcome},
};

const METHODS: &str = "GET, POST, OPTIONS";

/// Answers `/graphql`, whatever comes.
pub async fn endpoint(State(edge): State<Edge>, request: Request) -> Response {
    let outcome = match *request.method() {
        Method::GET if is_websocket(&request) => upgrade(edge, request).await,
        Method::GET | Method::POST => operation(edge, request).await,
        Method::OPTIONS => Ok((StatusCode::NO_CONTENT, [(ALLOW, METHODS)]).into_response()),
        _ => Err(Problem::method(METHODS, "GraphQL is asked by POST, queries also by GET.")),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

fn is_websocket(request: &Request) -> bool {
    request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

async fn upgrade(edge: Edge, request: Request) -> Result<Response, Problem> {
    let caller = Caller::anonymous(request.headers(), request.extensions(), edge.app.settings.forwarded_hops);
    let token = bearer(request.headers())?;
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Problem::bad_request(format!("This is no WebSocket handshake: {rejection}.")))?;
    websocket::accept(edge, upgrade, caller, token)
}

async fn operation(edge: Edge, request: Request) -> Result<Response, Problem> {
    let Some(accepted) = accepted(request.headers()) else {
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::BadRequest,
            "Accept `application/graphql-response+json` or `application/json`, or `text/event-stream` for a stream.",
        ));
    };
    let media = accepted.single.unwrap_or_default();
    answer(edge, request, accepted).await.map_err(|problem| problem.written_as(media))
}

async fn answer(edge: Edge, request: Request, accepted: Accepted) -> Result<Response, Problem> {
    let media = accepted.single.unwrap_or_default();
    let is_get = request.method() == Method::GET;
    let caller = Caller::anonymous(request.headers(), request.extensions(), edge.app.settings.forwarded_hops);
    let token = bearer(request.headers())?;
    let parameters = if is_get {
        Parameters::from_query(request.uri().query().unwrap_or_default())
    } else {
        check_content(request.headers())
            .map_err(|sentence| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::BadRequest, sentence))?;
        Parameters::from_body(&body(&edge, request).await?)
    };
    let parameters = parameters.map_err(Problem::bad_request)?;
    let caller = caller.signed_in(&edge.app, token.as_deref()).await?;
    let admitted = admit(&edge, &caller, parameters, media, |operation| permit(operation, is_get, accepted));
    if accepted.single.is_none() || (accepted.event_stream && is_subscription(&admitted)) {
        return sse::respond(&edge, &caller, admitted);
    }
    run(&edge, &caller, admitted?, media).await
}

fn is_subscription(admitted: &Result<Admitted, Problem>) -> bool {
    admitted.as_ref().is_ok_and(|admitted| admitted.operation == OperationType::Subscription)
}

/// Which operations may come how.
fn permit(operation: OperationType, is_get: bool, accepted: Accepted) -> Result<(), Problem> {
    match operation {
        OperationType::Mutation if is_get => {
            Err(Problem::method("POST", "A mutation may not come by GET. Send it by POST."))
        }
        OperationType::Subscription if !accepted.event_stream => Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::BadRequest,
            "A subscription is answered as a stream. Accept `text/event-stream`, or subscribe over a WebSocket with the \
             protocol `graphql-transport-ws`.",
        )),
        _ => Ok(()),
    }
}

/// Reads a body of bounded size in bounded time.
async fn body(edge: &Edge, request: Request) -> Result<Bytes, Problem> {
    let settings = &edge.app.settings;
    let most = settings.body_bytes;
    let too_large = || {
        let sentence =
            format!("The request is larger than {} KB, which is the most. Ask for less at once.", most / 1024);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, sentence)
    };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(settings.body_time, Limited::new(request.into_body(), most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request("The request's body broke off. Send it again.")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::Timeout,
            "The request's body took too long to come. Send it again.",
        )),
    }
}

/// Runs a query or mutation.
async fn run(edge: &Edge, caller: &Caller, admitted: Admitted, media: MediaType) -> Result<Response, Problem> {
    let time = edge.app.settings.execution_time;
    let begun = Instant::now();
    let running = edge.app.schema.execute(admitted.request, &caller.request_id);
    let outcome = tokio::time::timeout(time, running).await;
    metrics::histogram!("atelier_graphql_seconds").record(begun.elapsed().as_secs_f64());
    let mut answer = outcome.map_err(|_| {
        tracing::warn!(request_id = caller.request_id, "an operation ran out of time");
        let sentence = format!("The operation took longer than {} s. Ask for less at once.", time.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, Code::Timeout, sentence)
    })?;
    answer.response.extensions.insert("cost".to_owned(), admitted.cost);
    Ok(write(&answer, media))
}

fn write(answer: &Answer, media: MediaType) -> Response {
    let status = match (answer.outcome, media) {
        (Outcome::Executed, _) | (Outcome::Refused, MediaType::Json) => StatusCode::OK,
        (Outcome::Refused, MediaType::GraphqlResponse) => StatusCode::BAD_REQUEST,
        (Outcome::Broken, _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let headers = [
        (CONTENT_TYPE, media.content_type()),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("accept, authorization")),
    ];
    (status, headers, Body::from(answer.to_json().to_string())).into_response()
}
