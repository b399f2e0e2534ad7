//! The publish job: an upload becomes a recorded version, or nothing.
//!
//! It does not take uploads (`rows` does), and it never makes a version visible before the catalog
//! has recorded it: the last good version keeps serving until then, and for good if the gate fails.
//!
//! ```text
//!  intent -> gate -> capability -> read, check, quarantine -> quality -> verdict
//!                                                                          | passed
//!    succeeded <- ledger entry <- catalog record (signed) <- Delta commit <-
//! ```
//!
//! A job that died is run again. It finds its own Delta commit by the job's identifier, and its
//! catalog command by the same command identifier, so nothing is published twice.

mod failure;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use catalog::View;
use enforcement::{Ask, IngestCapability, principal};
use jobs::{Job, JobFailure, JobKind, JobOutcome, JobStep, Progress, ProgressUnit};
use schemas::code::Action;
use schemas::dataset::{Dataset, PublishIntent, Sensitivity};
use schemas::decision::DecisionRequest;
use schemas::ledger_entry::LedgerEvent;
use schemas::mapping::Mapping;
use schemas::quality::{QualityCheck, QualityVerdict};
use schemas::{JobId, MappingId, Signed};

pub(crate) use failure::failed;
use record::Draft;

use crate::ingest::{Format, Ingest, Plan, Source, Staged, Watch};
use crate::{Error, Hosted, Parts, ingest, quality, rows, tables};

/// What a publish works on.
struct Publish<'a> {
    parts: &'a Arc<Parts>,
    hosted: &'a Hosted,
    job: &'a Job,
    dataset: Dataset,
    staged: String,
    file_name: String,
    mapping: Option<MappingId>,
    intent: Signed<PublishIntent>,
}

/// Runs a publish job to its end.
///
/// # Errors
/// Why it failed, for the steward: what, where and what to do.
pub(crate) async fn run(parts: &Arc<Parts>, job: &Job) -> Result<JobOutcome, JobFailure> {
    let JobKind::Publish {
        dataset,
        staged,
        file_name,
        mapping,
        intent,
    } = &job.kind
    else {
        return Err(failure::invalid("this is no publish"));
    };
    let Some(hosted) = parts.hosted.get(&job.participant) else {
        return Err(failure::invalid(
            "this node does not act for the participant",
        ));
    };
    let view = parts.catalog.view();
    let Some(dataset) = view.dataset(dataset) else {
        return Err(failure::invalid(
            "there is no such dataset; describe it first",
        ));
    };
    let publish = Publish {
        parts,
        hosted,
        job,
        dataset: dataset.clone(),
        staged: staged.clone(),
        file_name: file_name.clone(),
        mapping: mapping.clone(),
        intent: intent.clone(),
    };
    let capability = publish.authorize(&view).await?;
    let outcome = Box::pin(publish.run(&capability)).await;
    publish.clean_up();
    outcome
}

