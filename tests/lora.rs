//! LoRAs: brought as files, shown, found, handed out, taken back.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    files,
    house::{Engine, House, ImportedLora, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(
    a_file_becomes_a_lora_that_everybody_sees_until_it_is_taken_back,
    what_a_trainer_wrote_fills_the_card_and_terms_are_chosen,
    what_is_published_is_found_and_what_is_not_is_not,
    what_a_team_has_not_published_is_found_by_its_members_alone,
    the_index_is_built_anew_while_people_search,
    a_file_is_handed_out_in_the_layout_that_is_asked_for,
    what_a_program_leaves_out_of_a_layout_is_said,
    a_link_that_was_changed_or_is_too_old_opens_nothing,
    paging_yields_every_row_once_while_rows_are_inserted,
    a_list_that_cannot_go_on_as_it_began_is_refused,
    what_is_no_lora_is_rejected_and_cannot_be_imported,
);

const CARD: &str = "query ($id: ID!) { lora(id: $id) { name state license publishedAt deletedAt downloadCount \
                    team { id } latestVersion { id hashes { sha256 } } versions(first: 5) { edges { node { id } } } } }";
const BY_HASH: &str = "query ($hash: String!) { loraByHash(hash: $hash) { id number lora { id } } }";

async fn card(house: &House, person: &Person, lora: &str) -> Value {
    house.data_of(Some(&person.token), CARD, json!({ "id": lora })).await["lora"].clone()
}

async fn by_hash(house: &House, person: &Person, hash: &str) -> Vec<Value> {
    let found = house.data_of(Some(&person.token), BY_HASH, json!({ "hash": hash })).await;
    found["loraByHash"].as_array().unwrap().iter().map(|version| version["id"].clone()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn a_file_becomes_a_lora_that_everybody_sees_until_it_is_taken_back(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let file = files::foreign_lora("kohya");
    let ImportedLora { id, version, upload } = house.lora_from_file(&ada, None, "Ink wash", &file).await;
    let facts = "query ($id: ID!) { loraVersion(id: $id) { number rank alpha layout detectedFamily detectedVariant \
                 matchedShare problems fileSize baseModel { id } hashes { sha256 autoV2 autoV3 blake3 } } }";
    let facts = house.data_of(Some(&ada.token), facts, json!({ "id": version })).await["loraVersion"].clone();
    let expected = json!({
        "number": 1, "rank": 2, "alpha": 1.0, "layout": "KOHYA", "detectedFamily": "flux2",
        "detectedVariant": "width-32", "matchedShare": 1.0, "problems": [], "fileSize": file.len(),
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&facts[name], value, "{name}: {facts}");
    }
    assert_eq!(facts["baseModel"], Value::Null, "no model here is so narrow");
    assert_eq!(facts["hashes"]["sha256"], sha256(&file));
    let again = json!({ "uploadId": upload });
    assert_eq!(house.user_error(&ada, "importLora", again, "version { id }").await, "UPLOAD_USED");

    // A draft is its team's: by id, by version, by hash.
    for query in [CARD, "query ($id: ID!) { loraVersion(id: $id) { id } }"] {
        let of = if query == CARD { &id } else { &version };
        assert_eq!(house.refusal(Some(&bob.token), query, json!({ "id": of })).await, "NOT_FOUND");
    }
    let hash = text(&facts["hashes"]["sha256"]);
    assert!(by_hash(&house, &bob, &hash).await.is_empty());
    let publish = json!({ "id": id });
    assert_eq!(house.user_error(&ada, "publishLora", publish, "lora { id }").await, "LICENSE_NEEDED");
    let publish = json!({ "id": id, "license": "CC-BY-4.0" });
    assert_eq!(house.refused(&bob, "publishLora", publish.clone()).await, "NOT_FOUND");
    house.done(&ada, "publishLora", publish.clone(), "lora { id }").await;
    assert_eq!(house.user_error(&ada, "publishLora", publish.clone(), "lora { id }").await, "ALREADY_PUBLISHED");

    let seen = card(&house, &bob, &id).await;
    assert_eq!((&seen["state"], &seen["license"]), (&json!("PUBLISHED"), &json!("CC-BY-4.0")));
    assert_eq!((&seen["team"], &seen["latestVersion"]["id"]), (&Value::Null, &json!(version)), "its team is not shown");
    assert_eq!(house.refused(&bob, "unpublishLora", json!({ "id": id })).await, "FORBIDDEN");
    for name in ["sha256", "autoV2", "autoV3", "blake3"] {
        let hash = text(&facts["hashes"][name]);
        for given in [hash.clone(), hash.to_uppercase(), hash[..8].to_owned()] {
            assert_eq!(by_hash(&house, &bob, &given).await, [json!(version)], "{name} {given}");
        }
    }
    assert_eq!(house.refusal(Some(&bob.token), BY_HASH, json!({ "hash": "%" })).await, "BAD_REQUEST");

    house.done(&ada, "unpublishLora", json!({ "id": id }), "lora { state }").await;
    assert_eq!(house.refusal(Some(&bob.token), CARD, json!({ "id": id })).await, "NOT_FOUND");
    house.done(&ada, "publishLora", publish, "lora { state }").await;
    house.done(&ada, "deleteLora", json!({ "id": id }), "lora { state }").await;
    let left = card(&house, &ada, &id).await;
    assert_eq!((&left["name"], &left["state"]), (&json!("Ink wash"), &json!("DELETED")));
    assert_eq!(left["latestVersion"]["hashes"]["sha256"], hash.as_str(), "a tombstone keeps the hashes");
    assert!(left["deletedAt"].is_string());
    assert_eq!(house.refusal(Some(&bob.token), CARD, json!({ "id": id })).await, "NOT_FOUND");
    assert!(by_hash(&house, &ada, &hash).await.is_empty());
    assert_eq!(house.refused(&ada, "downloadLora", json!({ "versionId": version })).await, "NOT_FOUND");
    let publish = json!({ "id": id, "license": "CC-BY-4.0" });
    assert_eq!(house.user_error(&ada, "publishLora", publish, "lora { id }").await, "LORA_DELETED");
    house.close().await;
}

async fn the_index_is_built_anew_while_people_search(engine: Engine) {
    let house = House::open_patient(engine).await;
    let ada = house.person("ada").await;
    let file = files::foreign_lora("bfl");
    for number in 0..12 {
        house.published_lora(&ada, &format!("Mezzotint {number}"), &file).await;
    }
    house.published_lora(&ada, "Copperplate etching", &file).await;
    let is_found = async |words: &'static str, name: &str| {
        eventually(words, async || (found(&house, None, words).await == [name]).then_some(())).await;
    };
    is_found("copperplate", "Copperplate etching").await;
    let searches = AtomicUsize::new(0);
    let searching = async {
        loop {
            let number = searches.fetch_add(1, Ordering::Relaxed);
            assert_eq!(found(&house, None, "copperplate").await, ["Copperplate etching"], "search {number}");
            assert_eq!(found(&house, None, "mezzotint").await.len(), 10, "search {number}");
        }
    };
    let reindexing = async {
        let mut runs = 0;
        // However fast the machine is, some searches fall into it.
        while runs < 3 || searches.load(Ordering::Relaxed) <= 20 {
            runs += 1;
            let mut reindex = tokio::process::Command::new(env!("CARGO_BIN_EXE_atelier"));
            reindex.arg("reindex").arg("--data").arg(house.data()).args(["--database-url", &house.database_url]);
            let output = reindex.output().await.unwrap();
            let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && said.contains("anew with 13 LoRAs"), "{said} {complaints}");
        }
    };
    tokio::select! {
        () = searching => {}
        () = reindexing => {}
    }
    let searches = searches.into_inner();
    assert!(searches > 20, "{searches} searches are too few to say anything");
    assert_eq!(found(&house, None, "copperplate").await, ["Copperplate etching"], "at once");
    house.published_lora(&ada, "Wool felt", &files::foreign_lora("kohya")).await;
    is_found("wool", "Wool felt").await;
    house.close().await;
}

const SEARCH: &str = "query ($words: String, $filter: LoraFilterInput, $sort: LoraSortOrder) { \
                      loras(search: $words, filter: $filter, sort: $sort, first: 10) { \
                      facets { tags { value count } } edges { highlights { field html } node { name } } } }";

async fn found(house: &House, person: Option<&Person>, words: &str) -> Vec<String> {
    let token = person.map(|person| person.token.as_str());
    let data = house.data_of(token, SEARCH, json!({ "words": words })).await;
    nodes(&data["loras"]).iter().map(|lora| text(&lora["name"])).collect()
}

async fn what_is_published_is_found_and_what_is_not_is_not(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let shown = house.published_lora(&ada, "Copperplate etching", &files::foreign_lora("bfl")).await;
    let draft = house.lora_from_file(&ada, None, "Copperplate sketches", &files::foreign_lora("peft")).await;
    let tags = json!({ "id": shown.id, "tags": ["Ink", "fine lines"], "description": "<b>Cross-hatched</b> shadows" });
    house.done(&ada, "updateLora", tags, "lora { id }").await;
    let words = ["copperplate", "coperplate etchng", "hatched", "fine lines"];
    for words in words {
        eventually(words, async || (found(&house, Some(&bob), words).await == ["Copperplate etching"]).then_some(()))
            .await;
    }
    assert_eq!(found(&house, None, "copperplate").await, ["Copperplate etching"], "nobody has to sign in to look");
    assert!(found(&house, Some(&bob), "watercolour").await.is_empty());
    let data = house.data_of(None, SEARCH, json!({ "words": "hatched", "filter": { "tags": ["ink"] } })).await;
    let html = text(&data["loras"]["edges"][0]["highlights"][0]["html"]);
    assert!(html.contains("<em>") && !html.contains("<b>"), "only our own markup is markup: {html}");
    assert!(data["loras"]["facets"]["tags"].as_array().unwrap().contains(&json!({ "value": "ink", "count": 1 })));

    // While somebody types.
    let suggested = async |person: &Person, prefix: &str| {
        let query = "query ($prefix: String!) { loraSuggestions(prefix: $prefix, first: 5) { text lora { id } } }";
        house.data_of(Some(&person.token), query, json!({ "prefix": prefix })).await["loraSuggestions"].clone()
    };
    let the_lora = json!({ "text": "Copperplate etching", "lora": { "id": shown.id } });
    assert_eq!(suggested(&bob, "copp").await, json!([the_lora]), "the draft is nobody's to be told of");
    let a_tag = json!({ "text": "fine lines", "lora": null });
    assert_eq!(suggested(&bob, "fine li").await, json!([a_tag, the_lora]));
    house.done(&bob, "blockTag", json!({ "tag": "fine lines" }), "blockedTags").await;
    assert_eq!(suggested(&bob, "fine li").await, json!([]), "what he does not want to see is not suggested");

    // One's own drafts are found as drafts, and by nobody else.
    let drafts = json!({ "words": "copperplate", "filter": { "state": "DRAFT" } });
    let own = house.data_of(Some(&ada.token), SEARCH, drafts.clone()).await;
    assert_eq!(nodes(&own["loras"]), [json!({ "name": "Copperplate sketches" })]);
    let theirs = house.data_of(Some(&bob.token), SEARCH, drafts).await;
    assert!(nodes(&theirs["loras"]).is_empty());

    // Taken back, it is gone from the next answer on, whatever the index still holds.
    house.done(&ada, "unpublishLora", json!({ "id": shown.id }), "lora { id }").await;
    assert!(found(&house, Some(&bob), "copperplate").await.is_empty());
    let mut own = found(&house, Some(&ada), "copperplate").await;
    own.sort();
    assert_eq!(own, ["Copperplate etching", "Copperplate sketches"], "its team finds it still");
    house.done(&ada, "publishLora", json!({ "id": draft.id, "license": "CC0-1.0" }), "lora { id }").await;
    eventually("the other one", async || {
        (found(&house, Some(&bob), "copperplate").await == ["Copperplate sketches"]).then_some(())
    })
    .await;
    house.close().await;
}

async fn what_a_trainer_wrote_fills_the_card_and_terms_are_chosen(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let written = json!({
        "ss_output_name": "gouache_v2", "modelspec.license": "House rules", "air": "urn:air:flux2:lora:civitai:7@9",
        "ss_tag_frequency": "{\"one\": {\"paper\": 3, \"Gouache\": 9}, \"two\": {\"paper\": 4, \"a caption that is far too long for a tag of anything\": 20}}",
    });
    let tensors =
        [("diffusion_model.txt_in.lora_A.weight", [2, 24]), ("diffusion_model.txt_in.lora_B.weight", [32, 2])];
    let file = files::safetensors(&tensors, 0.01, written);
    let announced = json!({ "purpose": "LORA_FILE", "fileName": "export.safetensors", "size": file.len() });
    let upload = house.send_file(&ada, announced, &file).await;
    let card = "version { airName { name ecosystem type source identifier version }
        lora { id name tags license terms { requiresCredit } } }";
    let version = house.done(&ada, "importLora", json!({ "uploadId": upload }), card).await["version"].clone();
    let air_name = json!({
        "name": "urn:air:flux2:lora:civitai:7@9", "ecosystem": "flux2", "type": "lora", "source": "civitai",
        "identifier": "7", "version": "9",
    });
    assert_eq!(version["airName"], air_name);
    let lora = version["lora"].clone();
    assert_eq!((&lora["name"], &lora["tags"]), (&json!("gouache_v2"), &json!(["gouache", "paper"])));
    assert_eq!((&lora["license"], &lora["terms"]), (&json!("House rules"), &Value::Null));

    // What a file says is nobody's choice.
    let publish = json!({ "id": lora["id"] });
    assert_eq!(house.user_error(&ada, "publishLora", publish, "lora { id }").await, "LICENSE_NOT_CHOSEN");
    let publish = json!({ "id": lora["id"], "license": "House rules" });
    assert_eq!(house.user_error(&ada, "publishLora", publish, "lora { id }").await, "TERMS_NEEDED");
    let terms = json!({
        "commercialUse": "PICTURES", "requiresCredit": true, "allowsDerivatives": false, "requiresSameTerms": false,
    });
    let publish = json!({ "id": lora["id"], "license": "MIT", "terms": terms });
    assert_eq!(house.user_error(&ada, "publishLora", publish, "lora { id }").await, "TERMS_DIFFER");
    let publish = json!({ "id": lora["id"], "license": "House rules", "terms": terms });
    let fields = "lora { terms { commercialUse requiresCredit allowsDerivatives requiresSameTerms } }";
    assert_eq!(house.done(&ada, "publishLora", publish, fields).await["lora"]["terms"], terms);
    let change = json!({ "id": lora["id"], "license": "CC0-1.0" });
    let changed = house.done(&ada, "updateLora", change, fields).await["lora"]["terms"].clone();
    assert_eq!((&changed["commercialUse"], &changed["requiresCredit"]), (&json!("ANY"), &json!(false)));
    house.close().await;
}

