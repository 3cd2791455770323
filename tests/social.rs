//! People among each other: following, being told, rating, commenting.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
    watch::Watch,
};

on_each_engine!(
    who_follows_somebody_hears_of_what_they_publish,
    a_lora_is_rated_once_by_each_person,
    a_thread_goes_on_around_what_was_deleted,
);

const ADDED: &str = "subscription ($after: BigInt) { notificationAdded(after: $after) { \
                     id sequence kind message actor { handle } lora { name } } }";
const LIST: &str = "{ notifications(first: 50) { edges { node { id sequence kind message readAt } } } \
                    viewer { unreadNotificationCount lastNotificationSequence } }";

async fn next(watch: &mut Watch) -> Value {
    watch.next().await.unwrap()["notificationAdded"].clone()
}

/// The kinds of what somebody was told, newest first, once there are so many.
async fn told(house: &House, person: &Person, count: usize) -> Vec<String> {
    eventually("notifications", async || {
        let data = house.data_of(Some(&person.token), LIST, json!({})).await;
        let told = nodes(&data["notifications"]);
        (told.len() >= count).then(|| told.iter().map(|one| text(&one["kind"])).collect())
    })
    .await
}

async fn who_follows_somebody_hears_of_what_they_publish(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let follow = json!({ "userId": ada.id });
    house.done(&bob, "followUser", follow.clone(), "user { followerCount isFollowedByViewer }").await;
    let again = house.done(&bob, "followUser", follow.clone(), "user { followerCount isFollowedByViewer }").await;
    assert_eq!(again["user"], json!({ "followerCount": 1, "isFollowedByViewer": true }), "twice is once");
    let oneself = json!({ "userId": bob.id });
    assert_eq!(house.user_error(&bob, "followUser", oneself, "user { id }").await, "ONESELF");
    assert_eq!(told(&house, &ada, 1).await, ["NEW_FOLLOWER"]);

    // One who watches already, and one who comes later and asks for all.
    let mut watching = Watch::begin(&house, &bob.token, ADDED, json!({ "after": 0 })).await;
    house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let first = next(&mut watching).await;
    assert_eq!((&first["kind"], &first["actor"]["handle"]), (&json!("LORA_PUBLISHED"), &json!("ada")));
    assert_eq!(first["lora"]["name"], "Ink wash");
    assert_eq!(first["message"], "ada published “Ink wash”.");
    let quiet = house.lora_from_file(&ada, None, "Sketches", &files::foreign_lora("peft")).await;
    house.published_lora(&ada, "Etching", &files::foreign_lora("kohya")).await;
    let second = next(&mut watching).await;
    assert_eq!(second["lora"]["name"], "Etching", "a draft is no news");
    assert!(second["sequence"].as_i64() > first["sequence"].as_i64());
    drop(watching);

    let after = json!({ "after": first["sequence"] });
    let mut back = Watch::begin(&house, &bob.token, ADDED, after).await;
    assert_eq!(next(&mut back).await, second, "who comes back hears what was missed, and nothing twice");
    drop(back);
    let mut late = Watch::begin(&house, &bob.token, ADDED, json!({ "after": 0 })).await;
    assert_eq!([next(&mut late).await, next(&mut late).await], [first.clone(), second.clone()]);

    // Unfollowed, they are not told any more: the next that comes is something else.
    house.done(&bob, "unfollowUser", follow.clone(), "user { id }").await;
    assert_eq!(house.user_error(&bob, "unfollowUser", follow, "user { id }").await, "NOT_FOLLOWING");
    house.done(&ada, "publishLora", json!({ "id": quiet.id, "license": "CC0-1.0" }), "lora { id }").await;
    house.done(&ada, "followUser", json!({ "userId": bob.id }), "user { id }").await;
    let third = next(&mut late).await;
    assert_eq!((&third["kind"], &third["actor"]["handle"]), (&json!("NEW_FOLLOWER"), &json!("ada")));
    drop(late);
    assert_eq!(told(&house, &ada, 1).await, ["NEW_FOLLOWER"], "nobody is told of what they did themselves");

    marks(&house, &ada, &bob, [&first, &second, &third]).await;
    house.close().await;
}

/// What was read is marked, one's own alone.
async fn marks(house: &House, ada: &Person, bob: &Person, notifications: [&Value; 3]) {
    let mark = async |person: &Person, input: Value| {
        house.done(person, "markNotificationsRead", input, "unreadCount").await["unreadCount"].clone()
    };
    let [first, second, third] = notifications;
    let theirs = json!({ "ids": [first["id"], second["id"]] });
    assert_eq!(mark(ada, theirs.clone()).await, 1, "others' are left as they are");
    assert_eq!(mark(bob, json!({ "ids": [second["id"]] })).await, 2);
    assert_eq!(mark(bob, json!({ "throughSequence": second["sequence"] })).await, 1);
    let data = house.data_of(Some(&bob.token), LIST, json!({})).await;
    let read: Vec<_> = nodes(&data["notifications"]).iter().map(|one| one["readAt"].is_string()).collect();
    assert_eq!(read, [false, true, true]);
    assert_eq!(data["viewer"]["unreadNotificationCount"], 1);
    assert_eq!(data["viewer"]["lastNotificationSequence"], third["sequence"]);
    for input in [json!({}), json!({ "ids": [], "throughSequence": 1 })] {
        assert_eq!(house.user_error(bob, "markNotificationsRead", input, "unreadCount").await, "ONE_OF");
    }
}

