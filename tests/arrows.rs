//! The arrows between the rooms of the house, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Which room may depend on which.
const ARROWS: &[(&str, &[&str])] = &[
    ("atelier", &["atelier-domain", "atelier-worker", "atelier-search", "atelier-migration"]),
    ("atelier-worker", &["atelier-domain", "atelier-inference"]),
    ("atelier-domain", &["atelier-entities", "atelier-search"]),
    ("atelier-entities", &[]),
    ("atelier-migration", &[]),
    ("atelier-search", &[]),
    ("atelier-inference", &[]),
];

/// Which rooms may name a crate.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("burn", &["atelier-inference"]),
    ("async-graphql", &["atelier"]),
    ("axum", &["atelier"]),
    ("sea-orm", &["atelier-domain", "atelier-entities"]),
    ("meilisearch-sdk", &["atelier-search"]),
    ("tantivy", &["atelier-search"]),
];

fn packages() -> Vec<Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata runs");
    metadata.packages
}

/// What a room needs to be built; what only its tests need may differ.
fn dependencies(package: &Package) -> BTreeSet<String> {
    let needed = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    needed.map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn every_arrow_between_rooms_is_one_that_the_architecture_draws() {
    let packages = packages();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let rooms: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(rooms, allowed.keys().map(|name| (*name).to_owned()).collect(), "every room stands in the table");
    for package in &packages {
        for dependency in dependencies(package).intersection(&rooms) {
            let from = package.name.as_str();
            assert!(allowed[from].contains(&dependency.as_str()), "{from} must not depend on {dependency}");
        }
    }
}

#[test]
fn each_engine_is_named_in_its_own_room_only() {
    for package in &packages() {
        let dependencies = dependencies(package);
        for (engine, rooms) in KEPT_IN {
            let may = rooms.contains(&package.name.as_str());
            assert!(may || !dependencies.contains(*engine), "{engine} must not be named in {}", package.name);
        }
    }
}
