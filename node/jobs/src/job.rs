//! A job and its parts.
//!
//! It does not hold rows: a finding carries one value at most, cut, and goes to its owner only.

use schemas::code::ErrorCode;
use schemas::dataset::PublishIntent;
use schemas::decision::Reason;
use schemas::ledger_entry::LedgerIndex;
use schemas::quality::QualityVerdict;
use schemas::{
    DatasetId, GrantId, JobId, MappingId, ParticipantId, PersonId, ReleaseId, Signed, Timestamp,
    TransferId,
};
use serde::{Deserialize, Serialize};

/// Findings that are kept: enough to see what is wrong with a file; all of them are in quarantine.
pub const FINDINGS_MAX: usize = 100;

/// Reasons that are kept; a decision has one for each code at most.
pub const REASONS_MAX: usize = 64;

/// Longest detail of a failure in characters; longer text is cut.
pub const DETAIL_CHARS_MAX: usize = 2_000;

/// Longest text in a finding in characters; longer text is cut. A field's value may be a whole
/// document.
pub const FINDING_CHARS_MAX: usize = 200;

/// Longest idempotency key in bytes; a UUID has 36.
pub const KEY_BYTES_MAX: usize = 128;

/// Longest path or file name in bytes, as file systems have it.
pub const PATH_BYTES_MAX: usize = 1_024;

/// How often a job is begun before it counts as the cause of the stops: one crash may be
/// anybody's, three are the job's.
pub const ATTEMPTS_MAX: u32 = 3;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// Its identifier, chosen by whoever asks.
    pub id: JobId,
    /// For whom.
    pub participant: ParticipantId,
    /// By whom, when a person asked.
    pub person: Option<PersonId>,
    /// Idempotency key, of 1 to [`KEY_BYTES_MAX`] bytes: what makes a retried request the same.
    pub key: String,
    /// What to do.
    pub kind: JobKind,
    /// When it was asked for.
    pub at: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobKind {
    /// Make a version of a staged upload.
    Publish {
        /// The dataset.
        dataset: DatasetId,
        /// Name of the staged file.
        staged: String,
        /// Name of the file as its owner knows it.
        file_name: String,
        /// The mapping of the dataset's card that the file is read with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(required = false)]
        mapping: Option<MappingId>,
        /// What the steward signed.
        intent: Signed<PublishIntent>,
    },
    /// Fetch a version under a grant.
    Transfer {
        /// The transfer.
        transfer: TransferId,
        /// The grant.
        grant: GrantId,
        /// The version; none means the newest.
        version: Option<u64>,
    },
}

/// Where a job stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum JobState {
    /// Waits to be claimed.
    #[serde(rename = "QUEUED")]
    Queued,
    /// Is being worked on.
    #[serde(rename = "RUNNING")]
    Running,
    /// Did what was asked for.
    #[serde(rename = "SUCCEEDED")]
    Succeeded,
    /// Did not.
    #[serde(rename = "FAILED")]
    Failed,
    /// Was called off.
    #[serde(rename = "CANCELLED")]
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        })
    }
}

/// What a job is at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStep {
    /// The upload is complete and waits.
    Staged,
    /// The file is read.
    Decoding,
    /// Rows are held against the data standard.
    Checking,
    /// Quality rules run.
    Quality,
    /// The table is written.
    Committing,
    /// The version is recorded in the catalog.
    Recording,
    /// A permit is asked for.
    Authorizing,
    /// The entitlement is made into an artefact.
    Materialising,
    /// Bytes leave.
    Sending,
    /// Bytes arrive.
    Receiving,
    /// Digests and receipts are compared.
    Verifying,
    /// What arrived is written.
    Storing,
    /// Nothing is left to do.
    Done,
}

