//! The parameters of a GraphQL request, from a JSON body, a query string or a socket's message.

use async_graphql::Variables;
use serde_json::{Map, Value};

/// What one request asks.
#[derive(Debug, Default)]
pub struct Parameters {
    /// The document.
    pub query: String,
    /// Which of its operations is meant.
    pub operation_name: Option<String>,
    /// Variables.
    pub variables: Variables,
}

impl Parameters {
    /// Reads a JSON body.
    ///
    /// # Errors
    /// A sentence, for status 400.
    pub fn from_body(body: &[u8]) -> Result<Self, String> {
        if body.is_empty() {
            return Err("The request has no body. Send JSON with at least a `query`.".into());
        }
        let text = std::str::from_utf8(body).map_err(|_| "The body is not UTF-8. Send JSON in UTF-8.".to_owned())?;
        let value = serde_json::from_str(text)
            .map_err(|error| format!("The body is not JSON: {error}. Send JSON with at least a `query`."))?;
        Self::from_json(value)
    }

    /// Reads the JSON of a body or of a socket's message.
    ///
    /// # Errors
    /// A sentence, for status 400.
    pub fn from_json(value: Value) -> Result<Self, String> {
        match value {
            Value::Object(object) => Self::from_object(object),
            Value::Array(_) => Err("Batches are not taken: send one operation a request.".into()),
            other => Err(format!("The request is {}; send a JSON object with at least a `query`.", kind(&other))),
        }
    }

    fn from_object(mut object: Map<String, Value>) -> Result<Self, String> {
        let query = match object.remove("query") {
            Some(Value::String(query)) => query,
            None | Some(Value::Null) => return Err("`query` is missing. Send the GraphQL document in it.".into()),
            Some(other) => return Err(format!("`query` is {}; it must be a string.", kind(&other))),
        };
        let operation_name = match object.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
            Some(other) => return Err(format!("`operationName` is {}; it must be a string.", kind(&other))),
        };
        let variables = match object.remove("variables") {
            None | Some(Value::Null) => Variables::default(),
            Some(value @ Value::Object(_)) => Variables::from_json(value),
            Some(other) => return Err(format!("`variables` is {}; it must be an object.", kind(&other))),
        };
        match object.remove("extensions") {
            // Extensions are taken as the specification asks, and none is known here.
            None | Some(Value::Null | Value::Object(_)) => Ok(Self { query, operation_name, variables }),
            Some(other) => Err(format!("`extensions` is {}; it must be an object.", kind(&other))),
        }
    }

    /// Reads the query string of a GET.
    ///
    /// # Errors
    /// A sentence, for status 400.
    pub fn from_query(query: &str) -> Result<Self, String> {
        let mut object = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let value = match name.as_str() {
                "query" | "operationName" => Value::String(value),
                "variables" | "extensions" if value.is_empty() => Value::Null,
                "variables" | "extensions" => serde_json::from_str(&value)
                    .map_err(|error| format!("`{name}` is not JSON: {error}. Send an object as URL-encoded JSON."))?,
                _ => continue,
            };
            if object.insert(name.clone(), value).is_some() {
                return Err(format!("`{name}` is there twice. Send it once."));
            }
        }
        Self::from_object(object)
    }
}

/// Decodes one part of a query string, strictly.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                let code = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                bytes.push(code.ok_or("The query string has a `%` that no two hexadecimal digits follow.")?);
                rest = &after[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "The query string is not UTF-8. Encode it as UTF-8.".into())
}

/// What a JSON value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