/// A list without words is the marketplace's; who looks for something finds what is theirs as well.
async fn what_a_team_has_not_published_is_found_by_its_members_alone(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    house.done(&bob, "followUser", json!({ "userId": ada.id }), "user { id }").await;
    let new = json!({ "name": "Sgraffito", "tags": ["plaster"] });
    let empty = text(&house.done(&ada, "createLora", new, "lora { id }").await["lora"]["id"]);
    let file = files::foreign_lora("bfl");
    let draft = house.lora_from_file(&ada, None, "Sgraffito walls", &file).await;
    let tags = json!({ "id": draft.id, "tags": ["plaster", "scratched"] });
    house.done(&ada, "updateLora", tags, "lora { id }").await;
    let other = house.published_lora(&ada, "Fresco", &files::foreign_lora("kohya")).await;
    house.done(&ada, "updateLora", json!({ "id": other.id, "tags": ["plaster"] }), "lora { id }").await;

    // The last thing that the index is told of: what came before is in it then.
    eventually("the card that changed last", async || {
        (found(&house, Some(&bob), "plaster").await == ["Fresco"]).then_some(())
    })
    .await;
    let with_state = "query ($words: String, $filter: LoraFilterInput) { loras(search: $words, filter: $filter, first: 10) \
                      { facets { tags { value count } } edges { highlights { html } node { id state } } } }";
    let asked = async |person: Option<&Person>, variables: Value| {
        house.data_of(person.map(|person| person.token.as_str()), with_state, variables).await["loras"].clone()
    };
    let own = asked(Some(&ada), json!({ "words": "sgraffito" })).await;
    let states: Vec<_> = nodes(&own).iter().map(|node| (text(&node["id"]), text(&node["state"]))).collect();
    let drafts = [&empty, &draft.id].map(|id| (id.clone(), "DRAFT".to_owned()));
    assert_eq!(states, drafts, "by name alone, then with other words");
    assert!(own["edges"][1]["highlights"][0]["html"].as_str().unwrap().contains("<em>Sgraffito</em>"), "{own}");
    let counts = |found: &Value, tag: &str| {
        let counts = found["facets"]["tags"].as_array().unwrap();
        counts.iter().find(|count| count["value"] == tag).map_or(0, |count| count["count"].as_u64().unwrap())
    };
    assert_eq!((counts(&own, "plaster"), counts(&own, "scratched")), (2, 1));

    // The list that everybody opens is the same for everybody, and so is what is asked to be published.
    let asked_for_published = json!({ "words": "plaster", "filter": { "state": "PUBLISHED" } });
    for variables in [json!({}), json!({ "filter": { "tags": ["plaster"] } }), asked_for_published] {
        let found = asked(Some(&ada), variables).await;
        assert_eq!(nodes(&found), [json!({ "id": other.id, "state": "PUBLISHED" })]);
        assert_eq!((counts(&found, "plaster"), counts(&found, "scratched")), (1, 0));
    }

    // Nobody else learns of it: not by its words, by its tags or counts, while typing, or beside another one.
    let hints = "query ($prefix: String!, $id: ID!) { relatedLoras(loraId: $id, first: 5) { id } \
                 loraSuggestions(prefix: $prefix, first: 9) { text } }";
    for stranger in [None, Some(&bob)] {
        for words in ["sgraffito", "sgraffito walls", "scratched", "sgrafito"] {
            let found = asked(stranger, json!({ "words": words })).await;
            assert!(nodes(&found).is_empty(), "{words}: {found}");
        }
        assert_eq!(counts(&asked(stranger, json!({ "words": "plaster" })).await, "plaster"), 1);
        let token = stranger.map(|person| person.token.as_str());
        for prefix in ["sgr", "scr"] {
            let given = house.data_of(token, hints, json!({ "prefix": prefix, "id": other.id })).await;
            assert_eq!(given, json!({ "relatedLoras": [], "loraSuggestions": [] }), "{prefix}");
        }
        let of_draft = house.refusal(token, hints, json!({ "prefix": "s", "id": draft.id })).await;
        assert_eq!(of_draft, "NOT_FOUND");
    }
    let given = house.data_of(Some(&ada.token), hints, json!({ "prefix": "scr", "id": other.id })).await;
    assert!(given["relatedLoras"].as_array().unwrap().contains(&json!({ "id": draft.id })), "{given}");
    assert!(given["loraSuggestions"].as_array().unwrap().contains(&json!({ "text": "scratched" })), "{given}");

    // Who follows its maker hears of what is published and of nothing else.
    let news = "{ feed(first: 5) { nodes { lora { id } } } notifications(first: 5) { nodes { lora { id } } } }";
    let heard = eventually("what was published is told", async || {
        let heard = house.data_of(Some(&bob.token), news, json!({})).await;
        heard["notifications"]["nodes"].as_array().is_some_and(|told| !told.is_empty()).then_some(heard)
    })
    .await;
    let of_it = json!([{ "lora": { "id": other.id } }]);
    assert_eq!(heard, json!({ "feed": { "nodes": of_it }, "notifications": { "nodes": of_it } }));

    // Published, it is everybody's; deleted, it is nobody's.
    house.done(&ada, "publishLora", json!({ "id": draft.id, "license": "CC0-1.0" }), "lora { id }").await;
    eventually("it is published", async || {
        (found(&house, Some(&bob), "sgraffito").await == ["Sgraffito walls"]).then_some(())
    })
    .await;
    house.done(&ada, "deleteLora", json!({ "id": empty }), "lora { id }").await;
    assert_eq!(found(&house, Some(&ada), "sgraffito").await, ["Sgraffito walls"]);
    house.close().await;
}

