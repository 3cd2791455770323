//! By which channels people are told: in the application and by mail, as they wish; a crowd of followers among them.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use atelier_domain::{
    actor::{self, Actor},
    context::Context,
    entities::{fanout, follow, kinds::Role, notification, user},
    id::{self, Noun},
    lora::{self as loras, PublishLora},
};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
    process::Process,
};

on_each_engine!(
    people_say_by_which_channels_they_are_told,
    people_are_asked_for_a_review,
    a_mail_is_ended_by_the_link_in_it,
    a_crowd_is_told_while_others_go_on,
    a_crowd_is_told_once_each_although_the_service_is_killed,
);

const PREFERENCES: &str = "{ notificationPreferences { kind inApp mail } }";

/// How somebody is told of a kind.
async fn channels(house: &House, person: &Person, kind: &str) -> (bool, String) {
    let data = house.data_of(Some(&person.token), PREFERENCES, json!({})).await;
    let all = data["notificationPreferences"].as_array().unwrap().clone();
    let one = all.iter().find(|one| one["kind"] == kind).unwrap();
    (one["inApp"].as_bool().unwrap(), text(&one["mail"]))
}

async fn comment(house: &House, person: &Person, lora: &str, body: &str) {
    let input = json!({ "loraId": lora, "body": body });
    house.done(person, "addComment", input, "comment { id }").await;
}

/// How many things somebody was told in the application, once the house has told everything.
async fn told(house: &House, person: &Person, count: usize) {
    eventually("notifications", async || {
        let query = "{ notifications(first: 50) { edges { cursor } } }";
        let data = house.data_of(Some(&person.token), query, json!({})).await;
        (data["notifications"]["edges"].as_array().unwrap().len() == count).then_some(())
    })
    .await;
}

async fn people_say_by_which_channels_they_are_told(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let data = house.data_of(Some(&ada.token), PREFERENCES, json!({})).await;
    let usual = [
        ("LORA_PUBLISHED", "DAILY"),
        ("LORA_VERSION_PUBLISHED", "DAILY"),
        ("LORA_RATED", "DAILY"),
        ("LORA_COMMENTED", "DAILY"),
        ("COMMENT_REPLIED", "IMMEDIATE"),
        ("MENTIONED", "IMMEDIATE"),
        ("NEW_FOLLOWER", "OFF"),
        ("JOB_FINISHED", "OFF"),
        ("CONTENT_HIDDEN", "IMMEDIATE"),
        ("CONTENT_RESTORED", "IMMEDIATE"),
        ("REVIEW_ASKED", "IMMEDIATE"),
    ];
    let usual = usual.map(|(kind, mail)| json!({ "kind": kind, "inApp": true, "mail": mail }));
    assert_eq!(data["notificationPreferences"], json!(usual));
    assert_eq!(house.refusal(None, PREFERENCES, json!({})).await, "UNAUTHENTICATED");

    let update = async |preferences: Value| {
        let input = json!({ "preferences": preferences });
        house.call(&ada, "updateNotificationPreferences", input, "preferences { kind inApp mail }").await
    };
    let code = |payload: Value| text(&payload["userErrors"][0]["code"]);
    assert_eq!(code(update(json!([])).await), "REQUIRED");
    let twice = json!([{ "kind": "MENTIONED", "inApp": false }, { "kind": "MENTIONED", "mail": "OFF" }]);
    assert_eq!(code(update(twice).await), "REPEATED");
    update(json!([{ "kind": "MENTIONED", "inApp": false }, { "kind": "NEW_FOLLOWER", "mail": "IMMEDIATE" }])).await;
    update(json!([{ "kind": "LORA_COMMENTED", "inApp": false, "mail": "OFF" }])).await;
    assert_eq!(channels(&house, &ada, "MENTIONED").await, (false, "IMMEDIATE".to_owned()), "what is left out stays");
    assert_eq!(channels(&house, &ada, "NEW_FOLLOWER").await, (true, "IMMEDIATE".to_owned()));
    assert_eq!(channels(&house, &bob, "MENTIONED").await, (true, "IMMEDIATE".to_owned()), "each for themselves");

    let mails = house.mails(&ada.email).len();
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await.id;
    comment(&house, &bob, &lora, "Fine.").await;
    comment(&house, &bob, &lora, "@ada, fine.").await;
    house.done(&bob, "followUser", json!({ "userId": ada.id }), "user { id }").await;
    eventually("two mails", async || (house.mails(&ada.email).len() == mails + 2).then_some(())).await;
    told(&house, &ada, 1).await;
    house.close().await;
}

