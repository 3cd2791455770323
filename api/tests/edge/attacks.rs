//! Documents made to hurt: each is answered with a 4xx and a sentence, and the service goes on.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use async_graphql::{Variables, parser::parse_query};
use atelier::{
    graphql::{
        cost::measure,
        guard::{GuardSettings, check},
    },
    http::router,
};
use rand::{SeedableRng as _, seq::IndexedRandom as _};
use serde_json::json;

use crate::toy::{app, ask, ask_with, state};

/// A chain of fragments, each spreading the next twice: 2^n fields from 40 n bytes.
fn fan_out(levels: usize) -> String {
    let mut document = String::from("{ nest { ...F0 } }");
    for level in 0..levels {
        write!(
            document,
            " fragment F{level} on Nest {{ nest {{ ...F{} }} a: nest {{ ...F{} }} }}",
            level + 1,
            level + 1
        )
        .unwrap();
    }
    write!(document, " fragment F{levels} on Nest {{ leaf }}").unwrap();
    document
}

/// The same without a level of depth or an alias.
fn flat_fan_out(levels: usize) -> String {
    let mut document = String::from("{ nest { ...F0 } }");
    for level in 0..levels {
        write!(document, " fragment F{level} on Nest {{ ...F{n} ...F{n} }}", n = level + 1).unwrap();
    }
    write!(document, " fragment F{levels} on Nest {{ leaf }}").unwrap();
    document
}

fn chained(number: usize) -> String {
    let mut document = String::from("{ nest { ...F0 } }");
    for n in 0..number {
        write!(document, "fragment F{n} on Nest{{...F{}}}", n + 1).unwrap();
    }
    write!(document, "fragment F{number} on Nest{{leaf}}").unwrap();
    document
}

#[tokio::test]
async fn known_attacks_are_refused() {
    let app = app();
    let deep = |open: &str, close: &str| format!("{{ sum(values: {}1{}) }}", open.repeat(1_500), close.repeat(1_500));
    let attacks = [
        ("nested lists", deep("[", "]"), 400),
        ("unclosed lists", format!("{{ sum(values: {}", "[".repeat(12_000)), 400),
        ("nested objects", deep("{a:", "}"), 400),
        (
            "lists behind a block string that does not end",
            format!("{{ sum(values: [\"\"\"\" {}1{}]) }}", "[".repeat(1_500), "]".repeat(1_500)),
            400,
        ),
        ("lists behind a comment", format!("{{ #\"\n sum(values: {}", "[".repeat(9_000)), 400),
        (
            "lists in a variable's type",
            format!("query($a: {}Int{}) {{ me }}", "[".repeat(1_500), "]".repeat(1_500)),
            400,
        ),
        ("nested selections", format!("{}leaf{}", "{nest".repeat(1_000), "}".repeat(1_000)), 400),
        ("fan-out", fan_out(20), 400),
        ("flat fan-out", flat_fan_out(30), 400),
        ("a chain of fragments", chained(450), 400),
        ("a circle", "{ nest { ...A } } fragment A on Nest { ...B } fragment B on Nest { ...A }".into(), 400),
        ("a circle of one, unused", "{ me } fragment A on Nest { nest { ...A } }".into(), 400),
        ("aliases", format!("{{ {} }}", (0..31).map(|n| format!("a{n}: me ")).collect::<String>()), 400),
        ("directives", format!("{{ me {} }}", "@include(if: true) ".repeat(11)), 400),
        ("depth", format!("{}{{leaf}}{}", "{nest ".repeat(12), "}".repeat(12)), 400),
        ("a page of 101", "{ items(first: 101) { id } }".into(), 400),
        ("a page of none", "{ items(first: 0) { id } }".into(), 400),
        (
            "pages in pages",
            "{ items(first: 100) { a: id b: id c: id d: id e: id f: id g: id h: id i: id j: id k: id l: id \
           m: id n: id o: id p: id q: id r: id s: id t: id u: id } }"
                .into(),
            400,
        ),
        (
            "types of types",
            format!("{{ __schema {{ types {}name{} }} }}", "{ fields { type".repeat(4) + "{", "}}".repeat(4) + "}"),
            400,
        ),
        ("too large", format!("{{ me }} #{}", "x".repeat(16 * 1024)), 413),
    ];
    for (name, document, status) in attacks {
        let begun = Instant::now();
        let reply = ask(&app, &document).await;
        let taken = begun.elapsed();
        let (code, sentence) = reply.error();
        println!("{name}: {} bytes, {taken:?}, {} {code}: {sentence}", document.len(), reply.status);
        assert_eq!(reply.status, status, "{name}: {sentence}");
        assert!(sentence.len() > 20 && sentence.ends_with(['.', '"', '`']), "{name}: {sentence}");
        assert!(taken < Duration::from_secs(2), "{name} took {taken:?}");
    }
    assert_eq!(ask(&app, "{ __typename }").await.status, 200, "the service goes on");
}