async fn download(house: &House, person: &Person, version: &str, layout: Option<&str>) -> Value {
    let input = json!({ "versionId": version, "layout": layout });
    house.done(person, "downloadLora", input, "file { url fileName sha256 size layout }").await["file"].clone()
}

async fn what_a_program_leaves_out_of_a_layout_is_said(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let modulation = "double_stream_modulation_img";
    let (down, up) =
        [".lora_A.weight", ".lora_B.weight"].map(|end| format!("diffusion_model.{modulation}.lin{end}")).into();
    let tensors = [
        ("diffusion_model.txt_in.lora_A.weight", [2, 24]),
        ("diffusion_model.txt_in.lora_B.weight", [32, 2]),
        (down.as_str(), [2, 32]),
        (up.as_str(), [192, 2]),
    ];
    let file = files::safetensors(&tensors, 0.01, json!({ "format": "pt" }));
    let lora = house.lora_from_file(&ada, None, "Ink wash", &file).await;
    // Once more, when the conversion is there already.
    for (layout, said) in [("BFL", 0), ("DIFFUSERS", 0), ("KOHYA", 1), ("KOHYA", 1)] {
        let input = json!({ "versionId": lora.version, "layout": layout });
        let file = house.done(&ada, "downloadLora", input, "file { leftOut }").await["file"].clone();
        let left_out = file["leftOut"].as_array().unwrap();
        assert_eq!(left_out.len(), said, "{layout}: {left_out:?}");
        assert!(left_out.iter().all(|sentence| text(sentence).contains(modulation)), "{left_out:?}");
    }
    house.close().await;
}

