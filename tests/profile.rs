//! What a person shows of themselves: a picture, links, their LoRAs and what they come to; and what those publish whom
//! one follows.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, pictures, text},
};

on_each_engine!(
    a_profile_has_a_picture_and_links,
    a_profile_shows_what_was_published_and_what_it_comes_to,
    a_feed_shows_what_those_published_whom_one_follows,
);

async fn profile(house: &House, handle: &str, fields: &str) -> Value {
    let query = format!("query ($handle: String!) {{ user(handle: $handle) {{ {fields} }} }}");
    house.data_of(None, &query, json!({ "handle": handle })).await["user"].clone()
}

async fn a_profile_has_a_picture_and_links(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let before = profile(&house, "ada", "avatarUrl links").await;
    assert_eq!(before, json!({ "avatarUrl": null, "links": [] }));

    let picture = std::fs::read(&pictures()[0]).unwrap();
    let upload = house.upload(&ada, "USER_AVATAR", None, "me.jpg", &picture).await;
    let query = "query ($id: ID!) { upload(id: $id) { state facts } }";
    let data = house.data_of(Some(&ada.token), query, json!({ "id": upload })).await;
    assert_eq!(data["upload"]["state"], "READY", "{data}");
    assert_eq!(house.refusal(Some(&bob.token), query, json!({ "id": upload })).await, "NOT_FOUND");
    let url = text(&profile(&house, "ada", "avatarUrl").await["avatarUrl"]);
    let response = house.http().get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, "image/webp"));
    assert_eq!(&response.bytes().await.unwrap()[8..12], b"WEBP");

    // What is no picture changes nothing; nor does one for a team.
    let no_picture = house.upload(&ada, "USER_AVATAR", None, "me.jpg", b"GIF89a").await;
    let data = house.data_of(Some(&ada.token), query, json!({ "id": no_picture })).await;
    assert_eq!(data["upload"]["state"], "REJECTED");
    assert_eq!(profile(&house, "ada", "avatarUrl").await["avatarUrl"], json!(url));
    let refused = async |input: Value| house.user_error(&ada, "createUpload", input, "upload { id }").await;
    let announced = |size: i64, team: Option<&str>| {
        let file = "me.png";
        json!({ "purpose": "USER_AVATAR", "fileName": file, "size": size, "teamId": team })
    };
    assert_eq!(refused(announced(9, Some(&bob.team))).await, "AVATAR_IS_ONES_OWN");
    assert_eq!(refused(announced((10 << 20) + 1, None)).await, "TOO_LARGE");

    let links = ["https://example.org/ada", "https://social.example/@ada"];
    let change = json!({ "links": links, "bio": "I wash ink." });
    let changed = house.done(&ada, "updateProfile", change, "user { bio links avatarUrl }").await["user"].clone();
    assert_eq!(changed, json!({ "bio": "I wash ink.", "links": links, "avatarUrl": url }));
    for bad in [
        "http://example.org",
        "javascript:alert(1)",
        "https://",
        "https://localhost",
        "https://me:secret@example.org",
        "https://example.org/a b",
        "example.org",
    ] {
        let input = json!({ "links": [bad] });
        assert_eq!(house.user_error(&ada, "updateProfile", input, "user { id }").await, "BAD_LINK", "{bad}");
    }
    let many: Vec<_> = (0..6).map(|number| format!("https://example.org/{number}")).collect();
    assert_eq!(house.user_error(&ada, "updateProfile", json!({ "links": many }), "user { id }").await, "TOO_MANY");
    house.done(&ada, "updateProfile", json!({ "removeAvatar": true, "links": [] }), "user { id }").await;
    assert_eq!(
        profile(&house, "ada", "avatarUrl links bio").await,
        json!({ "avatarUrl": null, "links": [], "bio": "I wash ink." })
    );
    house.close().await;
}