/// Documents that keep every limit and were made to keep the engine busy all the same.
#[tokio::test]
async fn what_keeps_every_limit_is_answered_soon() {
    let many = |number: usize, piece: &dyn Fn(usize) -> String| (0..number).map(piece).collect::<String>();
    let documents = [
        ("one fragment many times", format!("{{nest{{{}}}}}fragment F on Nest{{leaf}}", "...F ".repeat(990))),
        ("fragments of fragments", flat_fan_out(8)),
        ("operations", many(400, &|n| format!("query Q{n}{{me}}"))),
        ("unused fragments", format!("{{me}}{}", many(480, &|n| format!("fragment F{n} on Nest{{leaf}}")))),
        ("variables", format!("query({}){{me}}", many(1_000, &|n| format!("$v{n}:Int ")))),
        ("unknown fields", format!("{{{}}}", many(1_900, &|n| format!("f{n} ")))),
        ("an unknown field of 15 KB", format!("{{{}}}", "f".repeat(15_000))),
        ("one field many times", format!("{{nest{{{}}}}}", "leaf ".repeat(1_900))),
        ("inline fragments", format!("{{nest{{{}leaf{}}}}}", "...{".repeat(28), "}".repeat(28))),
        ("arguments", format!("{{echo({})}}", many(1_000, &|n| format!("a{n}:1 ")))),
        ("a list", format!("{{sum(values:[[{}]])}}", "1 ".repeat(8_000))),
    ];
    let app = router(state(|settings| settings.rate.burst = u32::MAX));
    for (name, document) in documents {
        assert!(
            check(
                &document,
                Some("Q1").filter(|_| name == "operations"),
                &Variables::default(),
                &GuardSettings::new(false)
            )
            .is_ok(),
            "{name}"
        );
        let body = json!({ "query": document, "operationName": (name == "operations").then_some("Q1") });
        let begun = Instant::now();
        let reply = ask_with(&app, body, &[]).await;
        let taken = begun.elapsed();
        println!("{name}: {} bytes, {taken:?}, {}, answer of {} bytes", document.len(), reply.status, reply.body.len());
        assert!(reply.status < 500 && taken < Duration::from_secs(2), "{name}: {} after {taken:?}", reply.status);
    }
}

#[tokio::test]
async fn what_people_ask_passes() {
    let app = app();
    for document in [
        "{ sum(values: [[1, 2], [3]]) }".to_owned(),
        format!("{}{{leaf}}{}", "{nest ".repeat(11), "}".repeat(11)),
        "{ echo(text: \"[[[ {{{ \\\" ((( \") } # [[[[[[[".to_owned(),
        "{ echo(text: \"\"\" [[[ \\\"\"\" {{{ \"\"\") }".to_owned(),
        "{ items(first: 100) { ...I } } fragment I on Item { id title }".to_owned(),
        INTROSPECTION.to_owned(),
    ] {
        let reply = ask(&app, &document).await;
        assert_eq!(reply.status, 200, "{document}: {}", String::from_utf8_lossy(&reply.body));
    }
    let page = json!({ "query": "query($n: Int = 100) { items(first: $n) { id } }", "variables": { "n": 7 } });
    assert_eq!(ask_with(&app, page, &[]).await.json()["extensions"]["cost"]["points"], 8, "the variable's page counts");
}

