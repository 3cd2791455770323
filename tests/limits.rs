//! What is made to hurt, against the real schema: each is answered with a sentence, and the service goes on.

use std::fmt::Write as _;

use atelier_domain::ports::inspector::inspect;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::{
    documents, files,
    house::{Engine, House, Person, on_each_engine, text},
};

on_each_engine!(
    the_known_attacks_are_refused,
    a_thousand_mutated_documents_are_each_answered,
    a_thousand_damaged_loras_are_each_answered,
    lengths_and_cursors_that_are_none_are_refused,
    ids_of_nothing_are_the_ids_of_nothing,
    texts_that_no_database_holds_are_looked_for_in_vain,
);

/// Whether an answer is one that a client can work with: a sentence for each error, and nothing that nobody expected.
fn check(status: u16, body: &Value, document: &str) {
    assert!(status == 200 || (400..500).contains(&status), "{status} {body}\nto {document}");
    let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(status == 200 || !errors.is_empty(), "{status} {body}\nto {document}");
    for error in errors {
        let (message, code) = (text(&error["message"]), text(&error["extensions"]["code"]));
        assert!(message.len() > 10 && code != "INTERNAL", "{body}\nto {document}");
    }
}

async fn goes_on(house: &House) {
    assert_eq!(house.data_of(None, "{ __typename }", json!({})).await["__typename"], "Query");
}

/// A chain of fragments, each spreading the next twice: 2^n fields from 40 n bytes.
fn fan_out(levels: usize, spread: &str) -> String {
    let mut document = String::from("query ($id: ID!) { comment(id: $id) { ...F0 } }");
    for level in 0..levels {
        let next = format!("...F{}", level + 1);
        write!(document, " fragment F{level} on Comment {{ {} }}", spread.replace('*', &next)).unwrap();
    }
    write!(document, " fragment F{levels} on Comment {{ id }}").unwrap();
    document
}

