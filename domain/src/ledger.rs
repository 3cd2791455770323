//! Credits, double-entry and append-only: what leaves one account enters another under the same operation, and an
//! account knows each operation once. A balance is always the sum of its entries.
//!
//! A team has two accounts: *available* and *reserved*. The house has two: *issued*, from which grants come, and
//! *earned*, to which what was used goes.

use atelier_entities::{kinds::LedgerAccountKind, ledger_account as account, ledger_entry as entry, team};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{Invalid, ReadError, Refused},
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
};

const ISSUED: Uuid = Uuid::from_u128(1);
const EARNED: Uuid = Uuid::from_u128(2);

/// Why a booking was refused.
#[derive(Debug, thiserror::Error)]
pub enum BookingError {
    /// The team has not enough.
    #[error("This needs {needed} credits and the team has {available}. Ask an administrator for a grant.")]
    NotEnough {
        /// What it costs.
        needed: i64,
        /// What there is.
        available: i64,
    },
    /// What nobody expected.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl BookingError {
    /// The failure as an input field that the caller can mend, or the database's.
    pub fn into_invalid(self) -> Result<Invalid, DbErr> {
        match self {
            Self::NotEnough { .. } => Ok(Invalid::new("", "NOT_ENOUGH_CREDITS", self.to_string())),
            Self::Database(error) => Err(error),
        }
    }
}

/// One of the two accounts of a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purse {
    Available(Uuid),
    Reserved(Uuid),
}

/// Grants credits to a team. The same operation is booked once.
///
/// # Errors
/// What the database says.
pub async fn grant<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    amount: i64,
    operation: &str,
) -> Result<(), DbErr> {
    let to = purse(tx, ctx, Purse::Available(team)).await?;
    house(tx, ctx).await?;
    add(tx, ISSUED, -amount).await?;
    add(tx, to, amount).await?;
    book(tx, ctx, ISSUED, to, amount, operation, None).await
}

/// Sets credits aside for a job.
///
/// # Errors
/// [`BookingError::NotEnough`] when the team has not enough.
pub async fn reserve<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    amount: i64,
    job: Uuid,
    run: i64,
) -> Result<(), BookingError> {
    if amount == 0 {
        return Ok(());
    }
    let from = purse(tx, ctx, Purse::Available(team)).await?;
    let to = purse(tx, ctx, Purse::Reserved(team)).await?;
    if !take(tx, from, amount).await? {
        let available = account::Entity::find_by_id(from).one(tx).await?.map_or(0, |account| account.balance);
        return Err(BookingError::NotEnough { needed: amount, available });
    }
    add(tx, to, amount).await?;
    Ok(book(tx, ctx, from, to, amount, &format!("reserve:{job}:{run}"), Some(job)).await?)
}

/// Books what was set aside as used.
///
/// # Errors
/// What the database says.
pub async fn settle<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    amount: i64,
    job: Uuid,
    run: i64,
) -> Result<(), DbErr> {
    if amount == 0 {
        return Ok(());
    }
    let from = purse(tx, ctx, Purse::Reserved(team)).await?;
    house(tx, ctx).await?;
    move_reserved(tx, from, EARNED, amount, job).await?;
    book(tx, ctx, from, EARNED, amount, &format!("settle:{job}:{run}"), Some(job)).await
}

/// Gives back what was set aside.
///
/// # Errors
/// What the database says.
pub async fn release<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    team: Uuid,
    amount: i64,
    job: Uuid,
    run: i64,
) -> Result<(), DbErr> {
    if amount == 0 {
        return Ok(());
    }
    let from = purse(tx, ctx, Purse::Reserved(team)).await?;
    let to = purse(tx, ctx, Purse::Available(team)).await?;
    move_reserved(tx, from, to, amount, job).await?;
    book(tx, ctx, from, to, amount, &format!("release:{job}:{run}"), Some(job)).await
}

async fn move_reserved<C: ConnectionTrait>(tx: &C, from: Uuid, to: Uuid, amount: i64, job: Uuid) -> Result<(), DbErr> {
    if !take(tx, from, amount).await? {
        return Err(DbErr::Custom(format!("job {job}: {amount} credits are not in the reserved account")));
    }
    add(tx, to, amount).await
}

/// What a team may spend, and what is set aside for jobs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// May be spent.
    pub available: i64,
    /// Is set aside.
    pub reserved: i64,
}

/// A team's balance.
///
/// # Errors
/// [`Refused`] for who is no member.
pub async fn balance(ctx: &Context, actor: &Actor, team: &team::Model) -> Result<Balance, ReadError> {
    authorize(actor, Action::LedgerRead, team)?;
    let mut balance = Balance::default();
    for account in account::Entity::find().filter(account::Column::TeamId.eq(team.id)).all(ctx.db.read()).await? {
        match account.kind {
            LedgerAccountKind::Available => balance.available = account.balance,
            LedgerAccountKind::Reserved => balance.reserved = account.balance,
            LedgerAccountKind::Issued | LedgerAccountKind::Earned => {}
        }
    }
    Ok(balance)
}