async fn a_lora_is_rated_once_by_each_person(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let rate = |stars: i32| json!({ "loraId": lora.id, "stars": stars, "review": "Fine lines." });
    let fields = "rating { id stars hasUsed author { handle } lora { ratingAverage ratingCount } }";
    let figures = |payload: Value| {
        let lora = &payload["rating"]["lora"];
        (lora["ratingAverage"].as_f64().unwrap(), lora["ratingCount"].as_i64().unwrap())
    };
    assert_eq!(figures(house.done(&bob, "rateLora", rate(5), fields).await), (5.0, 1));
    assert_eq!(figures(house.done(&cyd, "rateLora", rate(2), fields).await), (3.5, 2));
    let changed = house.done(&bob, "rateLora", rate(4), fields).await;
    assert_eq!(changed["rating"]["hasUsed"], false, "they have made nothing with it");
    assert_eq!(figures(changed), (3.0, 2), "a change of mind is no second rating");

    assert_eq!(house.user_error(&ada, "rateLora", rate(5), fields).await, "OWN_LORA");
    for stars in [0, 6, -1] {
        assert_eq!(house.user_error(&bob, "rateLora", rate(stars), fields).await, "OUT_OF_RANGE");
    }
    let long = json!({ "loraId": lora.id, "stars": 1, "review": "r".repeat(5_001) });
    assert_eq!(house.user_error(&bob, "rateLora", long, fields).await, "TOO_LONG");
    let draft = house.lora_from_file(&ada, None, "Draft", &files::foreign_lora("peft")).await;
    assert_eq!(house.refused(&bob, "rateLora", json!({ "loraId": draft.id, "stars": 5 })).await, "NOT_FOUND");
    let foreign = json!({ "loraId": lora.id, "versionId": draft.version, "stars": 5 });
    assert_eq!(house.user_error(&bob, "rateLora", foreign, fields).await, "NO_VERSION");

    let query = "query ($id: ID!) { ratings(loraId: $id, first: 5) { edges { node { stars author { handle } } } } \
                 lora(id: $id) { ratingAverage ratingCount } }";
    let data = house.data_of(None, query, json!({ "id": lora.id })).await;
    let stars: Vec<_> = nodes(&data["ratings"])
        .iter()
        .map(|rating| (text(&rating["author"]["handle"]), rating["stars"].as_i64().unwrap()))
        .collect();
    assert_eq!(stars, [("cyd".to_owned(), 2), ("bob".to_owned(), 4)]);
    assert_eq!(data["lora"], json!({ "ratingAverage": 3.0, "ratingCount": 2 }), "what was refused counts nothing");
    assert_eq!(told(&house, &ada, 2).await, ["LORA_RATED", "LORA_RATED"], "once of each person");
    house.close().await;
}

async fn a_thread_goes_on_around_what_was_deleted(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await.id;
    let fields = "comment { id }";
    let add = async |person: &Person, parent: Option<&str>, body: &str| {
        let input = json!({ "loraId": lora, "parentId": parent, "body": body });
        text(&house.done(person, "addComment", input, fields).await["comment"]["id"])
    };
    let question = add(&bob, None, "Which paper?").await;
    let answer = add(&ada, Some(&question), "Rough, 300 g.").await;
    let thanks = add(&cyd, Some(&question), "Good to know").await;
    assert_eq!(told(&house, &bob, 2).await, ["COMMENT_REPLIED", "COMMENT_REPLIED"]);
    assert_eq!(told(&house, &ada, 2).await, ["LORA_COMMENTED", "LORA_COMMENTED"]);

    let edit = |id: &str, body: &str| json!({ "id": id, "body": body });
    house.done(&cyd, "editComment", edit(&thanks, "Good to know!"), "comment { editedAt }").await;
    assert_eq!(house.refused(&cyd, "editComment", edit(&question, "What?")).await, "FORBIDDEN");
    assert_eq!(house.refused(&ada, "editComment", edit(&question, "What?")).await, "FORBIDDEN", "not even the host");
    assert_eq!(house.refused(&cyd, "deleteComment", json!({ "id": question })).await, "FORBIDDEN");
    for (body, code) in
        [("  ".to_owned(), "REQUIRED"), ("b".repeat(5_001), "TOO_LONG"), ("\u{0}".to_owned(), "CONTROL_CHARACTER")]
    {
        let input = json!({ "loraId": lora, "body": body });
        assert_eq!(house.user_error(&bob, "addComment", input, fields).await, code);
    }

    // Whoever runs the LoRA's team may take a comment away; its place, and what others answered, stay.
    house.done(&ada, "deleteComment", json!({ "id": question }), fields).await;
    assert_eq!(house.user_error(&ada, "deleteComment", json!({ "id": question }), fields).await, "COMMENT_DELETED");
    assert_eq!(house.user_error(&bob, "editComment", edit(&question, "Why?"), fields).await, "COMMENT_DELETED");
    let late = json!({ "loraId": lora, "parentId": question, "body": "And ink?" });
    assert_eq!(house.user_error(&cyd, "addComment", late, fields).await, "PARENT_DELETED");
    house.done(&cyd, "deleteComment", json!({ "id": thanks }), fields).await;

    let query = "query ($id: ID!) { comments(loraId: $id, first: 5) { edges { node { id body author { handle } \
                 replyCount replies(first: 5) { edges { node { id body author { handle } parent { id } } } } } } } }";
    let data = house.data_of(None, query, json!({ "id": lora })).await;
    let thread = &nodes(&data["comments"])[0];
    assert_eq!((&thread["id"], &thread["body"], &thread["author"]), (&json!(question), &json!(""), &Value::Null));
    assert_eq!(thread["replyCount"], 2);
    let parent = json!({ "id": question });
    let expected = [
        json!({ "id": answer, "body": "Rough, 300 g.", "author": { "handle": "ada" }, "parent": parent }),
        json!({ "id": thanks, "body": "", "author": null, "parent": parent }),
    ];
    assert_eq!(nodes(&thread["replies"]), expected);
    house.close().await;
}
