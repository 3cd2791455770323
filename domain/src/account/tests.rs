//! What strangers try: known addresses, guessed passwords, forged and old tokens, links used twice.

use std::time::Instant;

use atelier_entities::{mail, user};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, PaginatorTrait as _, QueryOrder as _};
use serde_json::{Value, json};

use super::*;
use crate::{actor::Actor, context::Context, error::Failure, error::Report, ledger, testing::TestHouse};

const PASSWORD: &str = "correct horse battery";

fn somebody(email: &str, password: &str, handle: &str) -> SignUp {
    SignUp { email: email.to_owned(), password: password.to_owned(), handle: handle.to_owned(), display_name: None }
}

async fn last_mail(ctx: &Context) -> mail::Model {
    let rows = mail::Entity::find().order_by_desc(mail::Column::Id).one(ctx.db.read()).await;
    rows.expect("reads").expect("a mail")
}

/// The token in the last mail.
async fn mailed_token(ctx: &Context) -> String {
    let text = last_mail(ctx).await.text_body;
    let (_, token) = text.split_once("#token=").expect("a link");
    token.split_whitespace().next().expect("a token").to_owned()
}

async fn account(ctx: &Context, email: &str, handle: &str) -> user::Model {
    sign_up(ctx, somebody(email, PASSWORD, handle)).await.expect("signed up");
    verify_email(ctx, &mailed_token(ctx).await, None).await.expect("an account")
}

fn code(failure: impl Failure) -> &'static str {
    match failure.report() {
        Report::User(invalid) => invalid.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proven_address_is_an_account_with_a_team_and_its_credits() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let email = sign_up(ctx, somebody(" Ada@Example.ORG ", PASSWORD, "Ada")).await.expect("signed up");
    assert_eq!(email, "ada@example.org");
    let mail = last_mail(ctx).await;
    assert_eq!(mail.recipient, "ada@example.org");
    let token = mailed_token(ctx).await;
    assert!(mail.html_body.contains(&token));

    // Told only to who knows the password.
    assert_eq!(code(sign_in(ctx, &email, PASSWORD).await.err().expect("refused")), "EMAIL_NOT_VERIFIED");
    assert_eq!(code(sign_in(ctx, &email, "another password").await.err().expect("refused")), "WRONG_CREDENTIALS");
    assert_eq!(user::Entity::find().count(ctx.db.read()).await.expect("reads"), 0);

    let ada = verify_email(ctx, &token, None).await.expect("an account");
    assert_eq!((ada.handle.as_str(), ada.is_administrator), ("ada", false));
    assert_eq!(code(verify_email(ctx, &token, None).await.expect_err("used")), "LINK_INVALID");
    let session = sign_in(ctx, "ADA@example.org", PASSWORD).await.expect("a session");
    let actor = authenticate(ctx, &session.access_token).await.expect("good").actor;
    let team = actor.person().expect("a person").personal_team;
    let team = crate::team::get(ctx, &actor, team).await.expect("a team");
    assert_eq!(ledger::balance(ctx, &actor, &team).await.expect("a balance").available, 1_000);
    assert!(ledger::audit(ctx.db.read()).await.expect("reads").is_empty());
}

#[tokio::test]
async fn signing_up_with_a_known_address_reveals_nothing_and_takes_nothing_over() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let ada = account(ctx, "ada@example.org", "ada").await;
    assert_eq!(
        code(sign_up(ctx, somebody("eve@example.org", PASSWORD, "ada")).await.expect_err("taken")),
        "HANDLE_TAKEN"
    );

    sign_up(ctx, somebody("ada@example.org", "the password of eve", "eve")).await.expect("the same answer");
    let mail = last_mail(ctx).await;
    assert_eq!(mail.recipient, ada.email);
    assert!(!mail.text_body.contains("token="), "{}", mail.text_body);
    assert_eq!(
        code(sign_in(ctx, &ada.email, "the password of eve").await.err().expect("refused")),
        "WRONG_CREDENTIALS"
    );
    // Nor is the handle taken by it, which would tell that nobody's account was made.
    sign_up(ctx, somebody("eve@example.org", PASSWORD, "eve")).await.expect("free");

    // Two sign up with one address: each link is worth the password that came with it.
    sign_up(ctx, somebody("bob@example.org", "what eve would like", "bob")).await.expect("signed up");
    let eves = mailed_token(ctx).await;
    sign_up(ctx, somebody("bob@example.org", PASSWORD, "bob")).await.expect("signed up");
    verify_email(ctx, &mailed_token(ctx).await, None).await.expect("an account");
    assert_eq!(code(verify_email(ctx, &eves, None).await.expect_err("worthless")), "LINK_INVALID");
    assert!(sign_in(ctx, "bob@example.org", "what eve would like").await.is_err());
    sign_in(ctx, "bob@example.org", PASSWORD).await.expect("a session");
}

