//! End-to-end tests: the real service, its real database and its real models, through HTTP as any client would. Each runs
//! on SQLite, and on PostgreSQL as well when `ATELIER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed")]

mod account;
mod arrows;
mod base_model;
mod base_model_offer;
mod bench;
mod block;
mod chaos;
mod collection;
mod comment;
mod continued_training;
mod dataset;
mod documents;
mod everything;
mod files;
mod house;
mod hub;
mod job;
mod limits;
mod lora;
mod lora_filter;
mod main_job;
mod marketplace;
mod models;
mod moderation;
mod notification;
mod process;
mod profile;
mod rating;
mod schema;
mod seed;
mod sentence_encoder;
mod social;
mod statements;
mod team;
mod tenancy;
mod usage;
mod watch;
mod worker;
