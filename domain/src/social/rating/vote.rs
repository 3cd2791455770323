//! Helpful votes: that somebody found a rating helpful, once a person.

use std::collections::{HashMap, HashSet};

use atelier_entities::{lora, rating, rating_vote};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait as _, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    policy::{Action, RatingOn, Resource as _, authorize},
    widen::widen,
};

failures! {
    /// Why [`vote`] refused.
    pub enum VoteRatingError {
        /// It is their own.
        OwnRating => ("ratingId", "OWN_RATING", "This rating is yours. Whether it helps is for others to say."),
    }
}

failures! {
    /// Why [`withdraw`] refused.
    pub enum WithdrawRatingVoteError {
        /// There is nothing to withdraw.
        NotVoted => ("ratingId", "NOT_VOTED", "You have not voted for this rating; there is nothing to take back."),
    }
}

widen!(ReadError => VoteRatingError);
widen!(ReadError => WithdrawRatingVoteError);

/// Says that a rating is helpful. Who has said so already has said it once.
///
/// # Errors
/// [`VoteRatingError::OwnRating`].
pub async fn vote(ctx: &Context, actor: &Actor, id: Uuid) -> Result<rating::Model, VoteRatingError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let (row, lora) = with_lora(&tx, id).await?;
    let permit = authorize(actor, Action::RatingVote, &RatingOn { rating: &row, lora: &lora })?;
    if row.user_id == person.id {
        return Err(VoteRatingError::OwnRating);
    }
    let vote = rating_vote::ActiveModel { rating_id: Set(id), user_id: Set(person.id), created_at: Set(ctx.now()) };
    let conflict =
        OnConflict::columns([rating_vote::Column::RatingId, rating_vote::Column::UserId]).do_nothing().to_owned();
    if rating_vote::Entity::insert(vote).on_conflict(conflict).exec_without_returning(&tx).await? == 1 {
        add(&tx, id, 1).await?;
        audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "vote" })).await?;
    }
    let row = rating::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(RatingOn::NAME))?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Takes one's vote back.
///
/// # Errors
/// [`WithdrawRatingVoteError::NotVoted`].
pub async fn withdraw(ctx: &Context, actor: &Actor, id: Uuid) -> Result<rating::Model, WithdrawRatingVoteError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let (row, lora) = with_lora(&tx, id).await?;
    let permit = authorize(actor, Action::RatingVote, &RatingOn { rating: &row, lora: &lora })?;
    if rating_vote::Entity::delete_by_id((id, person.id)).exec(&tx).await?.rows_affected == 0 {
        return Err(WithdrawRatingVoteError::NotVoted);
    }
    add(&tx, id, -1).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "withdraw vote" })).await?;
    let row = rating::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(RatingOn::NAME))?;
    ctx.commit(tx).await?;
    Ok(row)
}

async fn with_lora(tx: &DatabaseTransaction, id: Uuid) -> Result<(rating::Model, lora::Model), ReadError> {
    let missing = || Refused::NotFound(RatingOn::NAME);
    let select = rating::Entity::find_by_id(id).filter(rating::Column::DeletedAt.is_null());
    let row = select.one(tx).await?.ok_or_else(missing)?;
    let lora = lora::Entity::find_by_id(row.lora_id).one(tx).await?.ok_or_else(missing)?;
    Ok((row, lora))
}

async fn add(tx: &DatabaseTransaction, id: Uuid, votes: i64) -> Result<(), DbErr> {
    rating::Entity::update_many()
        .col_expr(rating::Column::HelpfulCount, Expr::col(rating::Column::HelpfulCount).add(votes))
        .filter(rating::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Which of several ratings the actor found helpful; none, where nobody is signed in.
///
/// # Errors
/// What the database says.
pub async fn found_helpful(ctx: &Context, actor: &Actor, ratings: &[Uuid]) -> Result<HashMap<Uuid, bool>, ReadError> {
    let voted: HashSet<Uuid> = match actor.user_id() {
        None => HashSet::new(),
        Some(user) => {
            let rows: Vec<Uuid> = rating_vote::Entity::find()
                .select_only()
                .column(rating_vote::Column::RatingId)
                .filter(rating_vote::Column::UserId.eq(user))
                .filter(rating_vote::Column::RatingId.is_in(ratings.iter().copied()))
                .into_tuple()
                .all(ctx.db.read())
                .await?;
            rows.into_iter().collect()
        }
    };
    Ok(ratings.iter().map(|rating| (*rating, voted.contains(rating))).collect())
}