/// The bookings of a team's available account, newest first.
///
/// # Errors
/// [`Refused`] for who is no member.
pub async fn entries(
    ctx: &Context,
    actor: &Actor,
    team: Uuid,
    request: &PageRequest,
) -> Result<Page<entry::Model>, ReadError> {
    let db = ctx.db.read();
    let team = team::Entity::find_by_id(team).one(db).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    authorize(actor, Action::LedgerRead, &team)?;
    let id = account::Entity::find()
        .filter(account::Column::TeamId.eq(team.id))
        .filter(account::Column::Kind.eq(LedgerAccountKind::Available))
        .one(db)
        .await?
        .map(|account| account.id)
        .unwrap_or_default();
    let select = entry::Entity::find().filter(entry::Column::AccountId.eq(id));
    Ok(page::by_id(select, entry::Column::Id, |row| row.id, request, Direction::NewestFirst, db).await?)
}

/// A booking of one of the actor's teams.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<entry::Model, ReadError> {
    let (db, missing) = (ctx.db.read(), Refused::NotFound("ledger entry"));
    let row = entry::Entity::find_by_id(id).one(db).await?.ok_or_else(|| missing.clone())?;
    let account = account::Entity::find_by_id(row.account_id).one(db).await?.ok_or_else(|| missing.clone())?;
    // The house's own accounts belong to nobody.
    let team = account.team_id.ok_or_else(|| missing.clone())?;
    let team = team::Entity::find_by_id(team).one(db).await?.ok_or_else(|| missing.clone())?;
    if authorize(actor, Action::LedgerRead, &team).is_err() { Err(missing.into()) } else { Ok(row) }
}

async fn house<C: ConnectionTrait>(tx: &C, ctx: &Context) -> Result<(), DbErr> {
    open(tx, ctx, ISSUED, None, LedgerAccountKind::Issued).await?;
    open(tx, ctx, EARNED, None, LedgerAccountKind::Earned).await
}

async fn purse<C: ConnectionTrait>(tx: &C, ctx: &Context, purse: Purse) -> Result<Uuid, DbErr> {
    let (team, kind) = match purse {
        Purse::Available(team) => (team, LedgerAccountKind::Available),
        Purse::Reserved(team) => (team, LedgerAccountKind::Reserved),
    };
    let select =
        || account::Entity::find().filter(account::Column::TeamId.eq(team)).filter(account::Column::Kind.eq(kind));
    if let Some(found) = select().one(tx).await? {
        return Ok(found.id);
    }
    open(tx, ctx, ctx.new_id(), Some(team), kind).await?;
    let opened = select().one(tx).await?;
    opened.map(|account| account.id).ok_or_else(|| DbErr::RecordNotFound(format!("{kind:?} account of team {team}")))
}

async fn open<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    id: Uuid,
    team: Option<Uuid>,
    kind: LedgerAccountKind,
) -> Result<(), DbErr> {
    let row = account::ActiveModel {
        id: Set(id),
        team_id: Set(team),
        kind: Set(kind),
        balance: Set(0),
        created_at: Set(ctx.now()),
    };
    account::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await
        .map(|_| ())
}

/// Takes from an account what it holds; false when it holds less.
async fn take<C: ConnectionTrait>(tx: &C, id: Uuid, amount: i64) -> Result<bool, DbErr> {
    let result = account::Entity::update_many()
        .col_expr(account::Column::Balance, Expr::col(account::Column::Balance).sub(amount))
        .filter(account::Column::Id.eq(id))
        .filter(account::Column::Balance.gte(amount))
        .exec(tx)
        .await?;
    Ok(result.rows_affected == 1)
}

async fn add<C: ConnectionTrait>(tx: &C, id: Uuid, amount: i64) -> Result<(), DbErr> {
    account::Entity::update_many()
        .col_expr(account::Column::Balance, Expr::col(account::Column::Balance).add(amount))
        .filter(account::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(|_| ())
}

async fn book<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    from: Uuid,
    to: Uuid,
    amount: i64,
    operation: &str,
    job: Option<Uuid>,
) -> Result<(), DbErr> {
    for (account, amount) in [(from, -amount), (to, amount)] {
        let row = entry::ActiveModel {
            id: Set(ctx.new_id()),
            account_id: Set(account),
            operation: Set(operation.to_owned()),
            amount: Set(amount),
            job_id: Set(job),
            created_at: Set(ctx.now()),
        };
        row.insert(tx).await?;
    }
    Ok(())
}

/// Checks every account against the sum of its entries, and that the entries of every operation cancel out. Returns
/// what is wrong, in sentences.
///
/// # Errors
/// What the database says.
pub async fn audit<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, DbErr> {
    let mut sums = std::collections::HashMap::<Uuid, i64>::new();
    let mut operations = std::collections::HashMap::<String, i64>::new();
    for row in entry::Entity::find().all(db).await? {
        *sums.entry(row.account_id).or_default() += row.amount;
        *operations.entry(row.operation).or_default() += row.amount;
    }
    let accounts = account::Entity::find().all(db).await?;
    let wrong_balances = accounts.iter().filter_map(|account| {
        let sum = sums.get(&account.id).copied().unwrap_or_default();
        (sum != account.balance)
            .then(|| format!("Account {} shows {} and its entries sum to {sum}.", account.id, account.balance))
    });
    let lopsided = operations
        .iter()
        .filter(|(_, sum)| **sum != 0)
        .map(|(operation, sum)| format!("Operation {operation} does not cancel out: {sum} are left."));
    Ok(wrong_balances.chain(lopsided).collect())
}
