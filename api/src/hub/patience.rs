//! How often something is tried again, and after how long.

use std::time::Duration;

use super::{error::HubError, progress::Progress};

/// The first pause; every further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause of our own choice.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause that the hub may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// Counts failures in a row.
#[derive(Debug)]
pub struct Patience {
    failures: u32,
    most: u32,
}

impl Patience {
    /// Gives up at this failure in a row.
    pub fn new(most: u32) -> Self {
        Self { failures: 0, most }
    }

    /// Something went forward: what failed before it does not count any more.
    pub fn renew(&mut self) {
        self.failures = 0;
    }

    /// Waits before another try.
    ///
    /// # Errors
    /// The failure itself, when it lasts or has come too often.
    pub async fn bear(&mut self, error: HubError, progress: &Progress) -> anyhow::Result<()> {
        let HubError::Passing { message, wait } = &error else { return Err(error.into()) };
        self.failures += 1;
        if self.failures >= self.most {
            let tries = self.failures;
            return Err(anyhow::Error::new(error).context(format!(
                "The hub did not answer well {tries} times in a row. Check the network and `--endpoint`, and give the \
                 same command again: what is there already is not downloaded again."
            )));
        }
        let pause = wait.map_or_else(|| pause(self.failures), |wait| wait.min(LONGEST_WISH));
        progress.note(format!("{message}. Trying again in {:.1} s.", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let seconds: Vec<f64> = (1..=8).map(|failures| pause(failures).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[tokio::test]
    async fn what_lasts_is_not_tried_again_and_what_passes_not_for_ever() {
        let progress = Progress::hidden();
        let mut patience = Patience::new(3);
        let later = || HubError::Passing { message: "Later".into(), wait: Some(Duration::ZERO) };
        assert!(patience.bear(HubError::Lasting("No.".into()), &progress).await.is_err());
        assert!(patience.bear(later(), &progress).await.is_ok());
        assert!(patience.bear(later(), &progress).await.is_ok());
        patience.renew();
        assert!(patience.bear(later(), &progress).await.is_ok());
        assert!(patience.bear(later(), &progress).await.is_ok());
        assert!(patience.bear(later(), &progress).await.is_err());
    }
}
