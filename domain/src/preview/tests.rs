//! Previews that another describer saw, and previews that are made again.

use std::sync::Arc;

use atelier_entities::{
    generation_lora, instance_value,
    kinds::{ContentKind, EventKind},
    outbox_event,
};
use sea_orm::sea_query::Expr;

use super::*;
use crate::{
    base_model as base_models,
    generation::{ReproduceAsset, ReproducedPicture, reproduce},
    lora::rebuild::{self, Rebuild},
    moderation,
    preview::describe::bring_up_to_date,
    testing::{TestHouse, published_lora},
};

/// A base model that previews are rendered on.
async fn register(ctx: &Context) -> base_model::Model {
    let folder = ctx.settings.models.join("klein");
    std::fs::create_dir_all(&folder).expect("a folder");
    let facts = json!({
        "family": "flux2", "variant": "klein-4b", "context_width": 7680, "hidden_width": 3072, "native_width": 512,
        "native_height": 512, "size_multiple": 16, "default_steps": 4, "default_guidance": 1.0, "distilled": true,
    });
    std::fs::write(folder.join("model.json"), facts.to_string()).expect("a model");
    base_models::register(ctx, "klein", "klein", "klein", "Apache-2.0").await.expect("a base model")
}

/// Previews of a new version, described so.
async fn previews(house: &TestHouse, count: i32, describer: Option<&str>) {
    let ctx = &house.ctx;
    let model = register(ctx).await;
    let maker = house.person(&format!("maker-{count}")).await;
    let (_, version) = published_lora(ctx, &maker, &format!("{count} pictures")).await;
    let picture = ctx.blobs.put(format!("{count}"), "image/png").await.expect("stored");
    let tx = ctx.db.write().await.expect("a transaction");
    crate::blob::record(&tx, ctx, &picture).await.expect("recorded");
    for position in 0..count {
        let row = preview::ActiveModel {
            id: Set(ctx.new_id()),
            lora_version_id: Set(version),
            team_id: Set(maker.person().expect("a person").personal_team),
            blob_sha256: Set(picture.sha256.clone()),
            thumbnail_sha256: Set(picture.sha256.clone()),
            blurhash: Set(String::new()),
            width: Set(64),
            height: Set(64),
            prompt: Set(String::new()),
            seed: Set(1),
            strength: Set(1.0),
            steps: Set(4),
            guidance: Set(1.0),
            base_model_id: Set(model.id),
            look: Set(Some(bytes_of_look(&[1.0]))),
            describer: Set(describer.map(str::to_owned)),
            position: Set(position),
            created_at: Set(ctx.now()),
            hidden_at: Set(None),
        };
        row.insert(&tx).await.expect("a preview");
    }
    tx.commit().await.expect("a commit");
}

/// Describes until nothing is left; gives how many previews it were.
async fn all_described(ctx: &Context) -> usize {
    let mut all = 0;
    loop {
        match bring_up_to_date(ctx).await.expect("described") {
            0 => return all,
            some => all += some,
        }
    }
}

/// How often the index was told of looks.
async fn changes(ctx: &Context) -> usize {
    let changed = outbox_event::Entity::find().filter(outbox_event::Column::Kind.eq(EventKind::LoraChanged));
    let changed = changed.all(ctx.db.read()).await.expect("events");
    changed.iter().filter(|event| event.payload["figure"] == "looks").count()
}

#[tokio::test]
async fn what_another_describer_saw_is_described_anew_and_the_index_once_for_all() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    assert_eq!(all_described(ctx).await, 0);
    assert_eq!(rebuild::progress(ctx).await.expect("read"), None, "a new index needs no other");

    // As if the installation had been given another describer; more than are described at once.
    previews(&house, 40, Some("another")).await;
    let note = instance_value::Entity::update_many()
        .col_expr(instance_value::Column::Value, Expr::value("another"))
        .filter(instance_value::Column::Name.eq("search_describer"));
    note.exec(ctx.db.writer()).await.expect("noted");
    assert_eq!(all_described(ctx).await, 40);
    for row in preview::Entity::find().all(ctx.db.read()).await.expect("rows") {
        assert_eq!(look(ctx, &row).expect("a look").len(), 32, "the describer here says 32 numbers");
    }
    assert_eq!(rebuild::progress(ctx).await.expect("read"), Some(Rebuild::Wished));
    assert_eq!(changes(ctx).await, 0, "the new index brings them all");

    // A worker that was not given it: what it made is brought into the index by itself.
    rebuild::fulfil(ctx).await.expect("built anew");
    previews(&house, 3, None).await;
    assert_eq!(all_described(ctx).await, 3);
    assert_eq!(changes(ctx).await, 1);
    assert_eq!(rebuild::progress(ctx).await.expect("read"), Some(Rebuild::Done { loras: 1 }));
}

