//! What people are to each other and to LoRAs: follows, blocks, ratings, votes, comments, collections, and the notifications
//! and mails that tell of them.

pub mod block;
pub mod collection;
pub mod collection_lora;
pub mod comment;
pub mod compatibility_vote;
pub mod fanout;
pub mod feed;
pub mod follow;
mod letters;
pub mod mention;
pub mod notification;
pub mod notification_bench;
pub mod notification_consumer;
pub mod notification_mail;
pub mod notification_preference;
pub mod rating;
pub mod review_request;
mod tell;
#[cfg(test)]
mod tests;
pub mod unsubscribe;

pub use notification_consumer::NotificationConsumer;
