//! Who acts.

use atelier_entities::{kinds::Role, scope::Scope};
use uuid::Uuid;

use crate::error::Refused;

/// Who asks for something to be done.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Nobody is signed in.
    Anonymous,
    /// A person.
    Person(Person),
    /// The house itself: workers, outbox consumers, the command line of whoever runs the installation.
    System,
}

/// A person who is signed in, with what the policy needs to know of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub id: Uuid,
    /// The session (family of refresh tokens) that the access token belongs to.
    pub session: Uuid,
    /// Their personal team.
    pub personal_team: Uuid,
    /// May administer the installation.
    pub is_administrator: bool,
    /// Teams and roles, the personal team included.
    pub memberships: Vec<(Uuid, Role)>,
}

impl Person {
    /// The person's role in a team.
    pub fn role_in(&self, team: Uuid) -> Option<Role> {
        self.memberships.iter().find(|(id, _)| *id == team).map(|(_, role)| *role)
    }
}

impl Actor {
    /// The person who acts.
    ///
    /// # Errors
    /// [`Refused::Unauthenticated`] when nobody is signed in or the house acts by itself.
    pub fn person(&self) -> Result<&Person, Refused> {
        match self {
            Actor::Person(person) => Ok(person),
            Actor::Anonymous | Actor::System => Err(Refused::Unauthenticated),
        }
    }

    /// The person's id, for the audit trail.
    pub fn user_id(&self) -> Option<Uuid> {
        match self {
            Actor::Person(person) => Some(person.id),
            Actor::Anonymous | Actor::System => None,
        }
    }

    /// The person's role in a team; the house owns everything.
    pub fn role_in(&self, team: Uuid) -> Option<Role> {
        match self {
            Actor::Person(person) => person.role_in(team),
            Actor::Anonymous => None,
            Actor::System => Some(Role::Owner),
        }
    }

    /// What lists show to this actor.
    pub fn scope(&self) -> Scope {
        match self {
            Actor::Anonymous => Scope::Teams(Vec::new()),
            Actor::Person(person) => Scope::Teams(person.memberships.iter().map(|(team, _)| *team).collect()),
            Actor::System => Scope::Everything,
        }
    }
}