/// What progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProgressUnit {
    /// Rows.
    Rows,
    /// Bytes.
    Bytes,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// Of how many, when that is known.
    pub total: Option<u64>,
    /// Of what.
    pub unit: ProgressUnit,
    /// In which step.
    pub step: JobStep,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobOutcome {
    /// A version was published.
    Published {
        /// Its number.
        version: u64,
        /// Rows in it.
        rows: u64,
        /// Rows kept out.
        quarantined_rows: u64,
        /// Bytes of its files.
        bytes: u64,
        /// What the quality rules said.
        verdict: QualityVerdict,
    },
    /// A version arrived.
    Transferred {
        /// Its number.
        version: u64,
        /// Rows that arrived.
        rows: u64,
        /// Bytes that arrived.
        bytes: u64,
        /// The release they came under.
        release: ReleaseId,
        /// Where they are, under the node's data directory.
        path: String,
        /// Whether the grant's row limit was reached: then there are rows that it lets through and
        /// that did not arrive. Jobs of programs before this one do not say.
        #[serde(default)]
        row_limit_reached: bool,
    },
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobFailure {
    /// What a program would act on.
    pub code: ErrorCode,
    /// What a person reads: what failed and what to do. Cut at [`DETAIL_CHARS_MAX`].
    pub detail: String,
    /// Where it failed; the first [`FINDINGS_MAX`] are kept.
    pub findings: Vec<Finding>,
    /// Why a decision was no, with what each reason rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Where that decision stands in the ledger of the participant whose gate made it: the
    /// provider's for a transfer, one's own for a publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_index: Option<LedgerIndex>,
}

impl JobFailure {
    /// A failure that is told by its code and a sentence.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            findings: Vec::new(),
            reasons: Vec::new(),
            ledger_index: None,
        }
    }

    /// The same, with the reasons of a decision and its place in a ledger.
    #[must_use]
    pub fn because(mut self, reasons: Vec<Reason>, ledger_index: Option<LedgerIndex>) -> Self {
        self.reasons = reasons;
        self.ledger_index = ledger_index;
        self
    }

    /// The same, within its limits.
    #[must_use]
    pub(crate) fn cut(mut self) -> Self {
        self.detail = cut(&self.detail, DETAIL_CHARS_MAX);
        self.findings.truncate(FINDINGS_MAX);
        self.reasons.truncate(REASONS_MAX);
        for reason in &mut self.reasons {
            reason.cites = cut(&reason.cites, FINDING_CHARS_MAX);
        }
        for finding in &mut self.findings {
            finding.rule = cut(&finding.rule, FINDING_CHARS_MAX);
            finding.why = cut(&finding.why, FINDING_CHARS_MAX);
            finding.field = finding
                .field
                .as_deref()
                .map(|text| cut(text, FINDING_CHARS_MAX));
            finding.value = finding
                .value
                .as_deref()
                .map(|text| cut(text, FINDING_CHARS_MAX));
        }
        self
    }
}

/// One thing that is wrong with a file. Texts are cut at [`FINDING_CHARS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// In which row, counted from 1 without the header.
    pub row: Option<u64>,
    /// In which field.
    pub field: Option<String>,
    /// Which rule.
    pub rule: String,
    /// What was there.
    pub value: Option<String>,
    /// What is wrong with it, and what would be right.
    pub why: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its identifier.
    pub id: JobId,
    /// For whom.
    pub participant: ParticipantId,
    /// By whom, when a person asked.
    pub person: Option<PersonId>,
    /// Its idempotency key.
    pub key: String,
    /// What to do.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// Which attempt this is, from 1 to [`ATTEMPTS_MAX`].
    pub attempt: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was claimed last.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// What came of it.
    pub outcome: Option<JobOutcome>,
    /// Why it failed.
    pub failure: Option<JobFailure>,
}

impl Job {
    pub(crate) fn begin(new: NewJob) -> Self {
        Self {
            id: new.id,
            participant: new.participant,
            person: new.person,
            key: new.key,
            kind: new.kind,
            state: JobState::Queued,
            attempt: 1,
            created_at: new.at,
            started_at: None,
            ended_at: None,
            progress: None,
            outcome: None,
            failure: None,
        }
    }
}

/// The first characters of a text.
fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