async fn a_file_is_handed_out_in_the_layout_that_is_asked_for(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let file = files::foreign_lora("bfl");
    let lora = house.published_lora(&ada, "Ink wash", &file).await;
    let document = "mutation ($id: ID!) { downloadLora(input: { versionId: $id }) { file { url } } }";
    assert_eq!(house.refusal(None, document, json!({ "id": lora.version })).await, "UNAUTHENTICATED");

    let given = download(&house, &bob, &lora.version, None).await;
    assert_eq!((&given["fileName"], &given["layout"]), (&json!("ink-wash-v1-bfl.safetensors"), &json!("BFL")));
    let served = house.http().get(text(&given["url"])).send().await.unwrap();
    assert_eq!(served.headers()["x-content-type-options"], "nosniff");
    let disposition = served.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.starts_with("attachment") && disposition.contains("ink-wash-v1-bfl.safetensors"));
    assert_eq!(served.bytes().await.unwrap(), file, "as it was made it comes byte by byte");
    let part = house.http().get(text(&given["url"])).header("range", "bytes=8-15").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), file[8..16]);

    let tags = json!({ "id": lora.id, "tags": ["ink", "fine lines"] });
    house.done(&ada, "updateLora", tags, "lora { id }").await;
    for (layout, key) in
        [("KOHYA", "lora_unet_double_blocks_0_img_attn"), ("DIFFUSERS", "transformer.transformer_blocks.0")]
    {
        let given = download(&house, &bob, &lora.version, Some(layout)).await;
        let bytes = house.http().get(text(&given["url"])).send().await.unwrap().bytes().await.unwrap();
        assert_eq!((&given["layout"], &given["sha256"]), (&json!(layout), &json!(sha256(&bytes))));
        assert_eq!(given["size"], bytes.len());
        let header = files::header(&bytes);
        assert!(header.keys().any(|name| name.starts_with(key)), "{layout}: {:?}", header.keys());
        let says = |key: &str| header["__metadata__"][key].as_str();
        assert_eq!((says("modelspec.license"), says("modelspec.tags")), (Some("CC0-1.0"), Some("ink, fine lines")));
        assert_eq!(download(&house, &ada, &lora.version, Some(layout)).await["sha256"], given["sha256"], "made once");
        let hash = sha256(&bytes);
        for given in [&hash, &hash[..8]] {
            assert_eq!(by_hash(&house, &bob, given).await, [json!(lora.version)], "{layout} names what it was made of");
        }
    }
    let counted = card(&house, &bob, &lora.id).await;
    assert_eq!(counted["downloadCount"], 2, "each person counts once, however often they fetch it");
    house.close().await;
}

