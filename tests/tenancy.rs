//! What belongs to one team does not exist for the members of another: through every query, mutation and subscription
//! that takes an id. The schema is asked which those are, so that a new one fails here until it stands in the table.

use std::collections::BTreeSet;

use atelier_domain::id::Noun;
use serde_json::{Value, json};

use crate::{
    everything::{Everything, furnish},
    house::{Engine, House, Person, nodes, on_each_engine, text},
};

on_each_engine!(another_teams_things_do_not_exist, a_version_that_is_not_shown_is_seen_by_its_team_alone);

/// How a stranger's question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// `NOT_FOUND`.
    NotFound,
    /// `NOT_FOUND`; its own team is answered, if only with what others published.
    Hidden,
    /// A list without rows.
    Nothing,
    /// As anybody's: the thing is everybody's.
    Public,
}

use Answer::{Hidden, NotFound, Nothing, Public};

/// Every argument of every query that names a thing, the noun it names, and how a stranger is answered.
const QUERIES: &[(&str, &str, Noun, Answer)] = &[
    ("asset", "id", Noun::Asset, NotFound),
    ("assets", "generationId", Noun::Generation, Nothing),
    ("assets", "teamId", Noun::Team, Nothing),
    ("auditEntries", "teamId", Noun::Team, NotFound),
    ("baseModel", "id", Noun::BaseModel, Public),
    ("baseModels", "teamId", Noun::Team, Nothing),
    ("collection", "id", Noun::Collection, NotFound),
    ("collections", "teamId", Noun::Team, Nothing),
    ("comment", "id", Noun::Comment, NotFound),
    ("comments", "loraId", Noun::Lora, NotFound),
    ("creatorDashboard", "teamId", Noun::Team, NotFound),
    ("dataset", "id", Noun::Dataset, NotFound),
    ("datasetPicture", "id", Noun::DatasetPicture, NotFound),
    ("datasets", "teamId", Noun::Team, Nothing),
    ("generation", "id", Noun::Generation, NotFound),
    ("generations", "teamId", Noun::Team, Nothing),
    ("job", "id", Noun::Job, NotFound),
    ("jobs", "teamId", Noun::Team, Nothing),
    ("ledgerEntries", "teamId", Noun::Team, NotFound),
    ("lora", "id", Noun::Lora, NotFound),
    ("loraByHash", "hash", Noun::LoraVersion, Nothing),
    ("loraUsage", "loraId", Noun::Lora, NotFound),
    ("loraVersion", "id", Noun::LoraVersion, NotFound),
    ("loras", "filter", Noun::Team, Nothing),
    ("loras", "like", Noun::Asset, Hidden),
    ("ratings", "loraId", Noun::Lora, NotFound),
    ("relatedLoras", "loraId", Noun::Lora, Hidden),
    ("team", "id", Noun::Team, NotFound),
    ("trainingRun", "id", Noun::TrainingRun, NotFound),
    ("trainingRuns", "loraId", Noun::Lora, Nothing),
    ("upload", "id", Noun::Upload, NotFound),
    ("user", "id", Noun::User, Public),
];

/// Nouns of which everybody may see everything.
const PUBLIC: [Noun; 3] = [Noun::BaseModel, Noun::Follow, Noun::User];

/// Mutations that take ids of what is everybody's, or that overlook what is not one's own.
const HARMLESS: [&str; 5] = ["blockUser", "followUser", "markNotificationsRead", "unblockUser", "unfollowUser"];