#[tokio::test]
async fn a_picture_that_is_lost_is_not_asked_for_again() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    previews(&house, 1, Some("another")).await;
    let missing = Stored { sha256: "0".repeat(64), size: 1, media_type: "image/png" };
    let tx = ctx.db.write().await.expect("a transaction");
    crate::blob::record(&tx, ctx, &missing).await.expect("recorded");
    let lost = preview::Entity::update_many().col_expr(preview::Column::BlobSha256, Expr::value(missing.sha256));
    lost.exec(&tx).await.expect("its file is lost");
    tx.commit().await.expect("a commit");
    assert_eq!(all_described(ctx).await, 1);
    let row = preview::Entity::find().one(ctx.db.read()).await.expect("read").expect("a row");
    assert_eq!((row.look.is_none(), look(ctx, &row)), (true, None));
}

#[tokio::test]
async fn a_preview_is_made_again_at_whatever_strength_it_was_rendered() {
    let mut house = TestHouse::new().await;
    Arc::get_mut(&mut house.ctx).expect("nobody else has it").settings.credits_per_picture = 0;
    let ctx = &house.ctx;
    previews(&house, 1, None).await;
    let shown = preview::Entity::find().one(ctx.db.read()).await.expect("read").expect("a preview");
    let bob = house.person("bob").await;
    // All that can be recommended for a version, and so all that its previews are rendered at.
    for strength in [-4.0, 2.5, 4.0] {
        let at = preview::Entity::update_many().col_expr(preview::Column::Strength, Expr::value(strength));
        at.exec(ctx.db.writer()).await.expect("rendered so");
        let picture = ReproducedPicture::Preview(shown.id);
        let again = ReproduceAsset { picture, team: None, idempotency_key: None };
        let made = reproduce(ctx, &bob, again).await.expect("made again");
        let used = generation_lora::Entity::find().filter(generation_lora::Column::GenerationId.eq(made.id));
        let used = used.one(ctx.db.read()).await.expect("read").expect("a LoRA");
        assert_eq!(used.strength, strength);
    }
}

/// Renders the previews that the next job asks for.
async fn rendered(ctx: &Context, model: &base_model::Model, prompts: &[&str]) {
    let takes = claim::Takes { kinds: &[JobKind::Preview], base_models: &[model.id] };
    let claimed = claim::claim(ctx, "worker", takes).await.expect("claims").expect("a job");
    let settings = PreviewSettings { base_model: model.id, strength: 1.0, steps: 4, guidance: 1.0 };
    let picture = ctx.blobs.put(b"a picture".to_vec(), "image/png").await.expect("stored");
    let pictures = (FIRST_SEED..).zip(prompts).map(|(seed, prompt)| RenderedPreview {
        picture: picture.clone(),
        thumbnail: picture.clone(),
        blurhash: String::new(),
        width: 64,
        height: 64,
        prompt: (*prompt).to_owned(),
        seed,
        look: vec![1.0],
    });
    complete(ctx, claimed.lease, settings, pictures.collect()).await.expect("rendered");
}

#[tokio::test]
async fn a_hidden_preview_that_is_rendered_again_stays_hidden() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let model = register(ctx).await;
    let ada = house.person("ada").await;
    let (_, version) = published_lora(ctx, &ada, "Ink wash").await;
    rendered(ctx, &model, &["a house", "a boat"]).await;
    let moderator = {
        let mut person = house.person("mod").await.person().expect("a person").clone();
        person.is_administrator = true;
        Actor::Person(person)
    };
    let shown = async |actor: &Actor| {
        let mut rows = of_versions(ctx, actor, &[version]).await.expect("read");
        let rows = rows.remove(&version).unwrap_or_default();
        rows.into_iter().map(|row| (row.id, row.prompt)).collect::<Vec<_>>()
    };
    let hidden = shown(&moderator).await.remove(1);
    moderation::hide(ctx, &moderator, (ContentKind::Preview, hidden.0), "A face.").await.expect("hidden");
    assert_eq!(shown(&moderator).await.len(), 1);

    let tx = ctx.db.write().await.expect("a transaction");
    let row = version::Entity::find_by_id(version).one(&tx).await.expect("read").expect("a version");
    enqueue(&tx, ctx, &row, ada.user_id().expect("ada")).await.expect("queued");
    tx.commit().await.expect("a commit");
    rendered(ctx, &model, &["a bridge", "a boat"]).await;
    let prompts = |rows: Vec<(Uuid, String)>| rows.into_iter().map(|(_, prompt)| prompt).collect::<Vec<_>>();
    assert_eq!(prompts(shown(&moderator).await), ["a bridge"]);
    let own = shown(&ada).await;
    assert_eq!((own.len(), &own[1]), (2, &hidden), "it is the one that was hidden");
    moderation::restore(ctx, &moderator, (ContentKind::Preview, hidden.0)).await.expect("shown again");
    assert_eq!(prompts(shown(&moderator).await), ["a bridge", "a boat"]);
}
