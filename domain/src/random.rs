//! Where chance comes from: secrets, tokens and ids.

use std::sync::Mutex;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore;
use uuid::{Builder, Uuid};

use crate::clock::Clock;

/// A cryptographically secure source of random bytes.
pub trait Random: Send + Sync {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// 256 random bits, as 43 URL-safe characters.
    fn token(&self) -> String {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A seed that fits JavaScript's safe integers, so that it survives every client.
    fn seed(&self) -> i64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        i64::from(u32::from_le_bytes(bytes))
    }
}

/// The operating system's generator.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[allow(clippy::disallowed_methods, reason = "the one place where the system is asked for chance")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// Makes UUIDv7 keys that grow: within a millisecond a counter takes the place of the first random bits.
#[derive(Debug, Default)]
pub struct Ids(Mutex<(u64, u16)>);

impl Ids {
    /// The next key.
    pub fn next(&self, clock: &dyn Clock, random: &dyn Random) -> Uuid {
        let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or_default();
        let mut bytes = [0; 10];
        random.fill(&mut bytes);
        let (millis, counter) = self.tick(millis);
        bytes[..2].copy_from_slice(&counter.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// Time and counter of the next key; a full counter borrows the next millisecond.
    fn tick(&self, millis: u64) -> (u64, u16) {
        let mut last = self.0.lock().expect("invariant: nobody panics while holding the id source");
        *last = match *last {
            (time, _) if millis > time => (millis, 0),
            (time, 0xfff) => (time + 1, 0),
            (time, counter) => (time, counter + 1),
        };
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn keys_grow_and_never_repeat() {
        let ids = Ids::default();
        let made: Vec<Uuid> = (0..20_000).map(|_| ids.next(&SystemClock, &SystemRandom)).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }
}
