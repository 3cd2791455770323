//! Reports, the queue of those who moderate, and what is hidden: its owner alone sees it, and knows why.

use atelier_domain::{
    entities::user,
    id::{Noun, decode},
};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};
use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(
    a_collection_is_hidden_from_all_but_its_team,
    what_is_reported_is_hidden_from_all_but_its_owner_and_comes_back,
    a_hidden_comment_keeps_its_place_and_a_hidden_profile_its_handle,
);

const QUEUE: &str = "query ($state: ModerationQueueState) { moderationQueue(state: $state, first: 10) { edges { node { \
                     subjectId openReportCount reportCount hiddenAt hiddenReason owner { handle } reasons { reason count } \
                     subject { __typename ... on Lora { name } ... on Comment { body } ... on User { bio } } \
                     reports(first: 5) { edges { node { reporter { handle } explanation state } } } } } } }";

/// Lets somebody administer the installation.
pub async fn promote(house: &House, person: &Person) {
    let ctx = &house.service.house;
    let tx = ctx.db.write().await.unwrap();
    user::Entity::update_many()
        .col_expr(user::Column::IsAdministrator, Expr::value(true))
        .filter(user::Column::Id.eq(decode(Noun::User, &person.id).unwrap()))
        .exec(&tx)
        .await
        .unwrap();
    ctx.commit(tx).await.unwrap();
}

async fn queue(house: &House, moderator: &Person, state: &str) -> Vec<Value> {
    let data = house.data_of(Some(&moderator.token), QUEUE, json!({ "state": state })).await;
    nodes(&data["moderationQueue"])
}

async fn found(house: &House, words: &str) -> usize {
    let query = "query ($words: String!) { loras(search: $words, first: 5) { edges { node { id } } } }";
    nodes(&house.data_of(None, query, json!({ "words": words })).await["loras"]).len()
}

/// What the moderators told somebody, once there is so much of it.
async fn told(house: &House, person: &Person, count: usize) -> Vec<(String, String)> {
    eventually("news of the moderators", async || {
        let query = "{ notifications(first: 50) { edges { node { kind message actor { handle } } } } }";
        let data = house.data_of(Some(&person.token), query, json!({})).await;
        let news = nodes(&data["notifications"]).into_iter().filter(|one| text(&one["kind"]).starts_with("CONTENT_"));
        let news: Vec<_> = news.collect();
        assert!(news.iter().all(|one| one["actor"].is_null()), "nobody learns which moderator it was");
        (news.len() >= count).then(|| news.iter().map(|one| (text(&one["kind"]), text(&one["message"]))).collect())
    })
    .await
}

