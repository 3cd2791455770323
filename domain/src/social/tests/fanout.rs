//! Followers by the thousand: each is told once, whatever breaks off when.

use std::collections::HashSet;

use atelier_entities::{
    fanout, follow,
    kinds::{MailFrequency, NotificationKind},
    notification as told, user,
};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _};
use serde_json::json;
use uuid::Uuid;

use super::{card, deliver, draft, news, publish};
use crate::{
    actor::Actor,
    context::Context,
    lora as loras, outbox,
    social::{
        NotificationConsumer,
        comment::{NewComment, add},
        fanout::run_once,
        follow::follow,
        notification::{ReadMark, mark_read},
        notification_preference::{ChangedChannels, update},
    },
    testing::{TestHouse, cut_after},
};

/// So many people who follow somebody.
async fn crowd(ctx: &Context, followed: Uuid, count: usize) -> HashSet<Uuid> {
    let ids: Vec<Uuid> = (0..count).map(|_| ctx.new_id()).collect();
    for piece in ids.chunks(500) {
        let accounts = piece.iter().map(|id| user::ActiveModel {
            id: Set(*id),
            email: Set(format!("{id}@atelier.test")),
            email_verified_at: Set(None),
            handle: Set(id.to_string()),
            display_name: Set("Somebody".to_owned()),
            bio: Set(String::new()),
            avatar_sha256: Set(None),
            links: Set(json!([])),
            password_hash: Set(String::new()),
            is_administrator: Set(false),
            suspended_at: Set(None),
            hidden_at: Set(None),
            created_at: Set(ctx.now()),
        });
        let follows = piece.iter().map(|id| follow::ActiveModel {
            id: Set(ctx.new_id()),
            follower_id: Set(*id),
            followed_id: Set(followed),
            created_at: Set(ctx.now()),
        });
        let tx = ctx.db.write().await.expect("a transaction");
        user::Entity::insert_many(accounts).exec_without_returning(&tx).await.expect("people");
        follow::Entity::insert_many(follows).exec_without_returning(&tx).await.expect("follows");
        tx.commit().await.expect("a commit");
    }
    ids.into_iter().collect()
}

async fn told_of(ctx: &Context, lora: Uuid) -> Vec<told::Model> {
    let of = told::Entity::find().filter(told::Column::LoraId.eq(lora));
    of.filter(told::Column::Kind.eq(NotificationKind::LoraPublished)).all(ctx.db.read()).await.expect("reads")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_told_once_each_although_it_breaks_off_again_and_again() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let ada_id = ada.user_id().expect("ada");
    let crowd = crowd(ctx, ada_id, 3_500).await;
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    while outbox::run_once(ctx, &NotificationConsumer).await.expect("consumes") > 0 {}
    assert!(told_of(ctx, id).await.is_empty(), "the consumer leaves them to others");
    assert!(card(ctx, id).await.follower_notified_at.is_some());

    // Killed wherever it waits: what was begun and not committed is as if it had not been.
    let mut cuts = 0;
    while cut_after(cuts, run_once(ctx)).await.transpose().expect("tells").is_none() {
        cuts += 1;
        // What was committed and then cut is told as well.
        let told = told_of(ctx, id).await.len();
        assert!([0, 1_000, 2_000].contains(&told), "whole pieces: {told}");
    }
    assert!(cuts >= 5, "it was cut {cuts} times only");
    assert!((1_000..3_500).contains(&told_of(ctx, id).await.len()), "there is somebody left to tell");
    // Meanwhile others are told of other things.
    let says = NewComment { lora: id, parent: None, body: "Fine.".to_owned() };
    add(ctx, &bob, says, None).await.expect("written");
    deliver(ctx).await;
    let told = told_of(ctx, id).await;
    assert_eq!(told.len(), crowd.len());
    assert_eq!(told.iter().map(|row| row.user_id).collect::<HashSet<_>>(), crowd);
    assert_eq!(told.iter().map(|row| row.id).collect::<HashSet<_>>().len(), crowd.len());
    assert_eq!(fanout::Entity::find().count(ctx.db.read()).await.expect("reads"), 0);
    assert_eq!(
        news(ctx, &ada, 0).await,
        [(NotificationKind::LoraCommented, "bob commented on “Ink wash”.".to_owned())]
    );
}

#[tokio::test]
async fn a_number_that_was_seen_is_never_given_to_what_comes_later() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    follow(ctx, &bob, ada.user_id().expect("ada")).await.expect("follows");
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    let says = |who: &str| NewComment { lora: id, parent: None, body: format!("Hello @{who}") };
    add(ctx, &ada, says("bob"), None).await.expect("written");
    // The comment is the later event, and is told first.
    while outbox::run_once(ctx, &NotificationConsumer).await.expect("consumes") > 0 {}
    let seen = super::after(ctx, &bob, 0, 100).await.expect("reads");
    assert_eq!(seen.iter().map(|row| row.kind).collect::<Vec<_>>(), [NotificationKind::Mentioned]);
    deliver(ctx).await;
    let later = super::after(ctx, &bob, seen[0].sequence, 100).await.expect("reads");
    assert_eq!(later.iter().map(|row| row.kind).collect::<Vec<_>>(), [NotificationKind::LoraPublished]);
    assert!(later[0].event_sequence < seen[0].event_sequence);
}

#[tokio::test]
async fn what_is_switched_off_or_taken_back_is_told_to_nobody() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let wish = async |actor: &Actor, in_app, mail| {
        let kind = NotificationKind::LoraPublished;
        let change = ChangedChannels { kind, in_app: Some(in_app), mail: Some(mail) };
        update(ctx, actor, &[change]).await.expect("changed");
    };
    for follower in [&bob, &eve] {
        follow(ctx, follower, ada.user_id().expect("ada")).await.expect("follows");
    }
    wish(&bob, false, MailFrequency::Off).await;
    wish(&eve, false, MailFrequency::Daily).await;
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    deliver(ctx).await;
    let told = told_of(ctx, id).await;
    assert_eq!(told.iter().map(|row| Some(row.user_id)).collect::<Vec<_>>(), [eve.user_id()]);
    assert!(news(ctx, &eve, 0).await.is_empty(), "by mail alone");
    mark_read(ctx, &eve, ReadMark { ids: None, through: Some(1_000) }).await.expect("nothing");
    assert!(told_of(ctx, id).await[0].read_at.is_none(), "what was not shown was not read");

    // Taken back after the consumer has come to it: whoever was not told yet is not told any more.
    let hidden = draft(ctx, &ada, "Hidden").await;
    publish(ctx, &ada, hidden).await;
    while outbox::run_once(ctx, &NotificationConsumer).await.expect("consumes") > 0 {}
    loras::unpublish(ctx, &ada, hidden).await.expect("taken back");
    deliver(ctx).await;
    assert!(told_of(ctx, hidden).await.is_empty());
}
