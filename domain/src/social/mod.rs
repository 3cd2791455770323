//! What people are to each other and to LoRAs: follows, blocks, ratings, votes, comments, and the notifications that tell
//! of them.

pub mod block;
pub mod comment;
pub mod compatibility_vote;
pub mod follow;
pub mod notification;
pub mod notification_consumer;
pub mod rating;
#[cfg(test)]
mod tests;

pub use notification_consumer::NotificationConsumer;
