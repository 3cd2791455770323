//! Who gets which mail, once.

use atelier_entities::{
    kinds::{ContentKind, MailFrequency, NotificationKind},
    mail, user,
};
use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, QueryOrder as _};

use super::{deliver, draft, publish};
use crate::{
    actor::Actor,
    context::Context,
    moderation,
    social::{
        comment::{NewComment, add, edit},
        notification::{ReadMark, mark_read},
        notification_mail::{write_digests, write_immediate},
        notification_preference::{ChangedChannels, update},
        rating::{RateLora, rate},
    },
    testing::{TestHouse, cut_after},
};

/// The mails written so far: to whom, and about what.
async fn mails(ctx: &Context) -> Vec<(String, String)> {
    let rows = mail::Entity::find().order_by_asc(mail::Column::Id).all(ctx.db.read()).await.expect("reads");
    rows.into_iter().map(|row| (row.recipient, row.subject)).collect()
}

async fn write_all(ctx: &Context) {
    deliver(ctx).await;
    while write_immediate(ctx).await.expect("writes") > 0 {}
    while write_digests(ctx).await.expect("writes") > 0 {}
}

async fn wish(ctx: &Context, actor: &Actor, kind: NotificationKind, mail: MailFrequency) {
    update(ctx, actor, &[ChangedChannels { kind, in_app: None, mail: Some(mail) }]).await.expect("changed");
}

#[tokio::test]
async fn who_is_mentioned_gets_one_mail_at_once_however_often_the_comment_is_changed() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let ada = house.person("ada").await;
    for handle in ["bob", "eve"] {
        house.person(handle).await;
    }
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    let says = NewComment { lora: id, parent: None, body: "@bob, @bob and @nobody, look.".to_owned() };
    let row = add(ctx, &ada, says, None).await.expect("written");
    write_all(ctx).await;
    let to_bob = ("bob@atelier.test".to_owned(), "ada mentioned you in a comment on “Ink wash”.".to_owned());
    assert_eq!(mails(ctx).await, std::slice::from_ref(&to_bob));
    for body in ["Nobody.", "@bob again, and @eve."] {
        edit(ctx, &ada, row.id, body).await.expect("changed");
    }
    write_all(ctx).await;
    let to_eve = ("eve@atelier.test".to_owned(), to_bob.1.clone());
    assert_eq!(mails(ctx).await, [to_bob, to_eve]);
    let rows = mail::Entity::find().all(ctx.db.read()).await.expect("reads");
    assert!(rows.iter().all(|row| row.unsubscribe_url.as_ref().is_some_and(|url| url.contains("from=mentioned"))));

    // A draft is its team's: whom a comment on it mentions, and who may not see it, hears nothing.
    let hidden = draft(ctx, &ada, "Hidden").await;
    let says = NewComment { lora: hidden, parent: None, body: "@eve, look.".to_owned() };
    add(ctx, &ada, says, None).await.expect("written");
    write_all(ctx).await;
    assert_eq!(mails(ctx).await.len(), 2);
}

#[tokio::test]
async fn what_the_moderators_hide_before_the_mail_goes_out_is_quoted_to_its_author_alone() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, _bob) = (house.person("ada").await, house.person("bob").await);
    let mut moderator = house.person("mod").await.person().expect("a person").clone();
    moderator.is_administrator = true;
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    for body in ["@bob, an insult.", "@bob, a compliment."] {
        let says = NewComment { lora: id, parent: None, body: body.to_owned() };
        let row = add(ctx, &ada, says, None).await.expect("written");
        deliver(ctx).await;
        if body.contains("insult") {
            let content = (ContentKind::Comment, row.id);
            moderation::hide(ctx, &Actor::Person(moderator.clone()), content, "Be kind.").await.expect("hidden");
        }
    }
    write_all(ctx).await;
    let rows = mail::Entity::find().order_by_asc(mail::Column::Id).all(ctx.db.read()).await.expect("reads");
    let quotes = |row: &mail::Model| {
        let quotes = |word: &str| (row.text_body.contains(word), row.html_body.contains(word));
        (row.recipient.clone(), quotes("an insult"), quotes("a compliment"))
    };
    let (no, yes) = ((false, false), (true, true));
    let bob = "bob@atelier.test".to_owned();
    let expected = [(bob.clone(), no, no), ("ada@atelier.test".to_owned(), yes, no), (bob, no, yes)];
    let mut told: Vec<_> = rows.iter().map(quotes).collect();
    told.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn only_addresses_that_were_proven_get_mails() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let unproven =
        user::ActiveModel { id: Set(bob.user_id().expect("bob")), email_verified_at: Set(None), ..Default::default() };
    unproven.update(ctx.db.writer()).await.expect("changed");
    let id = draft(ctx, &ada, "Ink wash").await;
    publish(ctx, &ada, id).await;
    let says = NewComment { lora: id, parent: None, body: "@bob, look.".to_owned() };
    add(ctx, &ada, says, None).await.expect("written");
    write_all(ctx).await;
    assert!(mails(ctx).await.is_empty());
}

