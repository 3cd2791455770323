//! Who may do what: one exhaustive match, from which docs/PERMISSIONS.md is generated.
//!
//! Use-cases ask [`authorize`] with actor, action and resource, and hand the [`Permit`] to whatever writes: a write
//! without one does not compile.

use atelier_entities::{
    self as entities,
    kinds::{LoraState, Role},
};
use uuid::Uuid;

use crate::{actor::Actor, error::Refused};

/// What an action asks of the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: anybody, signed in or not.
    Anyone,
    /// An account.
    SignedIn,
    /// To be the person that the thing belongs to.
    Oneself,
    /// To be able to see the thing: it is public, or one's team owns it.
    Reader,
    /// An account, and to be able to see the thing.
    SignedInReader,
    /// A role in the team that owns the thing, or a higher one.
    Member(Role),
    /// To be the person that the thing belongs to, or to have a role in its team.
    OneselfOrMember(Role),
    /// To administer the installation.
    Administrator,
}

macro_rules! actions {
    ($($(#[$meta:meta])* $variant:ident => ($requirement:expr, $phrase:literal)),* $(,)?) => {
        /// Everything that can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$meta])* $variant),* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$variant),*];

            /// What the action asks of the actor. This is the policy.
            pub const fn requirement(self) -> Requirement {
                match self { $(Action::$variant => $requirement),* }
            }

            /// The action in a sentence: "you may not …".
            pub const fn phrase(self) -> &'static str {
                match self { $(Action::$variant => $phrase),* }
            }

            /// The action's name in the audit trail and in docs/PERMISSIONS.md.
            pub const fn name(self) -> &'static str {
                match self { $(Action::$variant => stringify!($variant)),* }
            }
        }
    };
}

use Requirement::{Administrator, Anyone, Member, Oneself, OneselfOrMember, Reader, SignedIn, SignedInReader};

actions! {
    /// Sign up, sign in, verify an address, reset a password, refresh.
    AccountEnter => (Anyone, "use the doors of the house"),
    /// Read a person's public profile.
    ProfileRead => (Anyone, "read this profile"),
    /// Read what only the person may see of the account.
    AccountRead => (Oneself, "read this account"),
    /// Change one's profile, password or sessions.
    AccountChange => (Oneself, "change this account"),
    /// Make a team.
    TeamCreate => (SignedIn, "create a team"),
    /// See a team, its members and its credits.
    TeamRead => (Member(Role::Viewer), "see this team"),
    /// Rename a team.
    TeamChange => (Member(Role::Administrator), "change this team"),
    /// End a team.
    TeamDelete => (Member(Role::Owner), "delete this team"),
    /// Leave a team.
    TeamLeave => (Member(Role::Viewer), "leave this team"),
    /// Invite, change roles, remove members.
    MemberManage => (Member(Role::Administrator), "manage the members of this team"),
    /// Accept an invitation with the token from the mail.
    InvitationAccept => (SignedIn, "accept this invitation"),
    /// See data sets and their pictures.
    DatasetRead => (Member(Role::Viewer), "see this data set"),
    /// Make, fill and change data sets.
    DatasetWrite => (Member(Role::Creator), "change the data sets of this team"),
    /// See an upload.
    UploadRead => (Member(Role::Viewer), "see this upload"),
    /// Send files.
    UploadCreate => (Member(Role::Creator), "upload files for this team"),
    /// See base models.
    BaseModelRead => (Anyone, "see base models"),
    /// Add, enable and remove base models.
    BaseModelManage => (Administrator, "manage base models"),
    /// See training runs and their epochs.
    TrainingRead => (Member(Role::Viewer), "see the trainings of this team"),
    /// Start trainings and choose their epoch.
    TrainingStart => (Member(Role::Creator), "train for this team"),
    /// See a LoRA, its versions, previews, ratings and comments.
    LoraRead => (Reader, "see this LoRA"),
    /// Make, import and change LoRAs.
    LoraWrite => (Member(Role::Creator), "change the LoRAs of this team"),
    /// Publish and unpublish.
    LoraPublish => (Member(Role::Creator), "publish for this team"),
    /// Delete a LoRA.
    LoraDelete => (Member(Role::Administrator), "delete the LoRAs of this team"),
    /// Download a LoRA's file.
    LoraDownload => (SignedInReader, "download this LoRA"),
    /// Rate a LoRA that one can see.
    LoraRate => (SignedInReader, "rate this LoRA"),
    /// Take one's own rating back.
    RatingDelete => (Oneself, "delete this rating"),
    /// Say that a rating is helpful, or that no more.
    RatingVote => (SignedInReader, "vote on this rating"),
    /// Say what a LoRA works with.
    CompatibilityVote => (SignedInReader, "say what this LoRA works with"),
    /// Comment on a LoRA that one can see.
    LoraComment => (SignedInReader, "comment on this LoRA"),
    /// Change one's own comment.
    CommentChange => (Oneself, "change this comment"),
    /// Delete one's own comment, or any on one's team's LoRA.
    CommentDelete => (OneselfOrMember(Role::Administrator), "delete this comment"),
    /// Resolve a thread and take it up again: who began it, and who may change the LoRA.
    CommentResolve => (OneselfOrMember(Role::Creator), "resolve this thread"),
    /// Follow and unfollow people.
    UserFollow => (SignedIn, "follow people"),
    /// Block and unblock tags and people, and see whom one blocks.
    BlockManage => (SignedIn, "block tags and people"),
    /// Report what one can see.
    ContentReport => (SignedInReader, "report this"),
    /// Read one's own report.
    ReportRead => (Oneself, "read this report"),
    /// See what was reported, hide it and show it again.
    ContentModerate => (Administrator, "moderate what people publish"),
    /// See how much a team's LoRAs are used.
    UsageRead => (Member(Role::Viewer), "see the usage of this team's LoRAs"),
    /// Read what those publish whom one follows.
    FeedRead => (SignedIn, "read a feed"),
    /// See a collection.
    CollectionRead => (Reader, "see this collection"),
    /// Make, fill and change collections.
    CollectionWrite => (Member(Role::Creator), "change the collections of this team"),
    /// See generations and assets.
    AssetRead => (Member(Role::Viewer), "see the pictures of this team"),
    /// Generate pictures.
    AssetGenerate => (Member(Role::Creator), "generate for this team"),
    /// Delete pictures.
    AssetDelete => (Member(Role::Creator), "delete the pictures of this team"),
    /// See jobs and their progress.
    JobRead => (Member(Role::Viewer), "see the jobs of this team"),
    /// Cancel and retry jobs.
    JobControl => (Member(Role::Creator), "control the jobs of this team"),
    /// Read and mark one's notifications.
    NotificationRead => (Oneself, "read these notifications"),
    /// See a team's credits and bookings.
    LedgerRead => (Member(Role::Viewer), "see the credits of this team"),
    /// Grant credits to a team.
    CreditGrant => (Administrator, "grant credits"),
    /// Read a team's audit trail.
    AuditRead => (Member(Role::Administrator), "read the audit trail of this team"),
}

