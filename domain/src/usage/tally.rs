//! Counting events, and writing what they come to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use atelier_entities::{
    kinds::EventKind, lora_trend as trend_row, lora_usage_day as day_row, lora_usage_team as team_row, outbox_event,
};
use chrono::NaiveDate;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait as _, IntoActiveModel, QueryFilter,
    sea_query::{Alias, Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    facts::{Facts, is_done},
    trend,
};

/// How many rows are written by one statement.
const PIECE: usize = 500;

/// What events come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    days: BTreeMap<(Uuid, NaiveDate), day_row::Model>,
    /// Teams that used versions on days: those that are new, and those that were known before.
    teams: BTreeSet<team_row::Model>,
    known: BTreeSet<(Uuid, NaiveDate, Uuid)>,
    trends: BTreeMap<Uuid, f64>,
    /// LoRAs that something was counted for, and their teams.
    touched: BTreeMap<Uuid, Uuid>,
}

impl Tally {
    /// A tally that goes on where the database stands: it knows which teams were counted, and how much attention there is.
    pub(super) async fn going_on(
        tx: &DatabaseTransaction,
        facts: &Facts,
        events: &[outbox_event::Model],
    ) -> Result<Self, DbErr> {
        let (versions, loras) = facts.concerned();
        let days: BTreeSet<NaiveDate> = events.iter().map(|event| event.created_at.date_naive()).collect();
        let known = team_row::Entity::find()
            .filter(team_row::Column::LoraVersionId.is_in(versions))
            .filter(team_row::Column::TeamId.is_in(facts.teams()))
            .filter(team_row::Column::Day.is_in(days))
            .all(tx)
            .await?;
        let known = known.into_iter().map(|row| (row.lora_version_id, row.day, row.team_id)).collect();
        let trends = trend::trends(tx, loras.into_iter()).await?.into_iter().collect();
        Ok(Self { known, trends, ..Self::default() })
    }

    /// Counts events, in order.
    pub(super) fn count(&mut self, events: &[outbox_event::Model], facts: &Facts) {
        for event in events {
            match event.kind {
                EventKind::LoraDownloaded => self.download(event, facts),
                EventKind::JobFinished if is_done(event) => self.generation(event, facts),
                EventKind::AssetDeleted => self.deletion(event, facts),
                EventKind::LoraPublished => self.attend(event, event.subject_id, None, facts),
                EventKind::LoraRated if event.payload["first"].as_bool().unwrap_or(true) => {
                    self.attend(event, event.subject_id, Some(trend::RATING), facts);
                }
                EventKind::LoraRated
                | EventKind::JobFinished
                | EventKind::LoraVersionPublished
                | EventKind::LoraChanged
                | EventKind::CommentAdded
                | EventKind::CommentEdited
                | EventKind::UserFollowed
                | EventKind::ReviewAsked
                | EventKind::JobQueued
                | EventKind::UploadFinished
                | EventKind::UserChanged
                | EventKind::ContentHidden
                | EventKind::ContentRestored => {}
            }
        }
    }

    fn download(&mut self, event: &outbox_event::Model, facts: &Facts) {
        let version = event.subject_id;
        let Some(lora) = facts.lora_of(version) else { return };
        self.day(version, event.created_at.date_naive(), lora).downloads += 1;
        // One's own work does not trend by one's own doing.
        let is_own = event.payload["own"].as_bool().unwrap_or(false);
        self.attend(event, lora, (!is_own).then_some(1.0), facts);
    }

    fn generation(&mut self, event: &outbox_event::Model, facts: &Facts) {
        let Some(done) = facts.done_by(event.subject_id) else { return };
        let day = event.created_at.date_naive();
        for (version, lora) in facts.used_by(done.generation) {
            self.day(version, day, lora).generations += 1;
            for made in facts.made_by(done.generation) {
                let row = self.day(version, *made, lora);
                row.pictures_made += 1;
                row.pictures_kept += 1;
            }
            let is_new = self.known.insert((version, day, done.team));
            let is_own = facts.lora(lora).is_some_and(|lora| lora.team == done.team);
            if is_new {
                self.day(version, day, lora).teams += 1;
                self.teams.insert(team_row::Model { lora_version_id: version, day, team_id: done.team, lora_id: lora });
            }
            // Who generates all day long counts once for the day.
            self.attend(event, lora, (is_new && !is_own).then_some(1.0), facts);
        }
    }

    fn deletion(&mut self, event: &outbox_event::Model, facts: &Facts) {
        let Some((generation, made)) = facts.picture(event.subject_id) else { return };
        for (version, lora) in facts.used_by(generation) {
            self.day(version, made, lora).pictures_kept -= 1;
            self.attend(event, lora, None, facts);
        }
    }

    fn day(&mut self, version: Uuid, day: NaiveDate, lora: Uuid) -> &mut day_row::Model {
        self.days.entry((version, day)).or_insert(day_row::Model {
            lora_version_id: version,
            day,
            lora_id: lora,
            downloads: 0,
            generations: 0,
            pictures_made: 0,
            pictures_kept: 0,
            teams: 0,
        })
    }

