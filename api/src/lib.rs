//! Atelier: the service, its GraphQL API and its command line.

pub mod background;
pub mod blobs;
pub mod cli;
pub mod config;
pub mod graphql;
pub mod house;
pub mod http;
pub mod hub;
pub mod mail_endings;
pub mod server;
pub mod service;
pub mod starter;
pub mod telemetry;
pub mod uploads;
