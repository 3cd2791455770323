//! Closed sets of values, stored as snake-case text.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// What a mail link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MailTokenPurpose {
    /// Lets a forgotten password be replaced.
    ResetPassword,
    /// Lets the first administrator choose a password.
    SetPassword,
}

/// What a member may do in a team. Each role includes those below it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees what belongs to the team.
    Viewer,
    /// Makes and publishes: data sets, trainings, LoRAs, generations.
    Creator,
    /// Judges what others made.
    Reviewer,
    /// Manages members, invitations and the team itself.
    Administrator,
    /// Everything, the team's end included.
    Owner,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Trains a LoRA.
    Train,
    /// Renders the previews of a version.
    Preview,
    /// Renders pictures.
    Generate,
    /// Measures what a version does to a base model.
    Compare,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Done.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because somebody asked.
    Cancelled,
}

/// What a ledger account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccountKind {
    /// Credits a team may spend.
    Available,
    /// Credits set aside for work under way.
    Reserved,
    /// The house: where credits come from.
    Issued,
    /// The house: where spent credits go.
    Earned,
}

/// What an upload is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum UploadPurpose {
    /// A picture of a data set.
    DatasetPicture,
    /// A version of a LoRA.
    LoraFile,
    /// A picture that others are generated from.
    GenerationPicture,
    /// The picture beside a person's name.
    UserAvatar,
}

/// Which layers of a network a training gives pairs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum TrainedLayers {
    /// All that are ever trained.
    All,
    /// Those of the blocks alone: attention and feed-forward.
    Blocks,
    /// Those of attention alone.
    Attention,
}

/// What a picture is to the generation that it is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum GenerationPictureRole {
    /// What the new pictures are made from: the model sees it.
    Reference,
    /// What the new pictures begin as.
    Start,
    /// Where the start is drawn anew.
    Mask,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// Bytes are arriving.
    Receiving,
    /// All bytes are here, unchecked.
    Quarantined,
    /// The content was found good.
    Checked,
    /// It has become what it was for.
    Ready,
    /// The content was refused; the reason says why.
    Rejected,
}

/// Where a LoRA stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum LoraState {
    /// Only its team sees it.
    Draft,
    /// Everybody sees it.
    Published,
    /// Taken back: only its team sees it.
    Unpublished,
    /// A tombstone.
    Deleted,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A LoRA was published for the first time or again.
    LoraPublished,
    /// A published LoRA got a version.
    LoraVersionPublished,
    /// A card, its state or its figures changed; the index follows.
    LoraChanged,
    /// Somebody rated a LoRA.
    LoraRated,
    /// Somebody asks people for their review of a LoRA.
    ReviewAsked,
    /// Somebody commented on a LoRA.
    CommentAdded,
    /// Somebody changed a comment.
    CommentEdited,
    /// Somebody follows somebody.
    UserFollowed,
    /// A job ended, well or not.
    JobFinished,
    /// A job waits for a worker.
    JobQueued,
    /// An upload was checked.
    UploadFinished,
    /// A profile changed.
    UserChanged,
    /// Somebody downloaded a version for the first time.
    LoraDownloaded,
    /// A generated picture was deleted.
    AssetDeleted,
    /// The moderators hid something.
    ContentHidden,
    /// The moderators showed something again.
    ContentRestored,
}

/// What a person is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// Somebody followed published a LoRA.
    LoraPublished,
    /// Somebody followed published a version.
    LoraVersionPublished,
    /// One's LoRA was rated.
    LoraRated,
    /// One's LoRA was commented on.
    LoraCommented,
    /// One's comment was answered.
    CommentReplied,
    /// One was mentioned in a comment.
    Mentioned,
    /// Somebody follows one.
    NewFollower,
    /// One's job ended.
    JobFinished,
    /// The moderators hid something of one's own.
    ContentHidden,
    /// The moderators showed something of one's own again.
    ContentRestored,
    /// One's judgement of a LoRA is asked for.
    ReviewAsked,
}

/// What can be reported and hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// A LoRA.
    Lora,
    /// A picture of a version.
    Preview,
    /// A comment.
    Comment,
    /// A rating with its review.
    Rating,
    /// A person's profile.
    User,
    /// A collection with its notes.
    Collection,
}

/// What is wrong with something that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
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
    /// Something else; the words say what.
    Other,
}

/// Where a report stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    /// Nobody has answered it.
    Open,
    /// What it is about was hidden.
    Upheld,
    /// Nothing was found wrong.
    Dismissed,
}

/// How soon a person is told by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MailFrequency {
    /// Not by mail.
    Off,
    /// By a mail of its own, at once.
    Immediate,
    /// Once a day, together with everything else.
    Daily,
}

/// What a notification's mail waits for. Those that wait are spelled as the wish that they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationMail {
    /// There is none.
    Off,
    /// To be written at once.
    Immediate,
    /// To be written into the next digest.
    Daily,
    /// It was written, or is not needed any more.
    Settled,
}