/// A link as the house would have given it for another time.
fn link(house: &House, sha256: &str, name: &str, expires: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&house.service.house.secrets.links).unwrap();
    mac.update(format!("blob\0{sha256}\0{name}\0{expires}").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{}/blobs/{sha256}/{name}?expires={expires}&signature={signature}", house.url)
}

async fn a_link_that_was_changed_or_is_too_old_opens_nothing(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let (file, other) = (files::foreign_lora("bfl"), files::foreign_lora("kohya"));
    let lora = house.lora_from_file(&ada, None, "Ink", &file).await;
    house.lora_from_file(&ada, None, "Wash", &other).await;
    let url = text(&download(&house, &ada, &lora.version, None).await["url"]);
    let name = "ink-v1-bfl.safetensors";
    let later = house.service.house.now().timestamp() + 60;
    let status = async |url: &str| house.http().get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(&url).await, 200);
    assert_eq!(status(&link(&house, &sha256(&file), name, later)).await, 200, "what the others differ from");
    let (base, query) = url.split_once('?').unwrap();
    for (what, changed) in [
        ("without a signature", base.to_owned()),
        ("another file", url.replace(&sha256(&file), &sha256(&other))),
        ("another name", url.replace(name, "ink-v1-bfl.html")),
        ("a longer life", format!("{base}?{}", query.replace("expires=1", "expires=9"))),
        ("another signature", format!("{base}?{}", query.replace("signature=", "signature=AA"))),
        ("too old", link(&house, &sha256(&file), name, later - 120)),
        ("a file that is not there", link(&house, &"0".repeat(64), name, later)),
        ("no hash", link(&house, "..%2f..%2fatelier.sqlite3", name, later)),
    ] {
        assert_eq!(status(&changed).await, 404, "{what}: {changed}");
    }
    house.close().await;
}

