//! Describing previews anew that another describer saw: an installation that is given CLIP, or another one, finds by picture
//! what was rendered before as well.

use std::collections::HashMap;

use atelier_entities::{kinds::EventKind, lora_version as version, preview};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Condition, Expr},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    context::Context,
    instance_value,
    lora::rebuild,
    outbox,
    ports::inspector::{Rejected, inspect},
};

/// Previews that are described at once.
const PIECE: u64 = 16;

/// Name of the value that holds what described the looks of the search index.
const DESCRIBER: &str = "search_describer";

/// What it is while previews are described anew.
const UNDER_WAY: &str = "";

/// Describes a piece of those previews that another describer saw, or none. Once all are described, the search index is wished
/// for anew if its looks are of another describer; what comes later and was seen by another one is brought into the index by
/// itself. Returns how many previews it were: the process that keeps the index calls this again and again.
///
/// # Errors
/// What the database or the store says: the same piece is tried again.
pub async fn bring_up_to_date(ctx: &Context) -> anyhow::Result<usize> {
    let current = ctx.inspector.describer();
    // Two ranges and not one inequality, which no index would answer.
    let by_another = Condition::any()
        .add(preview::Column::Describer.lt(current))
        .add(preview::Column::Describer.gt(current))
        .add(preview::Column::Describer.is_null());
    let rows = preview::Entity::find().filter(by_another).limit(PIECE).all(ctx.db.read()).await?;
    let of_index = instance_value::read(ctx.db.read(), DESCRIBER).await?;
    let is_of_index = of_index.as_deref() == Some(current);
    if rows.is_empty() && is_of_index {
        return Ok(0);
    }
    let looks = looks(ctx, &rows).await?;
    let tx = ctx.db.write().await?;
    for (row, look) in rows.iter().zip(looks) {
        let look = look.map(|look| super::bytes_of_look(&look));
        // Rendered anew meanwhile, it is gone, and what took its place is described already.
        preview::Entity::update_many()
            .col_expr(preview::Column::Look, Expr::value(look))
            .col_expr(preview::Column::Describer, Expr::value(current))
            .filter(preview::Column::Id.eq(row.id))
            .exec(&tx)
            .await?;
    }
    if is_of_index {
        announce(&tx, ctx, &rows).await?;
    } else if rows.len() as u64 == PIECE {
        instance_value::put(&tx, ctx, DESCRIBER, UNDER_WAY.to_owned()).await?;
    } else {
        let is_new = of_index.is_none() && rows.is_empty();
        if !is_new {
            rebuild::wish_in(&tx, ctx).await?;
        }
        instance_value::put(&tx, ctx, DESCRIBER, current.to_owned()).await?;
    }
    ctx.commit(tx).await?;
    Ok(rows.len())
}

/// How previews look; none where the picture is lost or is not understood, which is no reason to ask for ever.
async fn looks(ctx: &Context, rows: &[preview::Model]) -> anyhow::Result<Vec<Option<Vec<f32>>>> {
    let mut looks = Vec::with_capacity(rows.len());
    for row in rows {
        let look = if ctx.blobs.holds(&row.blob_sha256).await? {
            let bytes = ctx.blobs.read(&row.blob_sha256).await?;
            inspect(&ctx.inspector, move |inspector| inspector.look(&bytes)).await?
        } else {
            Err(Rejected("its file is missing".to_owned()))
        };
        if let Err(rejected) = &look {
            tracing::warn!(preview = %row.id, reason = %rejected, "a preview is not found by pictures");
        }
        looks.push(look.ok());
    }
    Ok(looks)
}

/// Tells that LoRAs' previews are described anew: the search index follows.
async fn announce(tx: &DatabaseTransaction, ctx: &Context, rows: &[preview::Model]) -> anyhow::Result<()> {
    let loras: HashMap<Uuid, Uuid> = version::Entity::find()
        .select_only()
        .columns([version::Column::LoraId, version::Column::TeamId])
        .filter(version::Column::Id.is_in(rows.iter().map(|row| row.lora_version_id)))
        .into_tuple::<(Uuid, Uuid)>()
        .all(tx)
        .await?
        .into_iter()
        .collect();
    for (lora, team) in loras {
        let (kind, payload) = (EventKind::LoraChanged, json!({ "figure": "looks" }));
        let event = outbox::Event { kind, team: Some(team), actor: None, subject: lora, payload };
        outbox::append(tx, ctx, event).await?;
    }
    Ok(())
}
