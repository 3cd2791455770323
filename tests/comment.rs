//! Whom comments mention, and threads that are resolved.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(who_is_mentioned_is_told_once, a_thread_is_resolved_and_taken_up_again);

const TOLD: &str = "{ notifications(first: 50) { edges { node { kind message comment { id } } } } }";

async fn add(house: &House, person: &Person, lora: &str, parent: Option<&str>, body: &str) -> Value {
    let input = json!({ "loraId": lora, "parentId": parent, "body": body });
    let fields = "comment { id mentions { handle } }";
    house.done(person, "addComment", input, fields).await["comment"].clone()
}

/// The kinds of what somebody was told, newest first, once there are so many.
async fn told(house: &House, person: &Person, count: usize) -> Vec<String> {
    eventually("notifications", async || {
        let data = house.data_of(Some(&person.token), TOLD, json!({})).await;
        let told = nodes(&data["notifications"]);
        (told.len() >= count).then(|| told.iter().map(|one| text(&one["kind"])).collect())
    })
    .await
}

async fn who_is_mentioned_is_told_once(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await.id;
    let body = "@cyd and @Bob, see `@ada`; mail me@bob.example. @nobody-there, @cyd!";
    let comment = add(&house, &bob, &lora, None, body).await;
    assert_eq!(comment["mentions"], json!([{ "handle": "cyd" }, { "handle": "bob" }]));
    assert_eq!(told(&house, &cyd, 1).await, ["MENTIONED"]);
    assert_eq!(told(&house, &ada, 1).await, ["LORA_COMMENTED"], "code mentions nobody");

    let edit = async |body: &str| {
        let input = json!({ "id": comment["id"], "body": body });
        let fields = "comment { editedAt mentions { handle } }";
        house.done(&bob, "editComment", input, fields).await["comment"].clone()
    };
    let without = edit("Nobody.").await;
    assert!(without["mentions"] == json!([]) && without["editedAt"].is_string());
    assert_eq!(edit("@ada, and @cyd again").await["mentions"], json!([{ "handle": "ada" }, { "handle": "cyd" }]));
    assert_eq!(told(&house, &ada, 2).await, ["MENTIONED", "LORA_COMMENTED"]);
    // Who is answered and mentioned hears of the answer; by then the change of above was told as well.
    add(&house, &ada, &lora, comment["id"].as_str(), "@bob @cyd: rough.").await;
    assert_eq!(told(&house, &bob, 1).await, ["COMMENT_REPLIED"]);
    assert_eq!(told(&house, &cyd, 2).await, ["MENTIONED", "MENTIONED"], "once of each comment");

    // On a draft, those are told who may see it.
    let draft = house.lora_from_file(&ada, None, "Sketch", &files::foreign_lora("peft")).await.id;
    let hidden = add(&house, &ada, &draft, None, "@cyd, what do you think?").await;
    assert_eq!(hidden["mentions"], json!([{ "handle": "cyd" }]));
    add(&house, &ada, &lora, None, "@cyd, and here?").await;
    assert_eq!(told(&house, &cyd, 3).await.len(), 3);

    house.done(&ada, "deleteComment", json!({ "id": hidden["id"] }), "comment { mentions { handle } }").await;
    let query = "query ($id: ID!) { comment(id: $id) { mentions { handle } } }";
    let data = house.data_of(Some(&ada.token), query, json!({ "id": hidden["id"] })).await;
    assert_eq!(data["comment"]["mentions"], json!([]));
    too_many(&house, &bob, &lora).await;
    house.close().await;
}

async fn too_many(house: &House, bob: &Person, lora: &str) {
    let mut body = String::new();
    for number in 0..21 {
        let handle = format!("crowd-{number}");
        house.person(&handle).await;
        body.push_str(&format!("@{handle} "));
        if number == 19 {
            assert_eq!(add(house, bob, lora, None, &body).await["mentions"].as_array().unwrap().len(), 20);
        }
    }
    let input = json!({ "loraId": lora, "body": body });
    assert_eq!(house.user_error(bob, "addComment", input, "comment { id }").await, "TOO_MANY_MENTIONS");
}

async fn a_thread_is_resolved_and_taken_up_again(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await.id;
    let question = text(&add(&house, &bob, &lora, None, "Which paper?").await["id"]);
    let open = text(&add(&house, &cyd, &lora, None, "Which ink?").await["id"]);
    let answer = text(&add(&house, &ada, &lora, Some(&question), "Rough.").await["id"]);
    let id = |id: &str| json!({ "id": id });
    let fields = "comment { resolvedAt resolvedBy { handle } }";

    assert_eq!(
        house.refused(&cyd, "resolveComment", id(&question)).await,
        "FORBIDDEN",
        "neither theirs nor their LoRA"
    );
    assert_eq!(house.user_error(&ada, "resolveComment", id(&answer), fields).await, "NO_THREAD");
    assert_eq!(house.user_error(&bob, "reopenComment", id(&question), fields).await, "NOT_RESOLVED");
    let resolved = house.done(&bob, "resolveComment", id(&question), fields).await["comment"].clone();
    assert!(resolved["resolvedAt"].is_string() && resolved["resolvedBy"]["handle"] == "bob");
    assert_eq!(house.user_error(&ada, "resolveComment", id(&question), fields).await, "ALREADY_RESOLVED");

    let threads = async |resolved: Value| {
        let query = "query ($lora: ID!, $resolved: Boolean) { comments(loraId: $lora, resolved: $resolved, first: 9) { \
                     edges { node { id } } } }";
        let data = house.data_of(None, query, json!({ "lora": lora, "resolved": resolved })).await;
        nodes(&data["comments"]).iter().map(|comment| text(&comment["id"])).collect::<Vec<_>>()
    };
    assert_eq!(threads(json!(true)).await, std::slice::from_ref(&question));
    assert_eq!(threads(json!(false)).await, std::slice::from_ref(&open));
    assert_eq!(threads(Value::Null).await, [open.clone(), question.clone()]);
    add(&house, &cyd, &lora, Some(&question), "Good to know.").await;

    assert_eq!(house.refused(&cyd, "reopenComment", id(&question)).await, "FORBIDDEN");
    house.done(&ada, "reopenComment", id(&question), fields).await;
    assert_eq!(threads(json!(true)).await, Vec::<String>::new());
    house.done(&ada, "resolveComment", id(&open), fields).await;
    assert_eq!(threads(json!(true)).await, [open], "whoever may change the LoRA closes any thread on it");
    house.close().await;
}