async fn paging_yields_every_row_once_while_rows_are_inserted(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let file = files::foreign_lora("bfl");
    let add = async |number: usize| {
        let lora = house.published_lora(&ada, &format!("LoRA {number}"), &file).await;
        let input = json!({ "name": format!("Data set {number}") });
        let dataset = house.done(&ada, "createDataset", input, "dataset { id }").await;
        [lora.id, text(&dataset["dataset"]["id"])]
    };
    let mut before = Vec::new();
    for number in 0..5 {
        before.push(add(number).await);
    }
    let query = "query ($loras: String, $datasets: String) { \
                 loras(first: 2, sort: NEWEST, after: $loras) { pageInfo { hasNextPage endCursor } edges { node { id } } } \
                 datasets(first: 2, after: $datasets) { pageInfo { hasNextPage endCursor } edges { node { id } } } }";
    let (mut seen, mut cursors) = ([Vec::new(), Vec::new()], [Value::Null, Value::Null]);
    for page in 5.. {
        let variables = json!({ "loras": cursors[0], "datasets": cursors[1] });
        let data = house.data_of(Some(&ada.token), query, variables).await;
        for (place, list) in ["loras", "datasets"].into_iter().enumerate() {
            seen[place].extend(nodes(&data[list]).iter().map(|node| text(&node["id"])));
            cursors[place] = data[list]["pageInfo"]["endCursor"].clone();
        }
        let has_next = |list: &str| data[list]["pageInfo"]["hasNextPage"].as_bool().unwrap();
        assert_eq!(has_next("loras"), has_next("datasets"));
        if !has_next("loras") {
            break;
        }
        add(page).await;
        assert!(page < 20, "the list has an end");
    }
    for (place, seen) in seen.iter().enumerate() {
        let newest_first: Vec<_> = before.iter().rev().map(|ids| ids[place].clone()).collect();
        assert_eq!(*seen, newest_first, "those that were there come once, in order; later ones do not come between");
    }
    house.close().await;
}

