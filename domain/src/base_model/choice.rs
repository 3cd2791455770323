//! Which base models a team may use, and which one it uses when nobody names one.

use std::collections::{HashMap, HashSet};

use atelier_entities::{base_model, base_model_default, base_model_team, scope::Scope};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    sea_query::{Query, SelectStatement},
};
use uuid::Uuid;

use super::{check_enabled, check_fit, missing};
use crate::{
    actor::Actor,
    context::Context,
    error::{Invalid, ReadError},
    ports::inspector::InspectedLora,
};

/// What is offered to some teams. There are few base models: all are read at once.
struct Offers {
    /// Those that may be used, the installation's default first, the others by name.
    models: Vec<base_model::Model>,
    /// Base models and the teams that they were chosen for.
    shared: HashSet<(Uuid, Uuid)>,
    /// The teams' own defaults.
    defaults: HashMap<Uuid, Uuid>,
}

impl Offers {
    async fn load<C: ConnectionTrait>(db: &C, teams: &[Uuid]) -> Result<Self, DbErr> {
        let shared = base_model_team::Entity::find()
            .filter(base_model_team::Column::TeamId.is_in(teams.iter().copied()))
            .all(db)
            .await?;
        let defaults = base_model_default::Entity::find()
            .filter(base_model_default::Column::TeamId.is_in(teams.iter().copied()))
            .all(db)
            .await?;
        Ok(Self {
            models: enabled(db).await?,
            shared: shared.into_iter().map(|row| (row.base_model_id, row.team_id)).collect(),
            defaults: defaults.into_iter().map(|row| (row.team_id, row.base_model_id)).collect(),
        })
    }

    fn holds_for(&self, team: Uuid, model: &base_model::Model) -> bool {
        model.for_everyone || self.shared.contains(&(model.id, team))
    }

    /// Those that a team may use, the one first that it uses when nobody names one: its own default while that is
    /// offered to it, else the installation's.
    fn of(&self, team: Uuid) -> Vec<&base_model::Model> {
        let own = self.defaults.get(&team);
        let mut offered: Vec<_> = self.models.iter().filter(|model| self.holds_for(team, model)).collect();
        // Stable: the others stay in their order.
        offered.sort_by_key(|model| own != Some(&model.id));
        offered
    }
}

async fn enabled<C: ConnectionTrait>(db: &C) -> Result<Vec<base_model::Model>, DbErr> {
    base_model::Entity::find()
        .filter(base_model::Column::Enabled.eq(true))
        .order_by_desc(base_model::Column::IsDefault)
        .order_by_asc(base_model::Column::Name)
        .all(db)
        .await
}

/// The base models that are offered to the actor's teams, the installation's default first; or those of one of these
/// teams, the one first that it uses when nobody names one. There are few: the list has no pages.
///
/// # Errors
/// What the database says.
pub async fn list(ctx: &Context, actor: &Actor, team: Option<Uuid>) -> Result<Vec<base_model::Model>, ReadError> {
    let db = ctx.db.read();
    let teams = match (actor.scope(), team) {
        (Scope::Everything, None) => return Ok(enabled(db).await?),
        (Scope::Teams(teams), None) => teams,
        (scope, Some(team)) => {
            // What is offered to a team of others is no more to be seen than the team.
            let is_seen = match scope {
                Scope::Everything => true,
                Scope::Teams(teams) => teams.contains(&team),
            };
            let offers = Offers::load(db, &[team]).await?;
            return Ok(if is_seen { offers.of(team).into_iter().cloned().collect() } else { Vec::new() });
        }
    };
    let mut offers = Offers::load(db, &teams).await?;
    let models = std::mem::take(&mut offers.models);
    let is_offered =
        |model: &base_model::Model| model.for_everyone || teams.iter().any(|team| offers.holds_for(*team, model));
    Ok(models.into_iter().filter(is_offered).collect())
}

/// A base model that is offered to one of the actor's teams; also one that was taken out of the offer of late.
///
/// # Errors
/// [`Refused::NotFound`](crate::error::Refused::NotFound).
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<base_model::Model, ReadError> {
    let db = ctx.db.read();
    let row = base_model::Entity::find_by_id(id).one(db).await?.ok_or_else(missing)?;
    let is_seen = match actor.scope() {
        Scope::Everything => true,
        Scope::Teams(teams) => row.for_everyone || is_shared(db, &row, &teams).await?,
    };
    if is_seen { Ok(row) } else { Err(missing().into()) }
}

