//! `graphql-transport-ws` over a real socket, and the server's end.

use std::time::Duration;

use atelier::http::HttpSettings;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::toy::{serve, state};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(address: std::net::SocketAddr, protocol: &'static str) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static(protocol));
        Self(connect_async(request).await.unwrap().0)
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            match timeout(Duration::from_secs(5), self.0.next()).await.expect("the server is silent").unwrap().unwrap()
            {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Skips messages until the server closes the socket.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            let message = timeout(Duration::from_secs(5), self.0.next()).await.expect("the server is silent");
            if let Message::Close(frame) = message.unwrap().unwrap() {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }
}

async fn introduced(change: impl FnOnce(&mut HttpSettings), payload: Value) -> Client {
    let (address, _, _) = serve(state(change)).await;
    let mut client = Client::connect(address, "graphql-transport-ws").await;
    client.say(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(client.hear().await["type"], "connection_ack");
    client
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({ "type": "subscribe", "id": id, "payload": { "query": query } })
}

#[tokio::test]
async fn operations_run_side_by_side() {
    let mut client = introduced(|_| {}, json!({ "authorization": "Bearer good" })).await;
    client.say(subscribe("ticks", "subscription { ticks }")).await;
    client.say(subscribe("count", "subscription { count(to: 2) }")).await;
    client.say(subscribe("me", "{ me }")).await;
    client.say(subscribe("no", "{ nothing }")).await;
    client.say(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    let mut heard: std::collections::HashMap<String, Vec<Value>> = std::collections::HashMap::new();
    let enough = |heard: &std::collections::HashMap<String, Vec<Value>>| {
        let number = |id: &str| heard.get(id).map_or(0, Vec::len);
        number("ticks") > 2 && number("count") == 3 && number("me") == 2 && number("no") == 1 && number("") == 1
    };
    while !enough(&heard) {
        let message = client.hear().await;
        heard.entry(message["id"].as_str().unwrap_or_default().to_owned()).or_default().push(message);
    }
    assert_eq!(heard[""][0], json!({ "type": "pong", "payload": { "n": 1 } }));
    assert_eq!(heard["count"][1]["payload"]["data"]["count"], 2);
    assert_eq!(heard["count"][2], json!({ "id": "count", "type": "complete" }));
    assert_eq!(heard["me"][0]["payload"]["data"]["me"], "ann");
    assert_eq!(heard["no"][0]["type"], "error");
    assert_eq!(heard["no"][0]["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    client.say(json!({ "type": "complete", "id": "ticks" })).await;
    client.say(json!({ "type": "ping" })).await;
    while client.hear().await["type"] != "pong" {}
    client.say(subscribe("ticks", "subscription { count(to: 1) }")).await;
    assert_eq!(
        client.hear().await["payload"]["data"]["count"],
        1,
        "an id is free again, and nothing came of the old one"
    );
}

#[tokio::test]
async fn the_protocols_own_codes_close_the_socket() {
    let (address, _, _) = serve(state(|settings| settings.connection_init_time = Duration::from_millis(200))).await;
    let init = json!({ "type": "connection_init" });
    let forged = json!({ "type": "connection_init", "payload": { "authorization": "Bearer forged" } });
    let ticks = subscribe("1", "subscription { ticks }");
    for (protocol, messages, code) in [
        ("graphql-transport-ws", vec![json!("hello")], 4400),
        ("graphql-transport-ws", vec![init.clone(), json!({ "type": "start" })], 4400),
        ("graphql-transport-ws", vec![init.clone(), json!({ "type": "subscribe", "id": "1", "payload": {} })], 4400),
        ("graphql-transport-ws", vec![ticks.clone()], 4401),
        ("graphql-transport-ws", vec![forged], 4403),
        ("graphql-transport-ws", vec![], 4408),
        ("graphql-transport-ws", vec![init.clone(), ticks.clone(), ticks], 4409),
        ("graphql-transport-ws", vec![init.clone(), init], 4429),
    ] {
        let mut client = Client::connect(address, protocol).await;
        for message in &messages {
            client.say(message.clone()).await;
        }
        let (closed, reason) = client.closed().await;
        assert_eq!(closed, code, "{messages:?}: {reason}");
    }
}

#[tokio::test]
async fn attacks_over_a_socket_are_refused_and_the_socket_lives() {
    let mut client = introduced(|settings| settings.socket_operations = 2, json!(null)).await;
    client.say(subscribe("1", &format!("{{ sum(values: {}", "[".repeat(1_500)))).await;
    let refused = client.hear().await;
    assert_eq!((refused["type"].as_str(), refused["id"].as_str()), (Some("error"), Some("1")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "COST_EXCEEDED");
    for id in ["a", "b", "c"] {
        client.say(subscribe(id, "subscription { ticks }")).await;
    }
    loop {
        let message = client.hear().await;
        if message["type"] == "error" {
            assert_eq!(
                (message["id"].as_str(), message["payload"][0]["extensions"]["code"].as_str()),
                (Some("c"), Some("RATE_LIMITED"))
            );
            break;
        }
    }
    client.say(subscribe("large", &"x".repeat(300 * 1024))).await;
    assert_eq!(client.closed().await.0, 4400);
}

#[tokio::test]
async fn a_socket_ends_with_its_token() {
    let mut client = introduced(|_| {}, json!({ "authorization": "Bearer brief" })).await;
    client.say(subscribe("1", "subscription { ticks }")).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 4403);
    assert!(reason.contains("expired"), "{reason}");
}

#[tokio::test]
async fn a_clients_close_is_answered() {
    let mut client = introduced(|_| {}, json!(null)).await;
    client.say(subscribe("1", "subscription { ticks }")).await;
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() };
    client.0.send(Message::Close(Some(frame))).await.unwrap();
    assert_eq!(client.closed().await.0, 1000);
}

#[tokio::test]
async fn the_server_ends_in_order() {
    let (address, lifetime, serving) = serve(state(|_| {})).await;
    let mut client = Client::connect(address, "graphql-transport-ws").await;
    client.say(json!({ "type": "connection_init" })).await;
    client.hear().await;
    let idle = TcpStream::connect(address).await.unwrap();
    lifetime.shutdown.cancel();
    assert_eq!(client.closed().await.0, 1001);
    let ended = timeout(Duration::from_secs(5), serving).await.expect("idle connections do not hold it");
    ended.unwrap().unwrap();
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_port_in_use_is_said() {
    let (address, _, _) = serve(state(|_| {})).await;
    let error = atelier::server::bind(address).await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
}

/// Whoever sends headers by the drop, or none at all, is closed after the header time.
#[tokio::test]
async fn slow_headers_are_not_waited_for() {
    let state = state(|_| {});
    let lifetime = state.lifetime.clone();
    let listener = atelier::server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = atelier::server::ServerSettings { header_time: Duration::from_millis(300), ..Default::default() };
    tokio::spawn(atelier::server::serve(listener, atelier::http::router(state), settings, lifetime));
    for beginning in ["", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(5), socket.read_to_end(&mut rest)).await.expect("it is left open");
        read.unwrap();
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}