async fn what_is_reported_is_hidden_from_all_but_its_owner_and_comes_back(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, judge) = (house.person("ada").await, house.person("bob").await, house.person("mod").await);
    promote(&house, &judge).await;
    let lora = house.published_lora(&ada, "Copperplate etching", &files::foreign_lora("bfl")).await;
    eventually("the index", async || (found(&house, "copperplate").await == 1).then_some(())).await;
    house.done(&bob, "rateLora", json!({ "loraId": lora.id, "stars": 1 }), "rating { id }").await;

    let wrong = |id: &str| json!({ "subjectId": id, "reason": "COPYRIGHT", "explanation": "It is mine." });
    let fields = "report { id state subjectId reporter { handle } }";
    let first = house.done(&bob, "reportContent", wrong(&lora.id), fields).await["report"].clone();
    assert_eq!((&first["state"], &first["subjectId"]), (&json!("OPEN"), &json!(lora.id)));
    assert_eq!(house.done(&bob, "reportContent", wrong(&lora.id), fields).await["report"], first, "one is enough");
    assert_eq!(house.user_error(&ada, "reportContent", wrong(&lora.id), fields).await, "OWN_CONTENT");
    let vague = json!({ "subjectId": lora.id, "reason": "OTHER" });
    assert_eq!(house.user_error(&judge, "reportContent", vague, fields).await, "EXPLANATION_NEEDED");
    assert_eq!(house.refused(&bob, "reportContent", wrong(&bob.team)).await, "NOT_FOUND");
    let own = "query ($id: ID!) { node(id: $id) { ... on ContentReport { explanation } } }";
    let read = async |person: &Person| house.data_of(Some(&person.token), own, json!({ "id": first["id"] })).await;
    assert_eq!(read(&bob).await["node"]["explanation"], "It is mine.");
    assert_eq!(read(&ada).await["node"], Value::Null, "who is reported does not read it");

    assert_eq!(house.refusal(Some(&bob.token), QUEUE, json!({})).await, "FORBIDDEN");
    assert_eq!(house.refusal(None, QUEUE, json!({})).await, "UNAUTHENTICATED");
    let cases = queue(&house, &judge, "OPEN").await;
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0]["subject"], json!({ "__typename": "Lora", "name": "Copperplate etching" }));
    assert_eq!(cases[0]["reasons"], json!([{ "reason": "COPYRIGHT", "count": 1 }]));
    assert_eq!(nodes(&cases[0]["reports"])[0]["reporter"]["handle"], "bob");

    let hide = json!({ "subjectId": lora.id, "reason": "It copies another's plates." });
    assert_eq!(house.refused(&ada, "hideContent", hide.clone()).await, "FORBIDDEN");
    let hidden = "case { openReportCount hiddenReason }";
    assert_eq!(
        house.user_error(&judge, "hideContent", json!({ "subjectId": lora.id, "reason": " " }), hidden).await,
        "REQUIRED"
    );
    let case = house.done(&judge, "hideContent", hide.clone(), hidden).await["case"].clone();
    assert_eq!(case, json!({ "openReportCount": 0, "hiddenReason": "It copies another's plates." }));
    assert_eq!(house.user_error(&judge, "hideContent", hide, hidden).await, "ALREADY_HIDDEN");

    let card = "query ($id: ID!) { lora(id: $id) { state hiddenAt hiddenReason } }";
    for token in [None, Some(bob.token.as_str())] {
        assert_eq!(house.refusal(token, card, json!({ "id": lora.id })).await, "NOT_FOUND");
    }
    assert_eq!(house.refused(&bob, "downloadLora", json!({ "versionId": lora.version })).await, "NOT_FOUND");
    assert_eq!(house.refused(&bob, "addComment", json!({ "loraId": lora.id, "body": "Hm." })).await, "NOT_FOUND");
    assert_eq!(found(&house, "copperplate").await, 0, "the database has the last word, at once");
    let own = house.data_of(Some(&ada.token), card, json!({ "id": lora.id })).await["lora"].clone();
    assert_eq!((&own["state"], &own["hiddenReason"]), (&json!("PUBLISHED"), &json!("It copies another's plates.")));
    // Taking it back and showing it again does not bring it back.
    house.done(&ada, "unpublishLora", json!({ "id": lora.id }), "lora { id }").await;
    house.done(&ada, "publishLora", json!({ "id": lora.id }), "lora { id }").await;
    assert_eq!(house.refusal(None, card, json!({ "id": lora.id })).await, "NOT_FOUND");
    assert_eq!(queue(&house, &judge, "OPEN").await.len(), 0);
    assert_eq!(queue(&house, &judge, "HIDDEN").await.len(), 1);

    let restored = house.done(&judge, "restoreContent", json!({ "subjectId": lora.id }), "case { hiddenAt }").await;
    assert_eq!(restored["case"]["hiddenAt"], Value::Null);
    let again = json!({ "subjectId": lora.id });
    assert_eq!(house.user_error(&judge, "restoreContent", again, "case { hiddenAt }").await, "NOT_HIDDEN");
    house.data_of(None, card, json!({ "id": lora.id })).await;
    eventually("the index again", async || (found(&house, "copperplate").await == 1).then_some(())).await;
    let expected = [
        ("CONTENT_RESTORED", "Your LoRA “Copperplate etching” is shown again by the moderators."),
        ("CONTENT_HIDDEN", "Your LoRA “Copperplate etching” was hidden by the moderators: It copies another's plates."),
    ];
    assert_eq!(told(&house, &ada, 2).await, expected.map(|(kind, message)| (kind.to_owned(), message.to_owned())));

    // Its team reads what was done to it, and not who reported it.
    let trail =
        "query ($team: ID!) { auditEntries(teamId: $team, first: 100) { edges { node { action actor { handle } } } } }";
    let trail = nodes(&house.data_of(Some(&ada.token), trail, json!({ "team": ada.team })).await["auditEntries"]);
    let by = |action: &str| trail.iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((by("ContentModerate"), by("ContentReport")), (2, 0));
    house.close().await;
}