/// What the policy needs to know of a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The team that owns it.
    pub team: Option<Uuid>,
    /// The person it belongs to.
    pub owner: Option<Uuid>,
    /// Everybody may see it.
    pub public: bool,
}

/// A thing that actions are done to.
pub trait Resource {
    /// The noun in "there is no such …".
    const NAME: &'static str;

    /// What the policy needs to know.
    fn target(&self) -> Target;
}

/// Leave to do one action; only [`authorize`] makes one.
#[derive(Debug)]
pub struct Permit {
    action: Action,
    target: Target,
    user: Option<Uuid>,
}

impl Permit {
    /// The action it was given for.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The team that owns the thing.
    pub fn team(&self) -> Option<Uuid> {
        self.target.team
    }

    /// The same leave for an audit entry that belongs in no team's trail: the team must not learn who it was.
    #[must_use]
    pub fn outside_teams(self) -> Self {
        Self { target: Target { team: None, ..self.target }, ..self }
    }

    /// The person who acts; none for the house itself.
    pub fn user(&self) -> Option<Uuid> {
        self.user
    }
}

/// Asks the policy.
///
/// # Errors
/// [`Refused::Unauthenticated`] when an account is needed and nobody is signed in; [`Refused::NotFound`] when the actor
/// may not know of the thing; [`Refused::Forbidden`] when they may see it but not do this.
pub fn authorize<R: Resource>(actor: &Actor, action: Action, resource: &R) -> Result<Permit, Refused> {
    let target = resource.target();
    if matches!(actor, Actor::System) {
        return Ok(Permit { action, target, user: None });
    }
    let sees = sees(actor, &target);
    let is_owner = actor.user_id().is_some() && actor.user_id() == target.owner;
    let has_role = |least: Role| target.team.and_then(|team| actor.role_in(team)).is_some_and(|role| role >= least);
    let allowed = match action.requirement() {
        Requirement::Anyone => true,
        Requirement::SignedIn => actor.person().map(|_| true)?,
        Requirement::Oneself => is_owner,
        Requirement::Reader => sees,
        Requirement::SignedInReader => sees && actor.person().map(|_| true)?,
        Requirement::Member(least) => has_role(least),
        Requirement::OneselfOrMember(least) => is_owner || has_role(least),
        Requirement::Administrator => actor.person()?.is_administrator,
    };
    match (allowed, sees, actor) {
        (true, _, _) => Ok(Permit { action, target, user: actor.user_id() }),
        (false, true, Actor::Anonymous) => Err(Refused::Unauthenticated),
        (false, true, _) => Err(Refused::Forbidden(action.phrase())),
        (false, false, Actor::Anonymous) if target == Target::default() => Err(Refused::Unauthenticated),
        (false, false, _) if target == Target::default() => Err(Refused::Forbidden(action.phrase())),
        (false, false, _) => Err(Refused::NotFound(R::NAME)),
    }
}

