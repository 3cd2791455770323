//! Reporting what was published, and answering reports.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::moderation::{self, ReportContent};

use crate::{
    graphql::{
        context::Resolve,
        types::moderation::{ContentReport, ModerationCase, ReportReason, decode_content},
    },
    payload,
};

/// A report to be made.
#[derive(InputObject)]
pub struct ReportContentInput {
    /// What it is about: a LoRA, a preview, a comment, a rating, a collection, or a user for their profile.
    pub subject_id: ID,
    /// What is wrong with it.
    pub reason: ReportReason,
    /// The same in words, at most 2,000 characters; needed where the reason is `OTHER`.
    pub explanation: Option<String>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `reportContent`.
    pub struct ReportContentPayload {
        /// The report; the one that you made before, if that is still open.
        report: ContentReport
    }
}

/// What to hide.
#[derive(InputObject)]
pub struct HideContentInput {
    /// A LoRA, a preview, a comment, a rating, a collection, or a user for their profile.
    pub subject_id: ID,
    /// Why, as its owner reads it: 1 to 1,000 characters.
    pub reason: String,
}

payload! {
    /// The answer to `hideContent`.
    pub struct HideContentPayload {
        /// How it stands.
        case: ModerationCase
    }
}

/// What to show again.
#[derive(InputObject)]
pub struct RestoreContentInput {
    /// The thing that is hidden.
    pub subject_id: ID,
}

payload! {
    /// The answer to `restoreContent`.
    pub struct RestoreContentPayload {
        /// How it stands.
        case: ModerationCase
    }
}

/// Whose reports to dismiss.
#[derive(InputObject)]
pub struct DismissReportsInput {
    /// The thing that was reported.
    pub subject_id: ID,
}

payload! {
    /// The answer to `dismissReports`.
    pub struct DismissReportsPayload {
        /// How it stands.
        case: ModerationCase
    }
}

/// Mutations of moderation.
#[derive(Default)]
pub struct ModerationMutation;

#[Object]
impl ModerationMutation {
    /// Reports something to those who administer the installation. Its owner is not told who did.
    async fn report_content(&self, ctx: &Context<'_>, input: ReportContentInput) -> Result<ReportContentPayload> {
        let (kind, subject) = decode_content(&input.subject_id)?;
        let explanation = input.explanation.unwrap_or_default();
        let new = ReportContent { kind, subject, reason: input.reason.into(), explanation };
        let key = input.idempotency_key.as_deref();
        ReportContentPayload::answer(moderation::report(ctx.house(), ctx.actor(), new, key).await, ContentReport)
    }

    /// Hides something from everybody but its owner, who is told why, and upholds its open reports. For those who
    /// administer the installation.
    async fn hide_content(&self, ctx: &Context<'_>, input: HideContentInput) -> Result<HideContentPayload> {
        let content = decode_content(&input.subject_id)?;
        let hidden = moderation::hide(ctx.house(), ctx.actor(), content, &input.reason).await;
        HideContentPayload::answer(hidden, ModerationCase)
    }

    /// Shows something again that was hidden. For those who administer the installation.
    async fn restore_content(&self, ctx: &Context<'_>, input: RestoreContentInput) -> Result<RestoreContentPayload> {
        let content = decode_content(&input.subject_id)?;
        RestoreContentPayload::answer(moderation::restore(ctx.house(), ctx.actor(), content).await, ModerationCase)
    }

    /// Answers the open reports of something: there is nothing wrong with it. For those who administer the installation.
    async fn dismiss_reports(&self, ctx: &Context<'_>, input: DismissReportsInput) -> Result<DismissReportsPayload> {
        let content = decode_content(&input.subject_id)?;
        DismissReportsPayload::answer(
            moderation::dismiss_reports(ctx.house(), ctx.actor(), content).await,
            ModerationCase,
        )
    }
}
