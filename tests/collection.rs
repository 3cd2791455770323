//! Collections: what is in them, in which order, and who sees what.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, ImportedLora, Person, nodes, on_each_engine, text},
};

on_each_engine!(
    a_collection_keeps_its_order,
    a_collection_is_paged_through_while_it_changes,
    a_collection_shows_to_each_what_they_may_see,
);

const FIELDS: &str = "collection { id name description isPublic loraCount }";

/// What somebody finds in a collection, page by page.
async fn names(house: &House, person: Option<&Person>, id: &str) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), Value::Null);
    loop {
        let query = "query ($id: ID!, $after: String) { collection(id: $id) { loras(first: 2, after: $after) { \
                     edges { cursor node { note lora { name } } } pageInfo { hasNextPage } } } }";
        let variables = json!({ "id": id, "after": after });
        let token = person.map(|person| person.token.as_str());
        let page = house.data_of(token, query, variables).await["collection"]["loras"].clone();
        names.extend(nodes(&page).iter().map(|entry| text(&entry["lora"]["name"])));
        if page["pageInfo"]["hasNextPage"] == false {
            return names;
        }
        after = page["edges"][1]["cursor"].clone();
    }
}

async fn published(house: &House, person: &Person, names: &[&str]) -> Vec<ImportedLora> {
    let mut loras = Vec::new();
    for (number, name) in (0..).zip(names) {
        loras.push(house.published_lora(person, name, &files::lora(house.starter_widths(), number)).await);
    }
    loras
}

async fn a_collection_keeps_its_order(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let loras = published(&house, &ada, &["A", "B", "C", "D"]).await;
    let input = json!({ "name": " Inks ", "description": "Washes and lines.", "idempotencyKey": "once" });
    let made = house.done(&bob, "createCollection", input.clone(), FIELDS).await["collection"].clone();
    assert_eq!(house.done(&bob, "createCollection", input, FIELDS).await["collection"]["id"], made["id"]);
    assert_eq!((&made["name"], &made["isPublic"], &made["loraCount"]), (&json!("Inks"), &json!(false), &json!(0)));
    let id = text(&made["id"]);
    let with = |lora: &ImportedLora| json!({ "collectionId": id, "loraId": lora.id });
    for lora in &loras {
        house.done(&bob, "addToCollection", with(lora), FIELDS).await;
    }
    assert_eq!(names(&house, Some(&bob), &id).await, ["A", "B", "C", "D"]);
    assert_eq!(house.user_error(&bob, "addToCollection", with(&loras[0]), FIELDS).await, "ALREADY_IN_COLLECTION");

    let place = async |lora: usize, after: Option<usize>| {
        let after = after.map(|after| loras[after].id.clone());
        let input = json!({ "collectionId": id, "loraId": loras[lora].id, "afterLoraId": after });
        house.done(&bob, "moveInCollection", input, FIELDS).await;
        names(&house, Some(&bob), &id).await.concat()
    };
    assert_eq!(place(3, None).await, "DABC");
    assert_eq!(place(3, Some(1)).await, "ABDC");
    assert_eq!(place(0, Some(2)).await, "BDCA");
    assert_eq!(place(1, Some(3)).await, "DBCA");
    assert_eq!(place(1, Some(3)).await, "DBCA", "where it is");
    assert_eq!(place(3, None).await, "DBCA");
    house.done(&bob, "removeFromCollection", with(&loras[1]), FIELDS).await;
    assert_eq!(place(3, Some(2)).await, "CDA");
    // However often something is moved to the same spot, there is room.
    for _ in 0..12 {
        assert_eq!(place(0, Some(2)).await, "CAD");
        assert_eq!(place(3, Some(2)).await, "CDA");
    }
    let itself = json!({ "collectionId": id, "loraId": loras[0].id, "afterLoraId": loras[0].id });
    assert_eq!(house.user_error(&bob, "moveInCollection", itself, FIELDS).await, "AFTER_ITSELF");
    let absent = json!({ "collectionId": id, "loraId": loras[0].id, "afterLoraId": loras[1].id });
    assert_eq!(house.user_error(&bob, "moveInCollection", absent, FIELDS).await, "NOT_IN_COLLECTION");
    for name in ["moveInCollection", "removeFromCollection"] {
        assert_eq!(house.user_error(&bob, name, with(&loras[1]), FIELDS).await, "NOT_IN_COLLECTION", "{name}");
    }
    let note = json!({ "collectionId": id, "loraId": loras[0].id, "note": "The finest lines." });
    house.done(&bob, "updateCollectionLora", note, FIELDS).await;
    let query = "query ($id: ID!) { collection(id: $id) { creator { handle } team { id } \
                 loras(first: 9) { edges { node { note } } } } }";
    let data = house.data_of(Some(&bob.token), query, json!({ "id": id })).await["collection"].clone();
    assert_eq!(nodes(&data["loras"])[2]["note"], "The finest lines.");
    assert_eq!((&data["creator"]["handle"], &data["team"]["id"]), (&json!("bob"), &json!(bob.team)));

    for (input, code) in [(json!({ "name": " " }), "REQUIRED"), (json!({ "name": "n".repeat(121) }), "TOO_LONG")] {
        assert_eq!(house.user_error(&bob, "createCollection", input, FIELDS).await, code);
    }
    house.done(&bob, "deleteCollection", json!({ "id": id }), FIELDS).await;
    let query = "query ($id: ID!) { collection(id: $id) { id } }";
    assert_eq!(house.refusal(Some(&bob.token), query, json!({ "id": id })).await, "NOT_FOUND");
    house.close().await;
}

