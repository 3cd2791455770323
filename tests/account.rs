//! Accounts, as somebody at the door sees them: mails, passwords, sessions, forged tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::house::{Engine, House, PASSWORD, Person, eventually, on_each_engine, text};

on_each_engine!(
    somebody_signs_up_by_mail_and_comes_in,
    a_refresh_token_that_comes_again_ends_its_session,
    a_forgotten_password_is_set_anew_by_one_mail,
    tokens_that_are_not_ours_open_nothing,
    what_cannot_be_an_account_is_said_field_by_field,
);

const WHO: &str = "{ viewer { email user { handle displayName } } }";
const SESSION: &str = "session { accessToken refreshToken }";

/// What a mutation of somebody who is not signed in says against its input.
async fn refusal(house: &House, name: &str, input: Value, fields: &str) -> Value {
    let payload = house.call_as(None, name, input, fields).await;
    assert_eq!(payload["userErrors"].as_array().map(Vec::len), Some(1), "{name}: {payload}");
    payload["userErrors"][0].clone()
}

/// The status and the code that a token is answered with.
async fn opens(house: &House, token: &str) -> (u16, String) {
    let (status, body) = house.send(Some(token), WHO, json!({})).await;
    (status, body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned())
}

async fn refreshed(house: &House, token: &str) -> Value {
    house.call_as(None, "refreshSession", json!({ "refreshToken": token }), SESSION).await
}

async fn somebody_signs_up_by_mail_and_comes_in(engine: Engine) {
    let house = House::open(engine).await;
    let email = "Ada@Atelier.test";
    let input = json!({ "email": email, "password": PASSWORD, "handle": "ada", "displayName": "Ada L." });
    let answer = house.call_as(None, "signUp", input.clone(), "email").await;
    assert_eq!(answer, json!({ "email": "ada@atelier.test", "userErrors": [] }));

    // Before the mail's link was followed there is no account, whatever the password.
    let credentials = json!({ "email": email, "password": PASSWORD });
    assert_eq!(refusal(&house, "signIn", credentials.clone(), SESSION).await["code"], "EMAIL_NOT_VERIFIED");
    let token = house.mail_token("ada@atelier.test").await;
    let other = format!("{}A", &token[..token.len() - 1]);
    for wrong in ["", "nonsense", if other == token { "nonsense" } else { &other }] {
        let refused = refusal(&house, "verifyEmail", json!({ "token": wrong }), "user { id }").await;
        assert_eq!(refused["code"], "LINK_INVALID", "{wrong}");
    }
    let verified = house.call_as(None, "verifyEmail", json!({ "token": token }), "user { handle }").await;
    assert_eq!(verified["user"]["handle"], "ada");
    let again = refusal(&house, "verifyEmail", json!({ "token": token }), "user { id }").await;
    assert_eq!(again["code"], "LINK_INVALID");

    let ada = house.sign_in(email).await;
    let viewer = house.data_of(Some(&ada.token), WHO, json!({})).await;
    let expected = json!({ "email": "ada@atelier.test", "user": { "handle": "ada", "displayName": "Ada L." } });
    assert_eq!(viewer["viewer"], expected);
    assert_eq!(house.refusal(None, WHO, json!({})).await, "UNAUTHENTICATED");

    // Nobody learns whether an address has an account: not by guessing passwords, not by signing up.
    let wrong = json!({ "email": email, "password": "not the password" });
    let unknown = json!({ "email": "nobody@atelier.test", "password": "not the password" });
    let for_wrong = house.call_as(None, "signIn", wrong, SESSION).await;
    assert_eq!(for_wrong, house.call_as(None, "signIn", unknown, SESSION).await);
    assert_eq!(for_wrong["userErrors"][0]["code"], "WRONG_CREDENTIALS");
    let mails = house.mails("ada@atelier.test").len();
    let known = json!({ "email": email, "password": "what eve would like", "handle": "eve" });
    assert_eq!(house.call_as(None, "signUp", known, "email").await, answer);
    let reminder = eventually("the mail to the owner of the address", async || {
        let theirs = house.mails("ada@atelier.test");
        (theirs.len() > mails).then(|| theirs.last().cloned()).flatten()
    })
    .await;
    assert!(!reminder.contains("token="), "a stranger's sign-up must not mail a link");
    let stolen = json!({ "email": email, "password": "what eve would like" });
    assert_eq!(refusal(&house, "signIn", stolen, SESSION).await["code"], "WRONG_CREDENTIALS");
    house.close().await;
}

