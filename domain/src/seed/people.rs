//! Made-up people.

use atelier_entities::{kinds::Role, membership, team, user};
use sea_orm::{ActiveValue::Set, DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Chance, Progress, SeedSpec, words, write_rows};
use crate::{account::password, context::Context};

/// Who owns LoRAs and rates them.
pub(super) struct SeededPerson {
    pub(super) id: Uuid,
    pub(super) team: Uuid,
}

/// One hash for all of them; without a password one that no password has.
pub(super) async fn password_hash(ctx: &Context, password: Option<&str>) -> anyhow::Result<String> {
    match password {
        Some(password) => password::hash(ctx, password).await,
        None => Ok(String::new()),
    }
}

/// Writes people with their personal teams.
pub(super) async fn write(
    tx: &DatabaseTransaction,
    spec: &SeedSpec,
    password_hash: &str,
    chance: &mut Chance,
    progress: Progress<'_>,
) -> Result<Vec<SeededPerson>, DbErr> {
    let mut people = Vec::with_capacity(spec.people as usize);
    let (mut users, mut teams, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=spec.people {
        let at = chance.within_days(1000);
        let (id, team) = (chance.id(at), chance.id(at));
        let name = words::word(chance, 3);
        let handle = format!("{name}-{number}");
        users.push(user::ActiveModel {
            id: Set(id),
            email: Set(format!("{handle}@seed.invalid")),
            email_verified_at: Set(Some(at)),
            handle: Set(handle.clone()),
            display_name: Set(words::capital(&name)),
            bio: Set(String::new()),
            password_hash: Set(password_hash.to_owned()),
            links: Set(serde_json::json!([])),
            is_administrator: Set(false),
            suspended_at: Set(None),
            created_at: Set(at),
            ..Default::default()
        });
        teams.push(team::ActiveModel {
            id: Set(team),
            slug: Set(handle),
            name: Set(words::capital(&name)),
            personal_user_id: Set(Some(id)),
            created_at: Set(at),
            deleted_at: Set(None),
        });
        memberships.push(membership::ActiveModel {
            id: Set(chance.id(at)),
            team_id: Set(team),
            user_id: Set(id),
            role: Set(Role::Owner),
            created_at: Set(at),
        });
        people.push(SeededPerson { id, team });
    }
    write_rows(tx, users, |done| progress("people", done, spec.people)).await?;
    write_rows(tx, teams, |_| ()).await?;
    write_rows(tx, memberships, |_| ()).await?;
    Ok(people)
}
