//! From verified chunks to a table of the consumer's own.
//!
//! It does not trust what came: every file is held against the signed offer before the table
//! knows of it, and rows and columns are counted from the files themselves.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use schemas::{DatasetId, GrantId, ParticipantId};

use super::Failure;
use super::journal::Journal;
use super::offer::Offer;
use crate::ingest::StagedFile;
use crate::materialise::{Manifest, digest_of_file, read_footer, schema_digest};
use crate::{Error, Parts, tables};

/// Where the rows of a grant lie, below the data folder. Participants of one node share none of
/// it, and nor do two grants, whose purposes, columns and ends differ.
pub(crate) fn folder(consumer: &ParticipantId, dataset: &DatasetId, grant: &GrantId) -> String {
    format!("received/{consumer}/{dataset}/{grant}")
}

/// Checks everything that came and commits it as the content of `folder`, which is below the data
/// folder. Done twice for one transfer, it is done once.
///
/// # Errors
/// [`Failure::Rejected`] when a file is not what was offered; [`Failure::Local`] when it cannot
/// be stored.
pub(crate) async fn store(
    parts: &Parts,
    folder: &str,
    offer: &Offer,
    journal: &Arc<Journal>,
) -> Result<(), Failure> {
    let manifest = offer.manifest.clone();
    let prefix = offer.transfer.to_string();
    let kept = Arc::clone(journal);
    let checked = tokio::task::spawn_blocking(move || check(&kept, &prefix, &manifest));
    let (files, schema) = checked
        .await
        .map_err(|_| Error::Worker("the file checker"))??;
    let folder = parts.dir.join(folder);
    tables::commit(&folder, &schema, &files, offer.transfer.as_str()).await?;
    Ok(())
}

/// Holds each file against its digest, and all of them against what was offered.
fn check(
    journal: &Arc<Journal>,
    prefix: &str,
    manifest: &Manifest,
) -> Result<(Vec<StagedFile>, SchemaRef), Failure> {
    // The disk writes while the files are hashed from memory.
    let kept = Arc::clone(journal);
    let syncing = std::thread::spawn(move || kept.sync());
    let checked = check_files(journal, prefix, manifest);
    syncing
        .join()
        .map_err(|_| Error::Worker("the file checker"))??;
    checked
}

fn check_files(
    journal: &Journal,
    prefix: &str,
    manifest: &Manifest,
) -> Result<(Vec<StagedFile>, SchemaRef), Failure> {
    let mut files = Vec::with_capacity(manifest.files.len());
    let mut schema: Option<SchemaRef> = None;
    let mut rows: u64 = 0;
    for (at, file) in manifest.files.iter().enumerate() {
        let path = journal.file(at);
        let found = digest_of_file(&path, file.name.clone())?;
        if found != *file {
            return Err(Failure::Rejected("a file of the artefact"));
        }
        let (found, file_rows) =
            read_footer(&path).map_err(|_| Failure::Rejected("a Parquet file of the artefact"))?;
        if schema.get_or_insert_with(|| Arc::clone(&found)) != &found {
            return Err(Failure::Rejected("the columns of the artefact"));
        }
        rows = rows.saturating_add(file_rows);
        files.push(StagedFile {
            name: format!("{prefix}-P{at:05}.parquet"),
            path,
            rows: file_rows,
            bytes: file.bytes,
            digest: file.digest,
        });
    }
    let schema = schema.ok_or(Failure::Rejected("an artefact without files"))?;
    if rows != manifest.rows || schema_digest(&schema)? != manifest.schema {
        return Err(Failure::Rejected("the rows or columns of the artefact"));
    }
    Ok((files, schema))
}
