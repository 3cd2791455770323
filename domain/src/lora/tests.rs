//! From an imported file to a published LoRA that others download.

mod compatibility;
mod hashes;
mod paging;

use atelier_entities::{
    base_model,
    kinds::{EventKind, LoraState, Role, UploadPurpose},
    lora_version, outbox_event,
};
use bytes::Bytes;
use futures::stream;
use sea_orm::{EntityTrait as _, QueryOrder as _};
use uuid::Uuid;

use super::*;
use crate::{
    base_model as base_models,
    page::PageRequest,
    ports::inspector::{InspectedLora, LoraLayout},
    testing::{TestHouse, lora_facts},
    upload::{self, NewUpload},
};

/// Uploads a file with these facts.
async fn upload(ctx: &Context, actor: &Actor, facts: &InspectedLora, target: Option<Uuid>) -> Uuid {
    let bytes = serde_json::to_vec(facts).expect("JSON");
    let new = NewUpload {
        purpose: UploadPurpose::LoraFile,
        file_name: "style.safetensors".to_owned(),
        size: i64::try_from(bytes.len()).expect("a size"),
        target,
        team: None,
    };
    let row = upload::create(ctx, actor, new, None).await.expect("an upload");
    upload::receive(ctx, row.id, 0, stream::iter([Ok(Bytes::from(bytes))])).await.expect("received");
    upload::finish(ctx, row.id).await.expect("checked").id
}

fn as_it_is(upload: Uuid) -> ImportLora {
    ImportLora {
        upload,
        lora: None,
        base_model: None,
        name: None,
        description: None,
        tags: None,
        license: None,
        terms: None,
        trigger_words: None,
        change_note: None,
        recommended_strength: None,
    }
}

async fn imported(ctx: &Context, actor: &Actor, title: &str) -> lora_version::Model {
    let upload = upload(ctx, actor, &lora_facts("flux2", "klein-4b", title), None).await;
    import(ctx, actor, as_it_is(upload), None).await.expect("imported")
}

async fn register(ctx: &Context, name: &str, family: &str, variant: &str) -> base_model::Model {
    let folder = ctx.settings.models.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let facts = serde_json::json!({
        "family": family, "variant": variant, "context_width": 7680, "hidden_width": 3072, "native_width": 512,
        "native_height": 512, "size_multiple": 16, "default_steps": 4, "default_guidance": 1.0, "distilled": true,
    });
    std::fs::write(folder.join("model.json"), facts.to_string()).expect("a model");
    base_models::register(ctx, name, name, name, "Apache-2.0").await.expect("a base model")
}

fn publishing(id: Uuid, version: Option<Uuid>) -> PublishLora {
    PublishLora { id, version, license: Some("Apache-2.0".to_owned()), terms: None }
}

async fn kinds(ctx: &Context) -> Vec<EventKind> {
    let events = outbox_event::Entity::find().order_by_asc(outbox_event::Column::Sequence).all(ctx.db.read()).await;
    let kinds = events.expect("events").into_iter().map(|event| event.kind);
    kinds.filter(|kind| *kind != EventKind::UploadFinished && *kind != EventKind::JobQueued).collect()
}

#[tokio::test]
async fn the_metadata_of_a_file_fills_the_card_and_its_tensors_choose_the_base_model() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let sdxl = register(ctx, "sdxl", "sdxl", "base").await;
    let klein = register(ctx, "klein", "flux2", "klein-4b").await;
    assert!(sdxl.is_default && !klein.is_default);
    assert_eq!(register(ctx, "klein", "flux2", "klein-4b").await, klein);

    let file = upload(ctx, &ada, &lora_facts("flux2", "klein-4b", "Ink wash"), None).await;
    let wrong = ImportLora { base_model: Some(sdxl.id), ..as_it_is(file) };
    let error = import(ctx, &ada, wrong, None).await.expect_err("another family");
    assert!(matches!(&error, ImportError::Invalid(invalid) if invalid.code == "BASE_MODEL_MISMATCH"), "{error}");
    assert!(error.to_string().contains("flux2 klein-4b") && error.to_string().contains("sdxl base"), "{error}");

    let version = import(ctx, &ada, as_it_is(file), Some("once")).await.expect("imported");
    assert_eq!(version.base_model_id, Some(klein.id));
    assert_eq!(versions::words(&version.trigger_words), ["inkwash"]);
    let card = get(ctx, &ada, version.lora_id).await.expect("the card");
    assert_eq!((card.name.as_str(), card.license.as_str()), ("Ink wash", "Apache-2.0"));
    assert_eq!(versions::words(&card.tags), ["ink", "wash"]);
    assert_eq!((card.state, card.latest_version_id), (LoraState::Draft, Some(version.id)));

    let again = import(ctx, &ada, as_it_is(file), Some("once")).await.expect("the first answer");
    assert_eq!(again.id, version.id);
    assert!(matches!(import(ctx, &ada, as_it_is(file), None).await, Err(ImportError::Used)));
    let other = upload(ctx, &ada, &lora_facts("sdxl", "base", "Ink wash"), Some(card.id)).await;
    assert!(matches!(import(ctx, &ada, as_it_is(other), None).await, Err(ImportError::OtherKind { number: 1, .. })));
    let same = upload(ctx, &ada, &lora_facts("flux2", "klein-4b", "Ink wash"), Some(card.id)).await;
    assert!(matches!(import(ctx, &ada, as_it_is(same), None).await, Err(ImportError::Repeated { number: 1 })));
}

