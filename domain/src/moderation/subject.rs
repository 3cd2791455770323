//! What can be reported and hidden: LoRAs, previews, comments, ratings, profiles, collections.

use atelier_entities::{
    collection, comment,
    kinds::{ContentKind, LoraState},
    lora, lora_version, preview, rating, user,
};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use crate::{
    policy::{Resource, Target},
    social::rating as ratings,
};

/// A thing that can be hidden, with what has to be known of it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) kind: ContentKind,
    pub(super) id: Uuid,
    /// Who made it.
    pub(super) owner: Uuid,
    /// The team that owns it, or on whose LoRA it stands.
    pub(super) team: Option<Uuid>,
    /// The LoRA that it is, or belongs to.
    pub(super) lora: Option<Uuid>,
    /// Since when it is hidden.
    pub(super) hidden_at: Option<DateTime<Utc>>,
    /// Everybody may see it.
    public: bool,
}

impl Resource for Subject {
    const NAME: &'static str = "thing";

    fn target(&self) -> Target {
        Target { team: self.team, owner: Some(self.owner), public: self.public }
    }
}

/// The thing itself, for who moderates.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a page holds at most a hundred")]
pub enum Content {
    /// A LoRA.
    Lora(lora::Model),
    /// A preview.
    Preview(preview::Model),
    /// A comment.
    Comment(comment::Model),
    /// A rating.
    Rating(rating::Model),
    /// A person with their profile.
    User(user::Model),
    /// A collection.
    Collection(collection::Model),
}

/// Whether the members of the team own such a thing, and not only the LoRA that it stands on.
pub(crate) fn is_owned_by_team(kind: ContentKind) -> bool {
    match kind {
        ContentKind::Lora | ContentKind::Preview | ContentKind::Collection => true,
        ContentKind::Comment | ContentKind::Rating | ContentKind::User => false,
    }
}

/// Looks a thing up; none when there is none, or it was deleted.
pub(super) async fn find<C: ConnectionTrait>(db: &C, kind: ContentKind, id: Uuid) -> Result<Option<Subject>, DbErr> {
    match kind {
        ContentKind::Lora => {
            let row = live_lora(db, id).await?;
            Ok(row.map(|row| of_lora(kind, id, row.created_by, row.hidden_at, &row)))
        }
        ContentKind::Preview => {
            let Some(row) = preview::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
            let version = lora_version::Entity::find_by_id(row.lora_version_id).one(db).await?;
            let Some(version) = version else { return Ok(None) };
            let lora = live_lora(db, version.lora_id).await?;
            let is_published = version.published_at.is_some();
            let subject = lora.map(|lora| of_lora(kind, id, lora.created_by, row.hidden_at, &lora));
            Ok(subject.map(|subject| Subject { public: subject.public && is_published, ..subject }))
        }
        ContentKind::Comment => {
            let row = comment::Entity::find_by_id(id).filter(comment::Column::DeletedAt.is_null()).one(db).await?;
            let Some(row) = row else { return Ok(None) };
            let lora = live_lora(db, row.lora_id).await?;
            Ok(lora.map(|lora| of_lora(kind, id, row.user_id, row.hidden_at, &lora)))
        }
        ContentKind::Rating => {
            let row = rating::Entity::find_by_id(id).filter(rating::Column::DeletedAt.is_null()).one(db).await?;
            let Some(row) = row else { return Ok(None) };
            let lora = live_lora(db, row.lora_id).await?;
            Ok(lora.map(|lora| of_lora(kind, id, row.user_id, row.hidden_at, &lora)))
        }
        ContentKind::Collection => {
            let row = collection::Entity::find_by_id(id).one(db).await?;
            Ok(row.map(|row| Subject {
                kind,
                id,
                owner: row.created_by,
                team: Some(row.team_id),
                lora: None,
                hidden_at: row.hidden_at,
                public: row.target().public,
            }))
        }
        ContentKind::User => {
            let row = user::Entity::find_by_id(id).one(db).await?;
            Ok(row.map(|row| Subject {
                kind,
                id,
                owner: id,
                team: None,
                lora: None,
                hidden_at: row.hidden_at,
                public: true,
            }))
        }
    }
}

async fn live_lora<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<Option<lora::Model>, DbErr> {
    lora::Entity::find_by_id(id).filter(lora::Column::State.ne(LoraState::Deleted)).one(db).await
}

fn of_lora(kind: ContentKind, id: Uuid, owner: Uuid, hidden_at: Option<DateTime<Utc>>, lora: &lora::Model) -> Subject {
    let public = lora.target().public && hidden_at.is_none();
    Subject { kind, id, owner, team: Some(lora.team_id), lora: Some(lora.id), hidden_at, public }
}

/// Hides a thing or shows it again. A rating counts accordingly.
pub(super) async fn set_hidden(
    tx: &DatabaseTransaction,
    subject: &Subject,
    hidden_at: Option<DateTime<Utc>>,
) -> Result<(), DbErr> {
    macro_rules! set {
        ($entity:ident) => {
            $entity::Entity::update_many()
                .col_expr($entity::Column::HiddenAt, Expr::value(hidden_at))
                .filter($entity::Column::Id.eq(subject.id))
                .exec(tx)
                .await
                .map(|_| ())
        };
    }
    match subject.kind {
        ContentKind::Lora => set!(lora),
        ContentKind::Preview => set!(preview),
        ContentKind::Comment => set!(comment),
        ContentKind::User => set!(user),
        ContentKind::Collection => set!(collection),
        ContentKind::Rating => {
            let Some(lora) = subject.lora else { return Ok(()) };
            let lora = lora::Entity::find_by_id(lora);
            let (Some(lora), Some(before)) = (
                sea_orm::QuerySelect::lock_exclusive(lora).one(tx).await?,
                rating::Entity::find_by_id(subject.id).one(tx).await?,
            ) else {
                return Ok(());
            };
            set!(rating)?;
            let after = rating::Model { hidden_at, ..before.clone() };
            ratings::recount(tx, lora, ratings::Weight::of(&before), ratings::Weight::of(&after)).await.map(|_| ())
        }
    }
}
