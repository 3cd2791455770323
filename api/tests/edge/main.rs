//! The edge against a toy schema: what comes in over HTTP, WebSocket and event stream, without the rest of the service.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed")]

mod attacks;
mod graphql_over_http;
mod health;
mod protocol;
mod sockets;
mod streams;
mod toy;
mod transfers;
mod unsubscribe;
