//! Which action each operation asks the policy for, and `docs/PERMISSIONS.md`, which is generated from it.

use std::fmt::Write as _;

use atelier_domain::{
    entities::kinds::Role,
    policy::{Action, Requirement},
};

use Action::{
    AccountChange, AccountEnter, AccountRead, AssetDelete, AssetGenerate, AssetRead, AuditRead, BaseModelRead,
    BlockManage, CollectionRead, CollectionWrite, CommentChange, CommentDelete, CommentResolve, CompatibilityVote,
    ContentModerate, ContentReport, CreditGrant, DatasetRead, DatasetWrite, FeedRead, InvitationAccept, JobControl,
    JobRead, LedgerRead, LoraComment, LoraDelete, LoraDownload, LoraPublish, LoraRate, LoraRead, LoraWrite,
    MemberManage, NotificationRead, ProfileRead, RatingDelete, RatingVote, TeamChange, TeamCreate, TeamDelete,
    TeamLeave, TeamRead, TrainingRead, TrainingStart, UploadCreate, UploadRead, UsageRead, UserFollow,
};

/// What an operation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Every one of these actions.
    All(&'static [Action]),
    /// What the thing behind the id asks.
    Each,
}

/// The three kinds of operation, as headings.
pub const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// Every operation with its root and what it asks.
pub const OPERATIONS: &[(&str, &str, Asks)] = &[
    ("Query", "asset", Asks::All(&[AssetRead])),
    ("Query", "assets", Asks::All(&[AssetRead])),
    ("Query", "auditEntries", Asks::All(&[AuditRead])),
    ("Query", "baseModel", Asks::All(&[BaseModelRead])),
    ("Query", "baseModels", Asks::All(&[BaseModelRead])),
    ("Query", "collection", Asks::All(&[CollectionRead])),
    ("Query", "collections", Asks::All(&[CollectionRead])),
    ("Query", "comment", Asks::All(&[LoraRead])),
    ("Query", "comments", Asks::All(&[LoraRead])),
    ("Query", "creatorDashboard", Asks::All(&[UsageRead])),
    ("Query", "dataset", Asks::All(&[DatasetRead])),
    ("Query", "datasetPicture", Asks::All(&[DatasetRead])),
    ("Query", "datasets", Asks::All(&[DatasetRead])),
    ("Query", "feed", Asks::All(&[FeedRead])),
    ("Query", "generation", Asks::All(&[AssetRead])),
    ("Query", "generations", Asks::All(&[AssetRead])),
    ("Query", "job", Asks::All(&[JobRead])),
    ("Query", "jobs", Asks::All(&[JobRead])),
    ("Query", "ledgerEntries", Asks::All(&[LedgerRead])),
    ("Query", "lora", Asks::All(&[LoraRead])),
    ("Query", "loraByHash", Asks::All(&[LoraRead])),
    ("Query", "loraSuggestions", Asks::All(&[LoraRead])),
    ("Query", "loraUsage", Asks::All(&[UsageRead])),
    ("Query", "loraVersion", Asks::All(&[LoraRead])),
    ("Query", "loras", Asks::All(&[LoraRead])),
    ("Query", "moderationQueue", Asks::All(&[ContentModerate])),
    ("Query", "node", Asks::Each),
    ("Query", "nodes", Asks::Each),
    ("Query", "notificationPreferences", Asks::All(&[AccountRead])),
    ("Query", "notifications", Asks::All(&[NotificationRead])),
    ("Query", "ratings", Asks::All(&[LoraRead])),
    ("Query", "relatedLoras", Asks::All(&[LoraRead])),
    ("Query", "team", Asks::All(&[TeamRead])),
    ("Query", "teams", Asks::All(&[TeamRead])),
    ("Query", "trainingRun", Asks::All(&[TrainingRead])),
    ("Query", "trainingRuns", Asks::All(&[TrainingRead])),
    ("Query", "upload", Asks::All(&[UploadRead])),
    ("Query", "user", Asks::All(&[ProfileRead])),
    ("Query", "viewer", Asks::All(&[AccountRead])),
    ("Mutation", "acceptInvitation", Asks::All(&[InvitationAccept])),
    ("Mutation", "addComment", Asks::All(&[LoraComment])),
    ("Mutation", "addToCollection", Asks::All(&[CollectionWrite, LoraRead])),
    ("Mutation", "askForReview", Asks::All(&[LoraWrite])),
    ("Mutation", "blockTag", Asks::All(&[BlockManage])),
    ("Mutation", "blockUser", Asks::All(&[BlockManage])),
    ("Mutation", "cancelJob", Asks::All(&[JobControl])),
    ("Mutation", "changeMemberRole", Asks::All(&[MemberManage])),
    ("Mutation", "changePassword", Asks::All(&[AccountChange])),
    ("Mutation", "chooseEpoch", Asks::All(&[TrainingStart, LoraWrite])),
    ("Mutation", "createCollection", Asks::All(&[CollectionWrite])),
    ("Mutation", "createDataset", Asks::All(&[DatasetWrite])),
    ("Mutation", "createLora", Asks::All(&[LoraWrite])),
    ("Mutation", "createTeam", Asks::All(&[TeamCreate])),
    ("Mutation", "createUpload", Asks::All(&[UploadCreate])),
    ("Mutation", "deleteAsset", Asks::All(&[AssetDelete])),
    ("Mutation", "deleteCollection", Asks::All(&[CollectionWrite])),
    ("Mutation", "deleteComment", Asks::All(&[CommentDelete])),
    ("Mutation", "deleteDataset", Asks::All(&[DatasetWrite])),
    ("Mutation", "deleteLora", Asks::All(&[LoraDelete])),
    ("Mutation", "deleteRating", Asks::All(&[RatingDelete])),
    ("Mutation", "deleteTeam", Asks::All(&[TeamDelete])),
    ("Mutation", "dismissReports", Asks::All(&[ContentModerate])),
    ("Mutation", "downloadLora", Asks::All(&[LoraDownload])),
    ("Mutation", "editComment", Asks::All(&[CommentChange])),
    ("Mutation", "followUser", Asks::All(&[UserFollow])),
    ("Mutation", "generatePictures", Asks::All(&[AssetGenerate, LoraRead])),
    ("Mutation", "grantCredits", Asks::All(&[CreditGrant])),
    ("Mutation", "hideContent", Asks::All(&[ContentModerate])),
    ("Mutation", "importLora", Asks::All(&[UploadRead, LoraWrite])),
    ("Mutation", "inviteMember", Asks::All(&[MemberManage])),
    ("Mutation", "leaveTeam", Asks::All(&[TeamLeave])),
    ("Mutation", "markNotificationsRead", Asks::All(&[NotificationRead])),
    ("Mutation", "moveInCollection", Asks::All(&[CollectionWrite])),
    ("Mutation", "publishLora", Asks::All(&[LoraPublish])),
    ("Mutation", "rateLora", Asks::All(&[LoraRate])),
    ("Mutation", "refreshSession", Asks::All(&[AccountEnter])),
    ("Mutation", "removeFromCollection", Asks::All(&[CollectionWrite])),
    ("Mutation", "removeMember", Asks::All(&[MemberManage])),
    ("Mutation", "removePicture", Asks::All(&[DatasetWrite])),
    ("Mutation", "reopenComment", Asks::All(&[CommentResolve])),
    ("Mutation", "reportContent", Asks::All(&[ContentReport])),
    ("Mutation", "reproduceAsset", Asks::All(&[AssetGenerate, AssetRead, LoraRead])),
    ("Mutation", "requestPasswordReset", Asks::All(&[AccountEnter])),
    ("Mutation", "resetPassword", Asks::All(&[AccountEnter])),
    ("Mutation", "resolveComment", Asks::All(&[CommentResolve])),
    ("Mutation", "restoreContent", Asks::All(&[ContentModerate])),
    ("Mutation", "retryJob", Asks::All(&[JobControl])),
    ("Mutation", "revokeInvitation", Asks::All(&[MemberManage])),
    ("Mutation", "setCaptions", Asks::All(&[DatasetWrite])),
    ("Mutation", "signIn", Asks::All(&[AccountEnter])),
    ("Mutation", "signOut", Asks::All(&[AccountChange])),
    ("Mutation", "signUp", Asks::All(&[AccountEnter])),
    ("Mutation", "startTraining", Asks::All(&[TrainingStart, LoraWrite, LoraDownload])),
    ("Mutation", "unblockTag", Asks::All(&[BlockManage])),
    ("Mutation", "unblockUser", Asks::All(&[BlockManage])),
    ("Mutation", "unfollowUser", Asks::All(&[UserFollow])),
    ("Mutation", "unpublishLora", Asks::All(&[LoraPublish])),
    ("Mutation", "updateCollection", Asks::All(&[CollectionWrite])),
    ("Mutation", "updateCollectionLora", Asks::All(&[CollectionWrite])),
    ("Mutation", "updateDataset", Asks::All(&[DatasetWrite])),
    ("Mutation", "updateLora", Asks::All(&[LoraWrite])),
    ("Mutation", "updateNotificationPreferences", Asks::All(&[AccountChange])),
    ("Mutation", "updateProfile", Asks::All(&[AccountChange])),
    ("Mutation", "updateTeam", Asks::All(&[TeamChange])),
    ("Mutation", "verifyEmail", Asks::All(&[AccountEnter])),
    ("Mutation", "voteCompatibility", Asks::All(&[CompatibilityVote])),
    ("Mutation", "voteRatingHelpful", Asks::All(&[RatingVote])),
    ("Mutation", "withdrawCompatibilityVote", Asks::All(&[CompatibilityVote])),
    ("Mutation", "withdrawRatingVote", Asks::All(&[RatingVote])),
    ("Subscription", "jobProgress", Asks::All(&[JobRead])),
    ("Subscription", "notificationAdded", Asks::All(&[NotificationRead])),
];

