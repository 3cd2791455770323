//! Operations over a WebSocket: the protocol `graphql-transport-ws`, with its own close codes.
//!
//! One task owns the socket and polls its operations; a client that does not read stops its operations from producing.

mod message;

use std::time::{Duration, Instant};

use async_graphql::Value;
use axum::{
    extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    response::Response,
};
use futures::{
    StreamExt as _,
    future::{self, OptionFuture},
    stream::{self, BoxStream},
};
use http::StatusCode;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{self, MissedTickBehavior},
};
use tokio_stream::StreamMap;

use self::message::{ClientMessage, Close};
use super::{
    admission::{Admitted, admit},
    caller::{Caller, bearer_of},
    negotiation::MediaType,
    parameters::Parameters,
    problem::Problem,
    router::Edge,
};
use crate::graphql::{
    error::{Code, entry},
    executor::{Answer, Outcome},
};

/// A client that takes longer to read a message is given up.
const SEND_TIME: Duration = Duration::from_secs(30);

/// How long the closing of a socket may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A client that has said nothing for so many heartbeats is gone.
const SILENT_HEARTBEATS: u32 = 4;

/// Takes the handshake. A token in its headers counts where the introduction brings none.
///
/// # Errors
/// 503 when all places are taken.
pub fn accept(
    edge: Edge,
    upgrade: WebSocketUpgrade,
    caller: Caller,
    token: Option<String>,
) -> Result<Response, Problem> {
    let place = edge.streams.clone().try_acquire_owned().map_err(|_| {
        let sentence = "As many sockets are open as this server takes. Try again later.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::RateLimited, sentence)
    })?;
    // A little more than is taken, so that what is too large can be answered.
    let most = edge.app.settings.body_bytes * 2;
    let upgrade = upgrade.protocols([message::PROTOCOL]).max_message_size(most).max_frame_size(most);
    let open = edge.app.lifetime.sockets.token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _open = open;
        metrics::gauge!("atelier_sockets").increment(1.0);
        Connection::new(edge, socket, caller, token, place).run().await;
        metrics::gauge!("atelier_sockets").decrement(1.0);
    }))
}

/// What an operation has to say.
enum Event {
    Answer(Box<Answer>, Option<Value>),
    End,
}

/// What the connection wakes up for.
enum Wake {
    Message(Option<Result<Message, axum::Error>>),
    Event(String, Event),
    Heartbeat,
    Close(Close),
}

/// Why the connection ends.
enum End {
    /// The server closes it.
    Close(Close),
    /// The client is gone.
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

struct Connection {
    edge: Edge,
    socket: WebSocket,
    caller: Caller,
    token: Option<String>,
    introduced: bool,
    /// When the introduction is due, then when the token expires.
    deadline: Option<time::Instant>,
    operations: StreamMap<String, BoxStream<'static, Event>>,
    heard: Instant,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(edge: Edge, socket: WebSocket, caller: Caller, token: Option<String>, place: OwnedSemaphorePermit) -> Self {
        let deadline = Some(time::Instant::now() + edge.app.settings.connection_init_time);
        Self {
            edge,
            socket,
            caller,
            token,
            introduced: false,
            deadline,
            operations: StreamMap::new(),
            heard: Instant::now(),
            _place: place,
        }
    }