#[tokio::test]
async fn others_see_what_was_published_and_nothing_else() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let first = imported(ctx, &ada, "Ink wash").await;
    let id = first.lora_id;
    let second = upload(ctx, &ada, &lora_facts("flux2", "klein-4b", "Ink wash two"), Some(id)).await;
    let second = import(ctx, &ada, as_it_is(second), None).await.expect("a second version");
    assert_eq!(second.number, 2);

    let refused = [
        get(ctx, &bob, id).await.map(drop).map_err(|error| error.to_string()),
        versions::get(ctx, &bob, first.id).await.map(drop).map_err(|error| error.to_string()),
        update(ctx, &bob, id, UpdateLora::default()).await.map(drop).map_err(|error| error.to_string()),
        publish(ctx, &bob, publishing(id, None)).await.map(drop).map_err(|error| error.to_string()),
        unpublish(ctx, &bob, id).await.map(drop).map_err(|error| error.to_string()),
        delete(ctx, &bob, id).await.map(drop).map_err(|error| error.to_string()),
        download(ctx, &bob, first.id, None).await.map(drop).map_err(|error| error.to_string()),
    ];
    for (place, refusal) in refused.into_iter().enumerate() {
        let names = ["LoRA", "LoRA version"].map(|noun| Err(Refused::NotFound(noun).to_string()));
        assert!(names.contains(&refusal), "{place}: {refusal:?}");
    }
    assert!(by_ids(ctx, &bob, &[id]).await.expect("reads").is_empty());
    assert!(versions::by_ids(ctx, &bob, &[first.id, second.id]).await.expect("reads").is_empty());
    assert!(versions::by_hash(ctx, &bob, &first.blake3[..8].to_uppercase()).await.expect("reads").is_empty());

    let foreign = imported(ctx, &ada, "Other").await;
    let error = publish(ctx, &ada, publishing(id, Some(foreign.id))).await.expect_err("another LoRA's version");
    assert!(matches!(error, PublishError::ForeignVersion));
    publish(ctx, &ada, publishing(id, Some(first.id))).await.expect("published");
    assert!(matches!(publish(ctx, &ada, publishing(id, Some(first.id))).await, Err(PublishError::AlreadyPublished)));
    get(ctx, &bob, id).await.expect("is public");
    versions::get(ctx, &bob, first.id).await.expect("is public");
    versions::get(ctx, &bob, second.id).await.expect_err("is a draft still");
    let request = PageRequest { first: 10, after: None };
    let seen = |pages: HashMap<Uuid, crate::page::Page<lora_version::Model>>| pages[&id].rows.len();
    assert_eq!(seen(versions::pages(ctx, &bob, &[id], &request).await.expect("reads")), 1);
    assert_eq!(seen(versions::pages(ctx, &ada, &[id], &request).await.expect("reads")), 2);
    let named = versions::by_hash(ctx, &bob, &first.blake3[..8].to_uppercase()).await.expect("reads");
    assert_eq!(named.iter().map(|row| row.id).collect::<Vec<_>>(), [first.id]);

    let row = publish(ctx, &ada, publishing(id, None)).await.expect("the second version");
    assert_eq!(row.latest_version_id, Some(second.id));
    unpublish(ctx, &ada, id).await.expect("taken back");
    get(ctx, &bob, id).await.expect_err("is private again");
    let row = publish(ctx, &ada, publishing(id, Some(first.id))).await.expect("once more");
    // Three files came, which is told to nobody but the index.
    let mut told = vec![EventKind::LoraChanged; 3];
    told.extend([EventKind::LoraPublished, EventKind::LoraVersionPublished]);
    told.extend([EventKind::LoraChanged, EventKind::LoraPublished]);
    assert_eq!(kinds(ctx).await, told);

    let creator = TestHouse::with_role(&ada, row.team_id, Role::Creator);
    assert_eq!(
        delete(ctx, &creator, id).await.expect_err("too low a role").to_string(),
        Refused::Forbidden("delete the LoRAs of this team").to_string()
    );
    delete(ctx, &ada, id).await.expect("deleted");
    get(ctx, &bob, id).await.expect_err("is gone");
    assert_eq!(get(ctx, &ada, id).await.expect("the tombstone").name, "Ink wash");
    download(ctx, &ada, first.id, None).await.expect_err("no file");
}

