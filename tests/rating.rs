//! Judging LoRAs: helpful votes, taking a rating back, how stars spread, and what people say a LoRA works with.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(
    a_rating_is_found_helpful_and_taken_back_and_the_figures_stay_right,
    people_say_what_a_version_works_with,
);

const FIGURES: &str = "query ($id: ID!) { lora(id: $id) { ratingCount ratingAverage ratingScore ratingSpread { stars count } \
                       latestVersion { ratingSpread { count } } } }";
const RATINGS: &str = "query ($id: ID!, $sort: RatingOrder, $first: Int!, $after: String) { \
                       ratings(loraId: $id, sort: $sort, first: $first, after: $after) { pageInfo { hasNextPage endCursor } \
                       edges { node { id stars hasUsed helpfulCount isFoundHelpfulByViewer author { handle } } } } }";

/// Number, average and score, and how many have one star, two, up to five.
async fn figures(house: &House, lora: &str) -> (i64, Option<f64>, f64, Vec<i64>) {
    let lora = house.data_of(None, FIGURES, json!({ "id": lora })).await["lora"].clone();
    let counts = |spread: &Value| {
        spread.as_array().unwrap().iter().map(|step| step["count"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let stars: Vec<_> = lora["ratingSpread"].as_array().unwrap().iter().map(|step| step["stars"].clone()).collect();
    assert_eq!(stars, [1, 2, 3, 4, 5]);
    assert_eq!(counts(&lora["ratingSpread"]), counts(&lora["latestVersion"]["ratingSpread"]), "of its only version");
    let number = lora["ratingCount"].as_i64().unwrap();
    (number, lora["ratingAverage"].as_f64(), lora["ratingScore"].as_f64().unwrap(), counts(&lora["ratingSpread"]))
}

/// The handles of who rated a LoRA, as a list of pages of one row each.
async fn raters(house: &House, token: Option<&str>, lora: &str, sort: &str) -> Vec<String> {
    let (mut raters, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "id": lora, "sort": sort, "first": 1, "after": after });
        let page = house.data_of(token, RATINGS, variables).await["ratings"].clone();
        raters.extend(nodes(&page).iter().map(|node| text(&node["author"]["handle"])));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            return raters;
        }
    }
}

