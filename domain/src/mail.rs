//! Outgoing mail: written as rows in the transaction that causes it, sent by a loop that tries again.

use atelier_entities::mail;
use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::{
    context::Context,
    ports::mailer::{Letter, Mailer},
};

/// After so many failures a letter is given up.
const MOST_ATTEMPTS: i32 = 10;

/// Puts a letter into the outbox.
///
/// # Errors
/// What the database says.
pub async fn enqueue<C: ConnectionTrait>(tx: &C, ctx: &Context, letter: Letter) -> Result<(), DbErr> {
    let row = mail::ActiveModel {
        id: Set(ctx.new_id()),
        recipient: Set(letter.recipient),
        subject: Set(letter.subject),
        text_body: Set(letter.text),
        html_body: Set(letter.html),
        unsubscribe_url: Set(letter.unsubscribe),
        attempts: Set(0),
        next_attempt_at: Set(ctx.now()),
        sent_at: Set(None),
        error: Set(None),
        created_at: Set(ctx.now()),
    };
    row.insert(tx).await.map(|_| ())
}

/// Sends what is due. Returns how many letters were sent. A letter whose sending is recorded too late is sent twice:
/// mail has no transactions.
///
/// # Errors
/// What the database says; a mailer's failure is kept with its letter.
pub async fn send_due(ctx: &Context, mailer: &dyn Mailer) -> Result<usize, DbErr> {
    let due = mail::Entity::find()
        .filter(mail::Column::SentAt.is_null())
        .filter(mail::Column::Attempts.lt(MOST_ATTEMPTS))
        .filter(mail::Column::NextAttemptAt.lte(ctx.now()))
        .order_by_asc(mail::Column::NextAttemptAt)
        .limit(50)
        .all(ctx.db.read())
        .await?;
    let mut sent = 0;
    for row in due {
        let letter = Letter {
            recipient: row.recipient.clone(),
            subject: row.subject.clone(),
            text: row.text_body.clone(),
            html: row.html_body.clone(),
            unsubscribe: row.unsubscribe_url.clone(),
        };
        let result = mailer.send(&letter).await;
        let attempts = row.attempts + 1;
        let mut row = row.into_active_model();
        row.attempts = Set(attempts);
        match result {
            Ok(()) => {
                row.sent_at = Set(Some(ctx.now()));
                sent += 1;
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), attempts, "a mail could not be sent");
                row.next_attempt_at = Set(ctx.now() + TimeDelta::seconds(5 << attempts.min(12)));
                row.error = Set(Some(format!("{error:#}")));
            }
        }
        let tx = ctx.db.write().await?;
        row.update(&tx).await?;
        tx.commit().await?;
    }
    Ok(sent)
}