impl Publish<'_> {
    async fn authorize(&self, view: &View) -> Result<IngestCapability, JobFailure> {
        let intent = &self.intent.body;
        if self.dataset.owner != self.parts.node {
            let why = format!("node {} owns the tables; upload there", self.dataset.owner);
            return Err(failure::invalid(&why));
        }
        if intent.dataset != self.dataset.id || intent.participant != self.job.participant {
            return Err(failure::invalid(
                "the signed intent is for another dataset or provider",
            ));
        }
        let steward = view.person(&intent.person);
        let is_hers = steward.is_some_and(|person| {
            self.intent
                .verify(PublishIntent::LABEL, &person.signing)
                .is_ok()
        });
        if !is_hers {
            return Err(failure::invalid(
                "the intent is not signed with the steward's key",
            ));
        }
        let principal = principal::of_person(view, &intent.person)
            .map_err(|source| failure::invalid(&source.to_string()))?;
        let request = DecisionRequest {
            destination: principal.jurisdiction,
            principal,
            action: Action::DatasetPublish,
            dataset: Some(self.dataset.id.clone()),
            record: Some(self.job.id.to_string()),
            purpose: None,
            columns: None,
            at: self.parts.clock.now(),
        };
        let ask = Ask {
            trace: self.job.id.to_string(),
            grant: None,
        };
        let permit = self.hosted.point.authorize(request, ask).await;
        let permit = permit.map_err(|refusal| failure::refused(&refusal))?;
        self.hosted
            .point
            .ingest(permit)
            .map_err(|refusal| failure::refused(&refusal))
    }

    async fn run(&self, capability: &IngestCapability) -> Result<JobOutcome, JobFailure> {
        let folder = tables::folder(&self.parts.dir, capability.dataset());
        let resumed = tables::committed(&folder, self.job.id.as_str()).map_err(failed)?;
        let draft = match resumed {
            Some(committed) => Draft::of(&committed).map_err(failed)?,
            None => self.make(capability).await?,
        };
        self.step(JobStep::Recording, draft.rows);
        let version = self.record(&draft).await?;
        let event = LedgerEvent::Published {
            dataset: self.dataset.id.clone(),
            version: Some(version),
            rows: draft.rows,
            quarantined_rows: draft.quarantined_rows,
            content_digest: draft.content_digest,
        };
        if let Err(error) = self.hosted.point.record(event, self.job.id.as_str()).await {
            // The version is in the catalog, signed, and the decision is in the ledger.
            tracing::error!(%error, job = %self.job.id, "record a published version");
        }
        self.parts.options.moved.published(draft.rows);
        Ok(JobOutcome::Published {
            version,
            rows: draft.rows,
            quarantined_rows: draft.quarantined_rows,
            bytes: draft.bytes,
            verdict: draft.verdict,
        })
    }

    /// Reads, checks, judges and commits.
    async fn make(&self, capability: &IngestCapability) -> Result<Draft, JobFailure> {
        let view = self.parts.catalog.view();
        let Some(standard) = view.standard(&self.dataset.standard) else {
            return Err(failure::invalid(
                "the dataset's standard is not in the catalog",
            ));
        };
        let masked: BTreeSet<String> = self
            .dataset
            .columns
            .iter()
            .filter(|column| column.sensitivity != Sensitivity::None)
            .map(|column| column.name.clone())
            .collect();
        let mapping = self.mapping()?;
        let plan = Plan::compile_mapped(standard, &masked, mapping).map_err(failed)?;
        let schema = plan.schema().clone();
        self.step(JobStep::Checking, 0);
        let staged = self.stage(plan).await?;
        self.step(JobStep::Quality, staged.rows);
        let (verdict, rules) = match self.judge(capability, &staged, &schema).await {
            Ok(verdict) => (verdict, &self.dataset.quality_rules),
            Err(error) => return Err(failed(error)),
        };
        if !verdict.passed {
            let event = LedgerEvent::Published {
                dataset: self.dataset.id.clone(),
                version: None,
                rows: 0,
                quarantined_rows: staged.quarantined_rows,
                content_digest: crypto::merkle::root_of(&[]),
            };
            let recorded = self.hosted.point.record(event, self.job.id.as_str()).await;
            if let Err(error) = recorded {
                tracing::error!(%error, job = %self.job.id, "record a refused version");
            }
            return Err(failure::gate(
                &verdict,
                rules,
                &self.dataset.quality_gate,
                &staged,
            ));
        }
        if self.parts.jobs.is_cancelled(&self.job.id) {
            return Err(failed(Error::Cancelled));
        }
        self.step(JobStep::Committing, staged.rows);
        let draft = Draft::new(&self.dataset, &staged, &schema, verdict)
            .and_then(|draft| draft.read_with(mapping))
            .map_err(failed)?;
        let folder = tables::folder(&self.parts.dir, capability.dataset());
        let note = draft.note().map_err(failed)?;
        let committed =
            tables::commit_noted(&folder, &schema, &staged.files, self.job.id.as_str(), note)
                .await
                .map_err(failed)?;
        Draft::of(&committed).map_err(failed)
    }

    /// The mapping of the dataset's card that the file is read with.
    fn mapping(&self) -> Result<Option<&Mapping>, JobFailure> {
        let Some(id) = &self.mapping else {
            return Ok(None);
        };
        let found = self.dataset.mapping(id).map(Some);
        found.ok_or_else(|| {
            let why = format!("the dataset's card has no mapping {id}; add it or choose another");
            failure::invalid(&why)
        })
    }

    /// Runs the ingest where blocking is allowed.
    async fn stage(&self, plan: Plan) -> Result<Staged, JobFailure> {
        let staging = self.staging();
        std::fs::create_dir_all(&staging)
            .map_err(|source| failed(Error::io("create a staging folder")(source)))?;
        let upload = rows::staged_path(&self.parts.dir, &self.staged)
            .ok_or_else(|| failure::invalid("the upload is not where the job says"))?;
        let source = Source::file(&upload, &self.file_name);
        let format = Format::of_name(&self.file_name);
        let charset = rows::declared(&self.staged);
        let quarantine =
            ingest::quarantine::path(&self.parts.dir, &self.dataset.id, self.job.id.as_str());
        let watch = JobWatch {
            parts: Arc::clone(self.parts),
            job: self.job.id.clone(),
        };
        let workers = self.parts.options.publish_workers;
        let prefix = self.job.id.to_string();
        let task = tokio::task::spawn_blocking(move || {
            let ingest = Ingest {
                source: &source,
                format,
                charset,
                plan: &plan,
                staging: &staging,
                prefix: &prefix,
                quarantine,
                workers,
            };
            // What an earlier attempt left behind would stand in the way.
            ingest.remove_staged()?;
            ingest.run(&watch)
        });
        let staged = task
            .await
            .map_err(|_| failed(Error::Worker("the ingest")))?;
        staged.map_err(failed)
    }

    async fn judge(
        &self,
        capability: &IngestCapability,
        staged: &Staged,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<QualityVerdict, Error> {
        let mut referenced = BTreeMap::new();
        let view = self.parts.catalog.view();
        for rule in &self.dataset.quality_rules {
            let QualityCheck::References { dataset, .. } = &rule.check else {
                continue;
            };
            // Only the provider's own datasets: a verdict must not tell what others hold.
            let is_own = view
                .dataset(dataset)
                .is_some_and(|it| it.provider == self.dataset.provider);
            let version = view.latest_version(dataset).filter(|_| is_own);
            let version = version.ok_or_else(|| Error::Missing {
                what: "published version of the provider's dataset",
                name: dataset.to_string(),
            })?;
            let raw = tables::open_referenced(&self.parts.dir, capability, &version.body).await?;
            referenced.insert(dataset.clone(), (raw.files, raw.schema));
        }
        let files: Vec<PathBuf> = staged.files.iter().map(|file| file.path.clone()).collect();
        let spill = self.staging();
        let subject = quality::Subject {
            files: &files,
            schema,
            referenced: &referenced,
            spill: &spill,
        };
        let verdicts = quality::run(&subject, &self.dataset.quality_rules).await?;
        Ok(QualityVerdict::judge(
            &self.dataset.quality_gate,
            &self.dataset.quality_rules,
            verdicts,
            staged.rows,
            staged.quarantined_rows,
        ))
    }

    fn staging(&self) -> PathBuf {
        self.parts
            .dir
            .join("staging")
            .join(format!("job-{}", self.job.id))
    }

    fn step(&self, step: JobStep, done: u64) {
        report(self.parts, &self.job.id, step, done);
    }

    /// Removes what the job no longer needs: its staging folder and the upload.
    fn clean_up(&self) {
        let upload = rows::staged_path(&self.parts.dir, &self.staged);
        let upload = upload.map_or(Ok(()), std::fs::remove_file);
        for removed in [std::fs::remove_dir_all(self.staging()), upload] {
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, job = %self.job.id, "remove a job's files");
            }
        }
    }
}

/// Progress is for people who wait; a job does not fail because it cannot be written.
fn report(parts: &Parts, job: &JobId, step: JobStep, done: u64) {
    let progress = Progress {
        done,
        total: None,
        unit: ProgressUnit::Rows,
        step,
    };
    if let Err(error) = parts.jobs.progress(job, progress) {
        tracing::debug!(%error, %job, "write a job's progress");
    }
}

struct JobWatch {
    parts: Arc<Parts>,
    job: JobId,
}

impl Watch for JobWatch {
    fn rows(&self, rows: u64) {
        report(&self.parts, &self.job, JobStep::Checking, rows);
    }

    fn is_cancelled(&self) -> bool {
        self.parts.jobs.is_cancelled(&self.job)
    }
}