async fn a_refresh_token_that_comes_again_ends_its_session(engine: Engine) {
    let house = House::open(engine).await;
    let first = house.person("ada").await;
    let elsewhere = house.sign_in(&first.email).await;

    let second = refreshed(&house, &first.refresh_token).await["session"].clone();
    let access = text(&second["accessToken"]);
    assert_ne!(text(&second["refreshToken"]), first.refresh_token);
    assert_eq!(opens(&house, &access).await.0, 200);

    // Whoever brings the spent token has a copy of it: neither of the two goes on.
    let stolen = refreshed(&house, &first.refresh_token).await;
    assert_eq!(stolen["userErrors"][0]["code"], "SESSION_ENDED");
    let owner = refreshed(&house, &text(&second["refreshToken"])).await;
    assert_eq!((&owner["session"], &owner["userErrors"][0]["code"]), (&Value::Null, &json!("SESSION_ENDED")));
    for token in [&access, &first.token] {
        assert_eq!(opens(&house, token).await, (401, "UNAUTHENTICATED".to_owned()));
    }
    assert_eq!(opens(&house, &elsewhere.token).await.0, 200, "another session is nobody's fault");

    let third = house.sign_in(&first.email).await;
    house.done(&third, "signOut", json!({}), "user { id }").await;
    assert_eq!(opens(&house, &third.token).await.0, 401);
    assert_eq!(refreshed(&house, &third.refresh_token).await["userErrors"][0]["code"], "SESSION_ENDED");
    assert_eq!(opens(&house, &elsewhere.token).await.0, 200);
    let fourth = house.sign_in(&first.email).await;
    house.done(&fourth, "signOut", json!({ "everywhere": true }), "user { id }").await;
    assert_eq!((opens(&house, &elsewhere.token).await.0, opens(&house, &fourth.token).await.0), (401, 401));
    house.close().await;
}

async fn a_forgotten_password_is_set_anew_by_one_mail(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let ask = async |email: &str| house.call_as(None, "requestPasswordReset", json!({ "email": email }), "email").await;
    let mails = house.mails(&ada.email).len();
    let nobody = ask("nobody@atelier.test").await;
    assert_eq!(nobody, json!({ "email": "nobody@atelier.test", "userErrors": [] }));
    assert_eq!(ask(&ada.email).await, json!({ "email": ada.email, "userErrors": [] }), "the answer tells nothing");
    eventually("the mail", async || (house.mails(&ada.email).len() > mails).then_some(())).await;
    assert_eq!(house.mails("nobody@atelier.test").len(), 0);

    let token = house.mail_token(&ada.email).await;
    let set = |password: &str| json!({ "token": token, "password": password });
    assert_eq!(refusal(&house, "resetPassword", set("short"), "user { id }").await["code"], "TOO_SHORT");
    let payload = house.call_as(None, "resetPassword", set("a second password"), "user { handle }").await;
    assert_eq!(payload["user"]["handle"], "ada");
    let again = refusal(&house, "resetPassword", set("a third password"), "user { id }").await;
    assert_eq!(again["code"], "LINK_INVALID");

    assert_eq!(opens(&house, &ada.token).await.0, 401, "a new password ends what was open");
    let old = json!({ "email": ada.email, "password": PASSWORD });
    assert_eq!(refusal(&house, "signIn", old, SESSION).await["code"], "WRONG_CREDENTIALS");
    let new = json!({ "email": ada.email, "password": "a second password" });
    let session = house.call_as(None, "signIn", new, SESSION).await["session"].clone();
    assert_eq!(opens(&house, &text(&session["accessToken"])).await.0, 200);
    house.close().await;
}

/// A token with these claims, signed by the house's own key.
fn signed(house: &House, claims: &Value) -> String {
    let key = EncodingKey::from_secret(&house.service.house.secrets.tokens);
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

/// The claims of a token.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn forgeries(house: &House, ada: &Person, bob: &Person) -> Vec<(&'static str, String)> {
    let good = claims(&ada.token);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(house, &claims)
    };
    let now = good["iat"].as_i64().unwrap();
    let payload = ada.token.split('.').nth(1).unwrap();
    let signature = ada.token.split('.').nth(2).unwrap();
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let own = EncodingKey::from_secret(&house.service.house.secrets.tokens);
    vec![
        ("no algorithm", format!("{unsigned}.{payload}.")),
        ("no algorithm, but a signature", format!("{unsigned}.{payload}.{signature}")),
        ("no signature", ada.token.trim_end_matches(signature).to_owned()),
        ("another secret", encode(&Header::new(Algorithm::HS256), &good, &other).unwrap()),
        ("another algorithm", encode(&Header::new(Algorithm::HS384), &good, &own).unwrap()),
        ("expired", with("exp", json!(now - 1))),
        ("not yet good", with("nbf", json!(now + 3_600))),
        ("another audience", with("aud", json!("another-api"))),
        ("another issuer", with("iss", json!("http://elsewhere.test"))),
        ("another person in one's own session", with("sub", claims(&bob.token)["sub"].clone())),
        ("a session that never was", with("sid", json!("0190f3a2-7c1e-7b6d-8000-000000000001"))),
        ("a refresh token", ada.refresh_token.clone()),
        ("nonsense", "nonsense".to_owned()),
    ]
}

