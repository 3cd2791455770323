//! How much LoRAs are used.

use async_graphql::{Context, Object, Result, SimpleObject};
use atelier_domain::usage::{self, Figures};
use chrono::NaiveDate;
use uuid::Uuid;

use super::{lora::Lora, lora_version::LoraVersion, team::Team};
use crate::graphql::{loaders::load, scalars::BigInt};

/// How much something was used in some time.
#[derive(SimpleObject)]
pub struct UsageFigures {
    /// Downloads: each person counts once a version.
    pub downloads: BigInt,
    /// Generations that succeeded.
    pub generations: BigInt,
    /// Pictures that were made.
    pub pictures_made: BigInt,
    /// Those of the pictures made in this time that have not been deleted to this day.
    pub pictures_kept: BigInt,
    /// Different teams that generated.
    pub teams: BigInt,
}

impl From<Figures> for UsageFigures {
    fn from(figures: Figures) -> Self {
        Self {
            downloads: BigInt(figures.downloads),
            generations: BigInt(figures.generations),
            pictures_made: BigInt(figures.pictures_made),
            pictures_kept: BigInt(figures.pictures_kept),
            teams: BigInt(figures.teams),
        }
    }
}

/// How much something was used on a day.
#[derive(SimpleObject)]
pub struct UsageDay {
    /// The day, of UTC.
    pub day: NaiveDate,
    /// How much.
    pub figures: UsageFigures,
}

fn days(days: &[(NaiveDate, Figures)]) -> Vec<UsageDay> {
    days.iter().map(|(day, figures)| UsageDay { day: *day, figures: (*figures).into() }).collect()
}

/// How much a version was used.
pub struct VersionUsage {
    id: Uuid,
    figures: Figures,
}

#[Object]
impl VersionUsage {
    /// The version.
    async fn version(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        load(ctx, |loaders| &loaders.lora_versions, self.id).await.map(|row| row.map(LoraVersion))
    }

    /// How much.
    async fn figures(&self) -> UsageFigures {
        self.figures.into()
    }
}

/// How much a LoRA was used.
pub struct LoraUsage(pub usage::LoraUsage);

#[Object]
impl LoraUsage {
    /// The first day.
    async fn from(&self) -> NaiveDate {
        self.0.from
    }

    /// The last day.
    async fn to(&self) -> NaiveDate {
        self.0.to
    }

    /// All days and versions together.
    async fn totals(&self) -> UsageFigures {
        self.0.totals.into()
    }

    /// Every day, in order, those too on which nothing happened.
    async fn days(&self) -> Vec<UsageDay> {
        days(&self.0.days)
    }

    /// Every version that was used, the most used first.
    async fn versions(&self) -> Vec<VersionUsage> {
        self.0.versions.iter().map(|(id, figures)| VersionUsage { id: *id, figures: *figures }).collect()
    }
}

/// Ratings that were given or changed in some time.
pub struct RatingFigures(usage::Ratings);

#[Object]
impl RatingFigures {
    /// How many.
    async fn count(&self) -> BigInt {
        BigInt(self.0.count)
    }

    /// Their mean, 1 to 5 stars; none where there are none.
    async fn average(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "numbers of ratings are far below 2^53")]
        (self.0.count > 0).then(|| self.0.stars as f64 / self.0.count as f64)
    }
}

/// A LoRA on a dashboard.
pub struct DashboardLora(usage::DashboardLora);

#[Object]
impl DashboardLora {
    /// The LoRA.
    async fn lora(&self) -> Lora {
        Lora(self.0.lora.clone())
    }

    /// How much it was used.
    async fn figures(&self) -> UsageFigures {
        self.0.figures.into()
    }

    /// What people said of it.
    async fn ratings(&self) -> RatingFigures {
        RatingFigures(self.0.ratings)
    }

    /// Its place among everything that is published here, by what trends; 1 is first. None for what is not published, or
    /// was published a moment ago.
    async fn trending_rank(&self) -> Option<BigInt> {
        self.0.trending_rank.map(BigInt)
    }
}

/// How a team's LoRAs do.
pub struct CreatorDashboard(pub usage::Dashboard);

#[Object]
impl CreatorDashboard {
    /// The team.
    async fn team(&self) -> Team {
        Team(self.0.team.clone())
    }

    /// The first day.
    async fn from(&self) -> NaiveDate {
        self.0.from
    }

    /// The last day: today, of UTC.
    async fn to(&self) -> NaiveDate {
        self.0.to
    }

    /// All LoRAs and days together.
    async fn totals(&self) -> UsageFigures {
        self.0.totals.into()
    }

    /// The same of as many days before, to compare with.
    async fn previous_totals(&self) -> UsageFigures {
        self.0.earlier.into()
    }

    /// Every day, in order, those too on which nothing happened.
    async fn days(&self) -> Vec<UsageDay> {
        days(&self.0.days)
    }

    /// The LoRAs, the most used first, at most a hundred; the totals count all.
    async fn loras(&self) -> Vec<DashboardLora> {
        self.0.loras.iter().cloned().map(DashboardLora).collect()
    }

    /// What people said of all of them.
    async fn ratings(&self) -> RatingFigures {
        RatingFigures(self.0.ratings)
    }

    /// People who began to follow a member of the team and still do.
    async fn followers_gained(&self) -> BigInt {
        BigInt(self.0.followers_gained)
    }
}
