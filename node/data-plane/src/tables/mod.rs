//! The Delta tables of this node: the one module that opens raw tables.
//!
//! It does not say who may: each way in asks for the gate's evidence, a capability of
//! `dataset.publish` or a permit of `dataset.read`. A Delta version that the catalog does not
//! record is never opened: the caller names the recorded version.
//!
//! Each published version is a full snapshot: a publish replaces the content of the table
//! (overwrite: add actions for the new files, remove actions for all old ones). Old files stay, so
//! that earlier versions can still be read; appends of micro-batches come later. Tables keep to the
//! basic protocol levels (reader 1, writer 2), which Spark and the Delta Sharing clients read.

mod delta;
mod digest;

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use enforcement::{IngestCapability, MeasurePermit, Permit};
use schemas::DatasetId;
use schemas::code::Action;
use schemas::dataset::DatasetVersion;

pub(crate) use delta::{Committed, commit, commit_noted, committed};
pub(crate) use digest::{content_digest, content_digest_of, schema_digest};

use crate::Error;

/// The files of one recorded version.
#[derive(Clone, Debug)]
pub(crate) struct RawVersion {
    /// Its Parquet files, by name.
    pub(crate) files: Vec<PathBuf>,
    /// The schema of its rows.
    pub(crate) schema: SchemaRef,
}

/// Where the table of a dataset lies below the node's data folder.
pub(crate) fn folder(dir: &Path, dataset: &DatasetId) -> PathBuf {
    dir.join("tables").join(dataset.as_str())
}

/// Opens a recorded version for whoever may read the dataset.
///
/// # Errors
/// [`Error::Missing`] when the permit is of another action or dataset, or the table is not here;
/// [`Error::Table`] when its log cannot be read.
pub(crate) async fn open_version(
    dir: &Path,
    permit: &Permit,
    version: &DatasetVersion,
) -> Result<RawVersion, Error> {
    let request = permit.request();
    let is_reading = matches!(request.action, Action::DatasetRead | Action::DatasetInspect);
    if !is_reading || request.dataset.as_ref() != Some(&version.dataset) {
        return Err(Error::Missing {
            what: "permit for",
            name: version.dataset.to_string(),
        });
    }
    delta::open(&folder(dir, &version.dataset), version.delta_version).await
}

/// Opens a recorded version for whoever has to count its persons: nothing of it may leave.
///
/// # Errors
/// As [`open_version`].
pub(crate) async fn open_measured(
    dir: &Path,
    permit: &MeasurePermit,
    version: &DatasetVersion,
) -> Result<RawVersion, Error> {
    if permit.request().dataset.as_ref() != Some(&version.dataset) {
        return Err(Error::Missing {
            what: "permit for",
            name: version.dataset.to_string(),
        });
    }
    delta::open(&folder(dir, &version.dataset), version.delta_version).await
}

/// Opens recorded versions that a publish of the same provider compares its rows with.
///
/// # Errors
/// [`Error::Missing`] when the table is not here; [`Error::Table`] when its log cannot be read.
pub(crate) async fn open_referenced(
    dir: &Path,
    _publishing: &IngestCapability,
    version: &DatasetVersion,
) -> Result<RawVersion, Error> {
    delta::open(&folder(dir, &version.dataset), version.delta_version).await
}

#[cfg(test)]
mod tests;