async fn a_collection_is_paged_through_while_it_changes(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let loras = published(&house, &ada, &["A", "B", "C", "D", "E", "F", "G"]).await;
    let made = house.done(&ada, "createCollection", json!({ "name": "Inks" }), FIELDS).await["collection"].clone();
    let change = async |name: &str, lora: usize| {
        let input = json!({ "collectionId": made["id"], "loraId": loras[lora].id });
        house.done(&ada, name, input, FIELDS).await;
    };
    for lora in 0..6 {
        change("addToCollection", lora).await;
    }
    let query = "query ($id: ID!, $after: String) { collection(id: $id) { loras(first: 2, after: $after) { \
                 edges { node { lora { name } } } pageInfo { hasNextPage endCursor } } } }";
    let page = async |after: &Value| {
        let data = house.data_of(Some(&ada.token), query, json!({ "id": made["id"], "after": after })).await;
        let page = data["collection"]["loras"].clone();
        let names: Vec<_> = nodes(&page).iter().map(|entry| text(&entry["lora"]["name"])).collect();
        (names.concat(), page["pageInfo"]["endCursor"].clone(), page["pageInfo"]["hasNextPage"].clone())
    };
    let (first, after, _) = page(&Value::Null).await;
    assert_eq!(first, "AB");
    // One that was shown goes, and one that was shown last; another one comes at the end.
    change("removeFromCollection", 0).await;
    change("removeFromCollection", 1).await;
    change("addToCollection", 6).await;
    let (second, after, _) = page(&after).await;
    assert_eq!(second, "CD", "nothing is stepped over");
    // One that was not shown yet goes, and one comes back.
    change("removeFromCollection", 4).await;
    change("addToCollection", 0).await;
    let (third, after, _) = page(&after).await;
    assert_eq!(third, "FG");
    assert_eq!(page(&after).await, ("A".to_owned(), page(&after).await.1, json!(false)));
    assert_eq!(names(&house, Some(&ada), &text(&made["id"])).await.concat(), "CDFGA");
    // One that was not shown yet moves before all: that moves none of those that stay.
    let (first, after, _) = page(&Value::Null).await;
    assert_eq!(first, "CD");
    change("moveInCollection", 0).await;
    let (second, _, has_next) = page(&after).await;
    assert_eq!((second.as_str(), has_next), ("FG", json!(false)));
    assert_eq!(names(&house, Some(&ada), &text(&made["id"])).await.concat(), "ACDFG");
    house.close().await;
}

