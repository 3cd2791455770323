//! Blocked tags and people do not come up by themselves, and cannot reach whoever blocks them.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(
    what_is_blocked_does_not_come_up_and_is_there_for_who_asks,
    who_is_blocked_cannot_reach_who_blocks_them_and_is_not_told,
);

const LORAS: &str = "query ($words: String, $sort: LoraSortOrder) { loras(search: $words, sort: $sort, first: 10) { \
                     facets { tags { value count } } edges { node { name } } } }";

async fn found(house: &House, person: &Person, words: Option<&str>, sort: &str) -> Vec<String> {
    let data = house.data_of(Some(&person.token), LORAS, json!({ "words": words, "sort": sort })).await;
    let mut names: Vec<_> = nodes(&data["loras"]).iter().map(|lora| text(&lora["name"])).collect();
    names.sort_unstable();
    names
}

async fn told(house: &House, person: &Person) -> Vec<String> {
    let query = "{ notifications(first: 50) { edges { node { message } } } }";
    let data = house.data_of(Some(&person.token), query, json!({})).await;
    nodes(&data["notifications"]).iter().map(|one| text(&one["message"])).collect()
}

async fn what_is_blocked_does_not_come_up_and_is_there_for_who_asks(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    house.done(&cyd, "followUser", json!({ "userId": ada.id }), "user { id }").await;
    let tagged = async |person: &Person, name: &str, file: &str, tags: Value| {
        let lora = house.lora_from_file(person, None, name, &files::foreign_lora(file)).await;
        house.done(person, "updateLora", json!({ "id": lora.id, "tags": tags }), "lora { id }").await;
        house.done(person, "publishLora", json!({ "id": lora.id, "license": "CC0-1.0" }), "lora { id }").await;
        lora.id
    };
    let spiders = tagged(&ada, "Fox one", "bfl", json!(["Spiders", "ink"])).await;
    tagged(&ada, "Fox two", "peft", json!(["ink"])).await;
    let theirs = tagged(&bob, "Fox three", "kohya", json!(["ink"])).await;
    eventually("the index", async || (found(&house, &cyd, Some("fox"), "RELEVANCE").await.len() == 3).then_some(()))
        .await;

    let tags = house.done(&cyd, "blockTag", json!({ "tag": " SPIDERS " }), "blockedTags").await["blockedTags"].clone();
    assert_eq!(tags, json!(["spiders"]));
    house.done(&cyd, "blockUser", json!({ "userId": bob.id }), "user { isBlockedByViewer }").await;
    for (words, sort) in [(Some("fox"), "RELEVANCE"), (None, "TRENDING"), (None, "NEWEST"), (Some("fox"), "DOWNLOADS")]
    {
        assert_eq!(found(&house, &cyd, words, sort).await, ["Fox two"], "{words:?} {sort}");
        assert_eq!(found(&house, &ada, words, sort).await.len(), 3, "nobody else's search is concerned");
    }
    let facets = house.data_of(Some(&cyd.token), LORAS, json!({ "words": "fox" })).await["loras"]["facets"].clone();
    assert_eq!(facets["tags"], json!([{ "value": "ink", "count": 1 }]));
    let by_id = "query ($id: ID!) { lora(id: $id) { name } }";
    for id in [&spiders, &theirs] {
        house.data_of(Some(&cyd.token), by_id, json!({ "id": id })).await;
    }

    // In threads and among ratings, too.
    for person in [&bob, &cyd] {
        let comment = json!({ "loraId": spiders, "body": "Eight legs." });
        house.done(person, "addComment", comment, "comment { id }").await;
    }
    house.done(&bob, "rateLora", json!({ "loraId": spiders, "stars": 1 }), "rating { id }").await;
    let query = "query ($id: ID!) { comments(loraId: $id, first: 5) { edges { node { author { handle } } } } \
                 ratings(loraId: $id, first: 5) { edges { node { id } } } lora(id: $id) { ratingCount } }";
    let seen = house.data_of(Some(&cyd.token), query, json!({ "id": spiders })).await;
    assert_eq!(nodes(&seen["comments"]), [json!({ "author": { "handle": "cyd" } })]);
    assert_eq!((nodes(&seen["ratings"]).len(), &seen["lora"]["ratingCount"]), (0, &json!(1)), "it counts all the same");
    assert_eq!(nodes(&house.data_of(None, query, json!({ "id": spiders })).await["comments"]).len(), 2);

    // Nothing new of either brings news.
    tagged(&ada, "Spider again", "bfl", json!(["spiders"])).await;
    tagged(&ada, "Quiet fox", "peft", json!(["quiet"])).await;
    let quiet = "ada published “Quiet fox”.";
    let news = eventually("news of what is not blocked", async || {
        let told = told(&house, &cyd).await;
        told.iter().any(|message| message == quiet).then_some(told)
    });
    assert!(!news.await.iter().any(|message| message.contains("Spider again")));
    // Nor does the feed's page become shorter by it.
    let feed = "{ feed(first: 2) { edges { node { lora { name } } } pageInfo { hasNextPage } } }";
    let feed = house.data_of(Some(&cyd.token), feed, json!({})).await["feed"].clone();
    let names: Vec<_> = nodes(&feed).iter().map(|entry| text(&entry["lora"]["name"])).collect();
    assert_eq!((names, &feed["pageInfo"]["hasNextPage"]), (vec!["Quiet fox".into(), "Fox two".into()], &json!(false)));

    let lists = "{ viewer { blockedTags blockedUsers(first: 5) { edges { node { user { handle } createdAt } } } } }";
    let lists = house.data_of(Some(&cyd.token), lists, json!({})).await["viewer"].clone();
    assert_eq!(lists["blockedTags"], json!(["spiders"]));
    assert_eq!(nodes(&lists["blockedUsers"])[0]["user"]["handle"], "bob");
    house.done(&cyd, "unblockTag", json!({ "tag": "spiders" }), "blockedTags").await;
    house.done(&cyd, "unblockUser", json!({ "userId": bob.id }), "user { id }").await;
    assert_eq!(house.user_error(&cyd, "unblockTag", json!({ "tag": "spiders" }), "blockedTags").await, "NOT_BLOCKED");
    let again = json!({ "userId": bob.id });
    assert_eq!(house.user_error(&cyd, "unblockUser", again, "user { id }").await, "NOT_BLOCKED");
    assert_eq!(found(&house, &cyd, None, "NEWEST").await.len(), 5);
    house.close().await;
}

