//! Who gets into a team, how far, and who stays out.

use atelier_entities::mail;
use chrono::TimeDelta;
use sea_orm::QueryOrder as _;

use super::{
    credits::Grant,
    invitations::{AcceptInvitationError, InviteMemberError, NewInvitation, accept, invite, revoke},
    members::{ChangeMemberRoleError, RemoveMemberError, change_role, remove},
    *,
};
use crate::testing::TestHouse;

async fn studio(ctx: &Context, actor: &Actor) -> (team::Model, Actor) {
    let new = NewTeam { name: "Studio".to_owned(), slug: "studio".to_owned() };
    let team = create(ctx, actor, new, None).await.expect("a team");
    let owner = TestHouse::with_role(actor, team.id, Role::Owner);
    (team, owner)
}

async fn invited(ctx: &Context, owner: &Actor, team: Uuid, email: &str, role: Role) -> (invitation::Model, String) {
    let new = NewInvitation { team, email: email.to_owned(), role };
    let row = invite(ctx, owner, new, None).await.expect("an invitation");
    let mail = mail::Entity::find().order_by_desc(mail::Column::Id).one(ctx.db.read()).await;
    let text = mail.expect("reads").expect("a mail").text_body;
    let (_, token) = text.split_once("#token=").expect("a link");
    (row, token.split_whitespace().next().expect("a token").to_owned())
}

#[tokio::test]
async fn an_invitation_works_once_and_for_whom_it_was_meant() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let (team, ada) = studio(ctx, &ada).await;

    let (row, first) = invited(ctx, &ada, team.id, "bob@atelier.test", Role::Creator).await;
    let (_, token) = invited(ctx, &ada, team.id, "Bob@atelier.test", Role::Administrator).await;
    assert!(matches!(accept(ctx, &bob, &first).await, Err(AcceptInvitationError::LinkUsed)), "replaced");
    assert!(revoke(ctx, &ada, row.id).await.is_err());
    assert!(matches!(accept(ctx, &eve, &token).await, Err(AcceptInvitationError::OtherAddress)));
    assert!(matches!(accept(ctx, &Actor::Anonymous, &token).await, Err(AcceptInvitationError::Refused(_))));
    let membership = accept(ctx, &bob, &token).await.expect("joined");
    assert_eq!(membership.role, Role::Administrator);
    assert!(matches!(accept(ctx, &bob, &token).await, Err(AcceptInvitationError::LinkUsed)));

    let (row, token) = invited(ctx, &ada, team.id, "eve@atelier.test", Role::Viewer).await;
    revoke(ctx, &ada, row.id).await.expect("taken back");
    assert!(matches!(accept(ctx, &eve, &token).await, Err(AcceptInvitationError::LinkUsed)));
    let (_, token) = invited(ctx, &ada, team.id, "eve@atelier.test", Role::Viewer).await;
    house.clock.advance(TimeDelta::days(7));
    assert!(matches!(accept(ctx, &eve, &token).await, Err(AcceptInvitationError::LinkUsed)));
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_and_an_owner_is_left() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (team, ada) = studio(ctx, &ada).await;
    let own = membership::Entity::find().filter(membership::Column::TeamId.eq(team.id)).one(ctx.db.read()).await;
    let own = own.expect("reads").expect("the owner");
    assert!(matches!(leave(ctx, &ada, team.id).await, Err(LeaveTeamError::LastOwner)));
    assert!(matches!(change_role(ctx, &ada, own.id, Role::Viewer).await, Err(ChangeMemberRoleError::LastOwner)));
    assert!(matches!(remove(ctx, &ada, own.id).await, Err(RemoveMemberError::LastOwner)));

    let (_, token) = invited(ctx, &ada, team.id, "bob@atelier.test", Role::Administrator).await;
    let bobs = accept(ctx, &bob, &token).await.expect("joined");
    let bob = TestHouse::with_role(&bob, team.id, Role::Administrator);
    let new = NewInvitation { team: team.id, email: "eve@atelier.test".to_owned(), role: Role::Owner };
    assert!(matches!(invite(ctx, &bob, new, None).await, Err(InviteMemberError::RoleTooHigh)));
    assert!(matches!(change_role(ctx, &bob, bobs.id, Role::Owner).await, Err(ChangeMemberRoleError::RoleTooHigh)));
    assert!(matches!(change_role(ctx, &bob, own.id, Role::Viewer).await, Err(ChangeMemberRoleError::RoleTooHigh)));
    assert!(matches!(remove(ctx, &bob, own.id).await, Err(RemoveMemberError::RoleTooHigh)));
    assert!(matches!(delete(ctx, &bob, team.id).await, Err(DeleteTeamError::Refused(Refused::Forbidden(_)))));

    change_role(ctx, &ada, bobs.id, Role::Owner).await.expect("two owners");
    leave(ctx, &ada, team.id).await.expect("left");
    let bob = TestHouse::with_role(&bob, team.id, Role::Owner);
    assert!(matches!(leave(ctx, &bob, team.id).await, Err(LeaveTeamError::LastOwner)));
    delete(ctx, &bob, team.id).await.expect("deleted");
    assert!(matches!(update(ctx, &bob, team.id, "Again").await, Err(UpdateTeamError::Refused(Refused::NotFound(_)))));
    let again = NewTeam { name: "Studio".to_owned(), slug: "studio".to_owned() };
    assert!(create(ctx, &bob, again, None).await.is_err(), "the name of a deleted team is not given again");
}

