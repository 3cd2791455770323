//! The files of a LoRA. A version comes from a training or from an import, and never changes afterwards.

use std::{collections::HashMap, ops::RangeInclusive};

use atelier_entities::{
    kinds::LoraState,
    lora, lora_file, lora_version as version,
    scope::{Scope, shown_to_all},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr, UnionType},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit, blob,
    context::Context,
    error::{Invalid, ReadError, Refused},
    failures, nested,
    page::{Direction, Page, PageRequest},
    policy::{Action, Permit, Resource, authorize},
    ports::{blobs::Stored, inspector::InspectedLora},
    text,
};

/// The strengths at which a version can be used, and therefore recommended: what was rendered at one can be rendered again.
pub(crate) const STRENGTHS: RangeInclusive<f64> = -4.0..=4.0;

/// Checks a strength.
///
/// # Errors
/// [`Invalid`] with `OUT_OF_RANGE`, naming the field and the bounds.
pub(crate) fn check_strength(field: &'static str, strength: f64) -> Result<f64, Invalid> {
    text::check_range(field, strength, *STRENGTHS.start(), *STRENGTHS.end())
}

/// Where a version's file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSource {
    /// A training run.
    Training(Uuid),
    /// An upload.
    Upload(Uuid),
}

/// A version to be added.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// The LoRA.
    pub lora: Uuid,
    /// What is new.
    pub change_note: String,
    /// The version that it continues.
    pub parent: Option<Uuid>,
    /// The base model that it was made for.
    pub base_model: Option<Uuid>,
    /// Words that call its style up.
    pub trigger_words: Vec<String>,
    /// The `.safetensors` file, in the store already.
    pub file: Stored,
    /// What the inspector found in the file.
    pub facts: InspectedLora,
    /// Strength at which it looks best.
    pub recommended_strength: f64,
    /// Where it comes from. The same source and file give the same version.
    pub source: VersionSource,
}

failures! {
    /// Why [`add_version`] refused.
    pub enum AddVersionError {
        /// The LoRA has been deleted meanwhile.
        Deleted => ("loraId", "LORA_DELETED", "This LoRA was deleted. Choose another or make a new one."),
        /// The LoRA has this very file.
        Repeated { number: i32 } =>
            ("uploadId", "REPEATED_VERSION", "This very file is version {number} of the LoRA already. Nothing was added."),
    }
}

/// Adds a version in the caller's transaction: the blob's row, the version's row, and the audit entry. Called again for
/// the same source it returns what it made the first time.
///
/// The version is seen by the team only until it is published. The caller [announces](super::announce_draft) it.
///
/// # Errors
/// [`AddVersionError::Deleted`], [`AddVersionError::Repeated`].
pub async fn add_version<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    permit: &Permit,
    new: NewVersion,
) -> Result<version::Model, AddVersionError> {
    let lora = lora::Entity::find_by_id(new.lora)
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(Refused::NotFound(lora::Model::NAME))?;
    if lora.state == LoraState::Deleted {
        return Err(AddVersionError::Deleted);
    }
    let siblings = version::Entity::find().filter(version::Column::LoraId.eq(lora.id)).all(tx).await?;
    let (training, upload) = match new.source {
        VersionSource::Training(id) => (Some(id), None),
        VersionSource::Upload(id) => (None, Some(id)),
    };
    // One training may make several versions: an epoch each.
    let is_same_source = |row: &&version::Model| {
        (row.training_run_id, row.upload_id) == (training, upload) && row.blob_sha256 == new.file.sha256
    };
    if let Some(made) = siblings.iter().find(is_same_source) {
        return Ok(made.clone());
    }
    if let Some(repeated) = siblings.iter().find(|row| row.blob_sha256 == new.file.sha256) {
        return Err(AddVersionError::Repeated { number: repeated.number });
    }
    blob::record(tx, ctx, &new.file).await?;
    let number = siblings.iter().map(|row| row.number).max().unwrap_or_default() + 1;
    let row = row(ctx, &lora, number, new, training, upload).insert(tx).await?;
    if siblings.iter().all(|row| row.published_at.is_none()) {
        show_first(tx, ctx, lora.id, row.id).await?;
    }
    audit::record(tx, ctx, permit, Some(row.id), json!({ "do": "add version", "lora": lora.id, "number": number }))
        .await?;
    Ok(row)
}