#[tokio::test]
async fn an_unknown_person_takes_as_long_as_a_wrong_password_and_guessing_is_slowed_down_for_both() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    account(ctx, "ada@example.org", "ada").await;
    let mut spent = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (place, email) in ["ada@example.org", "nobody@example.org"].into_iter().enumerate() {
            let begun = Instant::now();
            let failure = sign_in(ctx, email, "not the password").await.err().expect("refused");
            spent[place].push(begun.elapsed());
            assert_eq!(code(failure), "WRONG_CREDENTIALS");
        }
    }
    let [known, unknown] = spent.map(|mut times| {
        times.sort_unstable();
        times[2]
    });
    // Without the work it would be a hundredth.
    assert!(unknown * 2 > known, "{unknown:?} for nobody, {known:?} for somebody");

    for email in ["ada@example.org", "nobody@example.org"] {
        assert_eq!(code(sign_in(ctx, email, PASSWORD).await.err().expect("slowed down")), "TOO_MANY_ATTEMPTS");
    }
    house.clock.advance(TimeDelta::seconds(3));
    sign_in(ctx, "ada@example.org", PASSWORD).await.expect("a session");
    // The good one wiped the slate clean.
    assert_eq!(code(sign_in(ctx, "ada@example.org", "wrong again").await.err().expect("wrong")), "WRONG_CREDENTIALS");
}

fn forged(ctx: &Context, session: &Session, change: impl FnOnce(&mut Value)) -> String {
    let person = session.actor.person().expect("a person");
    let now = ctx.now().timestamp();
    let mut claims = json!({
        "iss": ctx.settings.public_url, "aud": "atelier-api", "sub": person.id, "sid": person.session,
        "nbf": now, "iat": now, "exp": now + 600,
    });
    change(&mut claims);
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&ctx.secrets.tokens)).expect("a token")
}

#[tokio::test]
async fn tokens_that_are_not_ours_or_not_for_now_open_nothing() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    account(ctx, "ada@example.org", "ada").await;
    let session = sign_in(ctx, "ada@example.org", PASSWORD).await.expect("a session");
    let good = forged(ctx, &session, |_| {});
    authenticate(ctx, &good).await.expect("what the others differ from");

    let parts: Vec<&str> = good.split('.').collect();
    let payload = parts[1];
    let unsigned = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "JWT" }).to_string());
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON");
    let longer = EncodingKey::from_secret(&ctx.secrets.tokens);
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let mut bad = vec![
        ("none", format!("{unsigned}.{payload}.")),
        ("none with our signature", format!("{unsigned}.{payload}.{}", parts[2])),
        ("no signature", format!("{}.{payload}.", parts[0])),
        ("another key", encode(&Header::new(Algorithm::HS256), &claims, &other).expect("a token")),
        ("another algorithm", encode(&Header::new(Algorithm::HS512), &claims, &longer).expect("a token")),
        ("another audience", forged(ctx, &session, |claims| claims["aud"] = json!("another-api"))),
        ("another issuer", forged(ctx, &session, |claims| claims["iss"] = json!("http://elsewhere.test"))),
        ("not yet", forged(ctx, &session, |claims| claims["nbf"] = json!(ctx.now().timestamp() + 60))),
        ("expired", forged(ctx, &session, |claims| claims["exp"] = json!(ctx.now().timestamp()))),
        ("nonsense", "nonsense".to_owned()),
        ("a refresh token", session.refresh_token.clone()),
    ];
    for claim in ["exp", "nbf", "aud", "iss", "sub", "sid"] {
        let token = forged(ctx, &session, |claims| drop(claims.as_object_mut().expect("an object").remove(claim)));
        bad.push((claim, token));
    }
    for (what, token) in bad {
        let outcome = authenticate(ctx, &token).await;
        assert!(matches!(outcome, Err(AuthenticateError::BadToken)), "{what}: {outcome:?}");
    }

    house.clock.advance(TimeDelta::minutes(10));
    assert!(matches!(authenticate(ctx, &session.access_token).await, Err(AuthenticateError::BadToken)));
    let next = refresh(ctx, &session.refresh_token).await.expect("goes on");
    authenticate(ctx, &next.access_token).await.expect("good");
    let suspended =
        user::ActiveModel { id: Set(next.user.id), suspended_at: Set(Some(ctx.now())), ..Default::default() };
    suspended.update(ctx.db.writer()).await.expect("suspended");
    assert!(matches!(authenticate(ctx, &next.access_token).await, Err(AuthenticateError::Suspended)));
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_session_and_no_other() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    account(ctx, "ada@example.org", "ada").await;
    let first = sign_in(ctx, "ada@example.org", PASSWORD).await.expect("a session");
    let elsewhere = sign_in(ctx, "ada@example.org", PASSWORD).await.expect("a session");
    let second = refresh(ctx, &first.refresh_token).await.expect("goes on");
    authenticate(ctx, &second.access_token).await.expect("good");

    assert_eq!(code(refresh(ctx, &first.refresh_token).await.err().expect("spent")), "SESSION_ENDED");
    assert_eq!(code(refresh(ctx, &second.refresh_token).await.err().expect("ended")), "SESSION_ENDED");
    assert!(matches!(authenticate(ctx, &second.access_token).await, Err(AuthenticateError::Ended)));
    let other = authenticate(ctx, &elsewhere.access_token).await.expect("untouched").actor;

    sign_out(ctx, &other, false).await.expect("signed out");
    assert!(matches!(authenticate(ctx, &elsewhere.access_token).await, Err(AuthenticateError::Ended)));
    assert!(refresh(ctx, &elsewhere.refresh_token).await.is_err());
}