/// Every other mutation that takes an id, with all that it needs to be done.
fn mutations(all: &Everything) -> Vec<(&'static str, Value)> {
    let id = |noun: Noun| json!({ "id": all.id(noun) });
    let (team, lora, version) = (all.id(Noun::Team), all.id(Noun::Lora), all.id(Noun::LoraVersion));
    let (dataset, upload) = (all.id(Noun::Dataset), all.id(Noun::Upload));
    let captions = json!([{ "pictureId": all.id(Noun::DatasetPicture), "caption": "mine" }]);
    let collection = all.id(Noun::Collection);
    let entry = json!({ "collectionId": collection, "loraId": lora });
    vec![
        ("addToCollection", json!({ "collectionId": collection, "loraId": all.shown_lora })),
        ("createCollection", json!({ "name": "Mine", "teamId": team })),
        ("deleteCollection", id(Noun::Collection)),
        ("moveInCollection", entry.clone()),
        ("removeFromCollection", entry),
        ("reopenComment", id(Noun::Comment)),
        ("resolveComment", id(Noun::Comment)),
        ("updateCollection", json!({ "id": collection, "name": "Mine" })),
        ("updateCollectionLora", json!({ "collectionId": collection, "loraId": lora, "note": "mine" })),
        ("addComment", json!({ "loraId": lora, "body": "mine" })),
        ("cancelJob", id(Noun::Job)),
        ("changeMemberRole", json!({ "id": all.id(Noun::Membership), "role": "VIEWER" })),
        ("chooseEpoch", json!({ "epochId": all.id(Noun::TrainingEpoch) })),
        ("createDataset", json!({ "name": "Mine", "teamId": team })),
        ("createLora", json!({ "name": "Mine", "teamId": team })),
        ("createUpload", json!({ "purpose": "DATASET_PICTURE", "fileName": "a.png", "size": 9, "targetId": dataset })),
        ("createUpload", json!({ "purpose": "LORA_FILE", "fileName": "a.safetensors", "size": 9, "targetId": lora })),
        ("createUpload", json!({ "purpose": "LORA_FILE", "fileName": "a.safetensors", "size": 9, "teamId": team })),
        ("deleteAsset", id(Noun::Asset)),
        ("deleteComment", id(Noun::Comment)),
        ("deleteDataset", id(Noun::Dataset)),
        ("deleteLora", id(Noun::Lora)),
        ("deleteRating", id(Noun::Rating)),
        ("deleteTeam", id(Noun::Team)),
        ("dismissReports", json!({ "subjectId": lora })),
        ("downloadLora", json!({ "versionId": version })),
        ("editComment", json!({ "id": all.id(Noun::Comment), "body": "mine" })),
        ("generatePictures", json!({ "prompt": "a fox", "teamId": team })),
        ("generatePictures", json!({ "prompt": "a fox", "loras": [{ "versionId": version }] })),
        ("grantCredits", json!({ "teamId": team, "amount": 1 })),
        ("hideContent", json!({ "subjectId": lora, "reason": "mine" })),
        ("hideContent", json!({ "subjectId": all.id(Noun::Comment), "reason": "mine" })),
        ("importLora", json!({ "uploadId": upload })),
        ("inviteMember", json!({ "teamId": team, "email": "friend@atelier.test", "role": "VIEWER" })),
        ("leaveTeam", id(Noun::Team)),
        ("publishLora", json!({ "id": lora, "license": "CC0-1.0" })),
        ("askForReview", json!({ "loraId": lora, "userIds": [all.id(Noun::User)] })),
        ("rateLora", json!({ "loraId": lora, "stars": 1 })),
        ("removeMember", id(Noun::Membership)),
        ("removePicture", id(Noun::DatasetPicture)),
        ("reportContent", json!({ "subjectId": lora, "reason": "SPAM" })),
        ("reportContent", json!({ "subjectId": all.id(Noun::Preview), "reason": "SPAM" })),
        ("restoreContent", json!({ "subjectId": lora })),
        ("reproduceAsset", id(Noun::Asset)),
        ("reproduceAsset", id(Noun::Preview)),
        ("retryJob", id(Noun::Job)),
        ("revokeInvitation", id(Noun::Invitation)),
        ("setCaptions", json!({ "datasetId": dataset, "captions": captions })),
        ("startTraining", json!({ "datasetId": dataset, "triggerWord": "mine" })),
        ("startTraining", json!({ "datasetId": dataset, "triggerWord": "mine", "continueFromVersionId": version })),
        ("unpublishLora", id(Noun::Lora)),
        ("updateDataset", json!({ "id": dataset, "name": "Mine" })),
        ("updateLora", json!({ "id": lora, "name": "Mine" })),
        ("updateTeam", json!({ "id": team, "name": "Mine" })),
        ("voteCompatibility", json!({ "versionId": version, "baseModelId": all.id(Noun::BaseModel), "works": true })),
        ("voteRatingHelpful", json!({ "ratingId": all.id(Noun::Rating) })),
        ("withdrawCompatibilityVote", json!({ "versionId": version, "baseModelId": all.id(Noun::BaseModel) })),
        ("withdrawRatingVote", json!({ "ratingId": all.id(Noun::Rating) })),
    ]
}