fn row(
    ctx: &Context,
    lora: &lora::Model,
    number: i32,
    new: NewVersion,
    training: Option<Uuid>,
    upload: Option<Uuid>,
) -> version::ActiveModel {
    version::ActiveModel {
        id: Set(ctx.new_id()),
        lora_id: Set(lora.id),
        team_id: Set(lora.team_id),
        number: Set(number),
        change_note: Set(new.change_note),
        parent_version_id: Set(new.parent),
        base_model_id: Set(new.base_model),
        trigger_words: Set(json!(new.trigger_words)),
        recommended_strength: Set(new.recommended_strength),
        training_run_id: Set(training),
        upload_id: Set(upload),
        published_at: Set(None),
        created_at: Set(ctx.now()),
        ..of_file(new.file, new.facts)
    }
}

/// Of a version's row what its file says; the rest is left open.
pub(crate) fn of_file(file: Stored, facts: InspectedLora) -> version::ActiveModel {
    version::ActiveModel {
        declared_family: Set(facts.declared),
        detected_family: Set(facts.family),
        detected_variant: Set(facts.variant),
        context_width: Set(width(facts.context_width)),
        hidden_width: Set(width(facts.hidden_width)),
        matched_share: Set(facts.matched_share),
        problems: Set(json!(facts.problems)),
        rank: Set(width(facts.rank)),
        alpha: Set(facts.alpha),
        layout: Set(facts.layout),
        blob_sha256: Set(file.sha256),
        auto_v2: Set(facts.auto_v2),
        auto_v3: Set(facts.auto_v3),
        blake3: Set(facts.blake3),
        file_size: Set(file.size),
        metadata: Set(facts.metadata),
        ..Default::default()
    }
}

fn width(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// What the inspector found in a version's file, as it was kept with the version.
pub fn facts(version: &version::Model) -> InspectedLora {
    InspectedLora {
        family: version.detected_family.clone(),
        variant: version.detected_variant.clone(),
        declared: version.declared_family.clone(),
        context_width: version.context_width.unsigned_abs(),
        hidden_width: version.hidden_width.unsigned_abs(),
        rank: version.rank.unsigned_abs(),
        alpha: version.alpha,
        layout: version.layout.clone(),
        trigger_words: words(&version.trigger_words),
        title: None,
        tags: Vec::new(),
        sha256: version.blob_sha256.clone(),
        auto_v2: version.auto_v2.clone(),
        auto_v3: version.auto_v3.clone(),
        blake3: version.blake3.clone(),
        size: version.file_size.unsigned_abs(),
        matched_share: version.matched_share,
        problems: words(&version.problems),
        metadata: version.metadata.clone(),
    }
}

/// A column that holds a list of texts.
pub fn words(column: &serde_json::Value) -> Vec<String> {
    let list = column.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Makes a version the one that the card shows first.
pub(super) async fn show_first<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    lora: Uuid,
    version: Uuid,
) -> Result<(), DbErr> {
    lora::Entity::update_many()
        .col_expr(lora::Column::LatestVersionId, Expr::value(version))
        .col_expr(lora::Column::UpdatedAt, Expr::value(ctx.now()))
        .filter(lora::Column::Id.eq(lora))
        .exec(tx)
        .await
        .map(|_| ())
}

/// A version with its LoRA, for whoever may see both: a version that is not published is its team's.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<(lora::Model, version::Model), ReadError> {
    let missing = Refused::NotFound("LoRA version");
    let db = ctx.db.read();
    let version = version::Entity::find_by_id(id).one(db).await?.ok_or_else(|| missing.clone())?;
    let lora = lora::Entity::find_by_id(version.lora_id).one(db).await?.ok_or_else(|| missing.clone())?;
    if authorize(actor, Action::LoraRead, &lora).is_err() || !sees(actor, &version) {
        return Err(missing.into());
    }
    Ok((lora, version))
}

