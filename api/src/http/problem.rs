//! A request that is turned away: a status, a code and a sentence, in the shape of a GraphQL error on every route.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use super::{negotiation::MediaType, ports::TransferError};
use crate::graphql::{
    error::{self, Code},
    guard::Rejected,
};

/// A request that is turned away.
#[derive(Clone, Debug)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// The entry of `errors[]`.
    pub entry: serde_json::Value,
    /// In what form it is written.
    pub media: MediaType,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A status with a code and a sentence.
    pub fn new(status: StatusCode, code: Code, message: impl AsRef<str>) -> Self {
        Self { status, entry: error::entry(code, message.as_ref()), media: MediaType::Json, headers: Vec::new() }
    }

    /// 400.
    pub fn bad_request(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    /// 405 with the methods that are allowed.
    pub fn method(allowed: &'static str, message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::BadRequest, message)
            .header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// 401.
    pub fn unauthenticated(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 429: come back in so many seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            Code::RateLimited,
            format!("Too much was asked in too short a time. Ask again in {seconds} s."),
        );
        problem.entry["extensions"]["retryAfter"] = seconds.into();
        problem.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500, for what was logged under the request's id.
    pub fn internal(request_id: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, error::internal_sentence(request_id))
    }

    /// A document that the guard turned away.
    pub fn rejected(rejected: &Rejected, media: MediaType) -> Self {
        let status = match (rejected.code, media) {
            (_, MediaType::Json) if rejected.is_document_error => StatusCode::OK,
            (Code::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (Code::Forbidden, _) => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, entry: rejected.to_json(), media, headers: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Chooses the form of the answer.
    #[must_use]
    pub fn written_as(mut self, media: MediaType) -> Self {
        self.media = media;
        self
    }

    /// A file that does not move. What nobody expected is logged here.
    pub fn transfer(error: TransferError, request_id: &str) -> Self {
        match error {
            TransferError::NotFound(message) => Self::new(StatusCode::NOT_FOUND, Code::NotFound, message),
            TransferError::Conflict { message, received } => {
                let problem = Self::new(StatusCode::CONFLICT, Code::Conflict, message);
                match received {
                    Some(received) => problem.header(super::uploads::UPLOAD_OFFSET, HeaderValue::from(received)),
                    None => problem,
                }
            }
            TransferError::TooLarge(message) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, message),
            TransferError::Invalid(message) => Self::bad_request(message),
            TransferError::Full(message) => Self::new(StatusCode::INSUFFICIENT_STORAGE, Code::Internal, message),
            TransferError::Unexpected(error) => {
                tracing::error!(request_id, error = format!("{error:#}"), "a file could not be moved");
                Self::internal(request_id)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [self.entry] }).to_string();
        let mut response = (self.status, [(CONTENT_TYPE, self.media.content_type())], body).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