#[tokio::test]
async fn a_new_password_ends_other_sessions_and_its_link_works_once() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    account(ctx, "ada@example.org", "ada").await;
    let here = sign_in(ctx, "ada@example.org", PASSWORD).await.expect("a session");
    let there = sign_in(ctx, "ada@example.org", PASSWORD).await.expect("a session");
    let changed = change_password(ctx, &here.actor, "not the password", "a second password").await;
    assert_eq!(code(changed.expect_err("wrong")), "WRONG_PASSWORD");
    change_password(ctx, &here.actor, PASSWORD, "a second password").await.expect("changed");
    authenticate(ctx, &here.access_token).await.expect("this one stays");
    assert!(matches!(authenticate(ctx, &there.access_token).await, Err(AuthenticateError::Ended)));

    let mails = mail::Entity::find().count(ctx.db.read()).await.expect("reads");
    request_password_reset(ctx, "nobody@example.org").await.expect("the same answer");
    assert_eq!(mail::Entity::find().count(ctx.db.read()).await.expect("reads"), mails);
    request_password_reset(ctx, "ada@example.org").await.expect("asked");
    let old = mailed_token(ctx).await;
    request_password_reset(ctx, "ada@example.org").await.expect("asked again");
    let token = mailed_token(ctx).await;
    assert_eq!(code(reset_password(ctx, &old, "a third password").await.expect_err("replaced")), "LINK_INVALID");
    assert_eq!(code(reset_password(ctx, &token, "short").await.expect_err("too short")), "TOO_SHORT");
    reset_password(ctx, &token, "a third password").await.expect("set");
    assert_eq!(code(reset_password(ctx, &token, "a fourth password").await.expect_err("used")), "LINK_INVALID");
    assert!(matches!(authenticate(ctx, &here.access_token).await, Err(AuthenticateError::Ended)));
    assert!(sign_in(ctx, "ada@example.org", "a second password").await.is_err());
    sign_in(ctx, "ada@example.org", "a third password").await.expect("a session");

    request_password_reset(ctx, "ada@example.org").await.expect("asked");
    let late = mailed_token(ctx).await;
    house.clock.advance(TimeDelta::minutes(61));
    assert_eq!(code(reset_password(ctx, &late, "a fifth password").await.expect_err("expired")), "LINK_INVALID");
}

#[tokio::test]
async fn the_first_administrator_gets_in_by_the_last_link_and_by_no_other() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let first = first_administrator(ctx).await.expect("works").expect("an empty house");
    let again = first_administrator(ctx).await.expect("works").expect("nobody has come in");
    assert_eq!(first.email, again.email);
    assert!(sign_in(ctx, &first.email, "").await.is_err());
    assert!(reset_password(ctx, &first.token, PASSWORD).await.is_err());
    assert!(reset_password(ctx, &again.token, PASSWORD).await.expect("set").is_administrator);
    assert_eq!(first_administrator(ctx).await.expect("works"), None);
    let session = sign_in(ctx, &first.email, PASSWORD).await.expect("a session");
    assert!(matches!(&session.actor, Actor::Person(person) if person.is_administrator));
    assert_eq!(user::Entity::find().count(ctx.db.read()).await.expect("reads"), 1);
}