/// A prompt that calls a style up: the trigger word stands before it unless it holds it, whatever the case.
pub fn with_trigger(trigger: &str, prompt: &str) -> String {
    let (trigger, prompt) = (trigger.trim(), prompt.trim());
    match (prompt.is_empty(), holds_word(prompt, trigger)) {
        (true, _) => trigger.to_owned(),
        (false, true) => prompt.to_owned(),
        (false, false) => format!("{trigger} {prompt}"),
    }
}

/// Whether a text holds a trigger word as a word of its own, whatever the case: "a pink house" holds no "ink".
pub(crate) fn holds_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    let (first, last) = (word.chars().next(), word.chars().next_back());
    // What is no letter or number ends a word wherever it stands: `<ink>` needs no space around it.
    let goes_on = |edge: Option<char>, beside: Option<char>| edge.is_some_and(joins) && beside.is_some_and(joins);
    text.match_indices(&word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !goes_on(first, before.chars().next_back()) && !goes_on(last, after.chars().next())
    })
}

/// Whether a character makes one word with those of its kind beside it. In scripts that set no spaces between words none does.
fn joins(character: char) -> bool {
    let sets_no_spaces = matches!(character, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
        || character >= '\u{2E80}';
    (character.is_alphanumeric() || character == '_') && !sets_no_spaces
}

/// Whether the actor sees a version of a LoRA that they see.
fn sees(actor: &Actor, version: &version::Model) -> bool {
    version.published_at.is_some() || actor.role_in(version.team_id).is_some()
}

/// The versions that a viewer may see: published ones of published LoRAs, and all of their teams.
pub(super) fn visible_to(scope: &Scope) -> sea_orm::Select<version::Entity> {
    let Scope::Teams(teams) = scope else { return version::Entity::find() };
    // Asked for each version that is looked at: the list of all that are shown would be made for every one of these statements.
    let shown = Query::select()
        .expr(Expr::value(1))
        .from(lora::Entity)
        .and_where(Expr::col((lora::Entity, lora::Column::Id)).equals((version::Entity, version::Column::LoraId)))
        .cond_where(shown_to_all())
        .take();
    let public = Condition::all().add(version::Column::PublishedAt.is_not_null()).add(Expr::exists(shown));
    let own = version::Column::TeamId.is_in(teams.iter().copied());
    version::Entity::find().filter(Condition::any().add(public).add(own))
}

/// That the actor sees the version that a column names: for what hangs below versions, in the same statement.
pub(crate) fn seen_by<C: ColumnTrait>(actor: &Actor, column: C) -> SimpleExpr {
    let seen = visible_to(&actor.scope())
        .select_only()
        .column(version::Column::Id)
        .filter(Expr::col((version::Entity, version::Column::Id)).equals(column.as_column_ref()));
    Expr::exists(seen.into_query())
}

/// The same page of the versions of several LoRAs, newest first; versions that the actor may not see are left out.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    loras: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<version::Model>>, ReadError> {
    let columns = (version::Column::LoraId, version::Column::Id);
    let select = visible_to(&actor.scope());
    let keys = |row: &version::Model| (row.lora_id, row.id);
    Ok(nested::pages(select, columns, keys, loras, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// Versions by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, version::Model>, ReadError> {
    let select = visible_to(&actor.scope()).filter(version::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// How many versions a hash may name.
const MOST_BY_HASH: u64 = 100;

/// The versions whose file a hash names, as it came or converted: SHA-256, AutoV2, AutoV3 or BLAKE3, in any case, or the first
/// eight or more digits of one.
///
/// # Errors
/// [`Invalid`] for what is no hash.
pub async fn by_hash(ctx: &Context, actor: &Actor, hash: &str) -> Result<Vec<version::Model>, ReadError> {
    let digits = hash.trim().to_ascii_lowercase();
    if !(8..=64).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let message = "`hash` is no hash. Give 8 to 64 hexadecimal digits of a SHA-256, AutoV2, AutoV3 or BLAKE3.";
        return Err(Invalid::new("hash", "BAD_HASH", message).into());
    }
    let live =
        lora::Entity::find().select_only().column(lora::Column::Id).filter(lora::Column::State.ne(LoraState::Deleted));
    let select = visible_to(&actor.scope())
        .filter(version::Column::Id.in_subquery(named_by(&digits)))
        .filter(version::Column::LoraId.in_subquery(live.into_query()))
        .order_by_desc(version::Column::Id)
        .limit(MOST_BY_HASH);
    Ok(select.all(ctx.db.read()).await?)
}

/// The keys of the versions with a file of which a hash begins with these digits. Each column is asked on its own and for a
/// range: an index answers that, and none answers what a text begins with, or one of several columns.
pub(super) fn named_by(digits: &str) -> SelectStatement {
    // Behind all hexadecimal digits.
    let end = format!("{digits}g");
    let of_versions = [version::Column::BlobSha256, version::Column::AutoV3, version::Column::Blake3].map(|hash| {
        let mut named = Query::select();
        named.column(version::Column::Id).from(version::Entity).and_where(hash.gte(digits)).and_where(hash.lt(&end));
        named
    });
    let of_files = [lora_file::Column::BlobSha256, lora_file::Column::AutoV3, lora_file::Column::Blake3].map(|hash| {
        let mut named = Query::select();
        named.column(lora_file::Column::LoraVersionId).from(lora_file::Entity);
        named.and_where(hash.gte(digits)).and_where(hash.lt(&end));
        named
    });
    let [mut all, more @ ..] = of_versions;
    for named in more.into_iter().chain(of_files) {
        all.union(UnionType::Distinct, named);
    }
    all
}

/// How many versions with the same weights are shown.
const MOST_DUPLICATES: usize = 20;

/// For each version the others with the same weights, whatever their headers say, the oldest first, for loaders. Ask for
/// versions that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn duplicates(
    ctx: &Context,
    actor: &Actor,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<version::Model>>, ReadError> {
    let versions = by_ids(ctx, actor, ids).await?;
    let same: Vec<version::Model> = visible_to(&actor.scope())
        .filter(version::Column::AutoV3.is_in(versions.values().map(|row| row.auto_v3.clone())))
        .order_by_asc(version::Column::Id)
        .limit((ids.len() * (MOST_DUPLICATES + 1)) as u64)
        .all(ctx.db.read())
        .await?;
    let others = |row: &version::Model| {
        let others = same.iter().filter(|other| other.id != row.id && other.auto_v3 == row.auto_v3);
        others.take(MOST_DUPLICATES).cloned().collect()
    };
    Ok(versions.values().map(|row| (row.id, others(row))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_word_is_a_word_of_its_own() {
        for (text, word) in [
            ("ink", "ink"),
            ("an INK drawing", "ink"),
            ("a drawing, ink.", "Ink"),
            ("pink ink", "ink"),
            ("kavimo_style, a fox", "kavimo_style"),
            ("a<ink>fox", "<ink>"),
            ("一幅水墨画", "水墨"),
            ("a fox (Straße)", "straße"),
        ] {
            assert!(holds_word(text, word), "{word} in {text}");
        }
        for (text, word) in [
            ("a pink house", "ink"),
            ("inks", "ink"),
            ("kavimo_style2", "kavimo_style"),
            ("kavimo_style", "kavimo"),
            ("", "ink"),
        ] {
            assert!(!holds_word(text, word), "{word} in {text}");
        }
        assert_eq!(with_trigger("ink", "a pink house"), "ink a pink house");
        assert_eq!(with_trigger(" ink ", "Ink, a house"), "Ink, a house");
        assert_eq!(with_trigger("ink", " "), "ink");
        assert_eq!(with_trigger("", "a house"), "a house", "without a trigger word there is nothing to insert");
    }
}