/// The schema's operations, their arguments and input types, as the service tells them.
struct Operations(Value);

impl Operations {
    async fn ask(house: &House) -> Self {
        let kind = "type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
        let fields = format!("fields {{ name {kind} args {{ name {kind} }} }}");
        let query = format!(
            "{{ __schema {{ queryType {{ {fields} }} mutationType {{ {fields} }} subscriptionType {{ {fields} }} \
             types {{ name inputFields {{ name {kind} }} }} }} }}"
        );
        Self(house.data_of(None, &query, json!({})).await["__schema"].clone())
    }

    fn of(&self, root: &str) -> &[Value] {
        self.0[root]["fields"].as_array().unwrap()
    }

    /// Every argument that names a thing: an id or a hash, or an input with one somewhere inside.
    fn naming(&self, root: &str) -> BTreeSet<(String, String)> {
        let of_field = |field: &Value| {
            let name = text(&field["name"]);
            let arguments = field["args"].as_array().unwrap().iter();
            let naming = arguments.filter(|argument| self.names(argument)).map(|argument| text(&argument["name"]));
            naming.map(|argument| (name.clone(), argument)).collect::<Vec<_>>()
        };
        self.of(root).iter().flat_map(of_field).collect()
    }

    fn names(&self, argument: &Value) -> bool {
        let name = named(&argument["type"]);
        let input = self.0["types"].as_array().unwrap().iter().find(|input| input["name"] == name.as_str());
        let inside = input.and_then(|input| input["inputFields"].as_array());
        name == "ID" || argument["name"] == "hash" || inside.is_some_and(|fields| fields.iter().any(|f| self.names(f)))
    }

    /// A document that calls a query with one argument as its variable.
    fn document(&self, field: &str, argument: &str) -> String {
        let field = self.of("queryType").iter().find(|row| row["name"] == field).unwrap();
        let arguments = field["args"].as_array().unwrap();
        let kind = written(&arguments.iter().find(|row| row["name"] == argument).unwrap()["type"]);
        let first = if arguments.iter().any(|row| row["name"] == "first") { ", first: 5" } else { "" };
        let is_list = named(&field["type"]).ends_with("Connection");
        let selection = if is_list { "edges { node { __typename } }" } else { "__typename" };
        let name = text(&field["name"]);
        format!("query ($value: {kind}) {{ {name}({argument}: $value{first}) {{ {selection} }} }}")
    }
}

/// The name of a type without its wrappers.
fn named(kind: &Value) -> String {
    kind["name"].as_str().map_or_else(|| named(&kind["ofType"]), str::to_owned)
}

/// A type as documents write it.
fn written(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&kind["ofType"])),
        Some("LIST") => format!("[{}]", written(&kind["ofType"])),
        _ => text(&kind["name"]),
    }
}

/// How an answer to a query shows a thing.
fn shown(data: &Value) -> usize {
    let value = data.as_object().unwrap().values().next().unwrap();
    match value {
        Value::Array(rows) => rows.iter().filter(|row| !row.is_null()).count(),
        Value::Null => 0,
        object if object["edges"].is_array() => nodes(object).len(),
        _ => 1,
    }
}

async fn another_teams_things_do_not_exist(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let all = furnish(&house, &ada, &cyd).await;
    // Bob is a member of a team as well, and of no more than that: the wrong team must not do.
    house.done(&bob, "createTeam", json!({ "name": "Oils", "slug": "oils" }), "team { id }").await;
    let operations = Operations::ask(&house).await;
    queries(&house, &operations, &all, &ada, &bob).await;
    any_id(&house, &all, &ada, &bob).await;
    changes(&house, &operations, &all, &ada, &bob).await;
    progress(&house, &operations, &all, &ada, &bob).await;
    house.close().await;
}