async fn the_known_attacks_are_refused(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let deep =
        |open: &str, close: &str| format!("{{ nodes(ids: {}1{}) {{ id }} }}", open.repeat(1_500), close.repeat(1_500));
    for (name, document) in [
        ("nested lists", deep("[", "]")),
        ("nested objects", deep("{a:", "}")),
        ("lists without an end", format!("{{ nodes(ids: {}", "[".repeat(12_000))),
        ("fan-out", fan_out(20, "parent { * } a: parent { * }")),
        ("fan-out without depth", fan_out(30, "* *")),
        ("a circle", "{ viewer { user { ...F } } } fragment F on User { ...G } fragment G on User { ...F }".to_owned()),
        (
            "types of types",
            format!("{{ __schema {{ types {}name{} }} }}", "{ fields { type".repeat(4) + "{", "}}".repeat(4) + "}"),
        ),
        (
            "pages in pages",
            "{ teams(first: 100) { edges { node { members(first: 100) { edges { node { id } } } } } } }".to_owned(),
        ),
    ] {
        for token in [None, Some(ada.token.as_str())] {
            let (status, body) = house.send(token, &document, json!({ "id": "comment_x" })).await;
            check(status, &body, name);
            assert_eq!(status, 400, "{name}: {body}");
        }
        let subscribed = format!("{}/graphql", house.url);
        let request = house.http().get(subscribed).query(&[("query", &document)]).header("accept", "text/event-stream");
        let answer = request.send().await.unwrap();
        assert!(answer.status().as_u16() < 500, "{name} as a stream: {}", answer.status());
        goes_on(&house).await;
    }
    let nested =
        format!("{{\"query\":\"{{ __typename }}\",\"variables\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let request = house.http().post(format!("{}/graphql", house.url)).header("content-type", "application/json");
    assert_eq!(request.body(nested).send().await.unwrap().status(), 400, "lists in the request itself");
    goes_on(&house).await;
    house.close().await;
}

async fn a_thousand_mutated_documents_are_each_answered(engine: Engine) {
    let house = House::open_patient(engine).await;
    let ada = house.person("ada").await;
    let dataset = house.dataset(&ada, "Foxes", 1).await;
    let questions = documents::questions(&dataset);
    for question in &questions {
        let (status, body) = house.send(Some(&ada.token), question, json!({})).await;
        check(status, &body, question);
        assert_eq!(status, 200, "what the others differ from: {body}\nto {question}");
    }
    let mut random = ChaCha8Rng::seed_from_u64(if engine == Engine::Sqlite { 7 } else { 8 });
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..1_000 {
        let document = documents::mutated(questions.choose(&mut random).unwrap(), &mut random);
        let (status, body) = house.send(Some(&ada.token), &document, json!({})).await;
        check(status, &body, &document);
        if status == 200 { answered += 1 } else { refused += 1 }
    }
    println!("{answered} answered, {refused} refused");
    assert!(answered > 200 && refused > 300, "the mutations do too little or too much: {answered}, {refused}");
    goes_on(&house).await;
    house.close().await;
}

async fn a_thousand_damaged_loras_are_each_answered(engine: Engine) {
    let house = House::open_patient(engine).await;
    let ada = house.person("ada").await;
    let originals = ["bfl", "fal", "kohya", "peft"].map(files::foreign_lora);
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let folder = house.data();
    // All of them by the code that the check calls, and some the whole way.
    let damaged: Vec<_> =
        (0..1_000).map(|_| files::damaged(originals.choose(&mut random).unwrap(), &mut random)).collect();
    let some: Vec<_> = damaged.iter().step_by(25).cloned().collect();
    let refused = inspect(&house.service.house.inspector, move |inspector| {
        let file = folder.join("damaged.safetensors");
        let mut refused = 0;
        for bytes in damaged {
            std::fs::write(&file, bytes).unwrap();
            if let Err(rejected) = inspector.lora(&file) {
                assert!(rejected.0.len() > 20 && rejected.0.ends_with('.'), "{}", rejected.0);
                refused += 1;
            }
        }
        refused
    })
    .await
    .unwrap();
    assert!((500..1_000).contains(&refused), "the damages are too weak or too strong: {refused}");

    let (mut checked, mut rejected) = (0, 0);
    for bytes in &some {
        let upload = house.upload(&ada, "LORA_FILE", None, "damaged.safetensors", bytes).await;
        let query = "query ($id: ID!) { upload(id: $id) { state reason } }";
        let upload = house.data_of(Some(&ada.token), query, json!({ "id": upload })).await["upload"].clone();
        match upload["state"].as_str() {
            Some("CHECKED") => checked += 1,
            Some("REJECTED") => {
                assert!(text(&upload["reason"]).ends_with('.'), "{upload}");
                rejected += 1;
            }
            _ => panic!("{upload}"),
        }
    }
    println!("{refused} of 1000 refused; of {} uploads {rejected} were rejected and {checked} taken", some.len());
    goes_on(&house).await;
    house.close().await;
}

/// Every list and what its rows are, as somebody who has a team may ask for them.
fn lists(person: &Person, lora: &str) -> Vec<String> {
    vec![
        "assets(PAGE)".into(),
        format!("auditEntries(teamId: \"{}\", PAGE)", person.team),
        "collections(PAGE)".into(),
        format!("comments(loraId: \"{lora}\", PAGE)"),
        format!("comments(loraId: \"{lora}\", resolved: false, PAGE)"),
        "datasets(PAGE)".into(),
        "feed(PAGE)".into(),
        "generations(PAGE)".into(),
        "jobs(PAGE)".into(),
        format!("ledgerEntries(teamId: \"{}\", PAGE)", person.team),
        "loras(sort: NEWEST, PAGE)".into(),
        "loras(sort: RATING, PAGE)".into(),
        "loras(sort: DOWNLOADS, PAGE)".into(),
        "loras(search: \"ink\", PAGE)".into(),
        "loras(sort: TRENDING, PAGE)".into(),
        "notifications(PAGE)".into(),
        format!("ratings(loraId: \"{lora}\", PAGE)"),
        "teams(PAGE)".into(),
        "trainingRuns(PAGE)".into(),
    ]
}

async fn lengths_and_cursors_that_are_none_are_refused(engine: Engine) {
    let house = House::open_patient(engine).await;
    let ada = house.person("ada").await;
    let lora = house.published_lora(&ada, "Ink", &files::foreign_lora("bfl")).await.id;
    let id = "0190f3a2-7c1e-7b6d-8000-000000000001";
    let mut cursors: Vec<String> =
        ["", "x", "====", "\u{0}", "ä", "-- '; DROP TABLE lora;"].map(str::to_owned).to_vec();
    let inner = [
        String::new(),
        "no id".to_owned(),
        id[..35].to_owned(),
        "index:".to_owned(),
        "index:\u{0}:::".to_owned(),
        format!("rating:NaN:{id}x"),
        format!("downloads:99999999999999999999:{id}"),
        format!("published:-9223372036854775808:{id}"),
        format!("-9223372036854775808:{id}"),
        format!("9223372036854775807:{id}"),
    ];
    cursors.extend(inner.iter().map(|text| URL_SAFE_NO_PAD.encode(text)));
    cursors.push("A".repeat(5_000));
    for list in lists(&ada, &lora) {
        let ask = |page: &str| format!("{{ {} {{ edges {{ node {{ __typename }} }} }} }}", list.replace("PAGE", page));
        let first = house.data_of(Some(&ada.token), &ask("first: 1"), json!({})).await;
        assert!(first.as_object().is_some_and(|data| data.len() == 1), "{list}");
        for first in ["0", "101", "-1", "2147483647"] {
            let code = house.refusal(Some(&ada.token), &ask(&format!("first: {first}")), json!({})).await;
            assert_eq!(code, "BAD_REQUEST", "{list} first: {first}");
        }
        let code = house.refusal(Some(&ada.token), &ask("after: null"), json!({})).await;
        assert_eq!(code, "GRAPHQL_VALIDATION_FAILED", "{list} without a length");
        let with_cursor = format!("query ($after: String) {}", ask("first: 5, after: $after"));
        for cursor in &cursors {
            let (status, body) = house.send(Some(&ada.token), &with_cursor, json!({ "after": cursor })).await;
            check(status, &body, &with_cursor);
            let code = &body["errors"][0]["extensions"];
            assert_eq!(
                (&code["code"], &code["reason"]),
                (&json!("BAD_REQUEST"), &json!("BAD_CURSOR")),
                "{list} {cursor}: {body}"
            );
        }
    }
    // A cursor of one list is none of another, unless both go by the same key.
    let first = "{ loras(sort: NEWEST, first: 1) { edges { cursor } } }";
    let data = house.data_of(None, first, json!({})).await;
    let cursor = data["loras"]["edges"][0]["cursor"].clone();
    for list in ["datasets(first: 5", "loras(first: 5, sort: RATING", "loras(first: 5, search: \"ink\""] {
        let query = format!("query ($after: String) {{ {list}, after: $after) {{ edges {{ cursor }} }} }}");
        let variables = json!({ "after": cursor });
        assert_eq!(house.refusal(Some(&ada.token), &query, variables).await, "BAD_REQUEST", "{list}");
    }
    house.close().await;
}

async fn ids_of_nothing_are_the_ids_of_nothing(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let ids = [
        String::new(),
        "lora".to_owned(),
        "lora_".to_owned(),
        "lora_00000000000000000000000000".to_owned(),
        "lora_01h455vb4pex5vsknk084sn02q".to_owned(),
        "LORA_01H455VB4PEX5VSKNK084SN02Q".to_owned(),
        "lora_81h455vb4pex5vsknk084sn02q".to_owned(),
        "0190f3a2-7c1e-7b6d-8000-000000000001".to_owned(),
        ada.id.clone(),
        "lora_\u{0}".to_owned(),
        "1".repeat(10_000),
    ];
    for id in &ids {
        let variables = json!({ "id": id });
        let query = "query ($id: ID!) { lora(id: $id) { id } }";
        assert_eq!(house.refusal(Some(&ada.token), query, variables.clone()).await, "NOT_FOUND", "{id}");
        assert_eq!(house.refused(&ada, "deleteLora", variables.clone()).await, "NOT_FOUND", "{id}");
        if *id != ada.id {
            let node = house.data_of(None, "query ($id: ID!) { node(id: $id) { id } }", variables).await;
            assert_eq!(node["node"], Value::Null, "{id}");
        }
    }
    let many = json!({ "ids": vec![&ada.id; 101] });
    assert_eq!(house.refusal(None, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", many).await, "BAD_REQUEST");
    house.close().await;
}

/// A zero character, which PostgreSQL takes in no text, and times that its calendar does not have.
async fn texts_that_no_database_holds_are_looked_for_in_vain(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let questions = [
        "user(handle: $text) { id }",
        "loraByHash(hash: $text) { id }",
        "loras(search: $text, first: 1) { facets { tags { count } } edges { cursor } }",
        "loras(search: $text, filter: { state: DRAFT }, first: 1) { edges { cursor } }",
        "loras(sort: NEWEST, filter: { tags: [$text] }, first: 1) { edges { cursor } }",
        "loras(sort: NEWEST, filter: { licenses: [$text] }, first: 1) { edges { cursor } }",
        "loras(filter: { tags: [$text], licenses: [$text] }, first: 1) { edges { cursor } }",
    ];
    for question in questions {
        let document = format!("query ($text: String!) {{ {question} }}");
        for value in ["\u{0}", "a\u{0}b", "\u{fffe}\u{10ffff}", "%_\\", "'; --", &"long ".repeat(2_000)] {
            let (status, body) = house.send(Some(&ada.token), &document, json!({ "text": value })).await;
            check(status, &body, &document);
        }
    }
    for (name, input, fields) in [
        ("verifyEmail", json!({ "token": "\u{0}", "handle": "\u{0}" }), "user { id }"),
        ("resetPassword", json!({ "token": "a\u{0}b", "password": "a\u{0}b and a good deal more" }), "user { id }"),
        ("refreshSession", json!({ "refreshToken": "\u{0}" }), "session { refreshToken }"),
        ("signIn", json!({ "email": "\u{0}", "password": "\u{0}" }), "session { refreshToken }"),
        ("requestPasswordReset", json!({ "email": "a\u{0}@atelier.test" }), "email"),
    ] {
        let payload = house.call_as(None, name, input, fields).await;
        assert_eq!(payload["userErrors"].as_array().map(Vec::len), Some(1), "{name}: {payload}");
    }
    let document = "query ($after: DateTime!, $sort: LoraSortOrder!) { \
                    loras(sort: $sort, filter: { publishedAfter: $after }, first: 1) { edges { cursor } } }";
    for after in ["-262143-01-01T00:00:00Z", "-5000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "+262142-12-31T23:59:59Z"]
    {
        for sort in ["NEWEST", "TRENDING"] {
            let (status, body) = house.send(None, document, json!({ "after": after, "sort": sort })).await;
            check(status, &body, after);
        }
    }
    let cursor = URL_SAFE_NO_PAD.encode("published:-8000000000000000000:0190f3a2-7c1e-7b6d-8000-000000000001");
    let document = "query ($after: String!) { loras(sort: NEWEST, first: 1, after: $after) { edges { cursor } } }";
    let (status, body) = house.send(None, document, json!({ "after": cursor })).await;
    check(status, &body, "a cursor before the calendar began");
    house.close().await;
}
