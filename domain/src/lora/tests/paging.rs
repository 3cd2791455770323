//! Lists of LoRAs, page by page, while what is in them comes and goes.

use sea_orm::{QueryFilter as _, sea_query::Expr};

use super::*;

/// The names on all pages of a list, a few a page, with something done between the pages.
async fn paged(
    ctx: &Context,
    actor: &Actor,
    looked_for: LoraSearch,
    first: u32,
    between: impl AsyncFn(usize),
) -> Vec<String> {
    let mut looked_for = LoraSearch { page: PageRequest { first, after: None }, ..looked_for };
    let mut names = Vec::new();
    for number in 1.. {
        assert!(number < 100, "the list has an end");
        let page = search(ctx, actor, &looked_for).await.expect("a page").page;
        names.extend(page.rows.iter().map(|(_, found)| found.lora.name.clone()));
        if !page.has_next {
            break;
        }
        looked_for.page.after = Some(page.rows.last().expect("a page that another follows has an end").0.clone());
        between(number).await;
    }
    names
}

fn words(text: &str) -> LoraSearch {
    LoraSearch { text: Some(text.to_owned()), ..LoraSearch::default() }
}

#[tokio::test]
async fn what_is_left_is_found_behind_a_page_of_which_nothing_is() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    reindex_if_needed(ctx).await.expect("a new index");
    let mut ids = HashMap::new();
    for number in 0..10 {
        let name = format!("Gouache {number}");
        ids.insert(name.clone(), published(ctx, &ada, &name).await);
    }
    follow(ctx).await;
    for is_told in [true, false] {
        let all = paged(ctx, &bob, words("gouache"), 100, async |_| {}).await;
        let (shown, gone, left) = (&all[..3], &all[3..all.len() - 1], &all[all.len() - 1..]);
        let found = paged(ctx, &bob, words("gouache"), 3, async |page| {
            if page > 1 {
                return;
            }
            for name in gone {
                unpublish(ctx, &ada, ids[name]).await.expect("taken back");
            }
            // Whether the index has heard of it or not.
            if is_told {
                follow(ctx).await;
            }
        });
        assert_eq!(found.await, [shown, left].concat(), "told: {is_told}");
        for name in gone {
            publish(ctx, &ada, publishing(ids[name], None)).await.expect("published again");
        }
        follow(ctx).await;
    }
}

#[tokio::test]
async fn one_that_is_left_is_found_behind_many_that_are_gone() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    reindex_if_needed(ctx).await.expect("a new index");
    // What ties comes by falling key: this one is the last.
    published(ctx, &ada, "Gouache").await;
    let mut gone = Vec::new();
    for number in 0..120 {
        gone.push(published(ctx, &ada, &format!("Gouache {number}")).await);
    }
    follow(ctx).await;
    for id in gone {
        unpublish(ctx, &ada, id).await.expect("taken back");
    }
    let looked_for = LoraSearch { sort: LoraSort::Trending, ..LoraSearch::default() };
    assert_eq!(paged(ctx, &bob, looked_for, 1, async |_| {}).await, ["Gouache"]);
}

#[tokio::test]
async fn related_ones_are_found_behind_many_that_are_blocked() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob, cyd) =
        (&house.ctx, house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    reindex_if_needed(ctx).await.expect("a new index");
    let ink = published(ctx, &ada, "Ink wash").await;
    for number in 0..40 {
        published(ctx, &bob, &format!("Ink {number}")).await;
    }
    let other = published(ctx, &ada, "Wool").await;
    let less = UpdateLora { tags: Some(vec!["ink".to_owned(), "wool".to_owned()]), ..UpdateLora::default() };
    update(ctx, &ada, other, less).await.expect("less like it");
    follow(ctx).await;
    let names = async || {
        let found = related(ctx, &cyd, ink, 1).await.expect("related ones");
        found.into_iter().map(|lora| lora.name).collect::<Vec<_>>()
    };
    assert!(names().await[0].starts_with("Ink "), "those with the same tags");
    crate::social::block::block_user(ctx, &cyd, bob.user_id().expect("bob")).await.expect("blocked");
    assert_eq!(names().await, ["Wool"]);
}

/// LoRAs whose figures differ, each in another order.
async fn of_all_kinds(ctx: &Context, actor: &Actor) {
    for (number, name, rating, downloads) in [
        (0, "A", 4.5, 7),
        (1, "B", 1.5, 900),
        (2, "C", 3.25, 0),
        (3, "D", 4.75, 7),
        (4, "E", 3.25, 41),
        (5, "F", 0.0, 8),
    ] {
        let id = published(ctx, actor, name).await;
        let figures = lora::Entity::update_many()
            .col_expr(lora::Column::RatingScore, Expr::value(rating))
            .col_expr(lora::Column::DownloadCount, Expr::value(downloads))
            .col_expr(lora::Column::PublishedAt, Expr::value(ctx.now() + chrono::Duration::hours((number * 4) % 6)))
            .filter(lora::Column::Id.eq(id));
        figures.exec(ctx.db.writer()).await.expect("changed");
    }
}

#[tokio::test]
async fn each_sort_is_seen_and_keeps_while_loras_come_and_go() {
    for (sort, expected) in [
        // Four hours, two, none: those of the same hour by falling key.
        (LoraSort::Newest, "EBFCDA"),
        (LoraSort::Rating, "DAECBF"),
        (LoraSort::Downloads, "BEFDAC"),
    ] {
        let house = TestHouse::new().await;
        let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
        of_all_kinds(ctx, &ada).await;
        let looked_for = LoraSearch { sort, ..LoraSearch::default() };
        assert_eq!(paged(ctx, &bob, looked_for.clone(), 100, async |_| {}).await.concat(), expected);
        for first in 1..=4 {
            assert_eq!(paged(ctx, &bob, looked_for.clone(), first, async |_| {}).await.concat(), expected, "{first}");
        }
        let by_name = |name: &str| lora::Entity::find().filter(lora::Column::Name.eq(name.to_owned()));
        let found = paged(ctx, &bob, looked_for, 2, async |page| {
            // The last one that was shown goes, then one that is still to come; another one comes each time.
            let goes = if page == 1 { &expected[1..2] } else { &expected[4..5] };
            if let Some(row) = by_name(goes).one(ctx.db.read()).await.expect("read") {
                delete(ctx, &ada, row.id).await.expect("deleted");
            }
            published(ctx, &ada, &format!("late {page}")).await;
        });
        let mut found = found.await;
        found.retain(|name| !name.starts_with("late"));
        assert_eq!(found.concat(), [&expected[..4], &expected[5..]].concat(), "{sort:?}");
    }
}
