//! A subscription over a WebSocket, by the protocol `graphql-transport-ws`. A socket that breaks (the service ends each
//! with its access token) is followed by another, which goes on after the last number that was seen.

use std::{
    borrow::BorrowMut,
    time::{Duration, Instant},
};

use anyhow::bail;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use super::person::Person;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket gives a sign of life every 15 seconds; one that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// A socket that lived for so long was no failure, however it ended.
const LIFE: Duration = Duration::from_secs(30);

/// After so many failures one after the other no further socket is opened.
const MOST_FAILURES: u32 = 5;

/// How long to wait before the next socket.
const PAUSE: Duration = Duration::from_millis(300);

/// What is subscribed to: a field that takes `after`, and whose events have a `sequence`.
pub struct Topic {
    /// The field.
    pub field: &'static str,
    /// The document that subscribes to it.
    pub document: &'static str,
    /// The id of what is watched, where it is one thing.
    pub id: Option<String>,
}

/// How a socket came to its end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

/// What the service says on a socket.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    ConnectionAck,
    Next {
        payload: Value,
    },
    Error {
        payload: Value,
    },
    Complete,
    #[serde(other)]
    Other,
}

/// A subscription of a person, whom it borrows or owns.
pub struct Subscription<P> {
    person: P,
    topic: Topic,
    after: i64,
    socket: Option<Socket>,
    opened: Instant,
    failures: u32,
}

impl<P: BorrowMut<Person>> Subscription<P> {
    /// A subscription to what comes after a number. Nothing is sent before [`Subscription::connect`] or
    /// [`Subscription::next`].
    pub fn new(person: P, topic: Topic, after: i64) -> Self {
        Self { person, topic, after, socket: None, opened: Instant::now(), failures: 0 }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn connect(&mut self) -> anyhow::Result<()> {
        self.socket = Some(self.open().await?);
        Ok(())
    }

    /// Opens a socket and subscribes, trying again if need be.
    async fn open(&mut self) -> anyhow::Result<Socket> {
        loop {
            let variables = match &self.topic.id {
                Some(id) => json!({ "id": id, "after": self.after }),
                None => json!({ "after": self.after }),
            };
            match subscribe(self.person.borrow(), self.topic.document, &variables).await {
                Ok(socket) => {
                    self.opened = Instant::now();
                    return Ok(socket);
                }
                Err(broken) => self.mend(&broken).await?,
            }
        }
    }

    /// The next event; none when there are no more.
    ///
    /// # Errors
    /// The service's own sentence; sockets that break again and again.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            let mut socket = match self.socket.take() {
                Some(socket) => socket,
                None => self.open().await?,
            };
            match hear(&mut socket).await {
                Ok(Said::Next { mut payload }) => {
                    if let Some(sentence) = payload["errors"][0]["message"].as_str() {
                        bail!("{sentence}");
                    }
                    let event = payload["data"][self.topic.field].take();
                    self.after = event["sequence"].as_i64().unwrap_or(self.after);
                    self.socket = Some(socket);
                    return Ok(Some(event));
                }
                Ok(Said::Error { payload }) => {
                    bail!("{}", payload[0]["message"].as_str().unwrap_or("The service refused a subscription."));
                }
                Ok(Said::Complete) => {
                    // The service is told; whether it hears that is its own affair.
                    let _ = socket.close(None).await;
                    return Ok(None);
                }
                Ok(Said::ConnectionAck | Said::Other) => self.socket = Some(socket),
                Err(broken) => self.mend(&broken).await?,
            }
        }
    }

    /// Makes ready for another socket after one that broke.
    async fn mend(&mut self, broken: &Broken) -> anyhow::Result<()> {
        if self.opened.elapsed() > LIFE {
            self.failures = 0;
        }
        self.failures += 1;
        if self.failures > MOST_FAILURES {
            bail!("The service's socket broke again and again: {broken}");
        }
        sleep(PAUSE).await;
        self.person.borrow_mut().renew().await
    }
}

/// Opens a socket, introduces a person and subscribes.
async fn subscribe(person: &Person, document: &str, variables: &Value) -> Result<Socket, Broken> {
    let broken = |error: &dyn std::fmt::Display| Broken(format!("{error}."));
    let mut request = person.api().socket_url().into_client_request().map_err(|error| broken(&error))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("graphql-transport-ws"));
    let connecting = timeout(SILENCE, connect_async(request)).await.map_err(|error| broken(&error))?;
    let (mut socket, _) = connecting.map_err(|error| broken(&error))?;
    let payload = json!({ "authorization": person.authorization() });
    tell(&mut socket, &json!({ "type": "connection_init", "payload": payload })).await?;
    while !matches!(hear(&mut socket).await?, Said::ConnectionAck) {}
    let payload = json!({ "query": document, "variables": variables });
    tell(&mut socket, &json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
    Ok(socket)
}

