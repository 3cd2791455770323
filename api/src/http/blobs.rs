//! Files out, by signed and expiring link: `GET /blobs/{sha256}/{file name}?…`. What lies under a hash never changes, so
//! it may be kept for ever by whoever has it; a browser may show pictures and nothing else.

use std::ops::Range;

use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};

use super::{
    limits::RequestId,
    ports::{Blob, LinkQuery, TransferError},
    problem::Problem,
    router::Edge,
};
use crate::graphql::error::Code;

const METHODS: &str = "GET, HEAD, OPTIONS";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a browser may show; everything else is saved.
const SHOWN: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

/// The parts of a blob's path.
#[derive(serde::Deserialize)]
pub struct BlobPath {
    sha256: String,
    file_name: Option<String>,
}

/// Answers `/blobs/…`.
pub async fn endpoint(
    State(edge): State<Edge>,
    Path(path): Path<BlobPath>,
    Query(link): Query<LinkQuery>,
    request: Request,
) -> Response {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let (request, _) = request.into_parts();
    let outcome = match request.method {
        Method::GET | Method::HEAD => serve(&edge, path, &link, &request).await,
        Method::OPTIONS => Ok((StatusCode::NO_CONTENT, [(ALLOW, METHODS)]).into_response()),
        _ => return Problem::method(METHODS, "A file is read by GET.").into_response(),
    };
    outcome.unwrap_or_else(|error| Problem::transfer(error, &request_id).into_response())
}

async fn serve(edge: &Edge, path: BlobPath, link: &LinkQuery, request: &Parts) -> Result<Response, TransferError> {
    if path.sha256.len() != 64 || !path.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(TransferError::NotFound("There is no such file. Ask the API for a new link.".into()));
    }
    let blob = edge.app.blobs.open(&path.sha256, path.file_name.as_deref(), link).await?;
    let tag = format!("\"{}\"", blob.sha256);
    let mut headers = describe(&blob, &tag, link.contains_key("download"));
    let text = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|known| matches_tag(known, &tag))) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // A range of something else than what the client has the rest of would be nonsense.
    let range = text(RANGE).filter(|_| text(IF_RANGE).is_none_or(|known| known == tag));
    let (status, bytes) = match range.map_or(Asked::Whole, |range| asked(range, blob.size)) {
        Asked::Whole => (StatusCode::OK, 0..blob.size),
        Asked::Part(part) => {
            headers.insert(CONTENT_RANGE, content_range(&part, blob.size));
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Asked::Beyond => {
            let sentence = format!("The file has {} bytes, and the range lies beyond them.", blob.size);
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::BadRequest, sentence);
            let size = HeaderValue::from_str(&format!("bytes */{}", blob.size)).map_err(anyhow::Error::from)?;
            return Ok(problem.header(CONTENT_RANGE, size).into_response());
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    let body = if request.method == Method::HEAD || bytes.is_empty() {
        Body::empty()
    } else {
        metrics::counter!("atelier_blob_bytes_total").increment(bytes.end - bytes.start);
        Body::from_stream(edge.app.blobs.read(&blob, bytes).await?)
    };
    Ok((status, headers, body).into_response())
}

fn describe(blob: &Blob, tag: &str, download: bool) -> HeaderMap {
    let shown = !download && SHOWN.contains(&blob.media_type.as_str());
    let seconds = blob.link_life.map_or(0, |life| life.as_secs());
    let text = |value: String| HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static(""));
    let media_type = HeaderValue::from_str(&blob.media_type);
    let media_type = media_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (CONTENT_TYPE, media_type),
        (CONTENT_DISPOSITION, text(disposition(shown, blob.file_name.as_deref()))),
        (ETAG, text(tag.to_owned())),
        // The link is the secret: caches that many people share may not keep what it opened.
        (CACHE_CONTROL, text(format!("private, max-age={seconds}, immutable"))),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        // A studio on another origin may show the picture whose link it was given.
        (RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
    ];
    headers.into_iter().collect()
}

/// `Content-Disposition` with the name in ASCII, and in full for those who read RFC 8187.
fn disposition(shown: bool, file_name: Option<&str>) -> String {
    let kind = if shown { "inline" } else { "attachment" };
    let Some(name) = file_name else { return kind.to_owned() };
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn matches_tag(known: &str, tag: &str) -> bool {
    let known = known.trim();
    known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
}

fn content_range(part: &Range<u64>, size: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("bytes {}-{}/{size}", part.start, part.end - 1))
        .expect("invariant: digits are a header value")
}

/// What part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// All of it; also for several ranges at once, or another unit, which a server may overlook.
    Whole,
    /// A range.
    Part(Range<u64>),
    /// A range that the file does not reach.
    Beyond,
}

fn asked(range: &str, size: u64) -> Asked {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Whole;
    };
    let part = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Asked::Whole,
    };
    if part.is_empty() { Asked::Beyond } else { Asked::Part(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (range, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=4-99", Asked::Part(4..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=0-1,4-5", Asked::Whole),
            ("bytes=5-3", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes=18446744073709551615-18446744073709551615", Asked::Beyond),
        ] {
            assert_eq!(asked(range, 10), expected, "{range}");
        }
    }

    #[test]
    fn a_file_name_cannot_break_out_of_its_header() {
        let header = disposition(false, Some("fox\"\r\nx: ü.png"));
        assert_eq!(header, "attachment; filename=\"fox___x_ _.png\"; filename*=UTF-8''fox%22%0D%0Ax%3A%20%C3%BC.png");
    }
}