#[tokio::test]
async fn a_digest_is_mailed_once_a_day_and_tells_what_was_not_read() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let id = draft(ctx, &ada, "Ink <wash>").await;
    publish(ctx, &ada, id).await;
    let stars = |stars| RateLora { lora: id, version: None, stars, review: String::new() };
    rate(ctx, &bob, stars(5), None).await.expect("rated");
    write_all(ctx).await;
    assert!(mails(ctx).await.is_empty(), "at noon the hour has struck already");
    house.clock.advance(TimeDelta::hours(19));
    write_all(ctx).await;
    assert!(mails(ctx).await.is_empty(), "seven in the morning");
    house.clock.advance(TimeDelta::hours(1));
    write_all(ctx).await;
    let digest = |count: &str| ("ada@atelier.test".to_owned(), format!("{count} on Atelier"));
    assert_eq!(mails(ctx).await, [digest("One thing happened")]);
    rate(ctx, &eve, stars(4), None).await.expect("rated");
    write_all(ctx).await;
    assert_eq!(mails(ctx).await.len(), 1, "what comes after the hour waits for the next day");

    // A second one of the next days, that is read before; then two days without a digest.
    mark_read(ctx, &ada, ReadMark { ids: None, through: Some(1_000) }).await.expect("read");
    house.clock.advance(TimeDelta::days(1));
    write_all(ctx).await;
    assert_eq!(mails(ctx).await.len(), 1, "what was read needs no mail");
    for _ in 0..2 {
        let says = NewComment { lora: id, parent: None, body: "Fine.".to_owned() };
        add(ctx, &bob, says, None).await.expect("written");
        deliver(ctx).await;
        house.clock.advance(TimeDelta::days(1));
    }
    write_all(ctx).await;
    assert_eq!(mails(ctx).await, [digest("One thing happened"), digest("2 things happened")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_that_break_off_go_on_and_nobody_gets_two() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let bob = house.person("bob").await;
    let mut makers = Vec::new();
    for number in 0..45 {
        let maker = house.person(&format!("maker-{number}")).await;
        let id = draft(ctx, &maker, &format!("LoRA {number}")).await;
        publish(ctx, &maker, id).await;
        let says = NewComment { lora: id, parent: None, body: "Fine.".to_owned() };
        add(ctx, &bob, says, None).await.expect("written");
        makers.push(maker);
    }
    deliver(ctx).await;
    wish(ctx, &makers[0], NotificationKind::LoraCommented, MailFrequency::Off).await;
    house.clock.advance(TimeDelta::days(1));
    // Killed wherever it waits.
    let mut cuts = 0;
    while cut_after(cuts, write_digests(ctx)).await.transpose().expect("writes").is_none() {
        cuts += 1;
        let written = mails(ctx).await.len();
        assert!([0, 20, 40].contains(&written), "whole pieces: {written}");
    }
    assert!(cuts >= 5, "it was cut {cuts} times only");
    assert!(mails(ctx).await.len() < 44, "there is somebody left to write to");
    while write_digests(ctx).await.expect("writes") > 0 {}
    let mut to: Vec<_> = mails(ctx).await.into_iter().map(|(to, _)| to).collect();
    to.sort_unstable();
    let mut expected: Vec<_> = (1..45).map(|number| format!("maker-{number}@atelier.test")).collect();
    expected.sort_unstable();
    assert_eq!(to, expected, "each once, and who has switched it off not at all");
}
