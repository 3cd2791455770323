//! What people say of a version's compatibility: it works with a base model or does not, one word a person, version and
//! base model.

use std::collections::{BTreeMap, HashMap, HashSet};

use atelier_entities::{base_model, compatibility_vote as vote, lora, lora_version as version};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::OnConflict};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit, base_model as models,
    context::Context,
    error::{ReadError, Refused},
    failures,
    lora::versions,
    policy::{Action, Permit, authorize},
    social::block,
    widen::widen,
};

failures! {
    /// Why [`cast`] refused.
    pub enum VoteCompatibilityError {
        /// Nobody judges their own work.
        OwnLora => ("versionId", "OWN_LORA", "This LoRA belongs to your team. What it works with is for others to say."),
        /// Its maker has blocked them.
        NotOpen => ("versionId", "NOT_OPEN_TO_YOU", "You cannot say what this LoRA works with. Everything else about it stays open to you."),
    }
}

failures! {
    /// Why [`withdraw`] refused.
    pub enum WithdrawCompatibilityVoteError {
        /// There is nothing to withdraw.
        NotVoted => ("baseModelId", "NOT_VOTED", "You have not voted on this version and base model; there is nothing to take back."),
    }
}

widen!(ReadError => VoteCompatibilityError);
widen!(ReadError => WithdrawCompatibilityVoteError);

/// What people say of one base model.
#[derive(Clone, Debug, PartialEq)]
pub struct Votes {
    /// The base model.
    pub base_model: base_model::Model,
    /// So many say that the version works with it.
    pub works: i64,
    /// So many say that it does not.
    pub does_not_work: i64,
    /// What the actor says.
    pub own: Option<bool>,
}

/// Says that a version works with a base model or does not. Who says otherwise later has changed their mind.
///
/// # Errors
/// [`VoteCompatibilityError::OwnLora`], [`VoteCompatibilityError::NotOpen`]; [`Refused::NotFound`] for a version or base model that the actor may not see.
pub async fn cast(
    ctx: &Context,
    actor: &Actor,
    version: Uuid,
    base_model: Uuid,
    works: bool,
) -> Result<version::Model, VoteCompatibilityError> {
    let person = actor.person()?;
    let (row, permit, lora) = asked(ctx, actor, version).await?;
    if person.role_in(lora.team_id).is_some() {
        return Err(VoteCompatibilityError::OwnLora);
    }
    models::get(ctx, actor, base_model).await?;
    let vote = vote::ActiveModel {
        lora_version_id: Set(version),
        base_model_id: Set(base_model),
        user_id: Set(person.id),
        works: Set(works),
        created_at: Set(ctx.now()),
    };
    let conflict = OnConflict::columns([vote::Column::LoraVersionId, vote::Column::BaseModelId, vote::Column::UserId])
        .update_columns([vote::Column::Works, vote::Column::CreatedAt])
        .to_owned();
    let tx = ctx.db.write().await?;
    if block::stands_between(&tx, lora.created_by, person.id).await? {
        return Err(VoteCompatibilityError::NotOpen);
    }
    vote::Entity::insert(vote).on_conflict(conflict).exec_without_returning(&tx).await?;
    let detail = json!({ "do": "vote", "baseModel": base_model, "works": works });
    audit::record(&tx, ctx, &permit, Some(version), detail).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Takes one's vote back.
///
/// # Errors
/// [`WithdrawCompatibilityVoteError::NotVoted`].
pub async fn withdraw(
    ctx: &Context,
    actor: &Actor,
    version: Uuid,
    base_model: Uuid,
) -> Result<version::Model, WithdrawCompatibilityVoteError> {
    let person = actor.person()?;
    let (row, permit, _) = asked(ctx, actor, version).await?;
    let tx = ctx.db.write().await?;
    if vote::Entity::delete_by_id((version, base_model, person.id)).exec(&tx).await?.rows_affected == 0 {
        return Err(WithdrawCompatibilityVoteError::NotVoted);
    }
    let detail = json!({ "do": "withdraw vote", "baseModel": base_model });
    audit::record(&tx, ctx, &permit, Some(version), detail).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

async fn asked(
    ctx: &Context,
    actor: &Actor,
    version: Uuid,
) -> Result<(version::Model, Permit, lora::Model), ReadError> {
    let (lora, row) = versions::get(ctx, actor, version).await?;
    if lora.deleted_at.is_some() {
        return Err(Refused::NotFound("LoRA version").into());
    }
    let permit = authorize(actor, Action::CompatibilityVote, &lora)?;
    Ok((row, permit, lora))
}

/// What people say of several versions, for loaders: of the base models that are offered to the actor, in the order in
/// which those are listed. Ask for versions that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn of_versions(
    ctx: &Context,
    actor: &Actor,
    versions: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Votes>>, ReadError> {
    let of_versions = || vote::Entity::find().filter(vote::Column::LoraVersionId.is_in(versions.iter().copied()));
    let rows: Vec<(Uuid, Uuid, bool, i64)> = of_versions()
        .select_only()
        .columns([vote::Column::LoraVersionId, vote::Column::BaseModelId, vote::Column::Works])
        .column_as(vote::Column::UserId.count(), "number")
        .group_by(vote::Column::LoraVersionId)
        .group_by(vote::Column::BaseModelId)
        .group_by(vote::Column::Works)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let own: HashMap<(Uuid, Uuid), bool> = match actor.user_id() {
        None => HashMap::new(),
        Some(user) => of_versions()
            .filter(vote::Column::UserId.eq(user))
            .all(ctx.db.read())
            .await?
            .into_iter()
            .map(|row| ((row.lora_version_id, row.base_model_id), row.works))
            .collect(),
    };
    let mut counts: BTreeMap<(Uuid, Uuid), (i64, i64)> = BTreeMap::new();
    for (version, base_model, works, count) in rows {
        let (yes, no) = counts.entry((version, base_model)).or_default();
        *(if works { yes } else { no }) += count;
    }
    let offered = models::list(ctx, actor, None).await?;
    let versions: HashSet<Uuid> = counts.keys().map(|(version, _)| *version).collect();
    let votes_of = |version: Uuid| {
        let votes = offered.iter().filter_map(|model| {
            let (works, does_not_work) = *counts.get(&(version, model.id))?;
            Some(Votes { base_model: model.clone(), works, does_not_work, own: own.get(&(version, model.id)).copied() })
        });
        (version, votes.collect())
    };
    Ok(versions.into_iter().map(votes_of).collect())
}
