//! Subscriptions over `graphql-transport-ws`.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::house::House;

/// One subscription on a socket of its own. It is read all the time, as a browser does: the service drops a socket that
/// leaves its pings unanswered, however long the test is busy with something else.
pub struct Watch {
    events: mpsc::UnboundedReceiver<Value>,
    reading: Option<JoinHandle<()>>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Watch {
    /// Subscribes as whoever has this token.
    pub async fn begin(house: &House, token: &str, query: &str, variables: Value) -> Self {
        let url = format!("{}/graphql", house.url.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (mut socket, _) = connect_async(request).await.unwrap();
        let authorization = json!({ "authorization": format!("Bearer {token}") });
        send(&mut socket, json!({ "type": "connection_init", "payload": authorization })).await;
        assert_eq!(receive(&mut socket).await.unwrap()["type"], "connection_ack");
        let payload = json!({ "query": query, "variables": variables });
        send(&mut socket, json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        let (events, receiver) = mpsc::unbounded_channel();
        Self { events: receiver, reading: Some(tokio::spawn(read(socket, events))) }
    }

    /// The next event's data; none when the subscription is complete.
    pub async fn next(&mut self) -> Option<Value> {
        // Longer than anything here takes: a test that waits so long has failed.
        let event = tokio::time::timeout(Duration::from_secs(600), self.events.recv()).await.expect("an event in time");
        if event.is_none()
            && let Some(reading) = self.reading.take()
        {
            reading.await.expect("the socket is read to its end");
        }
        event
    }

    /// Every event until the subscription is complete.
    pub async fn all(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

/// Passes events on until the subscription is complete, or nobody wants them any more.
async fn read(mut socket: Socket, events: mpsc::UnboundedSender<Value>) {
    while let Some(message) = receive(&mut socket).await {
        match message["type"].as_str() {
            Some("next") => {
                assert!(message["payload"]["errors"].is_null(), "{message}");
                if events.send(message["payload"]["data"].clone()).is_err() {
                    return;
                }
            }
            Some("ping") => send(&mut socket, json!({ "type": "pong" })).await,
            Some("complete") => return,
            _ => panic!("unexpected: {message}"),
        }
    }
}

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message; none when the socket was closed.
async fn receive(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await?.unwrap() {
            Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => panic!("the socket was closed: {frame:?}"),
            _ => {}
        }
    }
}
