//! Versions by the hashes of their files.

use sea_orm::{ConnectionTrait as _, Statement};

use super::*;

#[tokio::test]
async fn a_hash_names_a_file_as_it_came_and_as_it_was_converted() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let version = imported(ctx, &ada, "Ink wash").await;
    imported(ctx, &ada, "Wool felt").await;
    let converted = download(ctx, &ada, version.id, Some(LoraLayout::Diffusers)).await.expect("converted").sha256;
    let named = async |actor: &Actor, hash: &str| {
        let found = versions::by_hash(ctx, actor, hash).await.expect("read");
        found.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    for hash in [&version.blob_sha256, &version.auto_v3, &version.blake3, &version.auto_v2, &converted] {
        for given in [hash.clone(), hash.to_uppercase(), hash[..8].to_owned()] {
            assert_eq!(named(&ada, &given).await, [version.id], "{given}");
            assert!(named(&bob, &given).await.is_empty(), "a draft is its team's");
        }
        let other = if hash.starts_with('0') { "f" } else { "0" };
        assert_eq!(
            named(&ada, &format!("{}{other}", &hash[..hash.len() - 1])).await.len(),
            usize::from(hash.ends_with(other))
        );
    }
    for highest in ["ffffffff", &"f".repeat(64)] {
        assert!(named(&ada, highest).await.is_empty());
    }
}

#[tokio::test]
async fn no_table_is_gone_through_for_a_hash() {
    let house = TestHouse::new().await;
    let db = house.ctx.db.read();
    let (sql, values) = versions::named_by("0123abcd").build(sea_orm::sea_query::SqliteQueryBuilder);
    let plan = Statement::from_sql_and_values(db.get_database_backend(), format!("EXPLAIN QUERY PLAN {sql}"), values);
    let steps = db.query_all_raw(plan).await.expect("a plan");
    let steps: Vec<String> = steps.iter().map(|row| row.try_get("", "detail").expect("a step")).collect();
    assert_eq!(steps.iter().filter(|step| step.starts_with("SEARCH")).count(), 6, "{steps:?}");
    assert!(!steps.iter().any(|step| step.starts_with("SCAN lora")), "{steps:?}");
}
