//! Rows that a provider looks at: what was kept out of an upload, and the first rows of a version.
//!
//! It does not show the values of columns that hold personal information, to nobody.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::HeaderMap;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::code::{Action, ErrorCode};
use schemas::dataset::{Dataset, Sensitivity};
use schemas::{DatasetId, JobId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Asked, Problem, Rows, Trace};
use crate::Error;
use crate::ingest::quarantine;
use crate::tables::{self, RawVersion};

/// Most rows of one answer.
const ROWS_MAX: usize = 100;

/// Longest line of a quarantine file that is read: it was written here, with all values cut.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// Which rows are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Quarantined rows after this data row.
    after: Option<u64>,
    /// At most so many.
    limit: Option<usize>,
}

/// Quarantined rows of a job.
#[derive(Serialize)]
pub(super) struct Quarantined {
    /// Rows with their findings, in the order of the file.
    items: Vec<Value>,
    /// Ask for the rows after this one; none when there are no more.
    next_after: Option<u64>,
}

/// First rows of a version.
#[derive(Serialize)]
pub(super) struct Preview {
    version: u64,
    columns: Vec<String>,
    /// Values as text; null for no value.
    rows: Vec<Vec<Option<String>>>,
}

/// `GET /api/v1/jobs/{id}/quarantine`
pub(super) async fn quarantine(
    State(rows): State<Arc<Rows>>,
    UrlPath(id): UrlPath<String>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Quarantined>, Problem> {
    let trace = Trace::of(&headers);
    let principal = rows.principal(&headers, &trace)?;
    let (after, limit) = read_page(page, &trace)?;
    let missing = || Problem::new(ErrorCode::NotFound, "there is no such publish job", &trace);
    let id = JobId::parse(id).map_err(|_| missing())?;
    let job = rows
        .parts
        .jobs
        .job(&id)
        .ok()
        .flatten()
        .ok_or_else(missing)?;
    let jobs::JobKind::Publish { dataset, .. } = &job.kind else {
        return Err(missing());
    };
    let view = rows.parts.catalog.view();
    let dataset = view.dataset(dataset).cloned().ok_or_else(missing)?;
    let hosted = rows.hosted(&principal, &dataset, &trace)?;
    let asked = Asked {
        principal: &principal,
        action: Action::DatasetInspect,
        dataset: &dataset,
        record: Some(id.to_string()),
    };
    let permit = rows.authorize(&hosted, asked, &trace).await?;
    let path = quarantine::path(&rows.parts.dir, &dataset.id, id.as_str());
    let answer = blocking(&rows, &trace, move || read_quarantine(path, after, limit)).await?;
    // The permit was for this one answer.
    drop(permit);
    Ok(Json(answer))
}

/// `GET /api/v1/datasets/{id}/preview`
pub(super) async fn preview(
    State(rows): State<Arc<Rows>>,
    UrlPath(id): UrlPath<String>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Preview>, Problem> {
    let trace = Trace::of(&headers);
    let principal = rows.principal(&headers, &trace)?;
    let (_, limit) = read_page(page, &trace)?;
    let missing = || Problem::new(ErrorCode::NotFound, "there is no such version here", &trace);
    let id = DatasetId::parse(id).map_err(|_| missing())?;
    let view = rows.parts.catalog.view();
    let dataset = view.dataset(&id).cloned().ok_or_else(missing)?;
    let hosted = rows.hosted(&principal, &dataset, &trace)?;
    let version = view.latest_version(&id).ok_or_else(missing)?;
    let asked = Asked {
        principal: &principal,
        action: Action::DatasetInspect,
        dataset: &dataset,
        record: Some(version.body.number.to_string()),
    };
    let permit = rows.authorize(&hosted, asked, &trace).await?;
    let raw = tables::open_version(&rows.parts.dir, &permit, &version.body)
        .await
        .map_err(|error| Problem::of(&error, &trace))?;
    let number = version.body.number;
    let answer = blocking(&rows, &trace, move || {
        read_preview(&raw, &dataset, number, limit)
    })
    .await?;
    Ok(Json(answer))
}

fn read_page(
    page: Result<Query<Page>, QueryRejection>,
    trace: &Trace,
) -> Result<(u64, usize), Problem> {
    let Query(page) =
        page.map_err(|source| Problem::new(ErrorCode::Invalid, source.body_text(), trace))?;
    Ok((
        page.after.unwrap_or(0),
        page.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX),
    ))
}

/// Runs blocking work, a few at a time.
async fn blocking<T: Send + 'static>(
    rows: &Rows,
    trace: &Trace,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let Ok(_turn) = rows.inspections.try_acquire() else {
        let why = "too many inspections run at this moment; try again";
        return Err(Problem::new(ErrorCode::Unavailable, why, trace));
    };
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or(Err(Error::Worker("an inspection")));
    done.map_err(|error| Problem::of(&error, trace))
}

fn read_quarantine(path: PathBuf, after: u64, limit: usize) -> Result<Quarantined, Error> {
    use std::io::Read as _;
    let file = match File::open(path) {
        Ok(file) => file,
        // Nothing was kept out.
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Quarantined {
                items: Vec::new(),
                next_after: None,
            });
        }
        Err(source) => {
            return Err(Error::Io {
                what: "open a quarantine file",
                source,
            });
        }
    };
    let mut lines = BufReader::new(flate2::read::GzDecoder::new(BufReader::new(file)));
    let mut items: Vec<Value> = Vec::new();
    let mut last = None;
    let mut line = String::new();
    loop {
        line.clear();
        let mut piece = lines.by_ref().take(LINE_BYTES_MAX);
        let read = piece
            .read_line(&mut line)
            .map_err(Error::io("read a quarantine file"))?;
        if read == 0 {
            return Ok(Quarantined {
                items,
                next_after: None,
            });
        }
        let Ok(item) = serde_json::from_str::<Value>(&line) else {
            return Err(Error::Tampered {
                file: "the quarantine file".to_owned(),
            });
        };
        let row = item["row"].as_u64().unwrap_or(0);
        if row <= after {
            continue;
        }
        if items.len() == limit {
            return Ok(Quarantined {
                items,
                next_after: last,
            });
        }
        last = Some(row);
        items.push(item);
    }
}

fn read_preview(
    raw: &RawVersion,
    dataset: &Dataset,
    version: u64,
    limit: usize,
) -> Result<Preview, Error> {
    let columns: Vec<String> = raw
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let masked: Vec<bool> = columns
        .iter()
        .map(|name| {
            // A column that the card does not describe is treated as personal.
            dataset
                .column(name)
                .is_none_or(|column| column.sensitivity != Sensitivity::None)
        })
        .collect();
    let mut rows = Vec::new();
    for file in &raw.files {
        if rows.len() >= limit {
            break;
        }
        let file = File::open(file).map_err(Error::io("open a table's file"))?;
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_limit(limit - rows.len()).build())
            .map_err(Error::parquet("read a table's file"))?;
        for batch in batches {
            let batch = batch.map_err(Error::columns("read a table's file"))?;
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter().zip(&masked).map(|(array, masked)| {
                    let value = cell(array, row)?;
                    Some(if *masked {
                        quarantine::MASKED.to_owned()
                    } else {
                        value
                    })
                });
                rows.push(cells.collect());
            }
        }
    }
    Ok(Preview {
        version,
        columns,
        rows,
    })
}

fn cell(array: &Arc<dyn Array>, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).ok()?;
    Some(quarantine::cut(&formatter.value(row).to_string()))
}
