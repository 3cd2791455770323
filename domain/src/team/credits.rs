//! What teams may spend, and grants to them.

use std::collections::HashMap;

use atelier_entities::{kinds::LedgerAccountKind, ledger_account, team};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::locked;
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    ledger::{self, Balance},
    policy::{Action, Resource as _, authorize},
    text,
    widen::widen,
};

/// The largest grant at once.
const LARGEST: i64 = 1_000_000_000;

failures! {
    /// Why [`grant`] refused.
    pub enum GrantCreditsError {}
}

widen!(KeyError => GrantCreditsError);

/// A grant to be made.
#[derive(Clone, Debug, Serialize)]
pub struct Grant {
    /// The team.
    pub team: Uuid,
    /// Credits, 1 to 1,000,000,000.
    pub amount: i64,
}

/// The balances of several teams; those of which the actor is no member are left out.
///
/// # Errors
/// What the database says.
pub async fn of_teams(ctx: &Context, actor: &Actor, teams: &[Uuid]) -> Result<HashMap<Uuid, Balance>, ReadError> {
    let rows = super::by_ids(ctx, actor, teams).await?.into_values();
    let mut balances: HashMap<Uuid, Balance> = rows
        .filter(|team| authorize(actor, Action::LedgerRead, team).is_ok())
        .map(|team| (team.id, Balance::default()))
        .collect();
    let accounts = ledger_account::Entity::find()
        .filter(ledger_account::Column::TeamId.is_in(balances.keys().copied()))
        .all(ctx.db.read())
        .await?;
    for account in accounts {
        let Some(balance) = account.team_id.and_then(|team| balances.get_mut(&team)) else { continue };
        match account.kind {
            LedgerAccountKind::Available => balance.available = account.balance,
            LedgerAccountKind::Reserved => balance.reserved = account.balance,
            LedgerAccountKind::Issued | LedgerAccountKind::Earned => {}
        }
    }
    Ok(balances)
}

/// Grants credits to a team.
///
/// # Errors
/// [`Refused::Forbidden`] for who does not administer the installation; an [`crate::error::Invalid`] for an amount out of range.
pub async fn grant(
    ctx: &Context,
    actor: &Actor,
    input: Grant,
    key: Option<&str>,
) -> Result<team::Model, GrantCreditsError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let team = locked(&tx, input.team).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::CreditGrant, &team)?;
    let amount = text::check_range("amount", input.amount, 1, LARGEST)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "grantCredits", &input).await?;
    if once.earlier().is_some() {
        return Ok(team);
    }
    ledger::grant(&tx, ctx, team.id, amount, &format!("grant:{}", ctx.new_id())).await?;
    audit::record(&tx, ctx, &permit, Some(team.id), json!({ "amount": amount })).await?;
    once.remember(&tx, ctx, team.id).await?;
    ctx.commit(tx).await?;
    Ok(team)
}
