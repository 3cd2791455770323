//! Turns what happened into notifications. It reads the outbox in order, and what it writes commits together with its
//! position: everybody is told once, also after a crash.

use async_trait::async_trait;
use atelier_entities::{
    comment, job,
    kinds::{ContentKind, EventKind, JobKind, JobState, LoraState, NotificationKind, Role},
    lora, lora_version, membership, notification, outbox_event, training_run, user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    QueryTrait,
    sea_query::{Expr, SelectStatement},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    fanout,
    tell::{PERSON, Told, tell},
};
use crate::{context::Context, moderation::is_owned_by_team, outbox::Consumer, policy::Resource as _};

/// Characters of a job's failure that are told; the job itself holds all.
const LONGEST_REASON: usize = 300;

/// Tells people what concerns them.
#[derive(Debug, Default)]
pub struct NotificationConsumer;

#[async_trait]
impl Consumer for NotificationConsumer {
    fn name(&self) -> &'static str {
        "notifications"
    }

    async fn consume(
        &self,
        ctx: &Context,
        tx: &DatabaseTransaction,
        events: &[outbox_event::Model],
    ) -> anyhow::Result<()> {
        for event in events {
            let teller = Teller { ctx, tx, event };
            match event.kind {
                EventKind::LoraPublished => teller.lora_published().await?,
                EventKind::LoraVersionPublished => teller.version_published().await?,
                EventKind::LoraRated => teller.lora_rated().await?,
                EventKind::CommentAdded => teller.comment_added().await?,
                EventKind::CommentEdited => teller.comment_edited().await?,
                EventKind::ReviewAsked => teller.review_asked().await?,
                EventKind::UserFollowed => teller.user_followed().await?,
                EventKind::JobFinished => teller.job_finished().await?,
                EventKind::ContentHidden => teller.moderated(NotificationKind::ContentHidden).await?,
                EventKind::ContentRestored => teller.moderated(NotificationKind::ContentRestored).await?,
                EventKind::LoraChanged
                | EventKind::LoraDownloaded
                | EventKind::AssetDeleted
                | EventKind::JobQueued
                | EventKind::UploadFinished
                | EventKind::UserChanged => {}
            }
        }
        Ok(())
    }
}

/// Tells of one event.
struct Teller<'a> {
    ctx: &'a Context,
    tx: &'a DatabaseTransaction,
    event: &'a outbox_event::Model,
}

