//! From verified chunks to a table of the consumer's own.
//!
//! It does not trust what came: every file is held against the signed offer before the table
//! knows of it, and rows and columns are counted from the files themselves.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use crypto::Hasher;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::Failure;
use super::journal::Journal;
use super::offer::Offer;
use crate::ingest::StagedFile;
use crate::materialise::{Manifest, schema_digest};
use crate::{Error, Parts, tables};

/// Checks everything that came and commits it as the content of `received/<dataset>/`. Done twice
/// for one transfer, it is done once.
///
/// # Errors
/// [`Failure::Rejected`] when a file is not what was offered; [`Failure::Local`] when it cannot
/// be stored.
pub(crate) async fn store(
    parts: &Parts,
    offer: &Offer,
    journal: &Arc<Journal>,
) -> Result<(), Failure> {
    let manifest = offer.manifest.clone();
    let (content, prefix) = (journal.content(), offer.transfer.to_string());
    let kept = Arc::clone(journal);
    let checked = tokio::task::spawn_blocking(move || {
        kept.sync()?;
        split(&content, &prefix, &manifest)
    });
    let (files, schema) = checked
        .await
        .map_err(|_| Error::Worker("the file checker"))??;
    let folder = parts
        .dir
        .join("received")
        .join(offer.manifest.dataset.as_str());
    tables::commit(&folder, &schema, &files, offer.transfer.as_str()).await?;
    Ok(())
}

/// Cuts the content into its files, each checked against its digest.
fn split(
    content: &Path,
    prefix: &str,
    manifest: &Manifest,
) -> Result<(Vec<StagedFile>, SchemaRef), Failure> {
    let folder = content.with_file_name("files");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::io("clear a transfer's files"))?;
    }
    fs::create_dir(&folder).map_err(Error::io("create a transfer's files"))?;
    let mut content = File::open(content).map_err(Error::io("open a transfer's content"))?;
    let mut files = Vec::with_capacity(manifest.files.len());
    let mut schema: Option<SchemaRef> = None;
    let mut rows: u64 = 0;
    for (at, file) in manifest.files.iter().enumerate() {
        let name = format!("{prefix}-P{at:05}.parquet");
        let path = folder.join(&name);
        let digest = copy(&mut content, file.bytes, &path)?;
        if digest != file.digest {
            return Err(Failure::Rejected("a file of the artefact"));
        }
        let (found, file_rows) = read_footer(&path)?;
        if schema.get_or_insert_with(|| Arc::clone(&found)) != &found {
            return Err(Failure::Rejected("the columns of the artefact"));
        }
        rows = rows.saturating_add(file_rows);
        files.push(StagedFile {
            name,
            path,
            rows: file_rows,
            bytes: file.bytes,
            digest,
        });
    }
    let schema = schema.ok_or(Failure::Rejected("an artefact without files"))?;
    if rows != manifest.rows || schema_digest(&schema)? != manifest.schema {
        return Err(Failure::Rejected("the rows or columns of the artefact"));
    }
    Ok((files, schema))
}

/// Copies the next `bytes` to a new file, durably, and hashes them.
fn copy(from: &mut File, bytes: u64, to: &PathBuf) -> Result<crypto::Digest, Error> {
    let io = || Error::io("write a received file");
    let mut target = Hashed {
        file: File::create_new(to).map_err(io())?,
        hasher: Hasher::new(),
    };
    let copied = io::copy(&mut from.take(bytes), &mut target).map_err(io())?;
    if copied != bytes {
        return Err(Error::Record {
            what: "write a received file",
            why: "the content is shorter than the offer says".to_owned(),
        });
    }
    target.file.sync_all().map_err(io())?;
    Ok(target.hasher.finish())
}

struct Hashed {
    file: File,
    hasher: Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Columns and rows of a Parquet file, from its footer.
fn read_footer(path: &Path) -> Result<(SchemaRef, u64), Failure> {
    let file = File::open(path).map_err(Error::io("open a received file"))?;
    let footer = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|_| Failure::Rejected("a Parquet file of the artefact"))?;
    let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0);
    let schema = arrow::datatypes::Schema::new(footer.schema().fields().clone());
    Ok((Arc::new(schema), rows))
}