async fn a_collection_shows_to_each_what_they_may_see(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let loras = published(&house, &ada, &["A", "B"]).await;
    let draft = house.lora_from_file(&ada, None, "Draft", &files::lora(house.starter_widths(), 9)).await;
    let made = house.done(&ada, "createCollection", json!({ "name": "Mine" }), FIELDS).await["collection"].clone();
    let id = text(&made["id"]);
    for lora in [&loras[0], &draft, &loras[1]] {
        let input = json!({ "collectionId": id, "loraId": lora.id });
        house.done(&ada, "addToCollection", input, FIELDS).await;
    }
    let query = "query ($id: ID!) { collection(id: $id) { loraCount } }";
    for token in [Some(bob.token.as_str()), None] {
        assert_eq!(house.refusal(token, query, json!({ "id": id })).await, "NOT_FOUND", "it is private");
    }
    let of_ada = "{ user(handle: \"ada\") { collections(first: 9) { edges { node { name } } } } }";
    let shown = async |person: Option<&Person>| {
        let token = person.map(|person| person.token.as_str());
        nodes(&house.data_of(token, of_ada, json!({})).await["user"]["collections"]).len()
    };
    assert_eq!((shown(Some(&ada)).await, shown(Some(&bob)).await, shown(None).await), (1, 0, 0));

    house.done(&ada, "updateCollection", json!({ "id": id, "isPublic": true, "name": "Ours" }), FIELDS).await;
    assert_eq!((shown(Some(&bob)).await, shown(None).await), (1, 1));
    assert_eq!(names(&house, Some(&ada), &id).await, ["A", "Draft", "B"]);
    for person in [Some(&bob), None] {
        assert_eq!(names(&house, person, &id).await, ["A", "B"], "a draft does not show");
    }
    let counted = async |person: &Person| house.data_of(Some(&person.token), query, json!({ "id": id })).await;
    assert_eq!(counted(&bob).await["collection"]["loraCount"], 2);
    assert_eq!(counted(&ada).await["collection"]["loraCount"], 3);
    house.done(&ada, "unpublishLora", json!({ "id": loras[0].id }), "lora { id }").await;
    assert_eq!(names(&house, None, &id).await, ["B"], "nor what was taken back");

    let of_team = "query ($team: ID) { collections(teamId: $team, first: 9) { edges { node { name } } } }";
    let listed = async |person: Option<&Person>, team: Option<&str>| {
        let token = person.map(|person| person.token.as_str());
        nodes(&house.data_of(token, of_team, json!({ "team": team })).await["collections"]).len()
    };
    assert_eq!(listed(Some(&bob), None).await, 0);
    assert_eq!((listed(Some(&ada), None).await, listed(None, Some(&ada.team)).await), (1, 1));
    assert_eq!(house.refusal(None, of_team, json!({})).await, "UNAUTHENTICATED");

    let entry = json!({ "collectionId": id, "loraId": loras[1].id });
    for (name, input) in [
        ("updateCollection", json!({ "id": id, "name": "Bob's" })),
        ("deleteCollection", json!({ "id": id })),
        ("addToCollection", entry.clone()),
        ("moveInCollection", entry.clone()),
        ("removeFromCollection", entry),
    ] {
        assert_eq!(house.refused(&bob, name, input).await, "FORBIDDEN", "{name}: it is seen, not theirs");
    }
    let own = house.done(&bob, "createCollection", json!({ "name": "Bob's" }), FIELDS).await["collection"].clone();
    let hidden = json!({ "collectionId": own["id"], "loraId": draft.id });
    assert_eq!(
        house.refused(&bob, "addToCollection", hidden).await,
        "NOT_FOUND",
        "nobody collects what they cannot see"
    );
    house.close().await;
}