async fn a_list_that_cannot_go_on_as_it_began_is_refused(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let file = files::foreign_lora("bfl");
    let query = "query ($after: String) { loras(search: \"ink\", first: 2, after: $after) { \
                 pageInfo { hasNextPage endCursor } edges { node { name } } } }";
    for number in 0..4 {
        house.published_lora(&ada, &format!("Ink {number}"), &file).await;
    }
    let cursor = eventually("all are found", async || {
        let data = house.data_of(None, query, json!({})).await;
        let page = &data["loras"]["pageInfo"];
        if page["hasNextPage"] == false {
            return None;
        }
        let next = house.data_of(None, query, json!({ "after": page["endCursor"] })).await;
        (nodes(&next["loras"]).len() == 2).then(|| page["endCursor"].clone())
    })
    .await;
    // What the list began from is remembered by the process.
    let house = house.restarted(&["--worker", "off"]).await;
    let ada = house.sign_in(&ada.email).await;
    house.published_lora(&ada, "Ink wash", &file).await;
    eventually("the new one is found", async || (found(&house, None, "wash").await.len() == 1).then_some(())).await;
    let (_, answer) = house.send(None, query, json!({ "after": cursor })).await;
    let code = &answer["errors"][0]["extensions"];
    assert_eq!((&code["code"], &code["reason"]), (&json!("BAD_REQUEST"), &json!("CURSOR_TOO_OLD")), "{answer}");
    house.close().await;
}

