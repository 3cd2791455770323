//! Teams: who belongs to them, what each role may do, and that somebody can always manage them.

use serde_json::{Value, json};

use crate::house::{Engine, House, Person, eventually, nodes, on_each_engine, text};

on_each_engine!(
    a_team_grows_by_invitation_and_each_role_does_its_part,
    who_is_removed_sees_nothing_any_more,
    a_team_always_has_an_owner_and_ends_when_its_work_has,
    a_persons_own_team_is_theirs_alone,
);

const MEMBERS: &str = "query ($id: ID!) { team(id: $id) { viewerRole members(first: 10) { edges { node { \
                       id role user { handle } } } } } }";
const MEMBERSHIP: &str = "membership { id role team { id } }";

async fn team(house: &House, owner: &Person, slug: &str) -> String {
    let input = json!({ "name": "Ink & Wash", "slug": slug });
    text(&house.done(owner, "createTeam", input, "team { id }").await["team"]["id"])
}

/// Invites somebody and gives the token of the mail.
async fn invited(house: &House, host: &Person, team: &str, email: &str, role: &str) -> String {
    let mails = house.mails(email).len();
    let input = json!({ "teamId": team, "email": email, "role": role });
    house.done(host, "inviteMember", input, "invitation { id }").await;
    eventually("the invitation", async || (house.mails(email).len() > mails).then_some(())).await;
    house.mail_token(email).await
}

/// Invites somebody who accepts; gives the membership's id.
async fn joined(house: &House, host: &Person, team: &str, guest: &Person, role: &str) -> String {
    let token = invited(house, host, team, &guest.email, role).await;
    let payload = house.done(guest, "acceptInvitation", json!({ "token": token }), MEMBERSHIP).await;
    assert_eq!(payload["membership"]["role"], role);
    text(&payload["membership"]["id"])
}

async fn members(house: &House, person: &Person, team: &str) -> Vec<(String, String)> {
    let data = house.data_of(Some(&person.token), MEMBERS, json!({ "id": team })).await;
    let row = |node: Value| (text(&node["user"]["handle"]), text(&node["role"]));
    nodes(&data["team"]["members"]).into_iter().map(row).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(handle, role)| ((*handle).to_owned(), (*role).to_owned())).collect()
}

