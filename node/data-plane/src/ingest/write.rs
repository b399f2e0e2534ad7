//! Parquet files of a version, written by one worker and hashed on the way to the disk.
//!
//! It does not put files into a table: they stay in the staging folder until the gate has passed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use crypto::Digest;
use crypto::merkle::ContentHasher;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::source::as_u64;
use crate::Error;

/// A file is closed and the next one begun when it has reached this size: 256 MiB, so that a
/// version of any size is a handful of files that transfer and query in parallel.
const FILE_BYTES_MAX: usize = 256 << 20;

/// Rows of a row group: what one query thread takes at once, and what a writer keeps in memory
/// (compressed).
const ROW_GROUP_ROWS: usize = 1 << 19;

/// zstd at level 1: on lineitem a third smaller than snappy for about the same time, and versions
/// are sent more often than they are written.
const ZSTD_LEVEL: i32 = 1;

/// A Parquet file that is on disk, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// Its name, unique over all versions of a dataset.
    pub name: String,
    /// Where it lies now.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Of its bytes: [`ContentHasher`].
    pub digest: Digest,
}

/// Writes one worker's share of the rows.
pub(crate) struct PartWriter {
    dir: PathBuf,
    prefix: String,
    schema: SchemaRef,
    properties: WriterProperties,
    open: Option<ArrowWriter<HashingFile>>,
    open_rows: u64,
    done: Vec<StagedFile>,
}

impl PartWriter {
    pub(crate) fn new(dir: &Path, prefix: String, schema: SchemaRef) -> Result<Self, Error> {
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(Error::parquet("choose zstd level"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("kouan ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        Ok(Self {
            dir: dir.to_owned(),
            prefix,
            schema,
            properties,
            open: None,
            open_rows: 0,
            done: Vec::new(),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.open.is_none() {
            let file = HashingFile::create(&self.dir.join(self.name()))?;
            let properties = self.properties.clone();
            let writer = ArrowWriter::try_new(file, self.schema.clone(), Some(properties))
                .map_err(Error::parquet("open a staged file"))?;
            self.open = Some(writer);
        }
        let Some(writer) = self.open.as_mut() else {
            return Ok(());
        };
        writer.write(batch).map_err(write_error)?;
        self.open_rows += as_u64(batch.num_rows());
        if writer.bytes_written() + writer.in_progress_size() >= FILE_BYTES_MAX {
            self.close()?;
        }
        Ok(())
    }

    /// Closes the last file; returns all of them.
    pub(crate) fn finish(mut self) -> Result<Vec<StagedFile>, Error> {
        self.close()?;
        Ok(self.done)
    }

    fn name(&self) -> String {
        format!("{}-{:05}.parquet", self.prefix, self.done.len())
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(writer) = self.open.take() else {
            return Ok(());
        };
        let name = self.name();
        let path = self.dir.join(&name);
        let file = writer.into_inner().map_err(write_error)?;
        file.file
            .sync_all()
            .map_err(Error::io("sync a staged file"))?;
        self.done.push(StagedFile {
            name,
            path,
            rows: std::mem::take(&mut self.open_rows),
            bytes: file.bytes,
            digest: file.hasher.finish(),
        });
        Ok(())
    }
}

/// A full disk arrives as an error of the Parquet writer; it is one of the disk.
fn write_error(source: parquet::errors::ParquetError) -> Error {
    if let parquet::errors::ParquetError::External(inner) = source {
        return match inner.downcast::<std::io::Error>() {
            Ok(source) => Error::Io {
                what: "write a staged file",
                source: *source,
            },
            Err(inner) => Error::Parquet {
                what: "write a staged file",
                source: parquet::errors::ParquetError::External(inner),
            },
        };
    }
    Error::Parquet {
        what: "write a staged file",
        source,
    }
}

/// A file whose bytes are hashed as they are written.
struct HashingFile {
    file: File,
    hasher: ContentHasher,
    bytes: u64,
}

impl HashingFile {
    fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create_new(path).map_err(Error::io("create a staged file"))?;
        Ok(Self {
            file,
            hasher: ContentHasher::new(),
            bytes: 0,
        })
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += as_u64(written);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