/// Roles, from the one that may least to the one that may most.
const ROLES: [Role; 5] = [Role::Viewer, Role::Creator, Role::Reviewer, Role::Administrator, Role::Owner];

/// The permissions as a page for people: `docs/PERMISSIONS.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Permissions\n\n\
         Who may do what. This page is generated from `domain/src/policy.rs` by `atelier schema`; a test fails when it is \
         stale or an operation is missing.\n\n\
         ✓ means yes; *own* means one's own thing or account; *visible* means a thing that is published, or that one's team \
         owns. A member of one team is told 'not found' about every unpublished thing of another.\n\n\
         ## Actions\n\n\
         | action | anonymous | signed in | viewer | creator | reviewer | administrator | owner | installation's administrator |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for action in Action::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(page, "| {} | {} |", action.name(), cells(action.requirement()).join(" | "));
    }
    for root in ROOTS {
        let _ = write!(page, "\n## {root}\n\n| operation | asks for |\n|---|---|\n");
        for (_, operation, asks) in OPERATIONS.iter().filter(|(of, ..)| *of == root) {
            let asks = match asks {
                Asks::All(actions) => actions.iter().map(|action| action.name()).collect::<Vec<_>>().join(", "),
                Asks::Each => "what reading the thing behind each id asks for".to_owned(),
            };
            let _ = writeln!(page, "| {operation} | {asks} |");
        }
    }
    page
}