async fn queries(house: &House, operations: &Operations, all: &Everything, ada: &Person, bob: &Person) {
    let listed = QUERIES.iter().map(|(field, argument, ..)| ((*field).to_owned(), (*argument).to_owned()));
    let any = [("node", "id"), ("nodes", "ids")].map(|(field, argument)| (field.to_owned(), argument.to_owned()));
    assert_eq!(operations.naming("queryType"), listed.chain(any).collect(), "every query stands in the table");
    for (field, argument, noun, answer) in QUERIES {
        let value = match *argument {
            "hash" => json!(all.hash),
            "like" => json!({ "assetId": all.id(*noun) }),
            "filter" => json!({ "teamId": all.id(*noun), "state": "UNPUBLISHED" }),
            _ => json!(all.id(*noun)),
        };
        let (document, variables) = (operations.document(field, argument), json!({ "value": value }));
        let own = house.data_of(Some(&ada.token), &document, variables.clone()).await;
        if *answer != Hidden {
            assert!(shown(&own) > 0, "its own team sees something by {field}({argument}): {own}");
        }
        for token in [Some(bob.token.as_str()), None] {
            let (_, body) = house.send(token, &document, variables.clone()).await;
            let code = body["errors"][0]["extensions"]["code"].as_str();
            let is_right = match answer {
                // Who is not signed in may be asked to be, before anything is looked for.
                NotFound | Hidden => code == Some("NOT_FOUND") || (token.is_none() && code == Some("UNAUTHENTICATED")),
                Nothing if token.is_none() && code == Some("UNAUTHENTICATED") => true,
                Nothing => code.is_none() && shown(&body["data"]) == 0,
                Public => code.is_none() && shown(&body["data"]) == 1,
            };
            assert!(is_right, "{field}({argument}) as {token:?}: {answer:?} and not {body}");
        }
    }
}

/// `node` and `nodes`, which take an id of any noun.
async fn any_id(house: &House, all: &Everything, ada: &Person, bob: &Person) {
    let query = "query ($id: ID!, $ids: [ID!]!) { node(id: $id) { __typename id } nodes(ids: $ids) { id } }";
    for noun in Noun::ALL {
        let id = all.id(*noun);
        let variables = json!({ "id": id, "ids": [id, id] });
        let own = house.data_of(Some(&ada.token), query, variables.clone()).await;
        assert_eq!(own["node"]["id"], id, "{}", noun.name());
        let expected = if PUBLIC.contains(noun) { json!({ "id": id }) } else { Value::Null };
        for token in [Some(bob.token.as_str()), None] {
            let seen = house.data_of(token, query, variables.clone()).await;
            assert_eq!(seen["nodes"], json!([expected, expected]), "{} as {token:?}", noun.name());
            assert_eq!(seen["node"]["id"], expected["id"], "{} as {token:?}", noun.name());
        }
    }
}

/// What a member of the team sees of it.
async fn world(house: &House, all: &Everything, ada: &Person) -> Value {
    let query = "query ($team: ID!, $lora: ID!, $dataset: ID!, $job: ID!, $asset: ID!, $comment: ID!, $collection: ID!) { \
        team(id: $team) { name credits { available reserved } members(first: 9) { edges { node { id role } } } \
        invitations(first: 9) { edges { node { id revokedAt } } } } \
        lora(id: $lora) { name state ratingCount downloadCount versions(first: 9) { edges { node { id } } } } \
        dataset(id: $dataset) { name pictures(first: 9) { edges { node { id caption } } } } job(id: $job) { state } \
        asset(id: $asset) { id } comment(id: $comment) { body replyCount deletedAt resolvedAt } \
        collection(id: $collection) { name loraCount } \
        datasets(teamId: $team, first: 9) { edges { node { id } } } jobs(teamId: $team, first: 9) { edges { node { id } } } \
        auditEntries(teamId: $team, first: 100) { edges { node { id } } } }";
    let variables = json!({
        "team": all.id(Noun::Team), "lora": all.id(Noun::Lora), "dataset": all.id(Noun::Dataset), "job": all.id(Noun::Job),
        "asset": all.id(Noun::Asset), "comment": all.id(Noun::Comment),
        "collection": all.id(Noun::Collection),
    });
    house.data_of(Some(&ada.token), query, variables).await
}

