//! Who hears of what, once; and what ratings come to.

mod fanout;
mod mail;

use atelier_entities::{
    kinds::{NotificationKind, UploadPurpose},
    lora, notification as told,
};
use bytes::Bytes;
use futures::stream;
use sea_orm::{EntityTrait as _, QueryOrder as _};
use uuid::Uuid;

use super::{
    comment::{AddCommentError, NewComment, add, delete, edit},
    follow::{FollowUserError, follow, unfollow},
    notification::{ReadMark, after, mark_read, unread_count},
    rating::{RateLora, RateLoraError, rate},
};
use crate::{
    actor::Actor,
    context::Context,
    lora::{self as loras, ImportLora, PublishLora},
    outbox,
    page::PageRequest,
    testing::{TestHouse, lora_facts},
    upload::{self, NewUpload},
};

/// Imports a LoRA; its team alone sees it.
async fn draft(ctx: &Context, maker: &Actor, title: &str) -> Uuid {
    version(ctx, maker, title, None).await
}

/// Imports a file, as a version of a LoRA or as a LoRA of its own. Gives the LoRA.
async fn version(ctx: &Context, maker: &Actor, title: &str, lora: Option<Uuid>) -> Uuid {
    let bytes = serde_json::to_vec(&lora_facts("flux2", "klein-4b", title)).expect("JSON");
    let new = NewUpload {
        purpose: UploadPurpose::LoraFile,
        file_name: "style.safetensors".to_owned(),
        size: i64::try_from(bytes.len()).expect("a size"),
        target: lora,
        team: None,
    };
    let row = upload::create(ctx, maker, new, None).await.expect("an upload");
    upload::receive(ctx, row.id, 0, stream::iter([Ok(Bytes::from(bytes))])).await.expect("received");
    let upload = upload::finish(ctx, row.id).await.expect("checked").id;
    let import = ImportLora {
        upload,
        lora,
        base_model: None,
        name: None,
        description: None,
        tags: None,
        license: None,
        terms: None,
        trigger_words: None,
        change_note: None,
        recommended_strength: None,
    };
    loras::import(ctx, maker, import, None).await.expect("imported").lora_id
}

async fn publish(ctx: &Context, maker: &Actor, id: Uuid) {
    let publish = PublishLora { id, version: None, license: Some("Apache-2.0".to_owned()), terms: None };
    loras::publish(ctx, maker, publish).await.expect("published");
}

/// Lets the consumer act upon everything, and tells the followers; twice, which must make no difference.
async fn deliver(ctx: &Context) {
    while outbox::run_once(ctx, &super::NotificationConsumer).await.expect("consumes") > 0 {}
    assert_eq!(outbox::run_once(ctx, &super::NotificationConsumer).await.expect("consumes"), 0);
    while super::fanout::run_once(ctx).await.expect("tells") > 0 {}
}

/// What somebody was told after a number.
async fn news(ctx: &Context, actor: &Actor, sequence: i64) -> Vec<(NotificationKind, String)> {
    let rows = after(ctx, actor, sequence, 100).await.expect("reads");
    rows.into_iter().map(|row| (row.kind, row.message)).collect()
}

async fn card(ctx: &Context, id: Uuid) -> lora::Model {
    lora::Entity::find_by_id(id).one(ctx.db.read()).await.expect("reads").expect("a LoRA")
}