    /// Notes that something was counted for a LoRA, and how much attention that is. The first attention that a LoRA gets
    /// is its publication.
    fn attend(&mut self, event: &outbox_event::Model, id: Uuid, weight: Option<f64>, facts: &Facts) {
        let Some(lora) = facts.lora(id) else { return };
        self.touched.insert(id, lora.team);
        let before = self.trends.get(&id).copied().or_else(|| lora.published_at.map(trend::at));
        let after = match weight {
            None => before,
            Some(weight) => Some(trend::add(before, weight, event.created_at)),
        };
        if let Some(after) = after {
            self.trends.insert(id, after);
        }
    }

    /// LoRAs that something was counted for, with their teams.
    pub(super) fn touched(&self) -> &BTreeMap<Uuid, Uuid> {
        &self.touched
    }

    /// Adds what was counted to what stands in the database.
    pub(super) async fn write(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        use day_row::Column::{Downloads, Generations, PicturesKept, PicturesMade, Teams};
        let sum = |column: day_row::Column| {
            let sum = Expr::col((day_row::Entity, column)).add(Expr::col((Alias::new("excluded"), column)));
            (column, sum)
        };
        let conflict = OnConflict::columns([day_row::Column::LoraVersionId, day_row::Column::Day])
            .values([Downloads, Generations, PicturesMade, PicturesKept, Teams].map(sum))
            .to_owned();
        let days: Vec<_> = self.days.values().map(|row| row.clone().into_active_model()).collect();
        for piece in days.chunks(PIECE) {
            let insert = day_row::Entity::insert_many(piece.to_vec()).on_conflict(conflict.clone());
            insert.exec_without_returning(tx).await?;
        }
        let teams: Vec<_> = self.teams.iter().map(|row| row.clone().into_active_model()).collect();
        for piece in teams.chunks(PIECE) {
            team_row::Entity::insert_many(piece.to_vec()).exec_without_returning(tx).await?;
        }
        let conflict = OnConflict::column(trend_row::Column::LoraId).update_column(trend_row::Column::Score).to_owned();
        let row = |(lora, score): (&Uuid, &f64)| trend_row::ActiveModel { lora_id: Set(*lora), score: Set(*score) };
        let trends: Vec<_> = self.trends.iter().map(row).collect();
        for piece in trends.chunks(PIECE) {
            let insert = trend_row::Entity::insert_many(piece.to_vec()).on_conflict(conflict.clone());
            insert.exec_without_returning(tx).await?;
        }
        Ok(())
    }

    /// What stands in the database, as if it had been counted; what happened since may be counted on.
    pub(super) async fn written(tx: &DatabaseTransaction) -> Result<Self, DbErr> {
        let days = day_row::Entity::find().all(tx).await?;
        let trends = trend_row::Entity::find().all(tx).await?;
        let teams: BTreeSet<team_row::Model> = team_row::Entity::find().all(tx).await?.into_iter().collect();
        Ok(Self {
            days: days.into_iter().map(|row| ((row.lora_version_id, row.day), row)).collect(),
            known: teams.iter().map(|row| (row.lora_version_id, row.day, row.team_id)).collect(),
            teams,
            trends: trends.into_iter().map(|row| (row.lora_id, row.score)).collect(),
            ..Self::default()
        })
    }

    /// How many rows of the database are not as they were counted, and the LoRAs whose figures are not.
    pub(super) fn differences(&self, written: &Self) -> (usize, BTreeSet<Uuid>) {
        let (mut rows, mut loras) = (0, BTreeSet::new());
        let mut differs = |lora: Uuid| {
            rows += 1;
            loras.insert(lora);
        };
        for (key, row) in &self.days {
            if written.days.get(key) != Some(row) {
                differs(row.lora_id);
            }
        }
        written.days.iter().filter(|(key, _)| !self.days.contains_key(key)).for_each(|(_, row)| differs(row.lora_id));
        self.teams.symmetric_difference(&written.teams).for_each(|row| differs(row.lora_id));
        let close = |one: Option<&f64>, other: Option<&f64>| match (one, other) {
            // Sums of the same numbers in another order differ in their last digits.
            (Some(one), Some(other)) => (one - other).abs() < 1e-6,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let all: BTreeSet<&Uuid> = self.trends.keys().chain(written.trends.keys()).collect();
        all.into_iter()
            .filter(|lora| !close(self.trends.get(lora), written.trends.get(lora)))
            .for_each(|id| differs(*id));
        (rows, loras)
    }

    /// How many versions and days were counted for.
    pub(super) fn len(&self) -> usize {
        self.days.len()
    }

    /// Forgets everything that stands in the database.
    pub(super) async fn erase(tx: &DatabaseTransaction) -> Result<(), DbErr> {
        day_row::Entity::delete_many().exec(tx).await?;
        team_row::Entity::delete_many().exec(tx).await?;
        trend_row::Entity::delete_many().exec(tx).await?;
        Ok(())
    }

    /// The teams of LoRAs, where something was counted for them.
    pub(super) fn teams_of(&self, loras: &BTreeSet<Uuid>) -> HashMap<Uuid, Uuid> {
        loras.iter().filter_map(|lora| Some((*lora, *self.touched.get(lora)?))).collect()
    }
}
