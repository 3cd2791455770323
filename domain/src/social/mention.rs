//! `@handle` in comments: read when a comment is written and when it is changed, and kept beside it.

use std::{
    collections::{HashMap, HashSet},
    iter::once,
};

use atelier_entities::{comment_mention as mention, user};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::comment;
use crate::{
    account::{self, identity::HANDLE_LENGTHS},
    actor::Actor,
    context::Context,
    error::ReadError,
};

/// How many people a comment may mention.
pub(super) const MOST: usize = 20;

/// The handles that a text mentions, in lower case, each once, in the order of the text. What stands in code, in a mail
/// address or in a web address mentions nobody.
fn handles(text: &str) -> Vec<String> {
    let prose = without_code(text);
    let mut found = Vec::new();
    for (at, _) in prose.match_indices('@') {
        let before = prose[..at].chars().next_back();
        let is_inside_a_word = before.is_some_and(|c| c.is_alphanumeric() || "._-+/@".contains(c));
        let rest = &prose[at + 1..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let (handle, rest) = rest.split_at(length);
        let handle = handle.trim_end_matches('-').to_ascii_lowercase();
        if !is_inside_a_word && !goes_on(rest) && HANDLE_LENGTHS.contains(&handle.len()) && !found.contains(&handle) {
            found.push(handle);
        }
    }
    found
}

/// Whether what follows a handle makes it the beginning of something else: `@ada_b`, `@ada.example`, `@ada@elsewhere`.
fn goes_on(rest: &str) -> bool {
    let mut rest = rest.chars();
    match rest.next() {
        Some('.') => rest.next().is_some_and(char::is_alphanumeric),
        Some(next) => next.is_alphanumeric() || "_@".contains(next),
        None => false,
    }
}

/// The text with a space in the place of each piece of code: fenced by lines of three backticks or tildes, or between
/// backticks. What is begun and not ended is code to the end of a fence, and none within a paragraph, as in Markdown.
fn without_code(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut paragraph = String::new();
    let mut fence: Option<&str> = None;
    for line in text.lines().chain(once("")) {
        let opening = ["```", "~~~"].into_iter().find(|marks| line.trim_start().starts_with(marks));
        match (fence, opening) {
            (Some(marks), Some(found)) if marks == found => fence = None,
            (Some(_), _) => {}
            (None, found) => {
                fence = found;
                if found.is_some() || line.trim().is_empty() {
                    prose.push_str(&without_spans(&std::mem::take(&mut paragraph)));
                    prose.push('\n');
                } else {
                    paragraph.push_str(line);
                    paragraph.push('\n');
                }
            }
        }
    }
    prose + &without_spans(&paragraph)
}

/// A paragraph without what stands between runs of as many backticks.
fn without_spans(paragraph: &str) -> String {
    let mut prose = String::with_capacity(paragraph.len());
    let mut rest = paragraph;
    while let Some(start) = rest.find('`') {
        let length = run(&rest[start..]);
        let inside = &rest[start + length..];
        prose.push_str(&rest[..start]);
        prose.push(' ');
        rest = end_of_span(inside, length).map_or(inside, |end| &inside[end..]);
    }
    prose + rest
}

/// Where the span ends that so many backticks began.
fn end_of_span(inside: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = inside[at..].find('`') {
        at += found;
        let here = run(&inside[at..]);
        at += here;
        if here == length {
            return Some(at);
        }
    }
    None
}

/// How many backticks a text begins with.
fn run(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

/// The people whom a text mentions, in its order.
pub(super) async fn people(tx: &DatabaseTransaction, text: &str) -> Result<Vec<Uuid>, DbErr> {
    let handles = handles(text);
    if handles.is_empty() {
        return Ok(Vec::new());
    }
    let rows = user::Entity::find().filter(user::Column::Handle.is_in(handles.iter())).all(tx).await?;
    let known: HashMap<String, Uuid> = rows.into_iter().map(|row| (row.handle, row.id)).collect();
    Ok(handles.iter().filter_map(|handle| known.get(handle).copied()).collect())
}

/// Keeps whom a comment mentions now. Returns those who were never mentioned in it before: they are to be told.
pub(super) async fn store(
    tx: &DatabaseTransaction,
    ctx: &Context,
    comment: Uuid,
    people: &[Uuid],
) -> Result<Vec<Uuid>, DbErr> {
    let earlier = mention::Entity::find().filter(mention::Column::CommentId.eq(comment)).all(tx).await?;
    let earlier: HashSet<Uuid> = earlier.into_iter().map(|row| row.user_id).collect();
    mention::Entity::update_many()
        .col_expr(mention::Column::WithdrawnAt, Expr::value(ctx.now()))
        .filter(mention::Column::CommentId.eq(comment))
        .filter(mention::Column::WithdrawnAt.is_null())
        .filter(mention::Column::UserId.is_not_in(people.iter().copied()))
        .exec(tx)
        .await?;
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let rows = (0..).zip(people).map(|(position, person)| mention::ActiveModel {
        comment_id: Set(comment),
        user_id: Set(*person),
        position: Set(position),
        withdrawn_at: Set(None),
        created_at: Set(ctx.now()),
    });
    let conflict = OnConflict::columns([mention::Column::CommentId, mention::Column::UserId])
        .update_columns([mention::Column::Position, mention::Column::WithdrawnAt])
        .to_owned();
    mention::Entity::insert_many(rows).on_conflict(conflict).exec_without_returning(tx).await?;
    Ok(people.iter().copied().filter(|person| !earlier.contains(person)).collect())
}

/// Whom several comments mention, for loaders; comments that the actor may not see mention nobody.
///
/// # Errors
/// What the database says.
pub async fn of_comments(
    ctx: &Context,
    actor: &Actor,
    comments: &[Uuid],
) -> Result<HashMap<Uuid, Vec<user::Model>>, ReadError> {
    let seen = comment::by_ids(ctx, actor, comments).await?;
    let rows = mention::Entity::find()
        .filter(mention::Column::CommentId.is_in(seen.into_keys()))
        .filter(mention::Column::WithdrawnAt.is_null())
        .order_by_asc(mention::Column::Position)
        .all(ctx.db.read())
        .await?;
    let ids: HashSet<Uuid> = rows.iter().map(|row| row.user_id).collect();
    let people = account::by_ids(ctx, actor, &ids.into_iter().collect::<Vec<_>>()).await?;
    let mut mentions: HashMap<Uuid, Vec<user::Model>> = HashMap::new();
    for row in rows {
        mentions.entry(row.comment_id).or_default().extend(people.get(&row.user_id).cloned());
    }
    Ok(mentions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_mentioned_in_prose_and_nowhere_else() {
        for (text, expected) in [
            ("@ada and @Bob-the-2nd, see (@cyd).", &["ada", "bob-the-2nd", "cyd"][..]),
            ("@ada @ada, **@ada**", &["ada"]),
            ("ada@bob.example, me+you@cyd.example, https://social.example/@dan", &[]),
            ("@ada.example and @bob@social.example and @cyd_2", &[]),
            ("@ad @abcdefghijklmnopqrstuvwxyz-0123456 @ada- @", &["ada"]),
            ("`@ada` and ``a ` @bob`` and @cyd", &["cyd"]),
            ("a ` that is not closed, @ada", &["ada"]),
            ("a ` that is\n\nnot closed here ` @ada", &["ada"]),
            ("```\n@ada\n```\n@bob\n~~~\n@cyd", &["bob"]),
            ("```\n@ada\n~~~\n@bob\n```\n@cyd", &["cyd"]),
            ("@ada\n@bob\nünï@cyd @dän", &["ada", "bob"]),
        ] {
            assert_eq!(handles(text), expected, "{text}");
        }
    }
}