async fn people_are_asked_for_a_review(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await.id;
    let asking = |people: &[&str]| json!({ "loraId": lora, "userIds": people, "note": "Is the line too thin?" });
    let refused = async |people: &[&str]| house.user_error(&ada, "askForReview", asking(people), "lora { id }").await;
    assert_eq!(refused(&[]).await, "WRONG_NUMBER");
    assert_eq!(refused(&[&ada.id]).await, "WRONG_NUMBER", "oneself is nobody to ask");
    house.done(&bob, "followUser", json!({ "userId": ada.id }), "user { id }").await;
    assert_eq!(refused(&[&bob.id, &eve.id]).await, "NOT_ASKABLE", "eve does not follow her");

    let mails = house.mails(&bob.email).len();
    house.done(&ada, "askForReview", asking(&[&bob.id]), "lora { id }").await;
    eventually("he is mailed", async || (house.mails(&bob.email).len() > mails).then_some(())).await;
    let query = "{ notifications(first: 1) { edges { node { kind message actor { handle } lora { name } } } } }";
    let told = house.data_of(Some(&bob.token), query, json!({})).await["notifications"]["edges"][0]["node"].clone();
    let expected = json!({
        "kind": "REVIEW_ASKED", "message": "ada asks you for your review of “Ink wash”. Is the line too thin?",
        "actor": { "handle": "ada" }, "lora": { "name": "Ink wash" },
    });
    assert_eq!(told, expected);
    assert_eq!(refused(&[&bob.id]).await, "ALREADY_ASKED");

    // Of a draft its team alone can be asked.
    let draft = house.lora_from_file(&ada, None, "Felt", &files::foreign_lora("peft")).await.id;
    let asking = json!({ "loraId": draft, "userIds": [bob.id] });
    assert_eq!(house.user_error(&ada, "askForReview", asking, "lora { id }").await, "NOT_ASKABLE");
    house.close().await;
}

/// The address in a mail's header by which such mails end.
fn ending(mail: &str) -> String {
    let line = mail.lines().find_map(|line| line.strip_prefix("List-Unsubscribe: <")).unwrap();
    line.trim_end().trim_end_matches('>').to_owned()
}

