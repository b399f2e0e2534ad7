//! How fast a file becomes a version on this machine: reading, checking, writing and the Delta
//! commit, without the gate and without a catalog.
//!
//! It does not publish: the table that it makes is in a folder of the caller's and belongs to no
//! dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemas::mapping::Mapping;
use schemas::quality::{QualityRule, RuleVerdict};
use schemas::standard::DataStandard;

use crate::ingest::{FaultCount, Format, Ingest, Plan, RowFault, Source, Unwatched};
use crate::{Error, quality, tables};

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Rows that follow the standard.
    pub rows: u64,
    /// Rows that do not.
    pub quarantined_rows: u64,
    /// The first faults.
    pub faults: Vec<RowFault>,
    /// How often each rule was broken.
    pub counts: Vec<FaultCount>,
    /// Bytes of the Parquet files.
    pub bytes: u64,
    /// Reading, checking and writing.
    pub ingest: Duration,
    /// Quality rules.
    pub quality: Duration,
    /// The Delta commit.
    pub commit: Duration,
    /// What the rules said.
    pub verdicts: Vec<RuleVerdict>,
    /// Version of the Delta table.
    pub delta_version: u64,
}

/// Makes a version of `file` in a table below `dir`.
///
/// # Errors
/// As [`Ingest::run`]; [`Error::Query`] for the rules; [`Error::Table`] for the commit.
pub async fn measure(
    file: &Path,
    standard: &DataStandard,
    rules: &[QualityRule],
    dir: &Path,
    workers: usize,
) -> Result<Measured, Error> {
    measure_mapped(file, standard, None, rules, dir, workers).await
}

/// The same of a file that a mapping turns into rows of the standard.
///
/// # Errors
/// As [`measure`]; [`Error::Mapping`] when the mapping does not fit the standard.
pub async fn measure_mapped(
    file: &Path,
    standard: &DataStandard,
    mapping: Option<&Mapping>,
    rules: &[QualityRule],
    dir: &Path,
    workers: usize,
) -> Result<Measured, Error> {
    let plan = Plan::compile_mapped(standard, &BTreeSet::new(), mapping)?;
    let staging = dir.join("staging");
    std::fs::create_dir_all(&staging).map_err(Error::io("create the staging folder"))?;
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let source = Source::file(file, &name);
    let begun = Instant::now();
    let ingest = Ingest {
        source: &source,
        format: Format::of_name(&name),
        charset: None,
        plan: &plan,
        staging: &staging,
        prefix: "measure",
        quarantine: dir.join("quarantine.ndjson.gz"),
        workers,
    };
    let staged = ingest.run(&Unwatched)?;
    let ingested = begun.elapsed();
    let begun = Instant::now();
    let files: Vec<PathBuf> = staged.files.iter().map(|file| file.path.clone()).collect();
    let subject = quality::Subject {
        files: &files,
        schema: plan.schema(),
        referenced: &BTreeMap::new(),
        spill: &staging,
    };
    let verdicts = quality::run(&subject, rules).await?;
    let judged = begun.elapsed();
    let begun = Instant::now();
    let committed =
        tables::commit(&dir.join("table"), plan.schema(), &staged.files, "measure").await?;
    Ok(Measured {
        rows: staged.rows,
        quarantined_rows: staged.quarantined_rows,
        faults: staged.faults,
        counts: staged.counts,
        bytes: staged.files.iter().map(|file| file.bytes).sum(),
        ingest: ingested,
        quality: judged,
        commit: begun.elapsed(),
        verdicts,
        delta_version: committed.delta_version,
    })
}
