//! Jobs: work that the server continues whether or not a client waits for it. Seeding, imports, exports, and
//! archiving, restoring or deleting partitions.

use std::{collections::HashSet, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Id, Problem, Role,
    access::author,
    bulk::{ImportReport, OnError},
    check::Checks,
    format::Format,
    seed::NewSeedJob,
};

/// Maximum number of partitions in one job.
pub const MAX_PARTITIONS: usize = 1_000;

/// A job and its progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: Id<Job>,
    pub state: JobState,
    pub request: JobRequest,
    /// Who requested the job.
    pub actor: String,
    /// For whom, if the request said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The steps of the job, in the order of execution.
    pub progress: Vec<Step>,
    /// The outcome of the rows of an imported file so far. Lists of jobs omit the refused rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ImportReport>,
    /// Size of the job's file in bytes; none if the job has no file, or the file is no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<i64>,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    pub created_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobRequest {
    Seed(NewSeedJob),
    Import(ImportRequest),
    Export(ExportRequest),
    Partitions(PartitionsRequest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    Seed,
    Import,
    Export,
    Partitions,
}

/// The import of a file of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The resource's path, such as `orders`.
    pub resource: String,
    /// The caller's name for the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub format: Format,
    pub mode: ImportMode,
    pub on_error: OnError,
    /// Whether this is a trial: everything is rolled back at the end.
    pub dry_run: bool,
}

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// With all the rules of a single write.
    #[default]
    Apply,
    /// Unchanged, into an empty shop: ids, versions and times are kept.
    Restore,
}

/// The export of a list to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// The resource's path, such as `orders`.
    pub resource: String,
    /// The caller's name for the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub format: Format,
    /// The filters and the sort order of the list, encoded as in a URL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The ids of the rows, if the caller names them. Lists of jobs omit them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Uuid>>,
}

/// The archiving, restoring or deleting of partitions, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionsRequest {
    pub action: PartitionAction,
    pub names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionAction {
    Archive,
    Restore,
    /// Permanently.
    Delete,
}

/// The body of `POST /v1/{r}/export` if the caller names the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedRows {
    pub ids: Vec<Uuid>,
}

/// The body of `POST /v1/partitions/archive`, `…/restore` and `…/delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedPartitions {
    pub names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for earlier jobs of its kind, or for a server.
    Queued,
    Running,
    Done,
    /// Stopped on request. Committed work stays; an all-or-nothing import leaves nothing.
    Cancelled,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The name of the step: a resource such as `orders` (seed, export), `reading` or `writing` (import), or
    /// `partitions`.
    pub step: String,
    pub done: i64,
    /// None if the total is unknown until the end; an estimate for exports.
    pub total: Option<i64>,
    /// Rows per second since the step started; partitions per second for jobs on partitions.
    pub rows_per_second: f64,
    /// Time left at that rate, in seconds; none until the rate is known.
    pub eta_seconds: Option<f64>,
}

impl Job {
    /// Who requested the job, for people.
    pub fn author(&self) -> String {
        author(&self.actor, self.on_behalf_of.as_deref())
    }

    /// Whether the job is queued or running and loads exactly these rows. A missing `until` matches any.
    pub fn will_load(&self, sizes: &NewSeedJob) -> bool {
        let JobRequest::Seed(request) = &self.request else {
            return false;
        };
        let mut same = sizes.clone();
        same.until = same.until.or(request.until);
        !self.state.is_final() && same.generates_same_rows(request)
    }

    /// The current step, or the last one if all are complete.
    pub fn present(&self) -> Option<&Step> {
        let unfinished = self
            .progress
            .iter()
            .find(|step| step.total.is_none_or(|total| step.done < total));
        unfinished.or(self.progress.last())
    }

    /// Whether the job is a completed dry run of an import whose file is still kept, so that it can be applied.
    pub fn can_be_applied(&self) -> bool {
        let is_tried = matches!(&self.request, JobRequest::Import(import) if import.dry_run);
        is_tried && self.state == JobState::Done && self.file_bytes.is_some()
    }

    /// Whether the job is a completed export whose file can be downloaded.
    pub fn has_export(&self) -> bool {
        let is_export = self.request.kind() == JobKind::Export;
        is_export && self.state == JobState::Done && self.file_bytes.is_some()
    }
}

