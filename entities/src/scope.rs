//! Whose rows a query may see. Every list starts here, so that a forgotten filter cannot leak another team's rows.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select, entity::prelude::Uuid};

use crate::{
    asset, audit_entry, collection, dataset, dataset_picture, generation, job, kinds::LoraState, lora, training_epoch,
    training_run, upload,
};

/// What a viewer may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything: the system itself.
    Everything,
    /// What is public, and what belongs to these teams.
    Teams(Vec<Uuid>),
}

impl Scope {
    fn owned_by<C: ColumnTrait>(&self, team: C) -> Condition {
        match self {
            Scope::Everything => Condition::all(),
            Scope::Teams(teams) => Condition::all().add(team.is_in(teams.iter().copied())),
        }
    }
}

/// Entities whose selects are born scoped.
pub trait Scoped: EntityTrait {
    /// The rows that a viewer may see.
    fn visible_to(scope: &Scope) -> Select<Self>;
}

macro_rules! owned_by_team {
    ($($entity:ident),* $(,)?) => {$(
        impl Scoped for $entity::Entity {
            fn visible_to(scope: &Scope) -> Select<Self> {
                Self::find().filter(scope.owned_by($entity::Column::TeamId))
            }
        }
    )*};
}

owned_by_team!(asset, audit_entry, dataset, dataset_picture, generation, job, training_epoch, training_run, upload);

impl Scoped for lora::Entity {
    /// Published LoRAs are everybody's to see; drafts, unpublished ones and those that the moderators hide are their
    /// team's. Tombstones are seen by nobody through lists.
    fn visible_to(scope: &Scope) -> Select<Self> {
        let visible = match scope {
            Scope::Everything => Condition::all(),
            Scope::Teams(_) => Condition::any().add(shown_to_all()).add(scope.owned_by(lora::Column::TeamId)),
        };
        Self::find().filter(visible).filter(lora::Column::State.ne(LoraState::Deleted))
    }
}

impl Scoped for collection::Entity {
    /// Public collections are everybody's to see; others, and those that the moderators hide, are their team's.
    fn visible_to(scope: &Scope) -> Select<Self> {
        let visible = match scope {
            Scope::Everything => Condition::all(),
            Scope::Teams(_) => {
                let shown = Condition::all()
                    .add(collection::Column::IsPublic.eq(true))
                    .add(collection::Column::HiddenAt.is_null());
                Condition::any().add(shown).add(scope.owned_by(collection::Column::TeamId))
            }
        };
        Self::find().filter(visible)
    }
}

/// The LoRAs that everybody may see.
pub fn shown_to_all() -> Condition {
    Condition::all().add(lora::Column::State.eq(LoraState::Published)).add(lora::Column::HiddenAt.is_null())
}