/// Whether the actor may know of the thing at all.
fn sees(actor: &Actor, target: &Target) -> bool {
    target.public
        || target.team.is_some_and(|team| actor.role_in(team).is_some())
        || (target.owner.is_some() && target.owner == actor.user_id())
}

/// The installation itself, for actions that concern no single thing.
#[derive(Debug)]
pub struct Installation;

impl Resource for Installation {
    const NAME: &'static str = "installation";

    fn target(&self) -> Target {
        Target::default()
    }
}

macro_rules! owned_by_team {
    ($($model:path => $name:literal),* $(,)?) => {$(
        impl Resource for $model {
            const NAME: &'static str = $name;

            fn target(&self) -> Target {
                Target { team: Some(self.team_id), ..Target::default() }
            }
        }
    )*};
}

owned_by_team! {
    entities::dataset::Model => "data set",
    entities::dataset_picture::Model => "picture",
    entities::upload::Model => "upload",
    entities::training_run::Model => "training run",
    entities::training_epoch::Model => "training epoch",
    entities::generation::Model => "generation",
    entities::asset::Model => "asset",
    entities::job::Model => "job",
    entities::invitation::Model => "invitation",
    entities::membership::Model => "membership",
}

impl Resource for entities::team::Model {
    const NAME: &'static str = "team";

    fn target(&self) -> Target {
        Target { team: Some(self.id), ..Target::default() }
    }
}

impl Resource for entities::user::Model {
    const NAME: &'static str = "user";

    fn target(&self) -> Target {
        Target { owner: Some(self.id), ..Target::default() }
    }
}

impl Resource for entities::notification::Model {
    const NAME: &'static str = "notification";

    fn target(&self) -> Target {
        Target { owner: Some(self.user_id), ..Target::default() }
    }
}

impl Resource for entities::lora::Model {
    const NAME: &'static str = "LoRA";

    fn target(&self) -> Target {
        let public = self.state == LoraState::Published && self.hidden_at.is_none();
        Target { team: Some(self.team_id), public, ..Target::default() }
    }
}

impl Resource for entities::collection::Model {
    const NAME: &'static str = "collection";

    fn target(&self) -> Target {
        Target { team: Some(self.team_id), public: self.is_public && self.hidden_at.is_none(), ..Target::default() }
    }
}

/// A comment with the LoRA it stands under: who wrote it may change it, the LoRA's team may remove it.
#[derive(Debug)]
pub struct CommentOn<'a> {
    /// The comment.
    pub comment: &'a entities::comment::Model,
    /// The LoRA.
    pub lora: &'a entities::lora::Model,
}

impl Resource for CommentOn<'_> {
    const NAME: &'static str = "comment";

    fn target(&self) -> Target {
        Target { owner: Some(self.comment.user_id), ..self.lora.target() }
    }
}

/// A rating with the LoRA that it is of: who gave it may take it back.
#[derive(Debug)]
pub struct RatingOn<'a> {
    /// The rating.
    pub rating: &'a entities::rating::Model,
    /// The LoRA.
    pub lora: &'a entities::lora::Model,
}

impl Resource for RatingOn<'_> {
    const NAME: &'static str = "rating";

    fn target(&self) -> Target {
        let lora = self.lora.target();
        let public = lora.public && self.rating.hidden_at.is_none();
        Target { team: lora.team, owner: Some(self.rating.user_id), public }
    }
}

impl Resource for entities::content_report::Model {
    const NAME: &'static str = "report";

    fn target(&self) -> Target {
        Target { owner: Some(self.reporter_id), ..Target::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Person;

    struct Thing(Target);

    impl Resource for Thing {
        const NAME: &'static str = "thing";

        fn target(&self) -> Target {
            self.0
        }
    }

    fn person(team: Uuid, role: Role) -> Actor {
        let id = Uuid::from_u128(7);
        let memberships = vec![(team, role)];
        Actor::Person(Person { id, session: id, personal_team: team, is_administrator: false, memberships })
    }

    #[test]
    fn a_stranger_learns_of_nothing_and_a_member_gets_what_the_role_gives() {
        let (ours, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for &action in Action::ALL {
            let Requirement::Member(least) = action.requirement() else { continue };
            let foreign = Thing(Target { team: Some(theirs), ..Target::default() });
            let own = Thing(Target { team: Some(ours), ..Target::default() });
            for role in [Role::Viewer, Role::Creator, Role::Reviewer, Role::Administrator, Role::Owner] {
                let actor = person(ours, role);
                assert_eq!(authorize(&actor, action, &foreign).unwrap_err(), Refused::NotFound("thing"));
                match authorize(&actor, action, &own) {
                    Ok(_) => assert!(role >= least, "{action:?} {role:?}"),
                    Err(refused) => {
                        assert!(role < least, "{action:?} {role:?}");
                        assert_eq!(refused, Refused::Forbidden(action.phrase()));
                    }
                }
            }
            assert!(authorize(&Actor::Anonymous, action, &own).is_err());
        }
    }
}
