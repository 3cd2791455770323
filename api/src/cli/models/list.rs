//! `atelier models list`.

use std::{collections::BTreeSet, path::Path};

use atelier_domain::{
    base_model::{self, Audience},
    entities::base_model::Model,
    id::{Noun, encode},
    jobs::workers::{self, RunningWorker},
    ports::inspector::model_folder,
};
use clap::Parser;
use serde::Serialize;

use super::{say, shown, start_log};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse, STARTER},
    hub::Manifest,
};

/// List the base models.
#[derive(Parser, Debug)]
pub struct List {
    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    house: HouseSettings,
}

/// A base model as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    name: String,
    title: String,
    default: bool,
    default_of: BTreeSet<String>,
    offered_to: OfferedTo,
    workers: Vec<String>,
    family: String,
    variant: String,
    width: i32,
    height: i32,
    license: String,
    source: Source,
    folder: String,
    state: State,
}

/// For whom a base model is, while it is offered at all.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum OfferedTo {
    Everyone,
    Teams(BTreeSet<String>),
}

/// Where a base model comes from.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Source {
    /// It ships with Atelier.
    Bundled,
    /// It was added by its path.
    Added,
    /// It was downloaded.
    Pulled { endpoint: String, repository: String, commit: String },
    /// It was downloaded, and what was kept of that cannot be read.
    Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Offered,
    Withdrawn,
    FolderMissing,
}

impl List {
    /// Lists.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let mut audiences = base_model::audiences(&house).await?;
        let workers = workers::running(&house).await?;
        let models = base_model::list_all(&house).await?.into_iter();
        let listed = models.map(|model| {
            let audience = audiences.remove(&model.id).unwrap_or_default();
            Listed::of(model, audience, &workers, &house.settings.models)
        });
        let listed: Vec<Listed> = listed.collect();
        if self.json {
            say(serde_json::to_string_pretty(&listed)?);
            return Ok(());
        }
        for model in listed {
            say(model.line());
        }
        Ok(())
    }
}

impl Listed {
    fn of(model: Model, audience: Audience, workers: &[RunningWorker], models: &Path) -> Self {
        let folder = model_folder(models, &model.folder);
        let state = match (model.enabled, folder.is_dir()) {
            (false, _) => State::Withdrawn,
            (true, false) => State::FolderMissing,
            (true, true) => State::Offered,
        };
        Self {
            id: encode(Noun::BaseModel, model.id),
            source: Source::of(&model, &folder),
            name: model.name,
            title: model.title,
            default: model.is_default,
            default_of: audience.default_of,
            offered_to: if model.for_everyone { OfferedTo::Everyone } else { OfferedTo::Teams(audience.teams) },
            workers: workers.iter().filter(|worker| worker.has(model.id)).map(|worker| worker.name.clone()).collect(),
            family: model.family,
            variant: model.variant,
            width: model.native_width,
            height: model.native_height,
            license: model.license,
            folder: folder.display().to_string(),
            state,
        }
    }

    fn line(&self) -> String {
        let default = match (self.default, self.default_of.is_empty()) {
            (true, true) => " (default)".to_owned(),
            (false, true) => String::new(),
            (true, false) => format!(" (default, and of {})", shown(&self.default_of)),
            (false, false) => format!(" (default of {})", shown(&self.default_of)),
        };
        let offered_to = match &self.offered_to {
            OfferedTo::Everyone => "offered to everyone".to_owned(),
            OfferedTo::Teams(teams) if teams.is_empty() => "offered to no team".to_owned(),
            OfferedTo::Teams(teams) => format!("offered to {}", shown(teams)),
        };
        let workers = match self.workers.as_slice() {
            [] => "no running worker has it".to_owned(),
            workers => format!("workers that have it: {}", shown(workers)),
        };
        let source = match &self.source {
            Source::Bundled => "ships with Atelier".to_owned(),
            Source::Added => "added by its path".to_owned(),
            Source::Pulled { repository, commit, .. } => {
                format!("from {repository} at {}", commit.get(..12).unwrap_or(commit))
            }
            Source::Unreadable => "from a hub, its manifest cannot be read".to_owned(),
        };
        let state = match self.state {
            State::Offered => offered_to,
            State::Withdrawn => "not offered any more".to_owned(),
            State::FolderMissing => format!("{offered_to}, its folder is missing here"),
        };
        format!(
            "{}{default}: {} {}, {}x{}, licence {}, {source}, in {}, {state}, {workers}",
            self.name, self.family, self.variant, self.width, self.height, self.license, self.folder
        )
    }
}

impl Source {
    fn of(model: &Model, folder: &Path) -> Self {
        if model.name == STARTER {
            return Self::Bundled;
        }
        match Manifest::read(folder) {
            Ok(None) => Self::Added,
            Ok(Some(Manifest { endpoint, repository, commit, .. })) => Self::Pulled { endpoint, repository, commit },
            Err(_) => Self::Unreadable,
        }
    }
}
