//! How much LoRAs are used: downloads, generations, pictures made and kept, teams; for each version and day, and what
//! trends.
//!
//! Everything is counted from the outbox by one consumer, whose counts commit together with its position: each event is
//! counted once, whatever is killed when. The events are kept, so that everything can be counted again ([`rebuild()`]).
//!
//! A day is a day of UTC. A picture is kept as long as nobody deletes it: on the day on which pictures were made, those
//! kept are the made ones without the deleted ones.

mod consumer;
mod dashboard;
mod facts;
mod read;
mod rebuild;
mod tally;
#[cfg(test)]
mod tests;
mod trend;

pub use consumer::UsageCounter;
pub use dashboard::{Dashboard, DashboardLora, Ratings, dashboard};
pub use read::{Figures, LoraUsage, lora_usage};
pub use rebuild::{Rebuilt, rebuild};

pub(crate) use trend::trends;