#[tokio::test]
async fn a_licence_and_a_version_come_before_publishing() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let new = NewLora {
        team: None,
        name: "Ink".to_owned(),
        description: String::new(),
        tags: vec!["Ink".to_owned(), "ink ".to_owned()],
        license: String::new(),
        terms: None,
    };
    let row = create(ctx, &ada, new.clone(), Some("k")).await.expect("a draft");
    assert_eq!(create(ctx, &ada, new, Some("k")).await.expect("the first answer").id, row.id);
    assert_eq!(versions::words(&row.tags), ["ink"]);
    let unlicensed = PublishLora { license: None, ..publishing(row.id, None) };
    assert!(matches!(publish(ctx, &ada, unlicensed).await, Err(PublishError::LicenseNeeded)));
    let licensed = PublishLora { license: Some("CC-BY-4.0".to_owned()), ..publishing(row.id, None) };
    assert!(matches!(publish(ctx, &ada, licensed).await, Err(PublishError::NoVersion)));
    assert_eq!(get(ctx, &ada, row.id).await.expect("the draft").license, "");
}

#[tokio::test]
async fn what_others_may_do_is_chosen_and_not_only_read_from_a_file() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let id = imported(ctx, &ada, "Ink wash").await.lora_id;
    let terms = async || Terms::of(&get(ctx, &ada, id).await.expect("the card"));
    assert_eq!(terms().await, None);
    let as_the_file_says = PublishLora { license: None, ..publishing(id, None) };
    let error = publish(ctx, &ada, as_the_file_says.clone()).await.expect_err("nobody chose it");
    assert!(matches!(&error, PublishError::LicenseNotChosen { license } if license == "Apache-2.0"), "{error}");

    let own = PublishLora { license: Some("House rules".to_owned()), ..publishing(id, None) };
    assert!(matches!(publish(ctx, &ada, own.clone()).await, Err(PublishError::TermsNeeded { .. })));
    let strict = Terms {
        commercial_use: CommercialUse::Pictures,
        requires_credit: true,
        allows_derivatives: false,
        requires_same_terms: false,
    };
    let contradicting = PublishLora { terms: Some(strict), ..publishing(id, None) };
    let error = publish(ctx, &ada, contradicting).await.expect_err("the licence says otherwise");
    assert!(matches!(&error, PublishError::Invalid(invalid) if invalid.code == "TERMS_DIFFER"), "{error}");
    publish(ctx, &ada, PublishLora { terms: Some(strict), ..own }).await.expect("published");
    assert_eq!(terms().await, Some(strict));

    // Said once, it stays; another licence brings its own.
    unpublish(ctx, &ada, id).await.expect("taken back");
    publish(ctx, &ada, as_the_file_says).await.expect("chosen before");
    let licensed = |license: &str| UpdateLora { license: Some(license.to_owned()), ..UpdateLora::default() };
    update(ctx, &ada, id, licensed("House rules")).await.expect("the same");
    assert_eq!(terms().await, Some(strict));
    assert!(matches!(update(ctx, &ada, id, licensed("Other rules")).await, Err(UpdateLoraError::TermsNeeded)));
    update(ctx, &ada, id, licensed("CC0-1.0")).await.expect("changed");
    assert_eq!(terms().await, Terms::of_license("CC0-1.0"));
}

