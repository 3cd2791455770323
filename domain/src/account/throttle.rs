//! Slows down whoever tries again and again: guesses at one account's password, mails to one address.
//!
//! An attempt is counted before it is made, so that many at the same time are counted too; and what does not exist is
//! counted like what does, so that nothing can be learned from it.

use atelier_entities::throttle;
use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, sea_query::OnConflict,
};
use sha2::{Digest, Sha256};

use crate::{context::Context, database};

/// What is slowed down, and how much.
pub(crate) struct Rule {
    name: &'static str,
    /// Attempts that nothing slows down.
    free: i32,
    /// The first pause; each further attempt doubles it.
    pause: TimeDelta,
    /// The longest pause.
    longest: TimeDelta,
    /// After so long a quiet time nothing counts any more.
    forgotten: TimeDelta,
}

/// Guesses at the password of an account.
pub(crate) const PASSWORD: Rule = Rule {
    name: "password",
    free: 5,
    pause: TimeDelta::seconds(2),
    longest: TimeDelta::minutes(15),
    forgotten: TimeDelta::hours(1),
};

/// Mails that anybody can cause to an address. The longest pause is no longer than any mail's link works, so that who
/// wants to keep somebody from a mail has sent them one that works.
const fn mail(name: &'static str) -> Rule {
    Rule { name, free: 4, pause: TimeDelta::minutes(2), longest: TimeDelta::hours(1), forgotten: TimeDelta::hours(24) }
}

/// Mails to who signs up.
pub(crate) const SIGN_UP_MAIL: Rule = mail("sign-up mail");

/// Mails to who forgot their password.
pub(crate) const RESET_MAIL: Rule = mail("reset mail");

/// Mails to who is invited.
pub(crate) const INVITATION_MAIL: Rule = mail("invitation mail");

/// Nothing is kept longer.
const KEPT: TimeDelta = TimeDelta::hours(24);

impl Rule {
    fn key(&self, subject: &str) -> String {
        hex::encode(Sha256::digest(format!("{}\0{subject}", self.name)))
    }

    fn pause_after(&self, attempts: i32) -> TimeDelta {
        match attempts - self.free {
            ..0 => TimeDelta::zero(),
            more => self.longest.min(self.pause * 2_i32.saturating_pow(more.unsigned_abs().min(20))),
        }
    }
}

/// Counts an attempt, in the caller's transaction, which must be committed whatever the attempt comes to. Otherwise says
/// how long to wait; then nothing was counted.
///
/// # Errors
/// What the database says.
pub(crate) async fn attempt<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    rule: &Rule,
    subject: &str,
) -> Result<Result<(), TimeDelta>, DbErr> {
    let (key, now) = (rule.key(subject), ctx.now());
    database::serialize(tx, &format!("throttle:{key}")).await?;
    let found = throttle::Entity::find_by_id(key.clone()).lock_exclusive().one(tx).await?;
    let found = found.filter(|row| row.last_attempt_at > now - rule.forgotten);
    let attempts = found.as_ref().map_or(0, |row| row.attempts);
    let free_at = found.map_or(now, |row| row.last_attempt_at + rule.pause_after(attempts));
    if free_at > now {
        return Ok(Err(free_at - now));
    }
    throttle::Entity::delete_many().filter(throttle::Column::LastAttemptAt.lt(now - KEPT)).exec(tx).await?;
    let row =
        throttle::ActiveModel { key: Set(key), attempts: Set(attempts.saturating_add(1)), last_attempt_at: Set(now) };
    let conflict = OnConflict::column(throttle::Column::Key)
        .update_columns([throttle::Column::Attempts, throttle::Column::LastAttemptAt])
        .to_owned();
    throttle::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await?;
    Ok(Ok(()))
}

/// Forgets the attempts: the last one was good.
///
/// # Errors
/// What the database says.
pub(crate) async fn forget<C: ConnectionTrait>(tx: &C, rule: &Rule, subject: &str) -> Result<(), DbErr> {
    throttle::Entity::delete_by_id(rule.key(subject)).exec(tx).await.map(|_| ())
}

/// Whole seconds of a pause, at least one.
pub(crate) fn seconds(pause: TimeDelta) -> i64 {
    pause.num_seconds().max(0) + 1
}