async fn a_team_grows_by_invitation_and_each_role_does_its_part(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let inks = team(&house, &ada, "inks").await;
    let accept = |token: &str| json!({ "token": token });

    let token = invited(&house, &ada, &inks, &bob.email, "VIEWER").await;
    let theft = house.user_error(&eve, "acceptInvitation", accept(&token), MEMBERSHIP).await;
    assert_eq!(theft, "OTHER_ADDRESS", "a link is worth nothing to whom it was not sent");
    let revoke = async |person: &Person| {
        let query = "query ($id: ID!) { team(id: $id) { invitations(first: 1) { edges { node { id } } } } }";
        let data = house.data_of(Some(&person.token), query, json!({ "id": inks })).await;
        let id = nodes(&data["team"]["invitations"])[0]["id"].clone();
        house.done(person, "revokeInvitation", json!({ "id": id }), "invitation { revokedAt }").await
    };
    assert!(revoke(&ada).await["invitation"]["revokedAt"].is_string());
    assert_eq!(house.user_error(&bob, "acceptInvitation", accept(&token), MEMBERSHIP).await, "LINK_INVALID");

    let token = invited(&house, &ada, &inks, &bob.email, "VIEWER").await;
    let payload = house.done(&bob, "acceptInvitation", accept(&token), MEMBERSHIP).await;
    let membership = text(&payload["membership"]["id"]);
    assert_eq!(house.user_error(&bob, "acceptInvitation", accept(&token), MEMBERSHIP).await, "LINK_INVALID");
    assert_eq!(members(&house, &bob, &inks).await, pairs(&[("ada", "OWNER"), ("bob", "VIEWER")]));

    // A viewer looks, a creator makes, an administrator manages; each sees the refusal and not a missing team.
    let dataset = json!({ "name": "Foxes", "teamId": inks });
    let invitation = json!({ "teamId": inks, "email": eve.email, "role": "VIEWER" });
    let audit = "query ($id: ID!) { auditEntries(teamId: $id, first: 50) { edges { node { \
                 action detail actor { handle } } } } }";
    assert_eq!(house.refused(&bob, "createDataset", dataset.clone()).await, "FORBIDDEN");
    let role = |role: &str| json!({ "id": membership, "role": role });
    house.done(&ada, "changeMemberRole", role("CREATOR"), MEMBERSHIP).await;
    house.done(&bob, "createDataset", dataset, "dataset { id }").await;
    assert_eq!(house.refused(&bob, "inviteMember", invitation.clone()).await, "FORBIDDEN");
    assert_eq!(house.refusal(Some(&bob.token), audit, json!({ "id": inks })).await, "FORBIDDEN");
    house.done(&ada, "changeMemberRole", role("ADMINISTRATOR"), MEMBERSHIP).await;
    house.done(&bob, "inviteMember", invitation.clone(), "invitation { id }").await;
    let too_high = json!({ "teamId": inks, "email": eve.email, "role": "OWNER" });
    assert_eq!(house.user_error(&bob, "inviteMember", too_high, "invitation { id }").await, "ROLE_TOO_HIGH");
    assert_eq!(house.user_error(&bob, "changeMemberRole", role("OWNER"), MEMBERSHIP).await, "ROLE_TOO_HIGH");

    let data = house.data_of(Some(&bob.token), audit, json!({ "id": inks })).await;
    let trail: Vec<_> = nodes(&data["auditEntries"])
        .iter()
        .rev()
        .map(|entry| {
            let deed = entry["detail"]["do"].as_str().unwrap_or_default();
            format!("{} {} {deed}", text(&entry["actor"]["handle"]), text(&entry["action"]))
        })
        .collect();
    let expected = [
        "ada TeamCreate create",
        "ada MemberManage invite",
        "ada MemberManage revoke",
        "ada MemberManage invite",
        "bob InvitationAccept accept",
        "ada MemberManage changeRole",
        "bob DatasetWrite create",
        "ada MemberManage changeRole",
        "bob MemberManage invite",
    ];
    assert_eq!(trail, expected, "every deed is there once, and what was refused is not");
    house.close().await;
}

async fn who_is_removed_sees_nothing_any_more(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let inks = team(&house, &ada, "inks").await;
    let membership = joined(&house, &ada, &inks, &bob, "CREATOR").await;
    let input = json!({ "name": "Foxes", "teamId": inks });
    let dataset = text(&house.done(&bob, "createDataset", input, "dataset { id }").await["dataset"]["id"]);
    let (by_team, by_id) =
        ("query ($id: ID!) { team(id: $id) { id } }", "query ($id: ID!) { dataset(id: $id) { id } }");
    let lists = "query ($id: ID!) { datasets(teamId: $id, first: 5) { edges { node { id } } } \
                 teams(first: 5) { edges { node { id } } } }";
    let seen = house.data_of(Some(&bob.token), lists, json!({ "id": inks })).await;
    assert_eq!((nodes(&seen["datasets"]).len(), nodes(&seen["teams"]).len()), (1, 2));

    let removal = json!({ "id": membership });
    assert_eq!(house.refused(&bob, "removeMember", removal.clone()).await, "FORBIDDEN");
    house.done(&ada, "removeMember", removal, MEMBERSHIP).await;

    // The same access token as before: what it opens is looked up each time.
    assert_eq!(house.refusal(Some(&bob.token), by_team, json!({ "id": inks })).await, "NOT_FOUND");
    assert_eq!(house.refusal(Some(&bob.token), by_id, json!({ "id": dataset })).await, "NOT_FOUND");
    let seen = house.data_of(Some(&bob.token), lists, json!({ "id": inks })).await;
    assert_eq!((nodes(&seen["datasets"]).len(), nodes(&seen["teams"]).len()), (0, 1));
    let rename = json!({ "id": dataset, "name": "Mine" });
    assert_eq!(house.refused(&bob, "updateDataset", rename).await, "NOT_FOUND");
    house.data_of(Some(&ada.token), by_id, json!({ "id": dataset })).await;
    house.close().await;
}