#[tokio::test]
async fn a_layout_is_converted_once_and_a_person_counts_once_a_version() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let version = imported(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, publishing(version.lora_id, None)).await.expect("published");

    let plain = download(ctx, &bob, version.id, Some(LoraLayout::Bfl)).await.expect("a link");
    assert_eq!(
        (plain.sha256.as_str(), plain.file_name.as_str()),
        (version.blob_sha256.as_str(), "ink-wash-v1-bfl.safetensors")
    );
    let first = download(ctx, &bob, version.id, Some(LoraLayout::Diffusers)).await.expect("a link");
    assert_eq!(first.layout, "DIFFUSERS");
    assert_ne!(first.sha256, version.blob_sha256);
    assert!(ctx.blobs.holds(&first.sha256).await.expect("a store"));
    let again = download(ctx, &bob, version.id, Some(LoraLayout::Diffusers)).await.expect("a link");
    assert_eq!(again, first);
    assert_eq!((plain.left_out.len(), first.left_out.len()), (0, 1), "what is left out is kept with the conversion");
    // Its header says what the card says.
    let licensed = UpdateLora { license: Some("CC-BY-4.0".to_owned()), ..UpdateLora::default() };
    update(ctx, &ada, version.lora_id, licensed).await.expect("another licence");
    let changed = download(ctx, &bob, version.id, Some(LoraLayout::Diffusers)).await.expect("a link");
    assert_ne!(changed.sha256, first.sha256);
    let error = download(ctx, &bob, version.id, Some(LoraLayout::Kohya)).await.expect_err("no such form");
    assert!(matches!(error, DownloadError::NoSuchLayout { .. }), "{error}");
    download(ctx, &ada, version.id, None).await.expect("a link");
    assert_eq!(get(ctx, &bob, version.lora_id).await.expect("the card").download_count, 2);
    let error = download(ctx, &Actor::Anonymous, version.id, None).await.expect_err("nobody");
    assert!(matches!(error, DownloadError::Refused(Refused::Unauthenticated)), "{error}");
    let kept = atelier_entities::lora_file::Entity::find().all(ctx.db.read()).await.expect("files");
    assert_eq!(kept.len(), 1);
}

async fn published(ctx: &Context, actor: &Actor, title: &str) -> Uuid {
    let version = imported(ctx, actor, title).await;
    publish(ctx, actor, publishing(version.lora_id, None)).await.expect("published").id
}

#[tokio::test]
async fn every_lora_comes_once_in_every_order_also_while_others_are_published() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let mut expected = Vec::new();
    for number in 0..7 {
        // The clock stands: all were published at once, and none was rated or downloaded. The key breaks the tie.
        expected.push(published(ctx, &ada, &format!("Style {number}")).await);
    }
    imported(ctx, &ada, "A draft").await;
    expected.reverse();
    for sort in [LoraSort::Newest, LoraSort::Rating, LoraSort::Downloads] {
        let mut found = Vec::new();
        let mut looked_for = LoraSearch { sort, page: PageRequest { first: 3, after: None }, ..LoraSearch::default() };
        loop {
            let page = search(ctx, &bob, &looked_for).await.expect("a page").page;
            found.extend(page.rows.iter().map(|(_, found)| found.lora.id));
            looked_for.page.after = page.rows.last().map(|(cursor, _)| cursor.clone());
            if !page.has_next {
                break;
            }
            published(ctx, &ada, &format!("Late {sort:?} {}", found.len())).await;
        }
        found.retain(|id| expected.contains(id));
        assert_eq!(found, expected, "{sort:?}");
        let others = [LoraSort::Newest, LoraSort::Rating, LoraSort::Downloads, LoraSort::Trending];
        for other in others.into_iter().filter(|other| *other != sort) {
            let foreign = LoraSearch { sort: other, ..looked_for.clone() };
            let error = search(ctx, &bob, &foreign).await.expect_err("a cursor of another list");
            assert!(error.to_string().contains("no cursor of this list"), "{sort:?} in {other:?}: {error}");
        }
    }
}

