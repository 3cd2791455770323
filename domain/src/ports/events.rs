//! The event bus: it wakes those who wait for changes. It carries no facts: whoever wakes reads the database from the
//! last sequence number it saw, so a lost or doubled wake-up loses and doubles nothing.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::watch;

use crate::database::Database;

/// How often another process's commits are looked for.
const SQLITE_PACE: Duration = Duration::from_millis(25);
const POSTGRES_PACE: Duration = Duration::from_millis(200);

/// Wakes subscribers after a change.
pub trait EventBus: Send + Sync {
    /// Says that something was committed.
    fn wake(&self);

    /// Waits for changes from now on.
    fn subscribe(&self) -> watch::Receiver<u64>;
}

/// Wakes subscribers of this process.
#[derive(Debug)]
pub struct LocalEventBus(watch::Sender<u64>);

impl Default for LocalEventBus {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl EventBus for LocalEventBus {
    fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// Wakes the bus when any process commits: on SQLite by the file's change counter, on PostgreSQL by a slow beat. Runs
/// until it is dropped.
pub async fn watch_other_processes(db: Database, bus: std::sync::Arc<dyn EventBus>) {
    let (pace, is_sqlite) = match db.backend() {
        DbBackend::Sqlite => (SQLITE_PACE, true),
        _ => (POSTGRES_PACE, false),
    };
    let mut seen = None;
    let mut beat = tokio::time::interval(pace);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if is_sqlite {
            let version = data_version(&db).await;
            if version == seen {
                continue;
            }
            seen = version;
        }
        bus.wake();
    }
}

/// SQLite's change counter as the writing connection sees it: it moves with every commit of another connection.
async fn data_version(db: &Database) -> Option<i64> {
    let pragma = Statement::from_string(DbBackend::Sqlite, "PRAGMA data_version");
    let row = db.writer().query_one_raw(pragma).await.ok().flatten()?;
    row.try_get_by_index::<i64>(0).or_else(|_| row.try_get_by_index::<i32>(0).map(i64::from)).ok()
}
