//! Subscriptions over `graphql-transport-ws`.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::house::House;

/// One subscription on a socket of its own.
pub struct Watch(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Watch {
    /// Subscribes as whoever has this token.
    pub async fn begin(house: &House, token: &str, query: &str, variables: Value) -> Self {
        let url = format!("{}/graphql", house.url.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (socket, _) = connect_async(request).await.unwrap();
        let mut watch = Self(socket);
        watch
            .send(json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } }))
            .await;
        assert_eq!(watch.receive().await.unwrap()["type"], "connection_ack");
        let payload = json!({ "query": query, "variables": variables });
        watch.send(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        watch
    }

    /// The next event's data; none when the subscription is complete.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let message = self.receive().await?;
            match message["type"].as_str() {
                Some("next") => {
                    assert!(message["payload"]["errors"].is_null(), "{message}");
                    return Some(message["payload"]["data"].clone());
                }
                Some("ping") => self.send(json!({ "type": "pong" })).await,
                Some("complete") => return None,
                _ => panic!("unexpected: {message}"),
            }
        }
    }

    /// Every event until the subscription is complete.
    pub async fn all(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Value> {
        loop {
            // Longer than anything here takes: a test that waits so long has failed.
            let message =
                tokio::time::timeout(Duration::from_secs(600), self.0.next()).await.expect("an event in time");
            match message?.unwrap() {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(frame) => panic!("the socket was closed: {frame:?}"),
                _ => {}
            }
        }
    }
}
