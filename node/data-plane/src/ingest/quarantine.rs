//! Rows that were kept out, with the reasons, for the steward to repair.
//!
//! It does not decide what is kept out, and it never holds the values of columns that hold
//! personal information: those are masked before they come here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::source::as_u64;
use crate::Error;

/// Most bytes of quarantined rows that are kept, unpacked: 256 MiB. Beyond it a file is not
/// repaired row by row; the count goes on.
pub const QUARANTINE_BYTES_MAX: u64 = 256 << 20;

/// Most findings that travel with the job; the quarantine file has the rest.
pub const JOB_FINDINGS_MAX: usize = 100;

/// Most findings of one row that are kept.
pub(crate) const ROW_FINDINGS_MAX: usize = 16;

/// Longest value or raw line that is kept, in characters.
pub(crate) const VALUE_CHARS_MAX: usize = 200;

/// One rule that a row broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The column, when it is one column's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The rule: a JSON Schema keyword, or `columns`, `quoting`, `nul`, `json` for rows that
    /// cannot be read.
    pub rule: String,
    /// The value, cut; masked when the column holds personal information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it was kept out, in words.
    pub why: String,
}

/// A fault and the row it was found in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowFault {
    /// The data row, counted from 1 (the header is not counted).
    pub row: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// A row that was kept out of its block, on the way to the file.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// The row within its block, counted from 0.
    pub(crate) row: u64,
    /// Its faults, at most [`ROW_FINDINGS_MAX`].
    pub(crate) faults: Vec<Fault>,
    /// Its values by column, or the raw line under `raw` when it has no columns.
    pub(crate) values: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Line<'a> {
    row: u64,
    findings: &'a [Fault],
    values: &'a serde_json::Map<String, serde_json::Value>,
}

/// The quarantine file of one job: gzip of one JSON object a line.
pub(crate) struct Quarantine {
    path: PathBuf,
    out: Option<GzEncoder<BufWriter<File>>>,
    bytes: u64,
    rows: u64,
    first: Vec<RowFault>,
    counts: BTreeMap<(Option<String>, String), u64>,
}

/// What was found, over all rows that were kept out.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Rows that were kept out.
    pub(crate) rows: u64,
    /// The first faults, at most [`JOB_FINDINGS_MAX`].
    pub(crate) first: Vec<RowFault>,
    /// How often each rule was broken; a row counts once for each of its faults.
    pub(crate) counts: Vec<FaultCount>,
    /// The file, when there is one.
    pub(crate) path: Option<PathBuf>,
}

/// How often a rule was broken in one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    /// The column, when it is one column's rule.
    pub field: Option<String>,
    /// The rule.
    pub rule: String,
    /// Values that broke it.
    pub count: u64,
}

impl Quarantine {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            out: None,
            bytes: 0,
            rows: 0,
            first: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Keeps a row; `before` rows came before its block.
    pub(crate) fn keep(&mut self, rejected: &Rejected, before: u64) -> Result<(), Error> {
        self.rows += 1;
        let row = before + rejected.row + 1;
        for fault in &rejected.faults {
            // At most the columns of a standard times its rules.
            let key = (fault.field.clone(), fault.rule.clone());
            *self.counts.entry(key).or_default() += 1;
            if self.first.len() < JOB_FINDINGS_MAX {
                self.first.push(RowFault {
                    row,
                    fault: fault.clone(),
                });
            }
        }
        if self.bytes >= QUARANTINE_BYTES_MAX {
            return Ok(());
        }
        let line = Line {
            row,
            findings: &rejected.faults,
            values: &rejected.values,
        };
        let mut text = serde_json::to_vec(&line).map_err(|source| Error::Record {
            what: "write a quarantined row",
            why: source.to_string(),
        })?;
        text.push(b'\n');
        self.bytes += as_u64(text.len());
        self.open()?
            .write_all(&text)
            .map_err(Error::io("write the quarantine file"))
    }

    /// Makes the file durable. Returns what was found.
    pub(crate) fn finish(mut self) -> Result<Found, Error> {
        let counts = self.counts.into_iter();
        let counts = counts.map(|((field, rule), count)| FaultCount { field, rule, count });
        let found = Found {
            rows: self.rows,
            first: self.first,
            counts: counts.collect(),
            path: None,
        };
        let Some(out) = self.out.take() else {
            return Ok(found);
        };
        let written = out
            .finish()
            .map_err(Error::io("close the quarantine file"))?;
        let file = written
            .into_inner()
            .map_err(|source| Error::io("close the quarantine file")(source.into_error()))?;
        file.sync_all()
            .map_err(Error::io("sync the quarantine file"))?;
        Ok(Found {
            path: Some(self.path),
            ..found
        })
    }

    fn open(&mut self) -> Result<&mut GzEncoder<BufWriter<File>>, Error> {
        if self.out.is_none() {
            if let Some(parent) = self.path.parent() {
                std::fs::create_dir_all(parent).map_err(Error::io("create quarantine folder"))?;
            }
            // A job that runs again writes its file anew.
            let file = File::create(&self.path).map_err(Error::io("create the quarantine file"))?;
            self.out = Some(GzEncoder::new(BufWriter::new(file), Compression::fast()));
        }
        self.out.as_mut().ok_or(Error::Worker("quarantine file"))
    }
}

/// A value as it may be shown: cut.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// What stands for a value that may not be shown.
pub(crate) const MASKED: &str = "***";

/// Where the quarantined rows of a job are.
pub(crate) fn path(dir: &Path, dataset: &schemas::DatasetId, job: &str) -> PathBuf {
    dir.join("quarantine")
        .join(dataset.as_str())
        .join(format!("{job}.ndjson.gz"))
}