async fn a_mail_is_ended_by_the_link_in_it(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let first = house.mails(&ada.email);
    assert!(first.iter().all(|mail| !mail.contains("List-Unsubscribe")), "mails about the account go on");
    let lora = house.published_lora(&bob, "Ink wash", &files::foreign_lora("bfl")).await.id;
    comment(&house, &bob, &lora, "@ada, <script>alert(1)</script>").await;
    let mail = eventually("a mail", async || house.mails(&ada.email).get(first.len()).cloned()).await;
    assert!(mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{mail}");
    let url = ending(&mail);
    let mail = mail.replace("=\r\n", "").replace("=3D", "=");
    assert!(mail.contains("text/plain") && mail.contains("text/html") && mail.contains("&lt;script&gt;"), "{mail}");

    // To look is not to end.
    let page = house.http().get(&url).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(page.status() == 200 && policy.contains("form-action 'self'"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(
        page.contains("<form method=\"post\">") && page.contains("mails about comments that mention you"),
        "{page}"
    );
    assert_eq!(channels(&house, &ada, "MENTIONED").await.1, "IMMEDIATE");

    // As a mail program does it, and again.
    for _ in 0..2 {
        let request = house.http().post(&url).header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(request.body("List-Unsubscribe=One-Click").send().await.unwrap().status(), 200);
        assert_eq!(channels(&house, &ada, "MENTIONED").await, (true, "OFF".to_owned()));
        assert_eq!(channels(&house, &ada, "COMMENT_REPLIED").await.1, "IMMEDIATE");
    }
    for forged in [
        url.replace("from=mentioned", "from=all"),
        url[..url.len() - 1].to_owned(),
        format!("{}/unsubscribe", house.url),
    ] {
        assert_eq!(house.http().get(&forged).send().await.unwrap().status(), 404, "{forged}");
        assert_eq!(house.http().post(&forged).send().await.unwrap().status(), 404, "{forged}");
    }
    assert_eq!(house.http().delete(&url).send().await.unwrap().status(), 405);

    // The other link in the mail ends all that tell of something.
    let (_, rest) = mail.split_once("anything that happens: ").unwrap();
    let all = rest.lines().next().unwrap().trim().to_owned();
    assert_eq!(house.http().post(&all).send().await.unwrap().status(), 200, "{all}");
    let data = house.data_of(Some(&ada.token), PREFERENCES, json!({})).await;
    let all = data["notificationPreferences"].as_array().unwrap().clone();
    assert!(all.iter().all(|one| one["mail"] == "OFF" && one["inApp"] == true), "{all:?}");

    comment(&house, &bob, &lora, "@ada, still there?").await;
    told(&house, &ada, 2).await;
    let waiting = notification::Entity::find().filter(notification::Column::Mail.is_in(["immediate", "daily"]));
    assert_eq!(waiting.count(house.service.house.db.read()).await.unwrap(), 0);
    assert_eq!(house.mails(&ada.email).len(), first.len() + 1);
    house.close().await;
}

/// So many people who follow somebody.
async fn crowd(ctx: &Context, followed: Uuid, count: usize) -> HashSet<Uuid> {
    let ids: Vec<Uuid> = (0..count).map(|_| ctx.new_id()).collect();
    for piece in ids.chunks(500) {
        let people = piece.iter().map(|id| user::ActiveModel {
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
        let tx = ctx.db.write().await.unwrap();
        user::Entity::insert_many(people).exec_without_returning(&tx).await.unwrap();
        follow::Entity::insert_many(follows).exec_without_returning(&tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    ids.into_iter().collect()
}

async fn a_crowd_is_told_while_others_go_on(engine: Engine) {
    let house = House::open_patient(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let ctx = &house.service.house;
    let crowd = crowd(ctx, id::decode(Noun::User, &ada.id).unwrap(), 20_000).await;
    let begun = Instant::now();
    let lora = house.published_lora(&ada, "Ink wash", &files::foreign_lora("bfl")).await;
    let of_it = notification::Entity::find()
        .filter(notification::Column::LoraId.eq(id::decode(Noun::Lora, &lora.id).unwrap()))
        .filter(notification::Column::ActorId.eq(id::decode(Noun::User, &ada.id).unwrap()));
    let mut writes = Vec::new();
    // A later event of the same house, and small writes, while they are told.
    comment(&house, &bob, &lora.id, "Fine.").await;
    told(&house, &ada, 1).await;
    let told_by_then = of_it.clone().count(ctx.db.read()).await.unwrap();
    while of_it.clone().count(ctx.db.read()).await.unwrap() < crowd.len() as u64 {
        let begin = Instant::now();
        house.done(&bob, "markNotificationsRead", json!({ "throughSequence": 1 }), "unreadCount").await;
        writes.push(begin.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(300), "they are not told");
    }
    let whole = begun.elapsed();
    println!("{whole:?} for {} followers; {told_by_then} by the later event; writes {writes:?}", crowd.len());
    assert!(told_by_then < crowd.len() as u64, "the later event did not wait for all of them");
    assert!(!writes.is_empty(), "somebody wrote while they were told");
    writes.sort_unstable();
    let middle = writes[writes.len() / 2];
    assert!(middle < whole / 4, "a small write took {middle:?} of {whole:?}");
    eventually("the end", async || (fanout::Entity::find().count(ctx.db.read()).await.unwrap() == 0).then_some(()))
        .await;
    let rows = of_it.all(ctx.db.read()).await.unwrap();
    assert_eq!(rows.len(), crowd.len());
    assert_eq!(rows.iter().map(|row| row.user_id).collect::<HashSet<_>>(), crowd);
    assert_eq!(
        nodes(
            &house.data_of(Some(&bob.token), "{ notifications(first: 5) { edges { node { id } } } }", json!({})).await
                ["notifications"]
        )
        .len(),
        0
    );
    house.close().await;
}

async fn a_crowd_is_told_once_each_although_the_service_is_killed(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let ctx = &house.service.house;
    let maker = id::decode(Noun::User, &ada.id).unwrap();
    let crowd = crowd(ctx, maker, 20_000).await;
    let lora = house.lora_from_file(&ada, None, "Ink wash", &files::foreign_lora("bfl")).await;
    // From now on the loops behind the requests are another process's.
    house.service.shutdown().cancel();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let lora = id::decode(Noun::Lora, &lora.id).unwrap();
    let team = id::decode(Noun::Team, &ada.team).unwrap();
    let person = actor::Person {
        id: maker,
        session: maker,
        personal_team: team,
        is_administrator: false,
        memberships: vec![(team, Role::Owner)],
    };
    let publish = PublishLora { id: lora, version: None, license: Some("CC0-1.0".to_owned()), terms: None };
    loras::publish(ctx, &Actor::Person(person), publish).await.unwrap();

    let data = tempfile::tempdir().unwrap();
    let of_it = notification::Entity::find().filter(notification::Column::LoraId.eq(lora));
    let told = async || of_it.clone().count(ctx.db.read()).await.unwrap();
    let (mut kills, begun) = (0, Instant::now());
    loop {
        let before = told().await;
        let process = Process::start(&house, data.path(), &["serve", "--listen", "127.0.0.1:0", "--worker", "off"]);
        while told().await == before && before < crowd.len() as u64 {
            assert!(begun.elapsed() < Duration::from_secs(300), "they are not told");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if kills == 4 || before == crowd.len() as u64 {
            eventually("the end", async || {
                (fanout::Entity::find().count(ctx.db.read()).await.unwrap() == 0).then_some(())
            })
            .await;
            break;
        }
        drop(process);
        kills += 1;
        println!("killed after {} were told", told().await);
    }
    assert!(kills >= 2, "it was killed in the middle");
    let rows = of_it.all(ctx.db.read()).await.unwrap();
    assert_eq!(rows.len(), crowd.len());
    assert_eq!(rows.iter().map(|row| row.user_id).collect::<HashSet<_>>(), crowd);
    house.close().await;
}