async fn a_hidden_comment_keeps_its_place_and_a_hidden_profile_its_handle(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, judge) = (house.person("ada").await, house.person("bob").await, house.person("mod").await);
    promote(&house, &judge).await;
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let comment = json!({ "loraId": lora.id, "body": "Buy my ink, @ada." });
    let comment = text(&house.done(&bob, "addComment", comment, "comment { id }").await["comment"]["id"]);
    let reply = json!({ "loraId": lora.id, "parentId": comment, "body": "No." });
    house.done(&ada, "addComment", reply, "comment { id }").await;
    let rating = json!({ "loraId": lora.id, "stars": 1, "review": "Buy my ink." });
    let rating = text(&house.done(&bob, "rateLora", rating, "rating { id }").await["rating"]["id"]);
    house.done(&bob, "updateProfile", json!({ "displayName": "Ink here", "bio": "Buy my ink." }), "user { id }").await;
    for id in [&comment, &rating, &bob.id] {
        house.done(&ada, "reportContent", json!({ "subjectId": id, "reason": "SPAM" }), "report { id }").await;
    }
    let kinds: Vec<_> =
        queue(&house, &judge, "OPEN").await.iter().map(|case| text(&case["subject"]["__typename"])).collect();
    assert_eq!(kinds, ["User", "Rating", "Comment"], "what was reported last comes first");
    let dismissed =
        house.done(&judge, "dismissReports", json!({ "subjectId": rating }), "case { openReportCount reportCount }");
    assert_eq!(dismissed.await["case"], json!({ "openReportCount": 0, "reportCount": 1 }));
    for id in [&comment, &rating, &bob.id] {
        let hide = json!({ "subjectId": id, "reason": "Advertising." });
        house.done(&judge, "hideContent", hide, "case { hiddenAt }").await;
    }

    let query = "query ($lora: ID!, $bob: ID!) { lora(id: $lora) { ratingCount ratingSpread { count } } \
                 comments(loraId: $lora, first: 5) { edges { node { body mentions { handle } hiddenReason author { handle } replyCount } } } \
                 ratings(loraId: $lora, first: 5) { edges { node { review hiddenReason } } } \
                 user(id: $bob) { handle displayName bio hiddenReason } }";
    let seen = async |token: Option<&str>| house.data_of(token, query, json!({ "lora": lora.id, "bob": bob.id })).await;
    for token in [None, Some(ada.token.as_str())] {
        let seen = seen(token).await;
        let expected = json!({ "body": "", "mentions": [], "hiddenReason": null, "author": null, "replyCount": 1 });
        assert_eq!(nodes(&seen["comments"]), [expected], "its place stays");
        assert_eq!(nodes(&seen["ratings"]), Vec::<Value>::new());
        assert_eq!(seen["lora"]["ratingCount"], 0);
        assert!(seen["lora"]["ratingSpread"].as_array().unwrap().iter().all(|step| step["count"] == 0));
        let profile = json!({ "handle": "bob", "displayName": "bob", "bio": "", "hiddenReason": null });
        assert_eq!(seen["user"], profile);
    }
    let own = seen(Some(&bob.token)).await;
    let why = json!("Advertising.");
    assert_eq!(
        (&nodes(&own["comments"])[0]["body"], &nodes(&own["comments"])[0]["hiddenReason"]),
        (&json!("Buy my ink, @ada."), &why)
    );
    assert_eq!(nodes(&own["comments"])[0]["mentions"], json!([{ "handle": "ada" }]));
    assert_eq!(
        (&nodes(&own["ratings"])[0]["review"], &nodes(&own["ratings"])[0]["hiddenReason"]),
        (&json!("Buy my ink."), &why)
    );
    assert_eq!((&own["user"]["bio"], &own["user"]["hiddenReason"]), (&json!("Buy my ink."), &why));
    house.done(&bob, "editComment", json!({ "id": comment, "body": "Buy other ink." }), "comment { id }").await;
    assert_eq!(nodes(&seen(None).await["comments"])[0]["body"], "", "who changes it does not bring it back");
    assert_eq!(told(&house, &bob, 3).await.len(), 3);
    house.done(&bob, "deleteRating", json!({ "id": rating }), "lora { id }").await;
    let cases = queue(&house, &judge, "HIDDEN").await;
    let gone = cases.iter().find(|case| case["subjectId"] == rating.as_str()).unwrap();
    assert_eq!(
        (cases.len(), &gone["subject"]),
        (3, &Value::Null),
        "what was taken back is not shown to moderators either"
    );
    assert_eq!(
        house.user_error(&judge, "dismissReports", json!({ "subjectId": comment }), "case { hiddenAt }").await,
        "NO_OPEN_REPORTS"
    );
    house.close().await;
}

async fn a_collection_is_hidden_from_all_but_its_team(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, judge) = (house.person("ada").await, house.person("bob").await, house.person("mod").await);
    promote(&house, &judge).await;
    let new = json!({ "name": "Buy here", "description": "All you need.", "isPublic": true });
    let made = house.done(&ada, "createCollection", new, "collection { id }").await["collection"]["id"].clone();
    let wrong = json!({ "subjectId": made, "reason": "SPAM" });
    house.done(&bob, "reportContent", wrong, "report { id }").await;
    let subject = &queue(&house, &judge, "OPEN").await[0]["subject"];
    assert_eq!(subject["__typename"], "Collection");

    let hide = json!({ "subjectId": made, "reason": "It sells things." });
    house.done(&judge, "hideContent", hide, "case { hiddenReason }").await;
    let query = "query ($id: ID!) { collection(id: $id) { hiddenReason } }";
    let list = "query ($id: ID!) { collections(teamId: $id, first: 5) { edges { node { id } } } }";
    let listed = async |person: &Person| {
        nodes(&house.data_of(Some(&person.token), list, json!({ "id": ada.team })).await["collections"]).len()
    };
    assert_eq!(house.refusal(Some(&bob.token), query, json!({ "id": made })).await, "NOT_FOUND");
    assert_eq!((listed(&bob).await, listed(&ada).await), (0, 1));
    let own = house.data_of(Some(&ada.token), query, json!({ "id": made })).await;
    assert_eq!(own["collection"]["hiddenReason"], "It sells things.");
    // To show it to everybody again is not up to its team.
    house.done(&ada, "updateCollection", json!({ "id": made, "isPublic": true }), "collection { id }").await;
    assert_eq!(house.refusal(Some(&bob.token), query, json!({ "id": made })).await, "NOT_FOUND");
    house.done(&judge, "restoreContent", json!({ "subjectId": made }), "case { hiddenAt }").await;
    assert_eq!(listed(&bob).await, 1);
    house.close().await;
}
