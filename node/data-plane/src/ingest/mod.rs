//! A file becomes checked rows in Parquet files: read, judged, parted, written, in one pass and in
//! bounded memory.
//!
//! It does not decide whether the rows are published, and it writes into the staging folder only.
//!
//! ```text
//! file -> unpack -> UTF-8 -> blocks of whole records -+-> worker: columns, rules -> Parquet
//!                                                     +-> worker: columns, rules -> Parquet
//!                                                     collector, in block order -> quarantine
//! ```
//!
//! Every data row is in exactly one place: published or kept out. Blocks go to the workers in
//! turn, so the same file always gives the same Parquet files.

mod blocks;
mod check;
mod columns;
mod csv;
mod encoding;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod json;
mod mapped;
mod ndjson;
pub(crate) mod plan;
pub(crate) mod quarantine;
mod raw;
mod record;
mod rows;
pub(crate) mod source;
mod text;
mod typed;
mod work;
pub(crate) mod write;
mod xlsx;
mod xml;
mod zip;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use encoding::Charset;
pub use plan::Plan;
pub use quarantine::{Fault, FaultCount, JOB_FINDINGS_MAX, QUARANTINE_BYTES_MAX, RowFault};
pub use record::RECORD_BYTES_MAX;
pub use source::{Source, UNPACKED_BYTES_MAX};
pub use write::StagedFile;

use crate::Error;

/// Fewest workers. Two fill the machines that we know; the reader thread is mostly idle.
pub const WORKERS_MIN: usize = 1;
/// Most workers of one publish: more would only compete with other jobs for the disk.
pub const WORKERS_MAX: usize = 8;

/// Kinds of files that can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text with a header (RFC 4180).
    Csv,
    /// One JSON object a line, or one array of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// XML whose elements are rows.
    Xml,
    /// A sheet of a workbook (ECMA-376).
    Xlsx,
}

impl Format {
    /// The kind by the file's name, with or without `.gz` or `.zst`; CSV when the name says
    /// nothing.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let name = name
            .strip_suffix(".gz")
            .or_else(|| name.strip_suffix(".zst"))
            .unwrap_or(&name);
        if name.ends_with(".parquet") {
            Self::Parquet
        } else if name.ends_with(".xml") {
            Self::Xml
        } else if [".xlsx", ".xlsm"].iter().any(|end| name.ends_with(end)) {
            Self::Xlsx
        } else if [".ndjson", ".jsonl", ".json"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            Self::Json
        } else {
            Self::Csv
        }
    }
}

/// What is to be read, and where its parts go.
#[derive(Debug)]
pub struct Ingest<'a> {
    /// The file.
    pub source: &'a Source,
    /// Of which kind it is.
    pub format: Format,
    /// Its encoding, when the steward declared it; else it is told from the bytes.
    pub charset: Option<Charset>,
    /// The compiled standard.
    pub plan: &'a Plan,
    /// Folder for the Parquet files; it exists.
    pub staging: &'a Path,
    /// Beginning of their names, unique for this publish.
    pub prefix: &'a str,
    /// The quarantine file, written when a row is kept out.
    pub quarantine: PathBuf,
    /// How many workers, from [`WORKERS_MIN`] to [`WORKERS_MAX`].
    pub workers: usize,
}

/// Who follows the work.
pub trait Watch: Sync {
    /// Rows read so far.
    fn rows(&self, rows: u64);
    /// Whether to stop.
    fn is_cancelled(&self) -> bool;
}

/// Nobody follows the work.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn rows(&self, _rows: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What became of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Parquet files of the rows that follow the standard, by name.
    pub files: Vec<StagedFile>,
    /// Their rows.
    pub rows: u64,
    /// Rows that were kept out.
    pub quarantined_rows: u64,
    /// The first faults, at most [`JOB_FINDINGS_MAX`].
    pub faults: Vec<RowFault>,
    /// How often each rule was broken.
    pub counts: Vec<FaultCount>,
    /// The quarantine file, when there is one.
    pub quarantine: Option<PathBuf>,
    /// As what the file was read.
    pub charset: Option<Charset>,
}

impl Ingest<'_> {
    /// Reads the whole file. Blocking; call it where blocking is allowed.
    ///
    /// # Errors
    /// What is wrong with the file as a whole ([`Error::Header`], [`Error::WrongByte`],
    /// [`Error::RecordTooLong`], [`Error::Unpacking`], [`Error::EmptyFile`] ...), the disk, or
    /// [`Error::Cancelled`]. Nothing staged is left behind then.
    pub fn run(&self, watch: &dyn Watch) -> Result<Staged, Error> {
        let first = work::run(self, self.charset, watch);
        let result = match first {
            Err(Error::WrongByte {
                file,
                row,
                offset,
                encoding,
                suspected: None,
            }) => {
                self.remove_staged()?;
                match self.read_otherwise(encoding)? {
                    Some(charset) if self.charset.is_none() => {
                        work::run(self, Some(charset), watch)
                    }
                    other => {
                        let suspected = other.map(Charset::as_str);
                        Err(Error::WrongByte {
                            file,
                            row,
                            offset,
                            encoding,
                            suspected,
                        })
                    }
                }
            }
            other => other,
        };
        match result {
            Ok(staged) if staged.rows + staged.quarantined_rows == 0 => {
                self.remove_staged()?;
                Err(Error::EmptyFile {
                    file: self.source.name().to_owned(),
                })
            }
            Ok(staged) => Ok(staged),
            Err(error) => {
                self.remove_staged()?;
                Err(error)
            }
        }
    }

    /// What the file looks like, when it is not what it was read as.
    fn read_otherwise(&self, encoding: &str) -> Result<Option<Charset>, Error> {
        let other = encoding::suspected(self.source)?;
        Ok(other.filter(|charset| charset.as_str() != encoding))
    }

    /// Removes the staged files of this publish and its quarantine file.
    pub(crate) fn remove_staged(&self) -> Result<(), Error> {
        remove_with_prefix(self.staging, self.prefix)?;
        match std::fs::remove_file(&self.quarantine) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
                what: "remove the quarantine file",
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// Removes the Parquet files in `dir` that the publish `prefix` wrote. Their names go on with `-P`,
/// and no identifier has a capital, so that `a` never removes the files of `a-1`.
pub(crate) fn remove_with_prefix(dir: &Path, prefix: &str) -> Result<(), Error> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(Error::Io {
                what: "list the staging folder",
                source,
            });
        }
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list the staging folder"))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let rest = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix("-P"));
        if rest.is_some_and(|rest| rest.ends_with(".parquet")) {
            std::fs::remove_file(entry.path()).map_err(Error::io("remove a staged file"))?;
        }
    }
    Ok(())
}