#[tokio::test]
async fn followers_hear_of_a_publication_once_and_nobody_hears_of_themselves() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (ada_id, bob_id) = (ada.user_id().expect("ada"), bob.user_id().expect("bob"));
    follow(ctx, &bob, ada_id).await.expect("follows");
    follow(ctx, &bob, ada_id).await.expect("follows already");
    assert!(matches!(follow(ctx, &bob, bob_id).await, Err(FollowUserError::Oneself)));
    let id = draft(ctx, &ada, "Ink wash").await;
    deliver(ctx).await;
    assert_eq!(news(ctx, &ada, 0).await, [(NotificationKind::NewFollower, "bob follows you.".to_owned())]);
    assert!(news(ctx, &bob, 0).await.is_empty(), "a draft is nobody's business");

    publish(ctx, &ada, id).await;
    deliver(ctx).await;
    assert_eq!(news(ctx, &bob, 0).await, [(NotificationKind::LoraPublished, "ada published “Ink wash”.".to_owned())]);
    assert_eq!(news(ctx, &ada, 0).await.len(), 1);

    loras::unpublish(ctx, &ada, id).await.expect("taken back");
    publish(ctx, &ada, id).await;
    unfollow(ctx, &bob, ada_id).await.expect("unfollows");
    follow(ctx, &bob, ada_id).await.expect("follows again");
    deliver(ctx).await;
    assert_eq!((news(ctx, &bob, 0).await.len(), news(ctx, &ada, 0).await.len()), (1, 1));

    // What was taken back before the consumer came to it is told to nobody.
    let hidden = draft(ctx, &ada, "Hidden").await;
    publish(ctx, &ada, hidden).await;
    loras::unpublish(ctx, &ada, hidden).await.expect("taken back");
    deliver(ctx).await;
    assert_eq!(news(ctx, &bob, 0).await.len(), 1);
}

#[tokio::test]
async fn followers_hear_of_a_new_version_of_a_lora_that_was_taken_back() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    follow(ctx, &bob, ada.user_id().expect("ada")).await.expect("follows");
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    deliver(ctx).await;
    loras::unpublish(ctx, &ada, id).await.expect("taken back");
    version(ctx, &ada, "Ink wash, finer", Some(id)).await;
    deliver(ctx).await;
    assert_eq!(news(ctx, &bob, 0).await.len(), 1, "nobody sees it yet");
    publish(ctx, &ada, id).await;
    deliver(ctx).await;
    let told = (NotificationKind::LoraVersionPublished, "ada published version 2 of “Ink wash”.".to_owned());
    assert_eq!(news(ctx, &bob, 0).await[1..], [told]);
    loras::unpublish(ctx, &ada, id).await.expect("taken back");
    publish(ctx, &ada, id).await;
    deliver(ctx).await;
    assert_eq!(news(ctx, &bob, 0).await.len(), 2, "it is no news any more");
}

#[tokio::test]
async fn a_second_rating_replaces_the_first_and_few_count_less_than_many() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let id = draft(ctx, &ada, "Ink wash").await;
    let stars = |stars| RateLora { lora: id, version: None, stars, review: "Fine washes.".to_owned() };
    assert!(matches!(rate(ctx, &bob, stars(5), None).await, Err(RateLoraError::Refused(_))), "a draft");
    publish(ctx, &ada, id).await;
    assert!(matches!(rate(ctx, &ada, stars(5), None).await, Err(RateLoraError::OwnLora)));
    assert!(matches!(rate(ctx, &bob, stars(6), None).await, Err(RateLoraError::Invalid(_))));
    assert!(matches!(rate(ctx, &Actor::Anonymous, stars(5), None).await, Err(RateLoraError::Refused(_))));

    let first = rate(ctx, &bob, stars(5), Some("once")).await.expect("rated");
    assert_eq!(rate(ctx, &bob, stars(5), Some("once")).await.expect("the first answer").id, first.id);
    assert_eq!(rate(ctx, &bob, stars(2), None).await.expect("changed").id, first.id);
    rate(ctx, &eve, stars(4), None).await.expect("rated");
    let card = card(ctx, id).await;
    assert_eq!((card.rating_sum, card.rating_count), (6, 2));
    assert!((card.rating_score - 3.0).abs() < 1e-12, "{}", card.rating_score);
    assert!(!first.has_used);

    deliver(ctx).await;
    let told = news(ctx, &ada, 0).await;
    let expected = ["bob gave “Ink wash” 5 stars.", "eve gave “Ink wash” 4 stars."];
    assert_eq!(told, expected.map(|message| (NotificationKind::LoraRated, message.to_owned())));
}