#[tokio::test]
async fn filters_narrow_a_list_and_drafts_are_their_teams() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let klein = register(ctx, "klein", "flux2", "klein-4b").await;
    let ink = published(ctx, &ada, "Ink wash").await;
    let tags = UpdateLora { tags: Some(vec!["100%_wool".to_owned()]), ..UpdateLora::default() };
    let wool = update(ctx, &ada, published(ctx, &ada, "Wool felt").await, tags).await.expect("tagged").id;
    let draft = imported(ctx, &ada, "Draft of ink").await.lora_id;
    let find = async |actor: &Actor, text: Option<&str>, filter: LoraFilter| {
        let page = PageRequest { first: 10, after: None };
        let text = text.map(str::to_owned);
        let looked_for = LoraSearch { text, filter, sort: LoraSort::Newest, page, ..LoraSearch::default() };
        let page = search(ctx, actor, &looked_for).await.expect("a page").page;
        page.rows.into_iter().map(|(_, found)| found.lora.id).collect::<Vec<_>>()
    };
    let any = LoraFilter::default;
    let tagged = |tag: &str| LoraFilter { tags: vec![tag.to_owned()], ..any() };
    assert_eq!(find(&bob, None, any()).await, [wool, ink]);
    assert_eq!(find(&bob, None, tagged("INK")).await, [ink]);
    assert_eq!(find(&bob, None, tagged(" ink ")).await, [ink], "as a card takes it");
    assert_eq!(find(&bob, None, tagged("100%_wool")).await, [wool]);
    assert!(find(&bob, None, tagged("100%xwool")).await.is_empty());
    assert!(find(&bob, None, tagged("in")).await.is_empty());
    let of_base = LoraFilter { base_models: vec![klein.id], ..any() };
    assert_eq!(find(&bob, None, of_base).await, [wool, ink]);
    let licensed = |name: &str| LoraFilter { licenses: vec![name.to_owned()], ..any() };
    assert_eq!(find(&bob, None, licensed("apache-2.0")).await, [wool, ink]);
    assert!(find(&bob, None, licensed("CC-BY-4.0")).await.is_empty());
    let sdxl = register(ctx, "sdxl", "sdxl", "base").await;
    assert!(find(&bob, None, LoraFilter { base_models: vec![sdxl.id], ..any() }).await.is_empty());
    assert!(find(&bob, None, LoraFilter { published_after: Some(ctx.now()), ..any() }).await.is_empty());
    assert!(find(&bob, None, LoraFilter { minimum_rating: Some(0.5), ..any() }).await.is_empty());
    let other = register(ctx, "other", "flux2", "klein-4b").await;
    let further = upload(ctx, &ada, &lora_facts("flux2", "klein-4b", "Finer ink"), Some(ink)).await;
    let further = ImportLora { base_model: Some(other.id), ..as_it_is(further) };
    import(ctx, &ada, further, None).await.expect("a version that is not published");
    for actor in [&ada, &bob] {
        let of_other = LoraFilter { base_models: vec![other.id], ..any() };
        assert!(find(actor, None, of_other).await.is_empty(), "it is published for no such model");
    }
    let drafts = LoraFilter { state: Some(LoraState::Draft), base_models: vec![klein.id], ..any() };
    assert_eq!(find(&ada, Some("INK"), drafts.clone()).await, [draft]);
    let name = UpdateLora { name: Some("Ölfarbe, Straße".to_owned()), ..UpdateLora::default() };
    update(ctx, &ada, draft, name).await.expect("renamed");
    for words in ["öl", "ÖL", "Öl", "straße", "ölfarbe STRAßE"] {
        assert_eq!(find(&ada, Some(words), drafts.clone()).await, [draft], "{words}");
    }
    assert!(find(&ada, Some("ol"), drafts.clone()).await.is_empty());
    assert!(find(&bob, None, drafts).await.is_empty());
}

/// Titles in the order found, and what is marked in the first of them.
async fn found(ctx: &Context, actor: &Actor, text: &str) -> (Vec<String>, Vec<String>) {
    let page = PageRequest { first: 10, after: None };
    let looked_for = LoraSearch { text: Some(text.to_owned()), page, ..LoraSearch::default() };
    let page = search(ctx, actor, &looked_for).await.expect("a page").page;
    let marked = page.rows.first().map(|(_, found)| found.highlights.iter().map(|piece| piece.html.clone()).collect());
    (page.rows.into_iter().map(|(_, found)| found.lora.name).collect(), marked.unwrap_or_default())
}

async fn follow(ctx: &Context) {
    while crate::outbox::follow_once(ctx, &LoraIndexer).await.expect("the index follows") > 0 {}
}