/// The memoised sums against sums by expansion.
#[test]
fn a_document_costs_what_its_expansion_costs() {
    let cost = |document: &str| measure(&parse_query(document).unwrap(), &Variables::default()).unwrap().cost;
    let expanded = |levels: u32| (1..=levels).map(|level| 2_u32.pow(level)).sum::<u32>() + 2_u32.pow(levels) + 1;
    for levels in [1, 5, 12] {
        assert_eq!(cost(&fan_out(levels as usize)), expanded(levels), "{levels} levels");
    }
    assert_eq!(cost(&fan_out(40)), u32::MAX, "sums stay at the end of their scale");
    assert_eq!(cost("{ nest { leaf } } fragment F on Nest { leaf leaf }"), 4, "what is not reached is paid for too");
    assert_eq!(cost("{ items(first: 10) { id } }"), 11);
    assert_eq!(cost("{ nodes(ids: [1, 2, 3]) { id } }"), 4, "ids are rows");
    assert_eq!(cost("query($n: Int = 9) { items(first: $n) { id } }"), 10, "a default counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_mutated_documents_are_each_answered() {
    let app = app();
    let seeds = [
        "query Q($n: Int! = 3, $t: [String!]) { items(first: $n) { id title } echo(text: \"a\\nb\") }",
        "{ nest { ...F nest { leaf @include(if: true) } } } fragment F on Nest { leaf nest { ... on Nest { leaf } } }",
        "{ sum(values: [[1, -2], [3]]) a: echo(text: \"\"\"block \\\"\"\" \"\"\") __schema { types { name } } }",
        "mutation { bump } # a comment [[[",
        INTROSPECTION,
    ];
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "\"\"\"",
        "...",
        "@skip(if:",
        "$n",
        ":",
        "#",
        "\\",
        "\n",
        "fragment F on Nest",
        "é",
        "\u{0}",
    ];
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (mut refused, mut answered, mut longest) = (0, 0, (Duration::ZERO, String::new()));
    for _ in 0..1_000 {
        let document = mutate(seeds.choose(&mut random).unwrap(), &pieces, &mut random);
        let begun = Instant::now();
        let reply = ask(&app, &document).await;
        let taken = begun.elapsed();
        if taken > longest.0 {
            longest = (taken, document.clone());
        }
        match reply.status {
            200 => answered += 1,
            400..=499 => {
                refused += 1;
                assert!(reply.error().1.len() > 10, "{document}: {}", reply.error().1);
            }
            status => panic!("{status} for {document}"),
        }
    }
    let bytes = longest.1.len();
    println!("{refused} refused, {answered} still valid; the longest took {:?} ({bytes} bytes)", longest.0);
    assert!(refused > 500, "the mutations do too little: {refused}");
    assert_eq!(ask(&app, "{ __typename }").await.status, 200, "the service goes on");
}

/// Takes, doubles, swaps and inserts pieces of a document.
fn mutate(seed: &str, pieces: &[&str], random: &mut impl rand::Rng) -> String {
    let mut characters: Vec<char> = seed.chars().collect();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..characters.len());
        let end = (at + random.random_range(1..40)).min(characters.len());
        match random.random_range(0..4) {
            0 => drop(characters.drain(at..end)),
            1 => {
                let again = characters[at..end].repeat(random.random_range(1..60));
                characters.splice(at..at, again);
            }
            2 => {
                let piece: Vec<char> =
                    pieces.choose(random).unwrap().repeat(random.random_range(1..80)).chars().collect();
                characters.splice(at..at, piece);
            }
            _ => characters[at] = char::from(random.random_range(1_u8..127)),
        }
        if characters.is_empty() {
            characters.push('{');
        }
    }
    characters.into_iter().collect()
}

/// What tools ask to know a schema.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name } mutationType { name } \
    subscriptionType { name } types { ...FullType } directives { name description isRepeatable locations \
    args(includeDeprecated: true) { ...InputValue } } } } \
    fragment FullType on __Type { kind name description specifiedByURL fields(includeDeprecated: true) { name description \
    args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } \
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { \
    name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } } \
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason } \
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";