async fn a_rating_is_found_helpful_and_taken_back_and_the_figures_stay_right(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let rate = async |person: &Person, stars: i32| {
        let input = json!({ "loraId": lora.id, "stars": stars, "review": "Fine lines." });
        text(&house.done(person, "rateLora", input, "rating { id }").await["rating"]["id"])
    };
    let (of_bob, of_cyd) = (rate(&bob, 5).await, rate(&cyd, 2).await);
    assert_eq!(figures(&house, &lora.id).await, (2, Some(3.5), 22.0 / 7.0, vec![0, 1, 0, 0, 1]));

    let fields = "rating { helpfulCount isFoundHelpfulByViewer }";
    let of = |id: &str| json!({ "ratingId": id });
    for _ in 0..2 {
        let voted = house.done(&cyd, "voteRatingHelpful", of(&of_bob), fields).await;
        assert_eq!(voted["rating"], json!({ "helpfulCount": 1, "isFoundHelpfulByViewer": true }), "twice is once");
    }
    let voted = house.done(&ada, "voteRatingHelpful", of(&of_bob), fields).await;
    assert_eq!(voted["rating"]["helpfulCount"], 2);
    assert_eq!(house.user_error(&bob, "voteRatingHelpful", of(&of_bob), fields).await, "OWN_RATING");
    assert_eq!(raters(&house, None, &lora.id, "NEWEST").await, ["cyd", "bob"]);
    assert_eq!(raters(&house, None, &lora.id, "HELPFUL").await, ["bob", "cyd"]);
    house.done(&ada, "withdrawRatingVote", of(&of_bob), fields).await;
    let left = house.done(&cyd, "withdrawRatingVote", of(&of_bob), fields).await;
    assert_eq!(left["rating"], json!({ "helpfulCount": 0, "isFoundHelpfulByViewer": false }));
    assert_eq!(house.user_error(&cyd, "withdrawRatingVote", of(&of_bob), fields).await, "NOT_VOTED");
    let foreign = json!({ "id": lora.id, "sort": "HELPFUL", "first": 1, "after": "bmV3ZXN0" });
    assert_eq!(house.refusal(None, RATINGS, foreign).await, "BAD_REQUEST");

    // Whoever downloads it has used it.
    let used = async |id: &str| {
        let query = "query ($id: ID!) { node(id: $id) { ... on Rating { hasUsed } } }";
        house.data_of(None, query, json!({ "id": id })).await["node"]["hasUsed"].as_bool().unwrap()
    };
    assert!(!used(&of_cyd).await);
    house.done(&cyd, "downloadLora", json!({ "versionId": lora.version }), "file { url }").await;
    eventually("the mark of who has used it", async || used(&of_cyd).await.then_some(())).await;

    assert_eq!(house.refused(&cyd, "deleteRating", json!({ "id": of_bob })).await, "FORBIDDEN");
    let without = house.done(&bob, "deleteRating", json!({ "id": of_bob }), "lora { ratingCount }").await;
    assert_eq!(without["lora"]["ratingCount"], 1);
    assert_eq!(figures(&house, &lora.id).await, (1, Some(2.0), 17.0 / 6.0, vec![0, 1, 0, 0, 0]));
    assert_eq!(raters(&house, Some(&bob.token), &lora.id, "NEWEST").await, ["cyd"]);
    assert_eq!(house.refused(&bob, "deleteRating", json!({ "id": of_bob })).await, "NOT_FOUND");
    assert_eq!(house.refused(&ada, "voteRatingHelpful", of(&of_bob)).await, "NOT_FOUND");
    assert_eq!(rate(&bob, 4).await, of_bob, "who rates again has the same rating");
    assert_eq!(figures(&house, &lora.id).await, (2, Some(3.0), 3.0, vec![0, 1, 0, 1, 0]));
    house.close().await;
}

async fn people_say_what_a_version_works_with(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let models = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"].clone();
    let model = models[0]["id"].clone();
    let vote = |works: bool| json!({ "versionId": lora.version, "baseModelId": model, "works": works });
    let fields = "version { compatibilityVotes { baseModel { id } worksCount doesNotWorkCount viewerVote } }";
    let votes = |payload: Value| payload["version"]["compatibilityVotes"].clone();
    let expected = |works: i32, not: i32, own: Value| json!([{ "baseModel": { "id": model }, "worksCount": works, "doesNotWorkCount": not, "viewerVote": own }]);
    let said = votes(house.done(&bob, "voteCompatibility", vote(true), fields).await);
    assert_eq!(said, expected(1, 0, json!(true)));
    let said = votes(house.done(&cyd, "voteCompatibility", vote(true), fields).await);
    assert_eq!(said, expected(2, 0, json!(true)));
    let said = votes(house.done(&cyd, "voteCompatibility", vote(false), fields).await);
    assert_eq!(said, expected(1, 1, json!(false)), "a change of mind is no second vote");
    assert_eq!(house.user_error(&ada, "voteCompatibility", vote(true), fields).await, "OWN_LORA");
    let nowhere = json!({ "versionId": lora.version, "baseModelId": lora.id, "works": true });
    assert_eq!(house.refused(&bob, "voteCompatibility", nowhere).await, "NOT_FOUND");

    let withdrawn = json!({ "versionId": lora.version, "baseModelId": model });
    let said = votes(house.done(&bob, "withdrawCompatibilityVote", withdrawn.clone(), fields).await);
    assert_eq!(said, expected(0, 1, Value::Null));
    assert_eq!(house.user_error(&bob, "withdrawCompatibilityVote", withdrawn, fields).await, "NOT_VOTED");
    let query = "query ($id: ID!) { version: loraVersion(id: $id) { compatibilityVotes { baseModel { id } worksCount \
                 doesNotWorkCount viewerVote } } }";
    let said = votes(house.data_of(None, query, json!({ "id": lora.version })).await);
    assert_eq!(said, expected(0, 1, Value::Null), "for everybody to read");
    house.close().await;
}