async fn a_profile_shows_what_was_published_and_what_it_comes_to(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut loras = Vec::new();
    for (number, name) in (0..).zip(["First", "Second", "Third"]) {
        loras.push(house.published_lora(&ada, name, &files::lora(house.starter_widths(), number)).await);
    }
    house.lora_from_file(&ada, None, "Draft", &files::lora(house.starter_widths(), 9)).await;
    let downloads = [&loras[1]];
    for lora in downloads {
        house.done(&bob, "downloadLora", json!({ "versionId": lora.version }), "file { url }").await;
    }
    house.done(&bob, "followUser", json!({ "userId": ada.id }), "user { id }").await;
    let names = async |sort: &str| {
        let (mut names, mut after) = (Vec::new(), Value::Null);
        loop {
            let query = "query ($sort: CreatorLoraSortOrder, $after: String) { user(handle: \"ada\") { \
                         loras(first: 2, sort: $sort, after: $after) { edges { cursor node { name } } \
                         pageInfo { hasNextPage } } } }";
            let variables = json!({ "sort": (!sort.is_empty()).then_some(sort), "after": after });
            let page = house.data_of(None, query, variables).await["user"]["loras"].clone();
            names.extend(nodes(&page).iter().map(|lora| text(&lora["name"])));
            if page["pageInfo"]["hasNextPage"] == false {
                return names;
            }
            after = page["edges"][1]["cursor"].clone();
        }
    };
    assert_eq!(names("").await, ["Third", "Second", "First"]);
    assert_eq!(names("DOWNLOADS").await, ["Second", "Third", "First"]);
    let totals = "publishedLoraCount downloadCount followerCount";
    let figures = profile(&house, "ada", totals).await;
    assert_eq!(figures, json!({ "publishedLoraCount": 3, "downloadCount": 1, "followerCount": 1 }));
    assert_eq!(profile(&house, "bob", totals).await["publishedLoraCount"], 0);
    house.done(&ada, "unpublishLora", json!({ "id": loras[1].id }), "lora { id }").await;
    assert_eq!(names("NEWEST").await, ["Third", "First"]);
    assert_eq!(profile(&house, "ada", totals).await["downloadCount"], 0, "of what everybody sees");
    house.close().await;
}

async fn a_feed_shows_what_those_published_whom_one_follows(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let feed = async |person: &Person| {
        let (mut entries, mut after) = (Vec::new(), Value::Null);
        loop {
            let query = "query ($after: String) { feed(first: 2, after: $after) { edges { cursor node { kind \
                         publishedAt lora { name } version { number } creator { handle } } } pageInfo { hasNextPage } } }";
            let data = house.data_of(Some(&person.token), query, json!({ "after": after })).await["feed"].clone();
            entries.extend(nodes(&data).into_iter().map(|entry| {
                (text(&entry["kind"]), text(&entry["lora"]["name"]), entry["version"]["number"].as_i64().unwrap())
            }));
            if data["pageInfo"]["hasNextPage"] == false {
                return entries;
            }
            after = data["edges"][1]["cursor"].clone();
        }
    };
    assert_eq!(house.refusal(None, "{ feed(first: 1) { edges { cursor } } }", json!({})).await, "UNAUTHENTICATED");
    let wash = house.published_lora(&ada, "Wash", &files::lora(house.starter_widths(), 1)).await;
    house.published_lora(&cyd, "Etching", &files::lora(house.starter_widths(), 2)).await;
    assert_eq!(feed(&bob).await, []);
    for followed in [&ada, &cyd] {
        house.done(&bob, "followUser", json!({ "userId": followed.id }), "user { id }").await;
    }
    let file = files::lora(house.starter_widths(), 3);
    let announced =
        json!({ "purpose": "LORA_FILE", "fileName": "w.safetensors", "size": file.len(), "targetId": wash.id });
    let next = json!({ "uploadId": house.send_file(&ada, announced, &file).await });
    house.done(&ada, "importLora", next, "version { number }").await;
    let first = |name: &str| ("LORA_PUBLISHED".to_owned(), name.to_owned(), 1);
    assert_eq!(feed(&bob).await, [first("Etching"), first("Wash")], "also what was published before; and no draft");
    house.done(&ada, "publishLora", json!({ "id": wash.id }), "lora { id }").await;
    let second = ("LORA_VERSION_PUBLISHED".to_owned(), "Wash".to_owned(), 2);
    assert_eq!(feed(&bob).await, [second.clone(), first("Etching"), first("Wash")]);
    assert_eq!(feed(&ada).await, [], "one's own work is no news");
    house.done(&bob, "unfollowUser", json!({ "userId": cyd.id }), "user { id }").await;
    assert_eq!(feed(&bob).await, [second, first("Wash")]);
    house.done(&ada, "unpublishLora", json!({ "id": wash.id }), "lora { id }").await;
    assert_eq!(feed(&bob).await, []);
    // The follower was told of both, by the way.
    eventually("notifications", async || {
        let data = house.data_of(Some(&bob.token), "{ viewer { unreadNotificationCount } }", json!({})).await;
        (data["viewer"]["unreadNotificationCount"] == 1).then_some(())
    })
    .await;
    house.close().await;
}