async fn changes(house: &House, operations: &Operations, all: &Everything, ada: &Person, bob: &Person) {
    let mutations = mutations(all);
    let listed = mutations.iter().map(|(name, _)| *name).chain(HARMLESS).map(str::to_owned);
    let naming = operations.naming("mutationType").into_iter().map(|(name, _)| name);
    assert_eq!(naming.collect::<BTreeSet<_>>(), listed.collect(), "every mutation stands in the table");
    let before = world(house, all, ada).await;
    for (name, input) in mutations {
        assert_eq!(house.refused(bob, name, input.clone()).await, "NOT_FOUND", "{name} {input}");
    }
    let ids = json!({ "ids": [all.id(Noun::Notification)] });
    house.done(bob, "markNotificationsRead", ids, "unreadCount").await;
    let unread = "{ viewer { unreadNotificationCount } }";
    let unread = house.data_of(Some(&ada.token), unread, json!({})).await;
    assert_ne!(unread["viewer"]["unreadNotificationCount"], 0, "nobody reads for another");
    assert_eq!(world(house, all, ada).await, before, "and nothing was changed");
}

async fn progress(house: &House, operations: &Operations, all: &Everything, ada: &Person, bob: &Person) {
    let listed = BTreeSet::from([("jobProgress".to_owned(), "id".to_owned())]);
    assert_eq!(operations.naming("subscriptionType"), listed, "every subscription stands here");
    let query = "subscription ($id: ID!) { jobProgress(id: $id) { sequence } }";
    let body = json!({ "query": query, "variables": { "id": all.id(Noun::Job) } });
    let ask = |token: &str| {
        let request = house.http().post(format!("{}/graphql", house.url)).header("accept", "text/event-stream");
        request.bearer_auth(token).json(&body).send()
    };
    let refused = ask(&bob.token).await.unwrap().text().await.unwrap();
    assert!(refused.contains("NOT_FOUND") && !refused.contains("sequence"), "{refused}");
    house.done(ada, "cancelJob", json!({ "id": all.id(Noun::Job) }), "job { id }").await;
    let own = ask(&ada.token).await.unwrap().text().await.unwrap();
    assert!(own.contains("\"sequence\":2") && !own.contains("NOT_FOUND"), "{own}");
}

async fn a_version_that_is_not_shown_is_seen_by_its_team_alone(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let all = furnish(&house, &ada, &bob).await;
    let by_id = "query ($version: ID!) { loraVersion(id: $version) { id } }";
    let through = "query ($version: ID!, $lora: ID!) { node(id: $version) { id } lora(id: $lora) { \
                   latestVersion { number } versions(first: 5) { edges { node { number } } } } }";
    let variables = json!({ "version": all.hidden_version, "lora": all.shown_lora });
    let numbers = |data: &Value| {
        let versions = nodes(&data["lora"]["versions"]);
        versions.iter().map(|version| version["number"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    house.data_of(Some(&ada.token), by_id, variables.clone()).await;
    assert_eq!(numbers(&house.data_of(Some(&ada.token), through, variables.clone()).await), [2, 1]);
    for token in [Some(bob.token.as_str()), None] {
        assert_eq!(house.refusal(token, by_id, variables.clone()).await, "NOT_FOUND");
        let seen = house.data_of(token, through, variables.clone()).await;
        assert_eq!((&seen["node"], &seen["lora"]["latestVersion"]["number"]), (&Value::Null, &json!(1)));
        assert_eq!(numbers(&seen), [1]);
    }
    let input = json!({ "versionId": all.hidden_version });
    assert_eq!(house.refused(&bob, "downloadLora", input).await, "NOT_FOUND");
    let wish = json!({ "prompt": "a fox", "loras": [{ "versionId": all.hidden_version }] });
    assert_eq!(house.refused(&bob, "generatePictures", wish).await, "NOT_FOUND");
    let rating = json!({ "loraId": all.shown_lora, "versionId": all.hidden_version, "stars": 1 });
    assert_eq!(house.user_error(&bob, "rateLora", rating, "rating { id }").await, "NO_VERSION");
    house.close().await;
}