async fn tokens_that_are_not_ours_open_nothing(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let copy = signed(&house, &claims(&ada.token));
    assert_eq!(opens(&house, &copy).await.0, 200, "what the forgeries differ from");
    for (what, token) in forgeries(&house, &ada, &bob) {
        assert_eq!(opens(&house, &token).await, (401, "UNAUTHENTICATED".to_owned()), "{what}");
        // Not even what anybody may ask is answered: the client must learn that its token is worthless.
        assert_eq!(house.send(Some(&token), "{ baseModels { id } }", json!({})).await.0, 401, "{what}");
    }
    for claim in ["exp", "nbf", "aud", "iss", "sub", "sid"] {
        let mut claims = claims(&ada.token);
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(opens(&house, &signed(&house, &claims)).await.0, 401, "without {claim}");
    }
    let basic = house.http().post(format!("{}/graphql", house.url)).header("authorization", "Basic YWRhOmFkYQ==");
    let answer = basic.json(&json!({ "query": WHO })).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    house.close().await;
}

async fn what_cannot_be_an_account_is_said_field_by_field(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let good = json!({ "email": "eve@atelier.test", "password": PASSWORD, "handle": "eve" });
    for (field, value, code) in [
        ("email", String::new(), "REQUIRED"),
        ("email", "eve".to_owned(), "INVALID_EMAIL"),
        ("email", format!("{}@atelier.test", "e".repeat(250)), "TOO_LONG"),
        ("email", "eve\u{0}@atelier.test".to_owned(), "CONTROL_CHARACTER"),
        ("password", String::new(), "TOO_SHORT"),
        ("password", "nine char".to_owned(), "TOO_SHORT"),
        ("password", "a".repeat(12), "TOO_EASY"),
        ("password", "long ".repeat(41), "TOO_LONG"),
        ("handle", String::new(), "INVALID_HANDLE"),
        ("handle", "e".repeat(33), "INVALID_HANDLE"),
        ("handle", "eve!".to_owned(), "INVALID_HANDLE"),
        ("handle", "ADA".to_owned(), "HANDLE_TAKEN"),
        ("handle", "graphql".to_owned(), "HANDLE_TAKEN"),
        ("displayName", "  ".to_owned(), "REQUIRED"),
        ("displayName", "E".repeat(81), "TOO_LONG"),
    ] {
        let mut input = good.clone();
        input[field] = json!(value);
        let refused = refusal(&house, "signUp", input, "email").await;
        assert_eq!((&refused["field"], &refused["code"]), (&json!(field), &json!(code)), "{refused}");
        assert!(text(&refused["message"]).ends_with('.'), "{refused}");
    }
    assert!(house.mails("eve@atelier.test").is_empty(), "nothing was sent");

    // What nobody checks the form of must still be harmless: it is looked for, and not there.
    for email in [String::new(), "ada\u{0}@atelier.test".to_owned(), "a".repeat(5_000)] {
        let input = json!({ "email": email, "password": PASSWORD });
        assert_eq!(refusal(&house, "signIn", input, SESSION).await["code"], "WRONG_CREDENTIALS");
    }
    let endless = json!({ "email": ada.email, "password": "long ".repeat(10_000) });
    assert_eq!(refusal(&house, "signIn", endless, SESSION).await["code"], "TOO_LONG");
    for (change, code) in [
        (json!({ "displayName": "" }), "REQUIRED"),
        (json!({ "displayName": "Ada\nLovelace" }), "CONTROL_CHARACTER"),
        (json!({ "bio": "b".repeat(2_001) }), "TOO_LONG"),
    ] {
        assert_eq!(house.user_error(&ada, "updateProfile", change, "user { id }").await, code);
    }
    for (current, new, code) in
        [("not the password", "a second password", "WRONG_PASSWORD"), (PASSWORD, "short", "TOO_SHORT")]
    {
        let input = json!({ "currentPassword": current, "newPassword": new });
        assert_eq!(house.user_error(&ada, "changePassword", input, "user { id }").await, code);
    }
    house.close().await;
}