    async fn run(mut self) {
        let end = if self.socket.protocol().is_none() { End::Close(Close::protocol()) } else { self.serve().await };
        self.operations.clear();
        let closing = async {
            if let End::Close(close) = end {
                let request_id = &self.caller.request_id;
                tracing::debug!(request_id, code = close.code, reason = close.reason, "socket closed");
                // The client may be gone already; then there is nobody to tell.
                if self.socket.send(close.into_message()).await.is_err() {
                    return;
                }
            }
            // Either side's close frame is answered by the other, and reading on is what sends the answer.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        drop(time::timeout(CLOSE_TIME, closing).await);
    }

    async fn serve(&mut self) -> End {
        let shutdown = self.edge.app.lifetime.shutdown.clone();
        let mut heartbeat = time::interval(self.edge.app.settings.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = OptionFuture::from(self.deadline.map(time::sleep_until));
            let wake = tokio::select! {
                () = shutdown.cancelled() => Wake::Close(Close::going_away()),
                Some(()) = deadline => Wake::Close(self.too_late()),
                message = self.socket.recv() => Wake::Message(message),
                Some((id, event)) = self.operations.next() => Wake::Event(id, event),
                _ = heartbeat.tick() => Wake::Heartbeat,
            };
            let done = match wake {
                Wake::Close(close) => Err(close.into()),
                Wake::Message(Some(Ok(message))) => self.hear(message).await,
                // The frame is broken or too large for the socket; or the client has just gone.
                Wake::Message(Some(Err(_)) | None) => Err(End::Gone),
                Wake::Event(id, event) => self.tell(id, event).await,
                Wake::Heartbeat => self.check_alive().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn too_late(&self) -> Close {
        match self.introduced {
            false => Close::init_timeout(),
            true => Close::forbidden("Forbidden: the access token has expired. Connect again with a fresh one."),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match time::timeout(SEND_TIME, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn check_alive(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > self.edge.app.settings.heartbeat * SILENT_HEARTBEATS {
            return Err(End::Gone);
        }
        self.send(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            Message::Text(text) => self.obey(&text).await,
            Message::Binary(_) => Err(Close::invalid("Messages are text; this one is binary.").into()),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Gone),
        }
    }

    async fn obey(&mut self, text: &Utf8Bytes) -> Result<(), End> {
        let most = self.edge.app.settings.body_bytes;
        if text.len() > most {
            return Err(Close::invalid(format!("A message may have {} KB at most.", most / 1024)).into());
        }
        match ClientMessage::parse(text)? {
            ClientMessage::ConnectionInit { .. } if self.introduced => Err(Close::too_many_inits().into()),
            ClientMessage::ConnectionInit { authorization } => self.introduce(authorization).await,
            ClientMessage::Ping { payload } => self.send(message::pong(payload)).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { .. } if !self.introduced => Err(Close::unauthorized().into()),
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload).await,
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
        }
    }

    async fn introduce(&mut self, authorization: Option<String>) -> Result<(), End> {
        let forbidden = |problem: &Problem| {
            let sentence = problem.entry["message"].as_str().unwrap_or_default();
            if problem.status.is_server_error() {
                Close::internal(sentence)
            } else {
                Close::forbidden(format!("Forbidden: {sentence}"))
            }
        };
        let token = match authorization {
            Some(authorization) => Some(bearer_of(&authorization).map_err(|problem| forbidden(&problem))?),
            None => self.token.take(),
        };
        let caller = self.caller.clone().signed_in(&self.edge.app, token.as_deref()).await;
        self.caller = caller.map_err(|problem| forbidden(&problem))?;
        self.introduced = true;
        let life = self.caller.session.as_ref().and_then(super::ports::Session::life);
        self.deadline = life.map(|life| time::Instant::now() + life);
        self.send(message::connection_ack()).await
    }

    async fn subscribe(&mut self, id: String, payload: serde_json::Value) -> Result<(), End> {
        if self.operations.contains_key(&id) {
            return Err(Close::duplicate(&id).into());
        }
        let parameters = Parameters::from_json(payload).map_err(Close::invalid)?;
        let most = self.edge.app.settings.socket_operations;
        if self.operations.len() >= most {
            let sentence = format!("This socket runs {most} operations, which is the most. Complete one first.");
            return self.refuse(&id, entry(Code::RateLimited, &sentence)).await;
        }
        let admitted = admit(&self.edge, &self.caller, parameters, MediaType::GraphqlResponse, |_| Ok(()));
        match admitted {
            Ok(admitted) => {
                self.operations.insert(id, self.begin(admitted));
                Ok(())
            }
            Err(problem) => self.refuse(&id, problem.entry).await,
        }
    }

    fn begin(&self, admitted: Admitted) -> BoxStream<'static, Event> {
        let mut cost = Some(admitted.cost);
        let answers = self.edge.app.schema.stream(admitted.request, admitted.operation, self.caller.request_id.clone());
        let events = answers.map(move |answer| Event::Answer(Box::new(answer), cost.take()));
        events.chain(stream::once(future::ready(Event::End))).boxed()
    }

    async fn refuse(&mut self, id: &str, entry: serde_json::Value) -> Result<(), End> {
        self.send(message::error(id, &serde_json::Value::Array(vec![entry]))).await
    }

    async fn tell(&mut self, id: String, event: Event) -> Result<(), End> {
        let Event::Answer(mut answer, cost) = event else {
            self.operations.remove(&id);
            return self.send(message::complete(&id)).await;
        };
        if answer.outcome != Outcome::Executed {
            self.operations.remove(&id);
            return self.send(message::error(&id, &answer.to_json()["errors"])).await;
        }
        if let Some(cost) = cost {
            answer.response.extensions.insert("cost".to_owned(), cost);
        }
        self.send(message::next(&id, &answer.to_json())).await
    }
}