#[tokio::test]
async fn the_index_follows_and_the_database_has_the_last_word() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    assert_eq!(reindex_if_needed(ctx).await.expect("a new index"), 0);
    let ink = published(ctx, &ada, "Ink wash").await;
    published(ctx, &ada, "Wool felt").await;
    let draft = imported(ctx, &ada, "Ink in a drawer").await.lora_id;
    follow(ctx).await;
    let (titles, marked) = found(ctx, &bob, "ink").await;
    // Both are tagged `ink`; the one that is called so comes first, and the draft not at all.
    assert_eq!(titles, ["Ink wash", "Wool felt"]);
    assert_eq!(found(ctx, &ada, "drawer").await.0, ["Ink in a drawer"], "its team finds it");
    assert!(marked.iter().any(|html| html.contains("<em>")), "{marked:?}");
    // What is counted on the way is what is counted apart.
    let page = PageRequest { first: 1, after: None };
    for text in ["ink", "felt", "gouache"] {
        let text = Some(text.to_owned());
        let looked_for = LoraSearch { text, page: page.clone(), wants_facets: true, ..LoraSearch::default() };
        let counted = facets(ctx, &bob, &looked_for).await.expect("facets");
        assert_eq!(search(ctx, &bob, &looked_for).await.expect("a page").facets, Some(counted));
    }

    let change = UpdateLora { name: Some("Charcoal".to_owned()), ..UpdateLora::default() };
    update(ctx, &ada, ink, change).await.expect("renamed");
    follow(ctx).await;
    assert_eq!(found(ctx, &bob, "charcoal").await.0, ["Charcoal"]);

    // The index has not heard of it yet; the database has.
    unpublish(ctx, &ada, ink).await.expect("taken back");
    assert!(found(ctx, &bob, "charcoal").await.0.is_empty());
    assert_eq!(found(ctx, &ada, "charcoal").await.0, ["Charcoal"], "its team finds it still");
    follow(ctx).await;
    assert!(found(ctx, &bob, "charcoal").await.0.is_empty());
    assert_eq!(found(ctx, &ada, "charcoal").await.0, ["Charcoal"]);
    delete(ctx, &ada, draft).await.expect("deleted");
    assert!(found(ctx, &ada, "drawer").await.0.is_empty());
    assert_eq!(ctx.search.count().await.expect("a count"), 3);
    follow(ctx).await;
    assert_eq!(ctx.search.count().await.expect("a count"), 2);
    publish(ctx, &ada, publishing(ink, None)).await.expect("published again");
    follow(ctx).await;
    assert_eq!(found(ctx, &bob, "charcoal").await.0, ["Charcoal"]);
}

#[tokio::test]
async fn an_index_that_was_lost_or_is_told_old_news_ends_up_the_same() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    reindex_if_needed(ctx).await.expect("a new index");
    let ink = published(ctx, &ada, "Ink wash").await;
    let felt = published(ctx, &ada, "Wool felt").await;
    follow(ctx).await;
    unpublish(ctx, &ada, ink).await.expect("taken back");
    follow(ctx).await;

    let events = outbox_event::Entity::find().order_by_asc(outbox_event::Column::Sequence).all(ctx.db.read()).await;
    let events = events.expect("events");
    crate::outbox::Follower::follow(&LoraIndexer, ctx, &events).await.expect("old news");
    assert_eq!(found(ctx, &bob, "wool").await.0, ["Wool felt"]);
    assert_eq!(found(ctx, &ada, "ink").await.0, ["Ink wash", "Wool felt"], "what was taken back is its team's");
    assert_eq!(ctx.search.count().await.expect("a count"), 2);

    assert_eq!(rebuild::fulfil(ctx).await.expect("nothing was wished for"), 0);
    rebuild::wish(ctx).await.expect("wished");
    assert_eq!(rebuild::progress(ctx).await.expect("noted"), Some(rebuild::Rebuild::Wished));
    assert_eq!(rebuild::fulfil(ctx).await.expect("built anew"), 2);
    assert_eq!(rebuild::progress(ctx).await.expect("noted"), Some(rebuild::Rebuild::Done { loras: 2 }));
    assert_eq!(found(ctx, &bob, "wool").await.0, ["Wool felt"]);
    assert_eq!(reindex_if_needed(ctx).await.expect("whole"), 0);
    let page = PageRequest { first: 10, after: None };
    let counted = facets(ctx, &bob, &LoraSearch { page, ..LoraSearch::default() }).await.expect("facets");
    assert_eq!(counted.licenses, [("apache-2.0".to_owned(), 1)]);
    delete(ctx, &ada, felt).await.expect("deleted");
    follow(ctx).await;
    assert_eq!(ctx.search.count().await.expect("a count"), 1);
}