async fn tell(socket: &mut Socket, message: &Value) -> Result<(), Broken> {
    let sent = socket.send(Message::Text(message.to_string().into())).await;
    sent.map_err(|error| Broken(format!("{error}.")))
}

/// What the service says next. Pings are answered by the socket itself while it is read.
async fn hear(socket: &mut Socket) -> Result<Said, Broken> {
    loop {
        let heard = timeout(SILENCE, socket.next()).await;
        match heard.map_err(|_| Broken("It fell silent.".to_owned()))? {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text)
                    .map_err(|error| Broken(format!("It said what is not understood: {error}.")));
            }
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                return Err(Broken(if reason.is_empty() { "It was closed.".to_owned() } else { reason }));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Broken(format!("{error}."))),
            None => return Err(Broken("It ended.".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Json, Router,
        extract::ws::{self, WebSocket, WebSocketUpgrade},
        response::Response,
        routing::get,
    };
    use tokio::net::TcpListener;

    use super::*;
    use crate::cli::demo::{client::Api, person::Account};

    #[test]
    fn what_the_service_says_is_read() {
        let read = |text: &str| serde_json::from_str::<Said>(text).unwrap();
        assert!(matches!(read(r#"{"type":"connection_ack"}"#), Said::ConnectionAck));
        assert!(matches!(read(r#"{"type":"next","id":"1","payload":{"data":{}}}"#), Said::Next { .. }));
        assert!(matches!(read(r#"{"type":"complete","id":"1"}"#), Said::Complete));
        assert!(matches!(read(r#"{"type":"ping"}"#), Said::Other));
    }

    /// A service of three events that ends every socket after one, as services do when an access token has expired.
    async fn serve_briefly() -> Api {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/graphql", get(socket).post(session));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Api::new(address).unwrap()
    }

    async fn session() -> Json<Value> {
        let session = json!({ "accessToken": "access", "refreshToken": "refresh", "user": { "id": "user_1" } });
        let payload = json!({ "session": session, "userErrors": [] });
        Json(json!({ "data": { "signIn": payload, "refreshSession": payload } }))
    }

    async fn socket(upgrade: WebSocketUpgrade) -> Response {
        upgrade.protocols(["graphql-transport-ws"]).on_upgrade(|mut socket| async move {
            assert_eq!(told(&mut socket).await["payload"]["authorization"], "Bearer access");
            say(&mut socket, json!({ "type": "connection_ack" })).await;
            let next = told(&mut socket).await["payload"]["variables"]["after"].as_i64().unwrap() + 1;
            if next > 3 {
                return say(&mut socket, json!({ "type": "complete", "id": "1" })).await;
            }
            let payload = json!({ "data": { "ticks": { "sequence": next } } });
            say(&mut socket, json!({ "type": "next", "id": "1", "payload": payload })).await;
            let frame = ws::CloseFrame { code: 4403, reason: "Forbidden: the access token has expired.".into() };
            socket.send(ws::Message::Close(Some(frame))).await.unwrap();
        })
    }

    async fn told(socket: &mut WebSocket) -> Value {
        serde_json::from_str(socket.recv().await.unwrap().unwrap().to_text().unwrap()).unwrap()
    }

    async fn say(socket: &mut WebSocket, message: Value) {
        socket.send(ws::Message::Text(message.to_string().into())).await.unwrap();
    }

    #[tokio::test]
    async fn after_a_socket_that_ended_nothing_is_missed_and_nothing_comes_twice() {
        let api = serve_briefly().await;
        let account = Account { email: "creator@example.org".to_owned(), password: "a password".to_owned() };
        let mut person = Person::sign_in(&api, &account).await.unwrap();
        let topic = Topic { field: "ticks", document: "subscription { ticks }", id: None };
        let mut ticks = Subscription::new(&mut person, topic, 0);
        let mut seen = Vec::new();
        while let Some(event) = ticks.next().await.unwrap() {
            seen.push(event["sequence"].as_i64().unwrap());
        }
        assert_eq!(seen, [1, 2, 3]);
    }
}