async fn who_is_blocked_cannot_reach_who_blocks_them_and_is_not_told(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let of_cyd = house.published_lora(&cyd, "Wool felt", &files::foreign_lora("peft")).await;
    let root = json!({ "loraId": of_cyd.id, "body": "Which wool?" });
    let root = text(&house.done(&ada, "addComment", root, "comment { id }").await["comment"]["id"]);
    let follow = |id: &str| json!({ "userId": id });
    house.done(&bob, "followUser", follow(&ada.id), "user { id }").await;
    house.done(&ada, "followUser", follow(&bob.id), "user { id }").await;
    assert_eq!(house.user_error(&ada, "blockUser", follow(&ada.id), "user { id }").await, "ONESELF");
    for _ in 0..2 {
        let blocked = house.done(&ada, "blockUser", follow(&bob.id), "user { followerCount isBlockedByViewer }").await;
        assert_eq!(blocked["user"], json!({ "followerCount": 0, "isBlockedByViewer": true }));
    }
    let card = "query ($id: ID!) { user(id: $id) { followerCount isBlockedByViewer } }";
    let seen = house.data_of(Some(&bob.token), card, json!({ "id": ada.id })).await["user"].clone();
    assert_eq!(seen, json!({ "followerCount": 0, "isBlockedByViewer": false }));

    let models = house.data_of(None, "{ baseModels { id } }", json!({})).await["baseModels"].clone();
    let vote = json!({ "versionId": lora.version, "baseModelId": models[0]["id"], "works": false });
    let refused = [
        ("voteCompatibility", vote, "version { id }"),
        ("followUser", follow(&ada.id), "user { id }"),
        ("addComment", json!({ "loraId": lora.id, "body": "Hello" }), "comment { id }"),
        ("addComment", json!({ "loraId": of_cyd.id, "parentId": root, "body": "Merino." }), "comment { id }"),
        ("rateLora", json!({ "loraId": lora.id, "stars": 1 }), "rating { id }"),
    ];
    for (name, input, fields) in refused {
        let payload = house.call(&bob, name, input, fields).await;
        let error = &payload["userErrors"][0];
        assert_eq!(error["code"], "NOT_OPEN_TO_YOU", "{name}: {payload}");
        let message = text(&error["message"]).to_lowercase();
        assert!(!message.contains("block") && !message.contains("ada"), "it does not say who: {message}");
    }
    let open = json!({ "loraId": of_cyd.id, "body": "Merino." });
    house.done(&bob, "addComment", open, "comment { id }").await;
    house.done(&bob, "downloadLora", json!({ "versionId": lora.version }), "file { url }").await;
    house.close().await;
}