/// The base models that a team may use, its default one first.
pub(crate) async fn offered<C: ConnectionTrait>(db: &C, team: Uuid) -> Result<Vec<base_model::Model>, DbErr> {
    let offers = Offers::load(db, &[team]).await?;
    Ok(offers.of(team).into_iter().cloned().collect())
}

/// The keys of the base models that whoever looks may use, for a statement in which others name them.
pub(crate) fn offered_to(scope: &Scope) -> SelectStatement {
    let mut offered = Query::select();
    offered.column(base_model::Column::Id).from(base_model::Entity).and_where(base_model::Column::Enabled.eq(true));
    if let Scope::Teams(teams) = scope {
        let shared = Query::select()
            .column(base_model_team::Column::BaseModelId)
            .from(base_model_team::Entity)
            .and_where(base_model_team::Column::TeamId.is_in(teams.iter().copied()))
            .take();
        let is_theirs = base_model::Column::Id.in_subquery(shared);
        offered.cond_where(Condition::any().add(base_model::Column::ForEveryone.eq(true)).add(is_theirs));
    }
    offered
}

/// Whether a base model is for everyone or was chosen for a team. It may have been taken out of the offer all the same.
///
/// # Errors
/// What the database says.
pub async fn is_offered<C: ConnectionTrait>(db: &C, model: &base_model::Model, team: Uuid) -> Result<bool, DbErr> {
    Ok(model.for_everyone || is_shared(db, model, &[team]).await?)
}

async fn is_shared<C: ConnectionTrait>(db: &C, model: &base_model::Model, teams: &[Uuid]) -> Result<bool, DbErr> {
    let shared = base_model_team::Entity::find()
        .filter(base_model_team::Column::BaseModelId.eq(model.id))
        .filter(base_model_team::Column::TeamId.is_in(teams.iter().copied()))
        .count(db)
        .await?;
    Ok(shared > 0)
}

/// The base model that somebody chose for a team's work, or the team's default one, if it may be used.
///
/// # Errors
/// [`Refused::NotFound`](crate::error::Refused::NotFound) for one that is not offered to the team; [`Invalid`] with
/// `NO_BASE_MODEL` when there is none for the team, `BASE_MODEL_DISABLED` when it is no longer offered to anybody.
pub async fn choose<C: ConnectionTrait>(db: &C, team: Uuid, id: Option<Uuid>) -> Result<base_model::Model, ReadError> {
    let Some(id) = id else {
        let offers = Offers::load(db, &[team]).await?;
        return offers.of(team).first().copied().cloned().ok_or_else(|| {
            let message = "This installation has no base model for this team. Ask whoever runs it to add one.";
            Invalid::new("baseModelId", "NO_BASE_MODEL", message).into()
        });
    };
    let row = base_model::Entity::find_by_id(id).one(db).await?.ok_or_else(missing)?;
    if !is_offered(db, &row, team).await? {
        return Err(missing().into());
    }
    check_enabled(&row)?;
    Ok(row)
}

/// The first base model offered to a team that a LoRA fits, the team's default one before others.
///
/// # Errors
/// What the database says.
pub async fn matching(ctx: &Context, team: Uuid, lora: &InspectedLora) -> Result<Option<base_model::Model>, ReadError> {
    let offers = Offers::load(ctx.db.read(), &[team]).await?;
    for model in offers.of(team) {
        match check_fit(ctx, lora, model).await {
            Ok(()) => return Ok(Some(model.clone())),
            Err(ReadError::Invalid(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The shorter edge of the pictures that the teams' default base models draw: smaller ones are too small to train on. A
/// team without a base model is left out.
///
/// # Errors
/// What the database says.
pub async fn smallest_edges(ctx: &Context, teams: &[Uuid]) -> Result<HashMap<Uuid, u32>, DbErr> {
    let offers = Offers::load(ctx.db.read(), teams).await?;
    let edge = |team: &Uuid| {
        let model = offers.of(*team).into_iter().next()?;
        Some((*team, model.native_width.min(model.native_height).unsigned_abs()))
    };
    Ok(teams.iter().filter_map(edge).collect())
}