#[tokio::test]
async fn to_a_stranger_there_is_no_team_and_only_the_installation_grants_credits() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, eve) = (house.person("ada").await, house.person("eve").await);
    let (team, ada) = studio(ctx, &ada).await;
    let own = membership::Entity::find().filter(membership::Column::TeamId.eq(team.id)).one(ctx.db.read()).await;
    let own = own.expect("reads").expect("the owner").id;
    let (row, _) = invited(ctx, &ada, team.id, "bob@atelier.test", Role::Viewer).await;
    let new = NewInvitation { team: team.id, email: "eve@atelier.test".to_owned(), role: Role::Viewer };
    let grant = Grant { team: team.id, amount: 5 };
    let refused = [
        get(ctx, &eve, team.id).await.map(drop).map_err(|error| error.to_string()),
        update(ctx, &eve, team.id, "Mine").await.map(drop).map_err(|error| error.to_string()),
        delete(ctx, &eve, team.id).await.map(drop).map_err(|error| error.to_string()),
        leave(ctx, &eve, team.id).await.map(drop).map_err(|error| error.to_string()),
        invite(ctx, &eve, new, None).await.map(drop).map_err(|error| error.to_string()),
        revoke(ctx, &eve, row.id).await.map(drop).map_err(|error| error.to_string()),
        change_role(ctx, &eve, own, Role::Viewer).await.map(drop).map_err(|error| error.to_string()),
        remove(ctx, &eve, own).await.map(drop).map_err(|error| error.to_string()),
        credits::grant(ctx, &eve, grant.clone(), None).await.map(drop).map_err(|error| error.to_string()),
    ];
    for (place, refusal) in refused.into_iter().enumerate() {
        let nouns = ["team", "invitation", "membership"].map(|noun| Err(Refused::NotFound(noun).to_string()));
        assert!(nouns.contains(&refusal), "{place}: {refusal:?}");
    }
    let page = PageRequest::new(10, None).expect("a page");
    assert!(members::pages(ctx, &eve, &[team.id], &page).await.expect("reads").is_empty());
    assert!(invitations::pages(ctx, &eve, &[team.id], &page).await.expect("reads").is_empty());
    assert!(credits::of_teams(ctx, &eve, &[team.id]).await.expect("reads").is_empty());
    assert_eq!(members::pages(ctx, &ada, &[team.id], &page).await.expect("reads")[&team.id].rows.len(), 1);

    assert!(credits::grant(ctx, &ada, grant.clone(), None).await.is_err(), "an owner of the team is not enough");
    let mut root = eve.person().expect("a person").clone();
    root.is_administrator = true;
    let root = Actor::Person(root);
    for _ in 0..2 {
        credits::grant(ctx, &root, grant.clone(), Some("once")).await.expect("granted");
    }
    assert_eq!(credits::of_teams(ctx, &ada, &[team.id]).await.expect("reads")[&team.id].available, 1_005);
    assert!(ledger::audit(ctx.db.read()).await.expect("reads").is_empty());
}