async fn a_team_always_has_an_owner_and_ends_when_its_work_has(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let inks = team(&house, &ada, "inks").await;
    let this = json!({ "id": inks });
    assert_eq!(house.user_error(&ada, "leaveTeam", this.clone(), "team { id }").await, "LAST_OWNER");
    joined(&house, &ada, &inks, &bob, "OWNER").await;
    let data = house.data_of(Some(&ada.token), MEMBERS, this.clone()).await;
    let own = nodes(&data["team"]["members"])[0]["id"].clone();
    house.done(&ada, "leaveTeam", this.clone(), "team { id }").await;
    assert_eq!(members(&house, &bob, &inks).await, pairs(&[("bob", "OWNER")]));
    assert_eq!(house.refused(&ada, "removeMember", json!({ "id": own })).await, "NOT_FOUND");
    assert_eq!(house.user_error(&bob, "leaveTeam", this.clone(), "team { id }").await, "LAST_OWNER");
    let data = house.data_of(Some(&bob.token), MEMBERS, this.clone()).await;
    let last = json!({ "id": nodes(&data["team"]["members"])[0]["id"], "role": "VIEWER" });
    assert_eq!(house.user_error(&bob, "changeMemberRole", last, MEMBERSHIP).await, "LAST_OWNER");

    let wish = json!({ "prompt": "a fox", "teamId": inks });
    let generation = house.done(&bob, "generatePictures", wish, "generation { job { id } }").await;
    assert_eq!(house.user_error(&bob, "deleteTeam", this.clone(), "team { id }").await, "HAS_JOBS");
    let job = json!({ "id": generation["generation"]["job"]["id"] });
    house.done(&bob, "cancelJob", job, "job { state }").await;
    let ended = house.done(&bob, "deleteTeam", this.clone(), "team { slug deletedAt }").await;
    assert!(ended["team"]["deletedAt"].is_string());
    let query = "query ($id: ID!) { team(id: $id) { id } }";
    assert_eq!(house.refusal(Some(&bob.token), query, this).await, "NOT_FOUND");
    let again = json!({ "name": "Inks", "slug": "inks" });
    assert_eq!(house.user_error(&bob, "createTeam", again, "team { id }").await, "HANDLE_TAKEN");
    house.close().await;
}

async fn a_persons_own_team_is_theirs_alone(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let own = json!({ "id": ada.team });
    for (name, input, fields) in [
        ("leaveTeam", own.clone(), "team { id }"),
        ("deleteTeam", own.clone(), "team { id }"),
        ("updateTeam", json!({ "id": ada.team, "name": "Us" }), "team { id }"),
        ("inviteMember", json!({ "teamId": ada.team, "email": bob.email, "role": "VIEWER" }), "invitation { id }"),
    ] {
        assert_eq!(house.user_error(&ada, name, input, fields).await, "PERSONAL_TEAM", "{name}");
    }
    for (input, code) in [
        (json!({ "name": "", "slug": "inks" }), "REQUIRED"),
        (json!({ "name": "n".repeat(81), "slug": "inks" }), "TOO_LONG"),
        (json!({ "name": "Inks", "slug": "ink s" }), "INVALID_HANDLE"),
        (json!({ "name": "Inks", "slug": "bob" }), "HANDLE_TAKEN"),
    ] {
        assert_eq!(house.user_error(&ada, "createTeam", input, "team { id }").await, code);
    }
    house.close().await;
}
