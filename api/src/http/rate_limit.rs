//! Points: each caller has a bucket of them that fills by the second; a request takes as many as its document costs.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// With more buckets than this, full ones are thrown away now and then: they say nothing.
const MANY_BUCKETS: usize = 10_000;

/// How often, so that nobody can make every request look through all of them.
const SWEPT_EVERY: Duration = Duration::from_secs(5);

/// How many points callers have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateSettings {
    /// Points that a full bucket holds.
    pub burst: u32,
    /// Points that come back each second.
    pub per_second: f64,
}

impl Default for RateSettings {
    /// 20,000 points at once, 500 a second for ever: a page with all its pictures many times a second.
    fn default() -> Self {
        Self { burst: 20_000, per_second: 500.0 }
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    points: f64,
    at: Instant,
}

/// All callers' buckets.
pub struct RateLimiter {
    settings: RateSettings,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    of: HashMap<String, Bucket>,
    swept: Option<Instant>,
}

impl RateLimiter {
    /// With every bucket full.
    pub fn new(settings: RateSettings) -> Self {
        Self { settings, buckets: Mutex::default() }
    }

    /// Takes points from a caller's bucket and says how many are left.
    ///
    /// # Errors
    /// How long to wait until there are enough; nothing was taken then.
    pub fn take(&self, caller: &str, points: u32, now: Instant) -> Result<u32, Duration> {
        let full = f64::from(self.settings.burst);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = buckets.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEPT_EVERY);
        if buckets.of.len() >= MANY_BUCKETS && is_due {
            buckets.swept = Some(now);
            buckets.of.retain(|_, bucket| self.filled(bucket, now) < full);
        }
        let bucket = buckets.of.entry(caller.to_owned()).or_insert(Bucket { points: full, at: now });
        let there = self.filled(bucket, now);
        *bucket = Bucket { points: there, at: now };
        // What costs more than a bucket holds takes the whole of it.
        let wanted = f64::from(points).min(full);
        if there < wanted {
            let seconds = (wanted - there) / self.settings.per_second.max(f64::MIN_POSITIVE);
            return Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(3_600)));
        }
        bucket.points = there - wanted;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a u32")]
        Ok(bucket.points as u32)
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.points + since * self.settings.per_second).min(f64::from(self.settings.burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_buckets_are_not_kept_for_ever() {
        let limiter = RateLimiter::new(RateSettings { burst: 100, per_second: 10.0 });
        let start = Instant::now();
        for n in 0..MANY_BUCKETS {
            limiter.take(&n.to_string(), 50, start).unwrap();
        }
        limiter.take("ann", 50, start + Duration::from_secs(20)).unwrap();
        assert_eq!(limiter.buckets.lock().unwrap().of.len(), 1);
    }

    #[test]
    fn a_bucket_empties_and_fills_again_and_is_one_callers_own() {
        let limiter = RateLimiter::new(RateSettings { burst: 100, per_second: 10.0 });
        let start = Instant::now();
        assert_eq!(limiter.take("ann", 60, start), Ok(40));
        assert_eq!(limiter.take("ann", 60, start), Err(Duration::from_secs(2)));
        assert_eq!(limiter.take("bea", 60, start), Ok(40));
        assert_eq!(limiter.take("ann", 60, start + Duration::from_secs(2)), Ok(0));
        assert_eq!(limiter.take("ann", 1, start + Duration::from_secs(100)), Ok(99));
        assert_eq!(limiter.take("ann", 500, start + Duration::from_secs(200)), Ok(0), "it costs a whole bucket");
    }
}