impl JobRequest {
    /// The names of the job's steps in order, each with its number of rows or partitions if that is known.
    pub fn steps(&self) -> Vec<(String, Option<i64>)> {
        let unknown = |steps: &[&str]| {
            let steps = steps.iter().map(|step| ((*step).to_owned(), None));
            steps.collect()
        };
        match self {
            Self::Seed(sizes) => [
                ("categories", sizes.categories),
                ("products", sizes.products),
                ("customers", sizes.customers),
                ("orders", sizes.orders),
            ]
            .map(|(step, rows)| (step.to_owned(), Some(rows)))
            .into(),
            Self::Import(_) => unknown(&["reading", "writing"]),
            Self::Export(request) => unknown(&[&request.resource]),
            Self::Partitions(request) => {
                vec![("partitions".into(), Some(request.names.len() as i64))]
            }
        }
    }

    /// The role that starting such a job takes, and cancelling it.
    pub fn role(&self) -> Role {
        match self {
            Self::Seed(_) | Self::Partitions(_) => Role::Admin,
            Self::Import(import) if import.mode == ImportMode::Restore => Role::Admin,
            Self::Import(_) => Role::Editor,
            Self::Export(_) => Role::Viewer,
        }
    }

    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Seed(_) => JobKind::Seed,
            Self::Import(_) => JobKind::Import,
            Self::Export(_) => JobKind::Export,
            Self::Partitions(_) => JobKind::Partitions,
        }
    }
}

/// `seed 7`, `import customers.csv`, `archive 3 partitions`
impl fmt::Display for JobRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed(seed) => write!(f, "seed {}", seed.seed),
            Self::Import(import) => {
                let verb = match (import.dry_run, import.mode) {
                    (true, _) => "check",
                    (false, ImportMode::Apply) => "import",
                    (false, ImportMode::Restore) => "restore",
                };
                write!(f, "{verb} {}", name_or(&import.name, &import.resource))
            }
            Self::Export(export) => {
                write!(f, "export {}", name_or(&export.name, &export.resource))
            }
            Self::Partitions(PartitionsRequest { action, names }) => match names.as_slice() {
                [name] => write!(f, "{} {name}", action.as_str()),
                names => write!(f, "{} {} partitions", action.as_str(), names.len()),
            },
        }
    }
}

fn name_or<'a>(name: &'a Option<String>, resource: &'a str) -> &'a str {
    name.as_deref().unwrap_or(resource)
}

impl JobKind {
    pub const ALL: [Self; 4] = [Self::Seed, Self::Import, Self::Export, Self::Partitions];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Import => "import",
            Self::Export => "export",
            Self::Partitions => "partitions",
        }
    }
}

impl PartitionAction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::Delete => "delete",
        }
    }
}

impl NamedPartitions {
    pub fn check(&self) -> Vec<crate::FieldError> {
        let mut checks = Checks::new();
        let most = MAX_PARTITIONS as i64;
        checks.range("/names", self.names.len() as i64, 1, most);
        let mut seen = HashSet::new();
        for (index, name) in self.names.iter().enumerate().take(MAX_PARTITIONS) {
            if !seen.insert(name) {
                let message = format!("{name} is there twice");
                checks.fail(&format!("/names/{index}"), "duplicate", message);
            }
        }
        checks.into_errors()
    }
}

impl JobState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Cancelled,
        Self::Failed,
    ];

    /// Whether the job has ended. Only a new request can continue it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == text);
        state.ok_or_else(|| format!("`{text}` is not a state of a job"))
    }
}

/// `running: orders 45000 of 100000, 41200 rows/s, 2 s left`
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.as_str())?;
        if let Some(present) = self.present().filter(|_| self.state != JobState::Queued) {
            write!(f, ": {} {}", present.step, present.done)?;
            if let Some(total) = present.total {
                write!(f, " of {total}")?;
            }
            if present.rows_per_second > 0.0 && self.request.kind() != JobKind::Partitions {
                write!(f, ", {} rows/s", present.rows_per_second)?;
            }
            let left = present.eta_seconds;
            if let Some(left) = left.filter(|_| self.state == JobState::Running) {
                write!(f, ", {left} s left")?;
            }
        }
        match &self.problem {
            Some(problem) => write!(f, ": {}", problem.detail),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_says_of_what_kind_it_is_and_takes_no_field_of_another() {
        let seed = json!({"kind": "seed", "seed": 7, "orders": 3});
        let seed: JobRequest = serde_json::from_value(seed).unwrap();
        assert_eq!(
            (seed.kind(), seed.to_string()),
            (JobKind::Seed, "seed 7".into())
        );
        let wrong = json!({"kind": "seed", "seed": 7, "format": "csv"});
        assert!(serde_json::from_value::<JobRequest>(wrong).is_err());
        let names = vec!["orders_2024_01".to_owned(); 2];
        let action = PartitionAction::Archive;
        let request = JobRequest::Partitions(PartitionsRequest { action, names });
        assert_eq!(request.to_string(), "archive 2 partitions");
    }
}
