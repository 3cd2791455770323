//! Writing notifications: one statement for all who are told of a thing. It leaves out those who do not want to hear of it,
//! and numbers each notification after the person's last one.

use atelier_entities::{
    kinds::{MailFrequency, NotificationKind},
    notification, notification_preference as preference, tag_block, user_block,
};
use sea_orm::{
    ActiveEnum as _, ConnectionTrait, DbBackend, DbErr,
    sea_query::{Expr, ExprTrait as _, Func, JoinType, OnConflict, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use super::notification_preference::usual;
use crate::{context::Context, database};

/// The column by which an audience names its people.
pub(super) const PERSON: &str = "person_id";

/// The audience, inside the statement.
const AUDIENCE: &str = "audience";

/// What the people of an audience wish, inside the statement.
const WISH: &str = "wish";

/// What is told, and what it is about.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// What happened.
    pub(super) kind: NotificationKind,
    /// The outbox event it stems from.
    pub(super) event: i64,
    /// Who did it.
    pub(super) actor: Option<Uuid>,
    /// The LoRA concerned.
    pub(super) lora: Option<Uuid>,
    /// The comment concerned.
    pub(super) comment: Option<Uuid>,
    /// The job concerned.
    pub(super) job: Option<Uuid>,
    /// Whoever blocks one of these tags does not hear of it.
    pub(super) tags: Vec<String>,
    /// One sentence.
    pub(super) message: String,
}

impl Told {
    /// What is about nothing but who did it.
    pub(super) fn by(kind: NotificationKind, event: i64, actor: Option<Uuid>, message: String) -> Self {
        Self { kind, event, actor, lora: None, comment: None, job: None, tags: Vec::new(), message }
    }
}

/// Tells an audience, a select of the column [`PERSON`]. Whoever was told of the same event is not told again. Returns
/// how many were told.
///
/// Those who tell follow each other from here to their commit: a number that is given out becomes visible before the next
/// one, so that a subscription steps over nothing.
///
/// # Errors
/// What the database says.
pub(super) async fn tell<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    told: &Told,
    audience: SelectStatement,
    except: &[Uuid],
) -> Result<u64, DbErr> {
    database::serialize(tx, "notification").await?;
    let columns = [
        notification::Column::Id,
        notification::Column::UserId,
        notification::Column::Sequence,
        notification::Column::EventSequence,
        notification::Column::Kind,
        notification::Column::ActorId,
        notification::Column::LoraId,
        notification::Column::CommentId,
        notification::Column::JobId,
        notification::Column::Message,
        notification::Column::InApp,
        notification::Column::Mail,
        notification::Column::CreatedAt,
    ];
    let rows = rows(tx.get_database_backend(), ctx, told, audience, except);
    let conflict = OnConflict::columns([notification::Column::UserId, notification::Column::EventSequence])
        .do_nothing()
        .to_owned();
    let mut insert = Query::insert().into_table(notification::Entity).columns(columns).take();
    insert
        .select_from(rows)
        .expect("invariant: as many values are selected as there are columns")
        .on_conflict(conflict);
    Ok(tx.execute(&insert).await?.rows_affected())
}

/// The rows for everybody in the audience who wants to hear of it, values in the order of the columns.
fn rows(engine: DbBackend, ctx: &Context, told: &Told, audience: SelectStatement, except: &[Uuid]) -> SelectStatement {
    let person = || Expr::col((AUDIENCE, PERSON));
    let wish = |column| Expr::col((WISH, column));
    let usual = usual(told.kind);
    let in_app = || Func::coalesce([wish(preference::Column::InApp), Expr::value(usual.in_app)]);
    let mail = || Func::coalesce([wish(preference::Column::Mail), Expr::value(usual.mail.to_value())]);
    let own_wish = wish(preference::Column::UserId)
        .equals((AUDIENCE, PERSON))
        .and(wish(preference::Column::Kind).eq(told.kind.to_value()));
    let wanted = Expr::expr(in_app()).eq(true).or(Expr::expr(mail()).ne(MailFrequency::Off.to_value()));
    Query::select()
        .expr(key(engine, ctx.new_id()))
        .expr(person())
        .expr(next_sequence())
        .expr(Expr::value(told.event))
        .expr(Expr::value(told.kind.to_value()))
        .expr(Expr::value(told.actor))
        .expr(Expr::value(told.lora))
        .expr(Expr::value(told.comment))
        .expr(Expr::value(told.job))
        .expr(Expr::value(told.message.clone()))
        .expr(in_app())
        .expr(mail())
        .expr(Expr::value(ctx.now()))
        .from_subquery(audience, AUDIENCE)
        .join_as(JoinType::LeftJoin, preference::Entity, WISH, own_wish)
        .and_where(wanted)
        .and_where(person().is_not_in(except.iter().copied()))
        .and_where(Expr::exists(blocks_doer(told)).not())
        .and_where(Expr::exists(blocks_tag(told)).not())
        .take()
}

/// That the person blocks who did it.
fn blocks_doer(told: &Told) -> SelectStatement {
    Query::select()
        .expr(Expr::value(1))
        .from(user_block::Entity)
        .and_where(Expr::col((user_block::Entity, user_block::Column::BlockerId)).equals((AUDIENCE, PERSON)))
        .and_where(Expr::col((user_block::Entity, user_block::Column::BlockedId)).is_in(told.actor))
        .take()
}

/// That the person blocks a tag of what it is about.
fn blocks_tag(told: &Told) -> SelectStatement {
    Query::select()
        .expr(Expr::value(1))
        .from(tag_block::Entity)
        .and_where(Expr::col((tag_block::Entity, tag_block::Column::UserId)).equals((AUDIENCE, PERSON)))
        .and_where(
            Expr::col((tag_block::Entity, tag_block::Column::Tag)).is_in(told.tags.iter().map(|t| t.to_lowercase())),
        )
        .take()
}

/// The person's last number and one. All rows of a statement are numbered by what was there before it, so an audience names
/// nobody twice.
fn next_sequence() -> SimpleExpr {
    let last = Query::select()
        .expr(Expr::col(("earlier", notification::Column::Sequence)).max())
        .from_as(notification::Entity, "earlier")
        .and_where(Expr::col(("earlier", notification::Column::UserId)).equals((AUDIENCE, PERSON)))
        .take();
    let last = SimpleExpr::SubQuery(None, Box::new(last.into()));
    Expr::expr(Func::coalesce([last, Expr::value(0_i64)])).add(1_i64)
}

/// Keys of the rows: the time and the counter of a key from the context, and the random half of the person's own. The
/// database has no part in time and chance, and no two rows share a key.
fn key(engine: DbBackend, id: Uuid) -> SimpleExpr {
    let person = Expr::col((AUDIENCE, PERSON));
    if engine == DbBackend::Postgres {
        let begin = id.hyphenated().to_string()[..19].to_owned();
        return Expr::cust_with_exprs("CAST($1 || right(CAST($2 AS text), 17) AS uuid)", [Expr::value(begin), person]);
    }
    let begin = id.as_bytes()[..8].to_vec();
    Expr::cust_with_exprs("CAST(? || substr(?, 9, 8) AS BLOB)", [Expr::value(begin), person])
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable as _;

    use super::*;
    use crate::entities::kinds::NotificationMail;

    #[test]
    fn what_a_mail_waits_for_is_spelled_as_the_wish_that_is_copied() {
        for wish in MailFrequency::iter() {
            NotificationMail::try_from_value(&wish.to_value()).expect("the same words");
        }
    }
}
