//! Anything by its id.

use async_graphql::{Context, Error, ID, Interface, Object, Result};
use atelier_domain::{
    account, audit, base_model,
    dataset::{self, pictures},
    error::{ReadError, Refused},
    generation,
    id::{self, Noun},
    jobs, ledger, lora,
    lora::versions,
    moderation, preview,
    social::{collection, comment, follow, notification, rating},
    team::{self, invitations, members},
    training, upload,
};
use futures::future::try_join_all;
use uuid::Uuid;

use crate::graphql::{
    context::Resolve,
    failure,
    types::{
        audit_entry::AuditEntry,
        base_model::BaseModel,
        collection::Collection,
        comment::Comment,
        dataset::Dataset,
        dataset_picture::DatasetPicture,
        follow::Follow,
        generation::{Asset, Generation},
        invitation::Invitation,
        job::Job,
        ledger::LedgerEntry,
        lora::Lora,
        lora_version::LoraVersion,
        membership::Membership,
        moderation::ContentReport,
        notification::Notification,
        preview::Preview,
        rating::Rating,
        team::Team,
        training::{TrainingEpoch, TrainingRun},
        upload::Upload,
        user::User,
    },
};

/// The most ids that `nodes` takes.
const MOST_NODES: usize = 100;

/// Anything that has an id.
#[derive(Interface)]
#[allow(clippy::large_enum_variant, reason = "one stands on the stack for a moment, a list holds at most a hundred")]
#[graphql(field(name = "id", ty = "ID", desc = "Its id, unique among everything."))]
pub enum Node {
    /// An entry of an audit trail.
    AuditEntry(AuditEntry),
    /// A generated picture.
    Asset(Asset),
    /// A base model.
    BaseModel(BaseModel),
    /// A collection.
    Collection(Collection),
    /// A comment.
    Comment(Comment),
    /// A data set.
    Dataset(Dataset),
    /// A picture of a data set.
    DatasetPicture(DatasetPicture),
    /// That one person follows another.
    Follow(Follow),
    /// A generation.
    Generation(Generation),
    /// An invitation.
    Invitation(Invitation),
    /// A job.
    Job(Job),
    /// A booking.
    LedgerEntry(LedgerEntry),
    /// A report of something that was published.
    ContentReport(ContentReport),
    /// A LoRA.
    Lora(Lora),
    /// A version of a LoRA.
    LoraVersion(LoraVersion),
    /// A membership.
    Membership(Membership),
    /// A notification.
    Notification(Notification),
    /// A preview.
    Preview(Preview),
    /// A rating.
    Rating(Rating),
    /// A team.
    Team(Team),
    /// An epoch of a training.
    TrainingEpoch(TrainingEpoch),
    /// A training.
    TrainingRun(TrainingRun),
    /// An upload.
    Upload(Upload),
    /// A person.
    User(User),
}

/// Queries of anything.
#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The thing that an id names; null when there is none, or you may not see it.
    #[graphql(complexity = "1 + child_complexity")]
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Option<Node>> {
        read(ctx, &id).await
    }

    /// The things that ids name, in their order; null for each that is not there or that you may not see.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Their ids, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > MOST_NODES {
            return Err(too_many(ids.len()));
        }
        try_join_all(ids.iter().map(|id| read(ctx, id))).await
    }
}

fn too_many(count: usize) -> Error {
    failure::coded(format!("`ids` takes at most {MOST_NODES} ids and was given {count}. Ask in pieces."), "BAD_REQUEST")
}

async fn read(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Some((noun, id)) = id::decode_any(id) else { return Ok(None) };
    match find(ctx, noun, id).await {
        Ok(node) => Ok(Some(node)),
        // What one may not see is not there.
        Err(ReadError::Refused(Refused::NotFound(_) | Refused::Forbidden(_) | Refused::Unauthenticated)) => Ok(None),
        Err(error) => Err(failure::read_error(error)),
    }
}

async fn find(ctx: &Context<'_>, noun: Noun, id: Uuid) -> Result<Node, ReadError> {
    let (house, actor) = (ctx.house(), ctx.actor());
    Ok(match noun {
        Noun::User => User(account::get(house, actor, id).await?).into(),
        Noun::Team => Team(team::get(house, actor, id).await?).into(),
        Noun::Membership => Membership(members::get(house, actor, id).await?).into(),
        Noun::Invitation => Invitation(invitations::get(house, actor, id).await?).into(),
        Noun::Upload => Upload(upload::get(house, actor, id).await?).into(),
        Noun::Dataset => Dataset(dataset::get(house, actor, id).await?).into(),
        Noun::DatasetPicture => DatasetPicture(pictures::one(house, actor, id).await?).into(),
        Noun::BaseModel => BaseModel(base_model::get(house, actor, id).await?).into(),
        Noun::Lora => Lora(lora::get(house, actor, id).await?).into(),
        Noun::LoraVersion => LoraVersion(versions::get(house, actor, id).await?.1).into(),
        Noun::Preview => Preview(preview::get(house, actor, id).await?).into(),
        Noun::TrainingRun => TrainingRun(training::get(house, actor, id).await?).into(),
        Noun::TrainingEpoch => {
            let row = training::epoch(house, actor, id).await?;
            let run = training::get(house, actor, row.training_run_id).await?;
            TrainingEpoch { is_best: Some(row.epoch) == run.best_epoch, row }.into()
        }
        Noun::Generation => Generation(generation::get(house, actor, id).await?).into(),
        Noun::Asset => Asset(generation::asset(house, actor, id).await?).into(),
        Noun::Rating => Rating(rating::get(house, actor, id).await?).into(),
        Noun::Report => ContentReport(moderation::report_of(house, actor, id).await?).into(),
        Noun::Comment => Comment(comment::get(house, actor, id).await?).into(),
        Noun::Collection => Collection(collection::get(house, actor, id).await?).into(),
        Noun::Follow => Follow(follow::get(house, actor, id).await?).into(),
        Noun::Notification => Notification(notification::get(house, actor, id).await?).into(),
        Noun::Job => Job(jobs::control::get(house, actor, id).await?).into(),
        Noun::LedgerEntry => LedgerEntry(ledger::get(house, actor, id).await?).into(),
        Noun::AuditEntry => AuditEntry(audit::get(house, actor, id).await?).into(),
    })
}