#[tokio::test]
async fn threads_tell_the_maker_and_the_answered_and_a_deleted_comment_keeps_its_place() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let id = draft(ctx, &ada, "Ink wash").await;
    let says = |parent, body: &str| NewComment { lora: id, parent, body: body.to_owned() };
    assert!(matches!(add(ctx, &bob, says(None, "Hello"), None).await, Err(AddCommentError::Refused(_))), "a draft");
    publish(ctx, &ada, id).await;
    let root = add(ctx, &bob, says(None, "Which paper?"), Some("once")).await.expect("written");
    assert_eq!(add(ctx, &bob, says(None, "Which paper?"), Some("once")).await.expect("the same").id, root.id);
    let answer = add(ctx, &ada, says(Some(root.id), "Rough."), None).await.expect("answered");
    let thanks = add(ctx, &bob, says(Some(answer.id), "Thanks."), None).await.expect("answered");
    deliver(ctx).await;
    let commented = (NotificationKind::LoraCommented, "bob commented on “Ink wash”.".to_owned());
    let replied = |who: &str| (NotificationKind::CommentReplied, format!("{who} answered your comment on “Ink wash”."));
    assert_eq!(news(ctx, &ada, 0).await, [commented, replied("bob")], "the maker who is answered hears once");
    assert_eq!(news(ctx, &bob, 0).await, [replied("ada")]);

    assert!(edit(ctx, &eve, root.id, "Eve was here").await.is_err());
    assert!(delete(ctx, &eve, root.id).await.is_err());
    assert!(edit(ctx, &ada, root.id, "Put into bob's mouth").await.is_err(), "the maker may delete, not change");
    assert!(edit(ctx, &bob, thanks.id, "Thank you.").await.expect("changed").edited_at.is_some());
    let gone = delete(ctx, &ada, root.id).await.expect("deleted");
    assert_eq!((gone.body.as_str(), gone.deleted_at.is_some()), ("", true));
    assert!(matches!(add(ctx, &eve, says(Some(root.id), "Late"), None).await, Err(AddCommentError::ParentDeleted)));
    let page = PageRequest::new(10, None).expect("a page");
    let threads = super::comment::threads(ctx, &eve, id, None, &page).await.expect("reads");
    assert_eq!(threads.rows.iter().map(|(_, row)| row.id).collect::<Vec<_>>(), [root.id]);
    let replies = super::comment::reply_pages(ctx, &eve, &[root.id, answer.id], &page).await.expect("reads");
    assert_eq!((replies[&root.id].rows.len(), replies[&answer.id].rows.len()), (1, 1));

    loras::unpublish(ctx, &ada, id).await.expect("taken back");
    assert!(super::comment::get(ctx, &eve, root.id).await.is_err());
    assert!(super::comment::reply_pages(ctx, &eve, &[root.id], &page).await.expect("reads").is_empty());
}

#[tokio::test]
async fn only_ones_own_notifications_are_marked() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    for follower in [&bob, &eve] {
        follow(ctx, follower, ada.user_id().expect("ada")).await.expect("follows");
    }
    deliver(ctx).await;
    let rows = told::Entity::find().order_by_asc(told::Column::Sequence).all(ctx.db.read()).await.expect("reads");
    let [first, second] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(news(ctx, &ada, first.sequence).await.len(), 1, "what came after a number, and nothing else");

    let named = ReadMark { ids: Some(vec![first.id, second.id]), through: None };
    assert_eq!(mark_read(ctx, &bob, named.clone()).await.expect("nothing of bob's"), 0);
    assert_eq!(unread_count(ctx, &ada).await.expect("reads"), 2);
    let through = ReadMark { ids: None, through: Some(first.sequence) };
    assert_eq!(mark_read(ctx, &ada, through).await.expect("one"), 1);
    assert_eq!(mark_read(ctx, &ada, named).await.expect("both"), 0);
    assert!(mark_read(ctx, &ada, ReadMark { ids: None, through: None }).await.is_err());
    assert!(unread_count(ctx, &Actor::Anonymous).await.is_err());
}
