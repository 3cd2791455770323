//! What people are to each other and to LoRAs: follows, ratings, comments, and the notifications that tell of them.

pub mod comment;
pub mod follow;
pub mod notification;
pub mod notification_consumer;
pub mod rating;
#[cfg(test)]
mod tests;

pub use notification_consumer::NotificationConsumer;
