//! The messages of `graphql-transport-ws`.

use axum::extract::ws::{CloseFrame, Message};
use serde_json::{Map, Value, json};

/// The protocol's name.
pub const PROTOCOL: &str = "graphql-transport-ws";

/// A close frame holds 125 bytes, two of them the code.
const LONGEST_REASON: usize = 123;

/// Longer ids are nobody's.
const LONGEST_ID: usize = 128;

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// A code of WebSocket itself (1000–1014) or of the protocol (44xx).
    pub code: u16,
    /// A sentence.
    pub reason: String,
}

impl Close {
    /// The service goes down.
    pub fn going_away() -> Self {
        Self { code: 1001, reason: "The server is going down. Connect again.".into() }
    }

    /// The server failed.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self { code: 4500, reason: reason.into() }
    }

    /// A message that is none of the protocol's.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self { code: 4400, reason: reason.into() }
    }

    /// An operation before the introduction.
    pub fn unauthorized() -> Self {
        Self { code: 4401, reason: "Unauthorized: send `connection_init` and wait for `connection_ack`.".into() }
    }

    /// A token that opens nothing, or not any more.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Self { code: 4403, reason: reason.into() }
    }

    /// Another protocol.
    pub fn protocol() -> Self {
        Self { code: 4406, reason: format!("Subprotocol not acceptable: only `{PROTOCOL}` is spoken here.") }
    }

    /// No introduction in time.
    pub fn init_timeout() -> Self {
        Self { code: 4408, reason: "Connection initialisation timeout".into() }
    }

    /// Two operations under one id.
    pub fn duplicate(id: &str) -> Self {
        Self { code: 4409, reason: format!("Subscriber for {id} already exists") }
    }

    /// Two introductions.
    pub fn too_many_inits() -> Self {
        Self { code: 4429, reason: "Too many initialisation requests".into() }
    }

    /// As a frame; the reason is cut where it would not fit.
    pub fn into_message(self) -> Message {
        let mut reason = self.reason;
        let end = (0..=LONGEST_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        reason.truncate(end);
        Message::Close(Some(CloseFrame { code: self.code, reason: reason.into() }))
    }
}

/// What a client says.
#[derive(Debug, PartialEq)]
pub enum ClientMessage {
    /// Introduces itself; `authorization` as in HTTP, if the payload has it.
    ConnectionInit {
        /// `Bearer …`.
        authorization: Option<String>,
    },
    /// Asks for a sign of life.
    Ping {
        /// Comes back in the answer.
        payload: Option<Value>,
    },
    /// Gives a sign of life.
    Pong,
    /// Starts an operation.
    Subscribe {
        /// The client's name for it.
        id: String,
        /// The parameters of the request.
        payload: Value,
    },
    /// Ends an operation.
    Complete {
        /// The client's name for it.
        id: String,
    },
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Close`] with 4400.
    pub fn parse(text: &str) -> Result<Self, Close> {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| Close::invalid("A message is a JSON object; this one is not JSON."))?;
        let Value::Object(mut object) = value else {
            return Err(Close::invalid("A message is a JSON object with a `type`."));
        };
        let kind = match object.remove("type") {
            Some(Value::String(kind)) => kind,
            _ => return Err(Close::invalid("The message has no `type`.")),
        };
        match kind.as_str() {
            "connection_init" => Ok(Self::ConnectionInit { authorization: authorization(payload(&mut object)?)? }),
            "ping" => Ok(Self::Ping { payload: payload(&mut object)?.map(Value::Object) }),
            "pong" => payload(&mut object).map(|_| Self::Pong),
            "subscribe" => {
                let id = id(&mut object)?;
                match object.remove("payload") {
                    Some(payload @ Value::Object(_)) => Ok(Self::Subscribe { id, payload }),
                    _ => Err(Close::invalid("`subscribe` has no `payload` with a `query`.")),
                }
            }
            "complete" => Ok(Self::Complete { id: id(&mut object)? }),
            other => Err(Close::invalid(format!("There is no message type `{other}`."))),
        }
    }
}

fn id(object: &mut Map<String, Value>) -> Result<String, Close> {
    match object.remove("id") {
        Some(Value::String(id)) if (1..=LONGEST_ID).contains(&id.len()) => Ok(id),
        _ => Err(Close::invalid(format!("The message needs an `id`: a string of 1 to {LONGEST_ID} bytes."))),
    }
}

fn payload(object: &mut Map<String, Value>) -> Result<Option<Map<String, Value>>, Close> {
    match object.remove("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(payload)) => Ok(Some(payload)),
        Some(_) => Err(Close::invalid("The message's `payload` must be an object.")),
    }
}

fn authorization(payload: Option<Map<String, Value>>) -> Result<Option<String>, Close> {
    let mut payload = payload.unwrap_or_default();
    match payload.remove("authorization").or_else(|| payload.remove("Authorization")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(value)),
        Some(_) => Err(Close::forbidden("Forbidden: `authorization` must be a string, `Bearer <token>`.")),
    }
}

/// The server is ready.
pub fn connection_ack() -> Message {
    text(&json!({ "type": "connection_ack" }))
}

/// Answers a ping.
pub fn pong(payload: Option<Value>) -> Message {
    match payload {
        Some(payload) => text(&json!({ "type": "pong", "payload": payload })),
        None => text(&json!({ "type": "pong" })),
    }
}

/// A result of an operation.
pub fn next(id: &str, answer: &Value) -> Message {
    text(&json!({ "id": id, "type": "next", "payload": answer }))
}

/// The end of an operation that could not be begun.
pub fn error(id: &str, errors: &Value) -> Message {
    text(&json!({ "id": id, "type": "error", "payload": errors }))
}

/// The end of an operation.
pub fn complete(id: &str) -> Message {
    text(&json!({ "id": id, "type": "complete" }))
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_protocol_closes_with_4400() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"1"}"#,
            r#"{"type":"ping","payload":7}"#,
            r#"{"type":"subscribe","payload":{}}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"complete"}"#,
        ] {
            assert_eq!(ClientMessage::parse(wrong).unwrap_err().code, 4400, "{wrong}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let Message::Close(Some(frame)) = Close::invalid("ü".repeat(100)).into_message() else {
            panic!("no close frame")
        };
        assert_eq!(frame.reason.len(), 122);
    }
}