impl Teller<'_> {
    /// Followers hear of a LoRA's first publication only: who takes it back and shows it again is not news, unless it is shown
    /// with a version that nobody saw before.
    async fn lora_published(&self) -> anyhow::Result<()> {
        let Some(lora) = self.published_lora(self.event.subject_id).await? else { return Ok(()) };
        if lora.follower_notified_at.is_some() {
            let has_new_version = self.event.payload["newVersion"].as_bool().unwrap_or(false);
            return if has_new_version { self.version_published().await } else { Ok(()) };
        }
        let message = format!("{} published “{}”.", self.name_of(lora.created_by).await?, lora.name);
        self.tell_followers(NotificationKind::LoraPublished, &lora, message).await?;
        let mut lora = lora.into_active_model();
        lora.follower_notified_at = Set(Some(self.ctx.now()));
        lora.update(self.tx).await?;
        Ok(())
    }

    async fn version_published(&self) -> anyhow::Result<()> {
        let Some(lora) = self.published_lora(self.event.subject_id).await? else { return Ok(()) };
        let number = self.event.payload["number"].as_i64();
        let number = number.map_or_else(|| "a new version".to_owned(), |number| format!("version {number}"));
        let message = format!("{} published {number} of “{}”.", self.name_of(lora.created_by).await?, lora.name);
        Ok(self.tell_followers(NotificationKind::LoraVersionPublished, &lora, message).await?)
    }

    /// The maker hears of each person's first rating of a version, not of every change of mind.
    async fn lora_rated(&self) -> anyhow::Result<()> {
        let is_first = self.event.payload["first"].as_bool().unwrap_or(true);
        let (Some(rater), true) = (self.event.actor_id, is_first) else { return Ok(()) };
        let Some(lora) = self.lora(self.event.subject_id).await? else { return Ok(()) };
        let stars = match self.event.payload["stars"].as_i64() {
            Some(1) => "1 star".to_owned(),
            Some(stars) => format!("{stars} stars"),
            None => "a rating".to_owned(),
        };
        let message = format!("{} gave “{}” {stars}.", self.name_of(rater).await?, lora.name);
        let told = self.told(NotificationKind::LoraRated, Some(rater), message);
        Ok(self.tell(who_see(&lora, [lora.created_by]), &Told { lora: Some(lora.id), ..told }).await?)
    }

    /// Whose comment was answered hears of the answer, who is mentioned of that, and the LoRA's maker of every comment; who
    /// is several of them hears once.
    async fn comment_added(&self) -> anyhow::Result<()> {
        let Some((comment, lora)) = self.comment().await? else { return Ok(()) };
        let author = self.name_of(comment.user_id).await?;
        let parent = match comment.parent_id {
            Some(parent) => comment::Entity::find_by_id(parent).one(self.tx).await?,
            None => None,
        };
        if let Some(answered) = parent.filter(|parent| parent.deleted_at.is_none()).map(|parent| parent.user_id) {
            let message = format!("{author} answered your comment on “{}”.", lora.name);
            let told = self.about(NotificationKind::CommentReplied, &comment, message);
            self.tell(who_see(&lora, [answered]), &told).await?;
        }
        self.tell_mentioned(&comment, &lora, &author).await?;
        let message = format!("{author} commented on “{}”.", lora.name);
        let told = self.about(NotificationKind::LoraCommented, &comment, message);
        Ok(self.tell(who_see(&lora, [lora.created_by]), &told).await?)
    }

    /// Who is mentioned only since the comment was changed hears of it.
    async fn comment_edited(&self) -> anyhow::Result<()> {
        let Some((comment, lora)) = self.comment().await? else { return Ok(()) };
        let author = self.name_of(comment.user_id).await?;
        Ok(self.tell_mentioned(&comment, &lora, &author).await?)
    }

    async fn review_asked(&self) -> anyhow::Result<()> {
        let (Some(asker), Some(lora)) = (self.event.actor_id, self.lora(self.event.subject_id).await?) else {
            return Ok(());
        };
        let note = self.event.payload["note"].as_str().filter(|note| !note.is_empty());
        let note = note.map(|note| format!(" {note}")).unwrap_or_default();
        let message = format!("{} asks you for your review of “{}”.{note}", self.name_of(asker).await?, lora.name);
        let told = self.told(NotificationKind::ReviewAsked, Some(asker), message);
        Ok(self.tell(who_see(&lora, self.people("asked")), &Told { lora: Some(lora.id), ..told }).await?)
    }

    /// People that the event names.
    fn people(&self, name: &str) -> Vec<Uuid> {
        let ids = self.event.payload[name].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(Value::as_str).filter_map(|id| id.parse().ok()).collect()
    }

    async fn tell_mentioned(&self, comment: &comment::Model, lora: &lora::Model, author: &str) -> Result<(), DbErr> {
        let mentioned = self.people("mentioned");
        if mentioned.is_empty() {
            return Ok(());
        }
        let message = format!("{author} mentioned you in a comment on “{}”.", lora.name);
        let told = self.about(NotificationKind::Mentioned, comment, message);
        self.tell(who_see(lora, mentioned), &told).await
    }

    /// The event's comment and its LoRA, unless one of them is gone.
    async fn comment(&self) -> Result<Option<(comment::Model, lora::Model)>, DbErr> {
        let comment = comment::Entity::find_by_id(self.event.subject_id).one(self.tx).await?;
        let Some(comment) = comment.filter(|comment| comment.deleted_at.is_none() && comment.hidden_at.is_none())
        else {
            return Ok(None);
        };
        Ok(self.lora(comment.lora_id).await?.map(|lora| (comment, lora)))
    }

    fn about(&self, kind: NotificationKind, comment: &comment::Model, message: String) -> Told {
        let told = self.told(kind, Some(comment.user_id), message);
        Told { lora: Some(comment.lora_id), comment: Some(comment.id), ..told }
    }

    /// Told once: who unfollows and follows again is no new follower.
    async fn user_followed(&self) -> anyhow::Result<()> {
        let Some(follower) = self.event.actor_id else { return Ok(()) };
        let earlier = notification::Entity::find()
            .filter(notification::Column::UserId.eq(self.event.subject_id))
            .filter(notification::Column::Kind.eq(NotificationKind::NewFollower))
            .filter(notification::Column::ActorId.eq(follower))
            .count(self.tx)
            .await?;
        if earlier == 0 {
            let message = format!("{} follows you.", self.name_of(follower).await?);
            self.tell(
                people([self.event.subject_id]),
                &self.told(NotificationKind::NewFollower, Some(follower), message),
            )
            .await?;
        }
        Ok(())
    }

    /// Who asked for the work hears how it ended. Previews nobody asked for: of them one hears only when they failed.
    async fn job_finished(&self) -> anyhow::Result<()> {
        let Some(job) = job::Entity::find_by_id(self.event.subject_id).one(self.tx).await? else { return Ok(()) };
        let Some(asker) = job.created_by else { return Ok(()) };
        let reason = job.error.as_deref().unwrap_or("no reason was given");
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let message = match (job.kind, job.state) {
            (JobKind::Train, JobState::Succeeded) => "Your training is done.".to_owned(),
            (JobKind::Train, JobState::Failed) => format!("Your training failed: {reason}"),
            (JobKind::Train, JobState::Cancelled) => "Your training was cancelled.".to_owned(),
            (JobKind::Generate, JobState::Succeeded) => "Your pictures are ready.".to_owned(),
            (JobKind::Generate, JobState::Failed) => format!("Your pictures could not be made: {reason}"),
            (JobKind::Generate, JobState::Cancelled) => "The making of your pictures was cancelled.".to_owned(),
            (JobKind::Preview, JobState::Failed) => format!("The previews of your LoRA could not be made: {reason}"),
            // It was tried again meanwhile, or there is no news in it.
            (_, JobState::Queued | JobState::Running) | (JobKind::Preview | JobKind::Compare, _) => {
                return Ok(());
            }
        };
        let lora = self.lora_of_job(&job).await?;
        let told = Told { job: Some(job.id), lora, ..self.told(NotificationKind::JobFinished, None, message) };
        // The event's actor is who asked, and hears of what the house did for them.
        tell(self.tx, self.ctx, &told, members(job.team_id, [asker]), &[]).await?;
        Ok(())
    }

    /// Whose thing the moderators hid or show again hears of it and why; of a LoRA, those who manage its team as well.
    async fn moderated(&self, kind: NotificationKind) -> anyhow::Result<()> {
        let id = |name: &str| self.event.payload[name].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let Some(owner) = id("owner") else { return Ok(()) };
        let what: ContentKind = serde_json::from_value(self.event.payload["kind"].clone())?;
        let lora = match id("lora") {
            Some(lora) => self.lora(lora).await?,
            None => None,
        };
        let name = lora.as_ref().map(|lora| format!("“{}”", lora.name)).unwrap_or_default();
        let thing = match what {
            ContentKind::Lora => format!("Your LoRA {name}"),
            ContentKind::Preview => format!("A preview of your LoRA {name}"),
            ContentKind::Comment => format!("Your comment on {name}"),
            ContentKind::Rating => format!("Your rating of {name}"),
            ContentKind::User => "Your profile".to_owned(),
            ContentKind::Collection => "Your collection".to_owned(),
        };
        let message = if kind == NotificationKind::ContentHidden {
            let reason = self.event.payload["reason"].as_str().unwrap_or_default();
            format!("{thing} was hidden by the moderators: {reason}")
        } else {
            format!("{thing} is shown again by the moderators.")
        };
        let mut people = vec![owner];
        if let Some(lora) = lora.as_ref().filter(|_| is_owned_by_team(what)) {
            people.extend(self.managers(lora.team_id).await?);
            people.sort_unstable();
            people.dedup();
        }
        let comment = (what == ContentKind::Comment).then_some(self.event.subject_id);
        let told = self.told(kind, None, message);
        let told = Told { lora: lora.map(|lora| lora.id), comment, ..told };
        self.tell(self::people(people), &told).await?;
        Ok(())
    }

    async fn managers(&self, team: Uuid) -> Result<Vec<Uuid>, DbErr> {
        membership::Entity::find()
            .select_only()
            .column(membership::Column::UserId)
            .filter(membership::Column::TeamId.eq(team))
            .filter(membership::Column::Role.is_in([Role::Administrator, Role::Owner]))
            .into_tuple()
            .all(self.tx)
            .await
    }

    async fn lora_of_job(&self, job: &job::Model) -> Result<Option<Uuid>, DbErr> {
        Ok(match job.kind {
            JobKind::Train => {
                training_run::Entity::find_by_id(job.subject_id).one(self.tx).await?.map(|run| run.lora_id)
            }
            JobKind::Preview | JobKind::Compare => {
                lora_version::Entity::find_by_id(job.subject_id).one(self.tx).await?.map(|version| version.lora_id)
            }
            JobKind::Generate => None,
        })
    }

    async fn lora(&self, id: Uuid) -> Result<Option<lora::Model>, DbErr> {
        let lora = lora::Entity::find_by_id(id).one(self.tx).await?;
        Ok(lora.filter(|lora| lora.state != LoraState::Deleted))
    }

    async fn published_lora(&self, id: Uuid) -> Result<Option<lora::Model>, DbErr> {
        Ok(self.lora(id).await?.filter(|lora| lora.target().public))
    }

    async fn name_of(&self, user: Uuid) -> Result<String, DbErr> {
        let user = user::Entity::find_by_id(user).one(self.tx).await?;
        let shown = |user: user::Model| if user.hidden_at.is_some() { user.handle } else { user.display_name };
        Ok(user.map_or_else(|| "Somebody".to_owned(), shown))
    }

    async fn tell_followers(&self, kind: NotificationKind, lora: &lora::Model, message: String) -> Result<(), DbErr> {
        let event = (kind, self.event.sequence);
        fanout::begin(self.tx, self.ctx, event, lora, self.event.actor_id, message).await
    }

    fn told(&self, kind: NotificationKind, actor: Option<Uuid>, message: String) -> Told {
        Told::by(kind, self.event.sequence, actor, message)
    }

    /// Tells people; nobody is told of what they did themselves.
    async fn tell(&self, audience: SelectStatement, told: &Told) -> Result<(), DbErr> {
        let doers: Vec<Uuid> = told.actor.into_iter().chain(self.event.actor_id).collect();
        tell(self.tx, self.ctx, told, audience, &doers).await.map(|_| ())
    }
}

/// Several people, as an audience.
fn people(ids: impl IntoIterator<Item = Uuid>) -> SelectStatement {
    let select = user::Entity::find().select_only().expr_as(Expr::col(user::Column::Id), PERSON);
    select.filter(user::Column::Id.is_in(ids)).into_query()
}

/// Those of several people who may see a LoRA at this moment.
fn who_see(lora: &lora::Model, ids: impl IntoIterator<Item = Uuid>) -> SelectStatement {
    if lora.target().public { people(ids) } else { members(lora.team_id, ids) }
}

/// Those of several people who belong to a team.
fn members(team: Uuid, ids: impl IntoIterator<Item = Uuid>) -> SelectStatement {
    membership::Entity::find()
        .select_only()
        .expr_as(Expr::col(membership::Column::UserId), PERSON)
        .filter(membership::Column::TeamId.eq(team))
        .filter(membership::Column::UserId.is_in(ids))
        .into_query()
}
