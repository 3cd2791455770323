//! What the domain needs from outside the database, each behind a small interface.

pub mod blobs;
pub mod events;
pub mod inspector;
pub mod mailer;
pub mod tls;
