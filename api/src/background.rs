//! What goes on behind the requests: consumers of the outbox, mail, jobs whose lease ran out, leftovers of uploads.

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use atelier_domain::{
    context::Context,
    jobs,
    lora::{
        index_consumer::{self, LoraIndexer},
        measuring, rebuild,
    },
    mail, outbox,
    ports::{events, mailer::Mailer},
    preview::describe,
    social::{NotificationConsumer, fanout, notification_mail, rating::UseMarker},
    upload,
    usage::UsageCounter,
};
use futures::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a loop waits before it looks again, if no change wakes it.
const IDLE: Duration = Duration::from_secs(1);

/// How long a loop rests after a failure.
const REST: Duration = Duration::from_secs(2);

/// How often leftovers of uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

type Round<'a> = Pin<Box<dyn Future<Output = anyhow::Result<usize>> + Send + 'a>>;

/// Starts the loops; each ends after its round when the token is cancelled.
pub fn start(ctx: &Arc<Context>, mailer: Arc<dyn Mailer>, shutdown: &CancellationToken, tasks: &TaskTracker) {
    spawn(tasks, shutdown, ctx, "notifications", |ctx| {
        Box::pin(async move { outbox::run_once(ctx, &NotificationConsumer).await })
    });
    // Beside the loop above: what is told to a hundred thousand holds nothing else up.
    spawn(tasks, shutdown, ctx, "followers", |ctx| Box::pin(fanout::run_once(ctx)));
    spawn(tasks, shutdown, ctx, "mails of notifications", |ctx| Box::pin(notification_mail::write_immediate(ctx)));
    spawn(tasks, shutdown, ctx, "digests", |ctx| Box::pin(notification_mail::write_digests(ctx)));
    spawn(tasks, shutdown, ctx, "use of rated LoRAs", |ctx| {
        Box::pin(async move { outbox::run_once(ctx, &UseMarker).await })
    });
    spawn(tasks, shutdown, ctx, "usage", |ctx| Box::pin(async move { outbox::run_once(ctx, &UsageCounter).await }));
    spawn(tasks, shutdown, ctx, "search index", |ctx| {
        Box::pin(async move {
            index_consumer::reindex_if_needed(ctx).await?;
            outbox::follow_once(ctx, &LoraIndexer).await
        })
    });
    // Beside the loop above, which goes on bringing changes into the old index and the new one.
    spawn(tasks, shutdown, ctx, "new search index", |ctx| Box::pin(rebuild::fulfil(ctx)));
    spawn(tasks, shutdown, ctx, "looks of previews", |ctx| Box::pin(describe::bring_up_to_date(ctx)));
    spawn(tasks, shutdown, ctx, "measurements", |ctx| Box::pin(measuring::fulfil(ctx)));
    spawn(tasks, shutdown, ctx, "mail", move |ctx| {
        let mailer = Arc::clone(&mailer);
        Box::pin(async move { Ok(mail::send_due(ctx, mailer.as_ref()).await?) })
    });
    // Workers do this too; but when the last of them has died, somebody must notice.
    spawn(tasks, shutdown, ctx, "leases", |ctx| {
        Box::pin(async move {
            jobs::claim::reap(ctx).await?;
            Ok(0)
        })
    });
    tasks.spawn(sweep_uploads(Arc::clone(ctx), shutdown.clone()));
    let (db, bus, stopped) = (ctx.db.clone(), Arc::clone(&ctx.events), shutdown.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = stopped.cancelled() => {}
            () = events::watch_other_processes(db, bus) => {}
        }
    });
}

/// A loop that does a round after every change, and rounds on end while there is more to do.
fn spawn(
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
    ctx: &Arc<Context>,
    name: &'static str,
    round: impl for<'a> Fn(&'a Context) -> Round<'a> + Send + Sync + 'static,
) {
    let (shutdown, ctx) = (shutdown.clone(), Arc::clone(ctx));
    tasks.spawn(async move {
        let mut changes = ctx.events.subscribe();
        while !shutdown.is_cancelled() {
            changes.mark_unchanged();
            // A panic is a mistake of ours; it must not end the loop for good.
            let outcome = AssertUnwindSafe(round(&ctx)).catch_unwind().await;
            match outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))) {
                Ok(0) => {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(IDLE) => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(name, error = format!("{error:#}"), "a background loop failed; it tries again");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(REST) => {}
                    }
                }
            }
        }
    });
}

async fn sweep_uploads(ctx: Arc<Context>, shutdown: CancellationToken) {
    let mut beat = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = beat.tick() => {}
        }
        match upload::sweep(&ctx).await {
            Ok(swept) => tracing::debug!(?swept, "leftovers of uploads were looked for"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "leftovers of uploads could not be removed"),
        }
    }
}
