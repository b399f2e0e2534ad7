//! Quality rules, run over the staged files of a version before it may be published.
//!
//! It does not decide: it counts what each rule was applied to and what failed, and
//! `QualityVerdict::judge` draws the line. What a rule says of single rows is one fused pass;
//! uniqueness and references are a pass each. All run under one memory pool and spill to disk.

mod sql;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use schemas::DatasetId;
use schemas::quality::{Ppm, QualityCheck, QualityRule, RuleVerdict};

use crate::Error;

/// Memory of one quality run: 512 MiB, half of what a publish may take. What does not fit spills.
pub(crate) const QUALITY_BYTES_MAX: usize = 512 << 20;

/// Threads of one quality run.
const PARTITIONS: usize = 2;

/// The rows that the rules are about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// Parquet files.
    pub(crate) files: &'a [PathBuf],
    /// Their schema.
    pub(crate) schema: &'a SchemaRef,
    /// Tables that references point at: files and schema of their current version.
    pub(crate) referenced: &'a BTreeMap<DatasetId, (Vec<PathBuf>, SchemaRef)>,
    /// Folder for what does not fit memory.
    pub(crate) spill: &'a Path,
}

/// Runs all rules; one verdict each, in their order.
pub(crate) async fn run(
    subject: &Subject<'_>,
    rules: &[QualityRule],
) -> Result<Vec<RuleVerdict>, Error> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    for rule in rules {
        sql::check_columns(rule, subject)?;
    }
    let context = session(subject.spill)?;
    let has_rows = !subject.files.is_empty();
    if has_rows {
        register(&context, sql::ROWS, subject.files, subject.schema).await?;
    }
    let mut counts: Vec<(u64, u64)> = vec![(0, 0); rules.len()];
    if has_rows {
        fused(&context, subject, rules, &mut counts).await?;
    }
    for (rule, count) in rules.iter().zip(&mut counts) {
        match &rule.check {
            QualityCheck::Unique { columns } if has_rows => {
                *count = pair(&context, &sql::unique(columns)).await?;
            }
            QualityCheck::References {
                column,
                dataset,
                referenced,
            } if has_rows => {
                let Some((files, schema)) = subject.referenced.get(dataset) else {
                    return Err(Error::Missing {
                        what: "published version of dataset",
                        name: dataset.to_string(),
                    });
                };
                register(&context, sql::REFERENCED, files, schema).await?;
                *count = pair(&context, &sql::references(column, referenced)).await?;
                context
                    .deregister_table(sql::REFERENCED)
                    .map_err(Error::query("close a referenced table"))?;
            }
            QualityCheck::RowCount { min } if !has_rows => *count = (*min, *min),
            _ => {}
        }
    }
    Ok(rules
        .iter()
        .zip(counts)
        .map(|(rule, count)| verdict(rule, count))
        .collect())
}

fn verdict(rule: &QualityRule, (evaluated, failed): (u64, u64)) -> RuleVerdict {
    let score = Ppm::of(evaluated.saturating_sub(failed), evaluated);
    RuleVerdict {
        rule: rule.id.clone(),
        indicator: rule.check.indicator().to_owned(),
        evaluated,
        failed,
        score,
        passed: score >= rule.pass_line,
    }
}

/// A session whose memory is limited; what does not fit goes to `spill`.
pub(crate) fn session(spill: &Path) -> Result<SessionContext, Error> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill.to_owned()]));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(QUALITY_BYTES_MAX)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(Error::query("set up a query session"))?;
    let config = SessionConfig::new().with_target_partitions(PARTITIONS);
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

async fn register(
    context: &SessionContext,
    name: &str,
    files: &[PathBuf],
    schema: &SchemaRef,
) -> Result<(), Error> {
    let paths: Vec<String> = files
        .iter()
        .map(|file| file.to_string_lossy().into_owned())
        .collect();
    let options = ParquetReadOptions::default().schema(schema);
    let frame = context
        .read_parquet(paths, options)
        .await
        .map_err(Error::query("open files for a query"))?;
    context
        .register_table(name, frame.into_view())
        .map(drop)
        .map_err(Error::query("open files for a query"))
}

/// All rules that look at one row at a time, in one pass.
async fn fused(
    context: &SessionContext,
    subject: &Subject<'_>,
    rules: &[QualityRule],
    counts: &mut [(u64, u64)],
) -> Result<(), Error> {
    let mut expressions = Vec::new();
    let mut places = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        if let Some((evaluated, failed)) = sql::row_rule(&rule.check, subject.schema) {
            expressions.push(evaluated);
            expressions.push(failed);
            places.push(at);
        }
    }
    if expressions.is_empty() {
        return Ok(());
    }
    let batch = one(context, &sql::select(&expressions)).await?;
    for (nth, at) in places.into_iter().enumerate() {
        counts[at] = (cell(&batch, nth * 2), cell(&batch, nth * 2 + 1));
    }
    Ok(())
}

async fn pair(context: &SessionContext, query: &str) -> Result<(u64, u64), Error> {
    let batch = one(context, query).await?;
    Ok((cell(&batch, 0), cell(&batch, 1)))
}

async fn one(context: &SessionContext, query: &str) -> Result<RecordBatch, Error> {
    let frame = context
        .sql(query)
        .await
        .map_err(Error::query("plan a quality rule"))?;
    let batches = frame
        .collect()
        .await
        .map_err(Error::query("run a quality rule"))?;
    batches
        .into_iter()
        .find(|batch| batch.num_rows() == 1)
        .ok_or(Error::Worker("a quality rule"))
}

fn cell(batch: &RecordBatch, column: usize) -> u64 {
    batch
        .columns()
        .get(column)
        .and_then(|array| array.as_primitive_opt::<Int64Type>())
        .and_then(|array| array.iter().next().flatten())
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
