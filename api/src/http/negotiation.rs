//! What a client accepts and what it sends: the media types of GraphQL over HTTP.

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
};

/// In what form an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`: a well-formed request is answered with 200 even if its document is wrong.
    #[default]
    Json,
    /// `application/graphql-response+json`: statuses mean what they say.
    GraphqlResponse,
}

impl MediaType {
    /// The `Content-Type` of an answer.
    pub const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json; charset=utf-8"),
            Self::GraphqlResponse => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
        }
    }
}

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The form of single answers, if it accepts one.
    pub single: Option<MediaType>,
    /// Whether it accepts `text/event-stream`; never by a wildcard.
    pub event_stream: bool,
}

/// One entry of an `Accept` header.
struct Range<'a> {
    name: &'a str,
    quality: f32,
    utf8: bool,
}

/// Reads the `Accept` headers. Without one, `application/json` is meant. None when nothing that the server can write is
/// accepted.
pub fn accepted(headers: &HeaderMap) -> Option<Accepted> {
    let values: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.iter().all(|value| value.trim().is_empty()) {
        return Some(Accepted { single: Some(MediaType::Json), event_stream: false });
    }
    let ranges: Vec<Range<'_>> =
        values.iter().flat_map(|value| value.split(',')).filter(|range| !range.trim().is_empty()).map(range).collect();
    let event_stream = quality_of(&ranges, &["text/event-stream"]).is_some_and(|(quality, _)| quality > 0.0);
    let candidates = [
        (MediaType::GraphqlResponse, quality_of(&ranges, &["application/graphql-response+json"])),
        (MediaType::Json, quality_of(&ranges, &["application/json", "application/*", "*/*"])),
    ];
    // The highest quality wins; of equals the one named first.
    let single = candidates
        .into_iter()
        .filter_map(|(media, found)| found.map(|(quality, place)| (media, quality, place)))
        .filter(|(_, quality, _)| *quality > 0.0)
        .min_by(|left, right| right.1.total_cmp(&left.1).then(left.2.cmp(&right.2)))
        .map(|(media, ..)| media);
    (single.is_some() || event_stream).then_some(Accepted { single, event_stream })
}

/// Quality and place of the most specific entry that names one of `names`, which stand from the most specific on.
fn quality_of(ranges: &[Range<'_>], names: &[&str]) -> Option<(f32, usize)> {
    names.iter().find_map(|name| {
        let place = ranges.iter().position(|range| range.utf8 && range.name.eq_ignore_ascii_case(name))?;
        Some((ranges[place].quality, place))
    })
}

fn range(text: &str) -> Range<'_> {
    let mut parts = text.split(';').map(str::trim);
    let mut range = Range { name: parts.next().unwrap_or_default(), quality: 1.0, utf8: true };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("q") {
            range.quality = value.parse().unwrap_or(0.0);
        } else if name.trim().eq_ignore_ascii_case("charset") {
            range.utf8 = is_utf8(value);
        }
    }
    range
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// Checks that a POST carries uncompressed JSON in UTF-8.
///
/// # Errors
/// A sentence, for status 415.
pub fn check_content(headers: &HeaderMap) -> Result<(), String> {
    const WANTED: &str = "Send the request as JSON with `Content-Type: application/json`.";
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(format!("The request has no `Content-Type`. {WANTED}"));
    };
    let Ok(text) = value.to_str() else {
        return Err(format!("The `Content-Type` is not text. {WANTED}"));
    };
    let range = range(text);
    if !range.name.eq_ignore_ascii_case("application/json") {
        return Err(format!("`Content-Type: {}` is not understood here. {WANTED}", range.name));
    }
    if !range.utf8 {
        return Err("Only UTF-8 is understood here. Send the request with `charset=utf-8`.".into());
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err("Compressed requests are not understood here. Send the request without `Content-Encoding`.".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(accept: &str) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        accepted(&headers)?.single
    }

    #[test]
    fn quality_then_order_decides_and_wildcards_mean_plain_json() {
        use MediaType::{GraphqlResponse, Json};
        for (accept, expected) in [
            ("*/*", Some(Json)),
            ("application/*;q=0.3", Some(Json)),
            ("application/graphql-response+json, application/json", Some(GraphqlResponse)),
            ("application/json, application/graphql-response+json", Some(Json)),
            ("application/json;q=0.9, application/graphql-response+json", Some(GraphqlResponse)),
            ("application/graphql-response+json;q=0.5, */*", Some(Json)),
            ("application/json;q=0, */*", None),
            ("application/json;charset=latin1", None),
            ("text/html", None),
            ("text/event-stream", None),
        ] {
            assert_eq!(single(accept), expected, "{accept}");
        }
    }

    #[test]
    fn event_streams_are_never_guessed() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        assert!(!accepted(&headers).unwrap().event_stream);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        assert_eq!(accepted(&headers), Some(Accepted { single: Some(MediaType::Json), event_stream: true }));
    }
}