async fn what_is_no_lora_is_rejected_and_cannot_be_imported(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let good = files::foreign_lora("bfl");
    let with_header = |header: &str, data: usize| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    let one = r#""x.lora_A.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let flux1 = [("lora_unet_single_blocks_0_modulation_lin.lora_down.weight", [2, 64])];
    let files = [
        ("pickle", b"\x80\x02}q\x00(X\x01\0\0\0aq\x01K\x01u.".to_vec(), "pickle"),
        ("the end is missing", good[..good.len() - 1].to_vec(), "bytes"),
        ("bytes behind the end", [&good[..], b"\0"].concat(), "bytes"),
        ("a name twice", with_header(&format!("{{{one},{one}}}"), 8), "twice"),
        ("a header without end", [&u64::MAX.to_le_bytes()[..], b"{}"].concat(), "at most"),
        (
            "whole weights",
            files::safetensors(&[("double_blocks.0.img_attn.proj.weight", [4, 4])], 1.0, json!({})),
            "base model",
        ),
        ("FLUX.1", files::safetensors(&flux1, 1.0, json!({})), "FLUX.1"),
        ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec(), "safetensors"),
    ];
    for (what, bytes, word) in &files {
        let upload = house.upload(&ada, "LORA_FILE", None, "ink.safetensors", bytes).await;
        let query = "query ($id: ID!) { upload(id: $id) { state reason facts } }";
        let row = house.data_of(Some(&ada.token), query, json!({ "id": upload })).await["upload"].clone();
        assert_eq!((&row["state"], &row["facts"]), (&json!("REJECTED"), &Value::Null), "{what}");
        let reason = text(&row["reason"]);
        assert!(reason.contains(word) && reason.ends_with('.'), "{what}: {reason}");
        let import = json!({ "uploadId": upload });
        assert_eq!(house.user_error(&ada, "importLora", import, "version { id }").await, "UPLOAD_REJECTED", "{what}");
    }
    let list = "{ loras(filter: { state: DRAFT }, first: 5) { edges { node { id } } } }";
    assert!(nodes(&house.data_of(Some(&ada.token), list, json!({})).await["loras"]).is_empty(), "no draft was begun");
    house.close().await;
}
