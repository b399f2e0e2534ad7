//! From a Delta commit to a version that the catalog records.
//!
//! It does not touch files: what it must know of them was noted in the commit.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use crypto::Digest;
use jobs::JobFailure;
use schemas::command::{Author, Command, Outcome, Proposal, RefusalCode, SignedProposal};
use schemas::dataset::{AppliedMapping, Dataset, DatasetVersion};
use schemas::mapping::Mapping;
use schemas::quality::QualityVerdict;
use schemas::{CommandId, Signed, StandardEdition, canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Publish, failure};
use crate::Error;
use crate::ingest::Staged;
use crate::tables::{self, Committed};

/// How often a version is proposed while the catalog cannot answer: ten minutes without a leader.
const PROPOSALS_MAX: u32 = 300;

/// How often a version gets another number because the one it had was taken.
const CONFLICTS_MAX: u32 = 5;

/// How long the job waits for a leader between two of them.
const PROPOSAL_PAUSE: Duration = Duration::from_secs(2);

/// What is known of a version before it has a number. Noted in the Delta commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Draft {
    /// Not in the note: the commit has it.
    #[serde(skip)]
    pub(super) delta_version: u64,
    pub(super) rows: u64,
    pub(super) quarantined_rows: u64,
    pub(super) bytes: u64,
    pub(super) standard: StandardEdition,
    pub(super) schema_digest: Digest,
    pub(super) content_digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mapping: Option<AppliedMapping>,
    pub(super) verdict: QualityVerdict,
}

impl Draft {
    pub(super) fn new(
        dataset: &Dataset,
        staged: &Staged,
        schema: &SchemaRef,
        verdict: QualityVerdict,
    ) -> Result<Self, Error> {
        Ok(Self {
            delta_version: 0,
            rows: staged.rows,
            quarantined_rows: staged.quarantined_rows,
            bytes: staged.files.iter().map(|file| file.bytes).sum(),
            standard: dataset.standard.clone(),
            schema_digest: tables::schema_digest(schema)?,
            content_digest: tables::content_digest(&staged.files)?,
            mapping: None,
            verdict,
        })
    }

    /// Notes the mapping that the file was read with.
    pub(super) fn read_with(self, mapping: Option<&Mapping>) -> Result<Self, Error> {
        let applied = mapping.map(|mapping| {
            let bytes = canonical::to_bytes(mapping).map_err(|source| Error::Record {
                what: "note a mapping",
                why: source.to_string(),
            })?;
            Ok(AppliedMapping {
                mapping: mapping.id.clone(),
                digest: Digest::of(&bytes),
            })
        });
        Ok(Self {
            mapping: applied.transpose()?,
            ..self
        })
    }

    pub(super) fn note(&self) -> Result<Value, Error> {
        serde_json::to_value(self).map_err(|source| Error::Record {
            what: "note a version",
            why: source.to_string(),
        })
    }

    pub(super) fn of(committed: &Committed) -> Result<Self, Error> {
        let noted: Result<Self, _> = serde_json::from_value(committed.note.clone());
        let draft = noted.map_err(|source| Error::Record {
            what: "read a note",
            why: source.to_string(),
        })?;
        Ok(Self {
            delta_version: committed.delta_version,
            ..draft
        })
    }
}

impl Publish<'_> {
    /// Signs the version and has the catalog record it; returns its number.
    pub(super) async fn record(&self, draft: &Draft) -> Result<u64, JobFailure> {
        let mut why = String::new();
        let mut conflicts = 0;
        for attempt in 0..PROPOSALS_MAX {
            if attempt > 0 {
                tokio::time::sleep(PROPOSAL_PAUSE).await;
            }
            if self.parts.jobs.is_cancelled(&self.job.id) {
                return Err(failure::failed(Error::Cancelled));
            }
            if let Some(number) = self.recorded(draft) {
                return Ok(number);
            }
            let (number, proposal) = self.proposal(draft).await?;
            match self
                .parts
                .catalog
                .propose(SignedProposal::by_node(proposal))
                .await
            {
                Ok(applied) => match applied.outcome {
                    Outcome::Applied { .. } => return Ok(number),
                    // Another version came first: this one takes the next number.
                    Outcome::Refused {
                        code: RefusalCode::Conflict,
                        detail,
                    } if conflicts < CONFLICTS_MAX => {
                        conflicts += 1;
                        why = detail;
                    }
                    Outcome::Refused { detail, .. } => {
                        let why = format!("the catalog refused the version: {detail}");
                        return Err(failure::invalid(&why));
                    }
                },
                Err(error) => why = error.to_string(),
            }
        }
        Err(failure::unavailable(format!(
            "the version is written and could not be recorded: {why}; when the catalog answers \
             again, publish again"
        )))
    }

    /// The number under which the catalog has recorded this commit already.
    fn recorded(&self, draft: &Draft) -> Option<u64> {
        let view = self.parts.catalog.view();
        view.versions(&self.dataset.id)
            .find(|version| version.body.delta_version == draft.delta_version)
            .map(|version| version.body.number)
    }

    async fn proposal(&self, draft: &Draft) -> Result<(u64, Proposal), JobFailure> {
        let view = self.parts.catalog.view();
        let number = view
            .latest_version(&self.dataset.id)
            .map_or(0, |it| it.body.number)
            + 1;
        let at = self.parts.clock.now();
        let body = DatasetVersion {
            dataset: self.dataset.id.clone(),
            number,
            delta_version: draft.delta_version,
            rows: draft.rows,
            quarantined_rows: draft.quarantined_rows,
            bytes: draft.bytes,
            standard: draft.standard.clone(),
            schema_digest: draft.schema_digest,
            content_digest: draft.content_digest,
            mapping: draft.mapping.clone(),
            verdict: draft.verdict.clone(),
            intent: self.intent.clone(),
            published_at: at,
        };
        let refuse = |why: String| {
            failure::failed(Error::Record {
                what: "sign a version",
                why,
            })
        };
        let bytes = canonical::to_bytes(&body).map_err(|source| refuse(source.to_string()))?;
        let signature = self
            .hosted
            .signer
            .sign(DatasetVersion::LABEL, &bytes)
            .await
            .map_err(|source| refuse(source.to_string()))?;
        let version = Signed {
            body,
            key: self.hosted.signer.key_id(),
            signature,
        };
        // The same number for the same job is the same command; with another number it is another.
        let id = CommandId::parse(format!("publish-{}-{number}", self.job.id))
            .map_err(|source| refuse(source.to_string()))?;
        let command = Command::PublishVersion {
            version: Box::new(version),
        };
        let author = Author::Node(self.parts.node.clone());
        Ok((
            number,
            Proposal {
                id,
                author,
                at,
                command,
            },
        ))
    }
}
