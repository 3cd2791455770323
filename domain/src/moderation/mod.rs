//! Moderation: people report what others published, and whoever administers the installation hides it, shows it again or
//! finds nothing wrong.
//!
//! What is hidden is seen by its owner alone, who is told of it and why, and cannot undo it: publishing a LoRA again or
//! editing a comment leaves it hidden. A comment keeps its place in the thread.

mod decide;
mod queue;
mod report;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use atelier_entities::moderation_case;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::{actor::Actor, context::Context, error::ReadError};

pub use decide::{DismissReportsError, HideContentError, RestoreContentError, dismiss_reports, hide, restore};
pub use queue::{QueueSort, QueueState, contents, queue, reasons, report_pages};
pub use report::{ReportContent, ReportContentError, report, report_of};
pub use subject::Content;
pub(crate) use subject::is_owned_by_team;

/// Whether an actor reads what the moderators hide: its owner does, and who moderates.
pub fn reads_hidden(actor: &Actor, owner: Uuid) -> bool {
    match actor {
        Actor::System => true,
        Actor::Person(person) => person.id == owner || person.is_administrator,
        Actor::Anonymous => false,
    }
}

/// Whether the text of something is shown to an actor, whoever owns it and whether or not it is hidden.
pub fn shows_text(actor: &Actor, owner: Uuid, hidden_at: Option<DateTime<Utc>>) -> bool {
    hidden_at.is_none() || reads_hidden(actor, owner)
}

/// Why things are hidden, for loaders; for their owners, members of the team that owns them, and who moderates.
///
/// # Errors
/// What the database says.
pub async fn hidden_reasons(
    ctx: &Context,
    actor: &Actor,
    subjects: &[Uuid],
) -> Result<HashMap<Uuid, String>, ReadError> {
    let rows = moderation_case::Entity::find()
        .filter(moderation_case::Column::SubjectId.is_in(subjects.iter().copied()))
        .filter(moderation_case::Column::HiddenAt.is_not_null())
        .all(ctx.db.read())
        .await?;
    let is_told = |row: &moderation_case::Model| {
        let of_team =
            is_owned_by_team(row.subject_kind) && row.team_id.is_some_and(|team| actor.role_in(team).is_some());
        of_team || reads_hidden(actor, row.owner_id)
    };
    Ok(rows.into_iter().filter(is_told).filter_map(|row| Some((row.subject_id, row.hidden_reason?))).collect())
}
