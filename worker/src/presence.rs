//! What a worker says of itself: that it lives, and which base models it has the files of.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use atelier_domain::{
    base_model,
    context::Context,
    jobs::workers::{self, Card},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it looks whether base models were added or moved: those it looks at without waiting.
const PACE: Duration = Duration::from_secs(1);

/// Keeps what is written of a worker up to date.
pub struct Presence<'a> {
    ctx: &'a Context,
    card: Card,
    looks_every: Duration,
    base_models: Mutex<Arc<[Uuid]>>,
}

/// What was there at the last look.
struct Look {
    at: Instant,
    folders: Vec<(Uuid, String)>,
}

impl<'a> Presence<'a> {
    /// A worker that has not looked yet.
    pub fn new(ctx: &'a Context, card: Card, looks_every: Duration) -> Self {
        Self { ctx, card, looks_every, base_models: Mutex::new(Arc::new([])) }
    }

    /// The base models that it found the files of at its last look.
    pub fn base_models(&self) -> Arc<[Uuid]> {
        Arc::clone(&self.base_models.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at once and then again and again, until it is told to stop.
    pub async fn keep(&self, shutdown: &CancellationToken) {
        let mut beat = tokio::time::interval(PACE.min(self.looks_every));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = beat.tick() => {}
            }
            match self.look(last.as_ref()).await {
                Ok(None) => {}
                Ok(Some(look)) => last = Some(look),
                Err(error) => {
                    tracing::warn!(
                        worker = self.card.name,
                        error = format!("{error:#}"),
                        "the worker could not say which base models it serves; it tries again"
                    );
                    last = None;
                }
            }
        }
    }

    /// Looks which base models' folders are here, if it is time or other base models are known than at the last look.
    async fn look(&self, last: Option<&Look>) -> anyhow::Result<Option<Look>> {
        // Those too that are not offered any more: what is queued on them is still done.
        let known = base_model::list_all(self.ctx).await?;
        let folders: Vec<(Uuid, String)> = known.iter().map(|model| (model.id, model.folder.clone())).collect();
        let is_news = |last: &Look| last.folders != folders || last.at.elapsed() >= self.looks_every;
        if !last.is_none_or(is_news) {
            return Ok(None);
        }
        let at = Instant::now();
        let found = base_model::present(self.ctx, &known).await?;
        *self.base_models.lock().unwrap_or_else(PoisonError::into_inner) = found.as_slice().into();
        workers::announce(self.ctx, &self.card, &found).await?;
        Ok(Some(Look { at, folders }))
    }

    /// Says that the worker is gone.
    pub async fn end(&self) {
        if let Err(error) = workers::leave(self.ctx, &self.card).await {
            // It is forgotten after a while all the same.
            tracing::warn!(worker = self.card.name, error = format!("{error:#}"), "the worker could not sign off");
        }
    }
}
