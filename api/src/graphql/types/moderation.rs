//! Reports, and the things that they are about.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject, Union};
use atelier_domain::{
    entities::{content_report, kinds, moderation_case},
    error::Refused,
    id::{self, Noun},
    moderation::{self, Content},
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{collection::Collection, comment::Comment, lora::Lora, preview::Preview, rating::Rating, user::User};
use crate::graphql::{
    connection::ConnectionOf,
    context::encode,
    failure,
    loaders::{load, pages::load_page},
    scalars::BigInt,
};

/// Why the moderators hide something, for who may read that; nothing is asked where it is not hidden.
pub async fn hidden_reason(ctx: &Context<'_>, id: Uuid, hidden_at: Option<DateTime<Utc>>) -> Result<Option<String>> {
    if hidden_at.is_none() {
        return Ok(None);
    }
    load(ctx, |loaders| &loaders.hidden_reasons, id).await
}

/// What is wrong with something that was published.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::ReportReason")]
pub enum ReportReason {
    /// Advertising, or the same again and again.
    Spam,
    /// It attacks or threatens people.
    Harassment,
    /// It is hateful of people for what they are.
    Hate,
    /// It is sexual where that is not wanted.
    Sexual,
    /// It endangers children.
    ChildSafety,
    /// It glorifies violence.
    Violence,
    /// It takes what is another's work.
    Copyright,
    /// It shows a real person who has not agreed.
    Likeness,
    /// It is not what it says it is.
    Misleading,
    /// Its file does harm.
    Malware,
    /// Something else; the explanation says what.
    Other,
}

/// Where a report stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::ReportState")]
pub enum ReportState {
    /// Nobody has answered it.
    Open,
    /// What it is about was hidden.
    Upheld,
    /// Nothing was found wrong.
    Dismissed,
}

/// Which things the moderation queue shows.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "moderation::QueueState")]
pub enum ModerationQueueState {
    /// Those with open reports.
    Open,
    /// Those that are hidden.
    Hidden,
    /// All that were ever reported or hidden.
    All,
}

/// Which things of the moderation queue come first.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "moderation::QueueSort")]
pub enum ModerationQueueOrder {
    /// Those that something was reported or decided of last.
    Newest,
    /// Those with most open reports.
    MostReported,
}

/// Reads the id of something that can be reported and hidden.
///
/// # Errors
/// `NOT_FOUND` for an id of anything else.
pub fn decode_content(id: &ID) -> Result<(kinds::ContentKind, Uuid)> {
    let (noun, id) = id::decode_any(id).ok_or_else(nothing)?;
    let kind = match noun {
        Noun::Lora => kinds::ContentKind::Lora,
        Noun::Preview => kinds::ContentKind::Preview,
        Noun::Comment => kinds::ContentKind::Comment,
        Noun::Rating => kinds::ContentKind::Rating,
        Noun::User => kinds::ContentKind::User,
        Noun::Collection => kinds::ContentKind::Collection,
        _ => return Err(nothing()),
    };
    Ok((kind, id))
}

fn nothing() -> async_graphql::Error {
    failure::refused(&Refused::NotFound("thing that can be reported"))
}

fn encode_content(kind: kinds::ContentKind, id: Uuid) -> ID {
    let noun = match kind {
        kinds::ContentKind::Lora => Noun::Lora,
        kinds::ContentKind::Preview => Noun::Preview,
        kinds::ContentKind::Comment => Noun::Comment,
        kinds::ContentKind::Rating => Noun::Rating,
        kinds::ContentKind::User => Noun::User,
        kinds::ContentKind::Collection => Noun::Collection,
    };
    encode(noun, id)
}

/// Something that can be reported and hidden.
#[derive(Union)]
#[allow(clippy::large_enum_variant, reason = "a page holds at most a hundred")]
pub enum ModeratedContent {
    /// A LoRA.
    Lora(Lora),
    /// A preview.
    Preview(Preview),
    /// A comment.
    Comment(Comment),
    /// A rating.
    Rating(Rating),
    /// A person with their profile.
    User(User),
    /// A collection.
    Collection(Collection),
}

impl From<Content> for ModeratedContent {
    fn from(content: Content) -> Self {
        match content {
            Content::Lora(row) => Self::Lora(Lora(row)),
            Content::Preview(row) => Self::Preview(Preview(row)),
            Content::Comment(row) => Self::Comment(Comment(row)),
            Content::Rating(row) => Self::Rating(Rating(row)),
            Content::User(row) => Self::User(User(row)),
            Content::Collection(row) => Self::Collection(Collection(row)),
        }
    }
}

/// How often something was reported for a reason.
#[derive(SimpleObject)]
pub struct ReportReasonCount {
    /// The reason.
    reason: ReportReason,
    /// How many open reports give it.
    count: BigInt,
}

/// Something that was reported or hidden.
pub struct ModerationCase(pub moderation_case::Model);

#[Object]
impl ModerationCase {
    /// The id of the thing.
    async fn subject_id(&self) -> ID {
        encode_content(self.0.subject_kind, self.0.subject_id)
    }

    /// The thing, hidden or not; none once it is gone.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<ModeratedContent>> {
        let content = load(ctx, |loaders| &loaders.moderated_contents, self.0.subject_id).await?;
        Ok(content.map(ModeratedContent::from))
    }

    /// Who made it.
    async fn owner(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.owner_id).await.map(|row| row.map(User))
    }

    /// How many reports nobody has answered.
    async fn open_report_count(&self) -> BigInt {
        BigInt(self.0.open_report_count)
    }

    /// How many reports there ever were.
    async fn report_count(&self) -> BigInt {
        BigInt(self.0.report_count)
    }

    /// What the open reports say is wrong, the most frequent first.
    async fn reasons(&self, ctx: &Context<'_>) -> Result<Vec<ReportReasonCount>> {
        let reasons = load(ctx, |loaders| &loaders.report_reasons, self.0.subject_id).await?.unwrap_or_default();
        let count = |(reason, count): (kinds::ReportReason, i64)| ReportReasonCount {
            reason: reason.into(),
            count: BigInt(count),
        };
        Ok(reasons.into_iter().map(count).collect())
    }

    /// Its reports, newest first.
    async fn reports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<ContentReport>> {
        load_page(ctx, |pages| &pages.content_reports, self.0.subject_id, (first, after), ContentReport).await
    }

    /// When it was last reported.
    async fn last_reported_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_reported_at
    }

    /// Since when it is hidden; none while it is not.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Who hid it.
    async fn hidden_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(id) = self.0.hidden_by else { return Ok(None) };
        load(ctx, |loaders| &loaders.users, id).await.map(|row| row.map(User))
    }

    /// Why, as its owner reads it.
    async fn hidden_reason(&self) -> Option<&str> {
        self.0.hidden_reason.as_deref()
    }
}

/// One person's report of something: seen by them and by those who administer the installation.
pub struct ContentReport(pub content_report::Model);

#[Object]
impl ContentReport {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Report, self.0.id)
    }

    /// The id of what it is about.
    async fn subject_id(&self) -> ID {
        encode_content(self.0.subject_kind, self.0.subject_id)
    }

    /// Who made it.
    async fn reporter(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.reporter_id).await.map(|row| row.map(User))
    }

    /// What is wrong.
    async fn reason(&self) -> ReportReason {
        self.0.reason.into()
    }

    /// The same in their words; may be empty.
    async fn explanation(&self) -> &str {
        &self.0.explanation
    }

    /// Where it stands.
    async fn state(&self) -> ReportState {
        self.0.state.into()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was answered.
    async fn closed_at(&self) -> Option<DateTime<Utc>> {
        self.0.closed_at
    }
}
