//! Files in: resumable PUT to a link that a mutation gave out.
//!
//! * `HEAD /uploads/{id}?…` answers with `Upload-Offset` and `Upload-Length`.
//! * `PUT` or `PATCH /uploads/{id}?…` sends the bytes from `Upload-Offset: n` or `Content-Range: bytes n-m/size` on
//!   (from the beginning without either). What has come before a break is kept: ask by `HEAD`, then go on there.
//!
//! Bytes go straight to the sink, piece by piece.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_RANGE},
};
use serde_json::json;
use tokio::sync::Mutex;

use super::{
    limits::RequestId,
    ports::{LinkQuery, Pieces, TransferError, UploadProgress},
    problem::Problem,
    router::Edge,
};

/// How many bytes are here.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// How many bytes were announced.
pub const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

const METHODS: &str = "HEAD, PUT, PATCH, OPTIONS";

/// How many bytes of a refused upload are taken in and forgotten, and for how long.
const HEARD_OUT: usize = 64 << 20;
const HEARD_OUT_FOR: Duration = Duration::from_secs(5);

/// Answers `/uploads/{id}`.
pub async fn endpoint(
    State(edge): State<Edge>,
    Path(id): Path<String>,
    Query(link): Query<LinkQuery>,
    request: Request,
) -> Response {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let outcome = match *request.method() {
        Method::HEAD => edge.app.uploads.progress(&id, &link).await.map(show),
        Method::PUT | Method::PATCH => receive(&edge, id, link, request).await.map(show),
        Method::OPTIONS => Ok((StatusCode::NO_CONTENT, [(ALLOW, METHODS)]).into_response()),
        _ => {
            return Problem::method(METHODS, "A file is sent by PUT; HEAD tells how much of it is here.")
                .into_response();
        }
    };
    outcome.unwrap_or_else(|error| Problem::transfer(error, &request_id).into_response())
}

fn show(progress: UploadProgress) -> Response {
    let UploadProgress { received, size } = progress;
    let headers = [
        (UPLOAD_OFFSET, HeaderValue::from(received)),
        (UPLOAD_LENGTH, HeaderValue::from(size)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Json(json!({ "received": received, "size": size, "complete": received == size }))).into_response()
}

async fn receive(edge: &Edge, id: String, link: LinkQuery, request: Request) -> Result<UploadProgress, TransferError> {
    let offset = match sent_range(request.headers()).map_err(TransferError::Invalid)? {
        Sent::From(offset) => offset,
        Sent::Nothing => return edge.app.uploads.progress(&id, &link).await,
    };
    let body = Arc::new(Mutex::new(pieces(request.into_body(), edge.app.settings.upload_silence)));
    let (sink, pieces) = (edge.app.uploads.clone(), shared(Arc::clone(&body)));
    // In a task of its own: a sender that goes away ends this handler at once, and what has come must still be kept.
    let receiving = tokio::spawn(async move { sink.receive(&id, &link, offset, pieces).await });
    let outcome = receiving.await.map_err(|error| TransferError::Unexpected(error.into()))?;
    if outcome.is_err() {
        hear_out(&body).await;
    }
    if let Ok(progress) = &outcome {
        metrics::counter!("atelier_upload_bytes_total").increment(progress.received.saturating_sub(offset));
    }
    outcome
}

/// The pieces of a body that is looked at again afterwards.
fn shared(body: Arc<Mutex<Pieces>>) -> Pieces {
    stream::unfold(body, |body| async move {
        let piece = body.lock().await.next().await?;
        Some((piece, body))
    })
    .boxed()
}

/// Takes in and forgets what a sender still sends, within limits: most do not read an answer before they have sent
/// everything, and a connection that is closed on unread bytes takes the answer with it.
async fn hear_out(body: &Mutex<Pieces>) {
    let reading = async {
        let mut left = HEARD_OUT;
        while let Some(Ok(piece)) = body.lock().await.next().await {
            let Some(rest) = left.checked_sub(piece.len()) else { return };
            left = rest;
        }
    };
    // Whoever is slower than this does without the answer.
    let _ = tokio::time::timeout(HEARD_OUT_FOR, reading).await;
}

/// What a request sends.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// Bytes from an offset on.
    From(u64),
    /// Nothing: it asks how much is here (`Content-Range: bytes */size`).
    Nothing,
}

fn sent_range(headers: &HeaderMap) -> Result<Sent, String> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let offset = text(&UPLOAD_OFFSET)
        .map(|text| text.parse::<u64>().map_err(|_| "`Upload-Offset` is no number. Send a number of bytes.".to_owned()))
        .transpose()?;
    let Some(range) = text(&CONTENT_RANGE) else {
        return Ok(Sent::From(offset.unwrap_or(0)));
    };
    let wrong = || format!("`Content-Range: {range}` is not understood. Send `bytes <first>-<last>/<size>`.");
    let (bytes, _size) = range.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    if bytes == "*" {
        return Ok(Sent::Nothing);
    }
    let (first, last) = bytes.split_once('-').ok_or_else(wrong)?;
    let (first, last): (u64, u64) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if last < first {
        return Err(wrong());
    }
    if offset.is_some_and(|offset| offset != first) {
        return Err("`Upload-Offset` and `Content-Range` disagree. Send one of them.".into());
    }
    Ok(Sent::From(first))
}

/// A body's pieces; a sender that is silent for too long is given up.
fn pieces(body: Body, silence: Duration) -> Pieces {
    let pieces = tokio_stream::StreamExt::timeout(body.into_data_stream().map_err(io::Error::other), silence);
    let pieces = pieces
        .map(|piece| piece.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the sender fell silent"))));
    // A timeout would repeat itself for ever: the first failure is the last piece.
    let ending = pieces.scan(false, |over, piece| {
        let next = (!*over).then_some(piece);
        *over = next.as_ref().is_some_and(Result::is_err);
        std::future::ready(next)
    });
    ending.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(HeaderName, &'static str)]) -> Result<Sent, String> {
        sent_range(&headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
    }

    #[test]
    fn an_offset_comes_in_either_header_and_may_not_contradict_itself() {
        assert_eq!(read(&[]), Ok(Sent::From(0)));
        assert_eq!(read(&[(UPLOAD_OFFSET, "7")]), Ok(Sent::From(7)));
        assert_eq!(read(&[(CONTENT_RANGE, "bytes 7-9/10")]), Ok(Sent::From(7)));
        assert_eq!(read(&[(CONTENT_RANGE, "bytes */10")]), Ok(Sent::Nothing));
        for wrong in ["bytes 9-7/10", "7-9/10", "bytes 7/10", "bytes -1-3/10"] {
            assert!(read(&[(CONTENT_RANGE, wrong)]).is_err(), "{wrong}");
        }
        assert!(read(&[(UPLOAD_OFFSET, "3"), (CONTENT_RANGE, "bytes 7-9/10")]).is_err());
        assert!(read(&[(UPLOAD_OFFSET, "-3")]).is_err());
    }
}