/// What an action's row says under each heading.
fn cells(requirement: Requirement) -> [&'static str; 8] {
    const YES: &str = "✓";
    const NO: &str = "";
    let from = |least: Role, signed_in: &'static str| {
        let role = |role: Role| if role >= least { YES } else { signed_in };
        let [viewer, creator, reviewer, administrator, owner] = ROLES.map(role);
        [NO, signed_in, viewer, creator, reviewer, administrator, owner, NO]
    };
    match requirement {
        Requirement::Anyone => [YES; 8],
        Requirement::SignedIn => [NO, YES, YES, YES, YES, YES, YES, YES],
        Requirement::Oneself => [NO, "own", "own", "own", "own", "own", "own", "own"],
        Requirement::Reader => ["visible", "visible", YES, YES, YES, YES, YES, "visible"],
        Requirement::SignedInReader => [NO, "visible", YES, YES, YES, YES, YES, "visible"],
        Requirement::Member(least) => from(least, NO),
        Requirement::OneselfOrMember(least) => from(least, "own"),
        Requirement::Administrator => [NO, NO, NO, NO, NO, NO, NO, YES],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use async_graphql::parser::{
        parse_schema,
        types::{TypeKind, TypeSystemDefinition},
    };

    use super::*;
    use crate::graphql;

    #[test]
    fn every_operation_of_the_schema_says_what_it_asks() {
        let mut found = BTreeSet::new();
        for definition in parse_schema(graphql::definition()).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            let TypeKind::Object(object) = definition.node.kind else { continue };
            if ROOTS.contains(&name.as_str()) {
                found.extend(object.fields.iter().map(|field| (name.clone(), field.node.name.node.to_string())));
            }
        }
        let listed: BTreeSet<_> =
            OPERATIONS.iter().map(|(root, name, _)| ((*root).to_owned(), (*name).to_owned())).collect();
        assert_eq!(found, listed);
        assert_eq!(listed.len(), OPERATIONS.len(), "no operation is listed twice");
    }

    #[test]
    fn every_action_is_asked_for_by_an_operation() {
        let asked: BTreeSet<_> = OPERATIONS
            .iter()
            .flat_map(|(_, _, asks)| match asks {
                Asks::All(actions) => *actions,
                Asks::Each => &[],
            })
            .map(|action| action.name())
            .collect();
        // An administrator of the installation manages base models with `atelier models`.
        // A report is read by `node` and `nodes`, which ask what the thing behind the id asks.
        let elsewhere = ["BaseModelManage", "ReportRead"];
        let unasked: Vec<_> = Action::ALL
            .iter()
            .map(|action| action.name())
            .filter(|name| !asked.contains(name) && !elsewhere.contains(name))
            .collect();
        assert!(unasked.is_empty(), "{unasked:?}");
    }
}
