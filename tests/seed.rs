//! A made-up marketplace: filled by the program, measured by it, and used like any other.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::house::{Engine, House, PASSWORD, nodes, text};

const LORAS: &str = "{ loras(sort: NEWEST, first: 100) { edges { node { name ratingCount creator { handle } \
                     latestVersion { baseModel { name } previews { id } } } } } }";

fn atelier(data: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    let output = command.args(arguments).arg("--data").arg(data).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn seed(data: &Path, previews: &str) -> Result<String, String> {
    let numbers = ["--loras", "30", "--people", "8", "--ratings", "40", "--seed", "5", "--previews", previews];
    atelier(data, &[&["seed", "--password", PASSWORD], &numbers[..]].concat())
}

async fn loras(house: &House) -> Vec<Value> {
    nodes(&house.data_of(None, LORAS, json!({})).await["loras"])
}

fn names(loras: &[Value]) -> Vec<&Value> {
    loras.iter().map(|lora| &lora["name"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_marketplace_is_filled_measured_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let said = seed(&data, "2").unwrap();
    assert!(said.contains("30 LoRAs, 8 people and 40 ratings"), "{said}");
    let refused = seed(&data, "0").unwrap_err();
    assert!(refused.contains("There are 30 LoRAs here already."), "{refused}");

    let wrong = atelier(&data, &["bench", "marketplace", "--rate", "0", "--"]).unwrap_err();
    assert!(wrong.contains("rate is above 0"), "{wrong}");
    let measured = atelier(&data, &["bench", "marketplace", "--rate", "20", "--seconds", "2", "--json", "--"]).unwrap();
    let report: Value = serde_json::from_str(&measured).unwrap();
    let number = |field: &str| report[field].as_f64().unwrap();
    assert!(number("requests") > 0.0 && number("failed") == 0.0, "{report}");
    assert!(0.0 < number("cards") && number("cards") <= 24.0, "{report}");
    assert!(0.0 < number("p50_ms") && number("p50_ms") <= number("p99_ms"), "{report}");
    assert!(number("p99_ms") <= number("largest_ms"), "{report}");

    let house = House::open_in(folder, Engine::Sqlite, &["--worker", "off"]).await;
    let made = loras(&house).await;
    assert_eq!(made.len(), 30);
    assert_eq!(made.iter().map(|lora| lora["ratingCount"].as_i64().unwrap()).sum::<i64>(), 40);
    let previewed = made.iter().filter(|lora| lora["latestVersion"]["previews"] != json!([])).count();
    assert_eq!(previewed, 2, "the first ones were rendered");
    assert!(made.iter().all(|lora| lora["latestVersion"]["baseModel"]["name"] == "starter"));
    // The index was built as well.
    let wish = json!({ "words": made[0]["name"] });
    let query = "query ($words: String) { loras(search: $words, first: 1) { edges { node { name } } } }";
    assert_eq!(nodes(&house.data_of(None, query, wish).await["loras"])[0]["name"], made[0]["name"]);
    let creator = house.sign_in(&format!("{}@seed.invalid", text(&made[0]["creator"]["handle"]))).await;
    house.done(&creator, "followUser", json!({ "userId": other(&house, &creator.id).await }), "user { id }").await;
    house.close().await;

    // The same numbers and the same seed give the same.
    let folder = tempfile::tempdir().unwrap();
    seed(&folder.path().join("data"), "0").unwrap();
    let house = House::open_in(folder, Engine::Sqlite, &["--worker", "off"]).await;
    assert_eq!(names(&loras(&house).await), names(&made));
    house.close().await;
}

/// Somebody else who published.
async fn other(house: &House, id: &str) -> Value {
    let query = "{ loras(sort: NEWEST, first: 100) { edges { node { creator { id } } } } }";
    let creators = nodes(&house.data_of(None, query, json!({})).await["loras"]);
    creators.into_iter().map(|lora| lora["creator"]["id"].clone()).find(|other| other != id).unwrap()
}
