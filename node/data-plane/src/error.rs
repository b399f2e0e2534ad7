//! Why the data plane could not do what was asked.

use schemas::code::ErrorCode;

/// What did not work. Variants name the situation; [`Error::code`] says whose turn it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file holds no header, or a header and nothing else.
    #[error("{file} has no rows; upload a file with a header and at least one row")]
    EmptyFile {
        /// The file's name.
        file: String,
    },
    /// The header of the file cannot be mapped to the data standard.
    #[error("header of {file}: {why}")]
    Header {
        /// The file's name.
        file: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A byte does not belong to the encoding.
    #[error(
        "{file}, row {row}, byte {offset}: not {encoding}{}",
        suspected.map(|name| format!("; the file looks like {name}, declare that encoding"))
            .unwrap_or_default()
    )]
    WrongByte {
        /// The file's name.
        file: String,
        /// The data row in which it stands, counted from 1; 0 is the header.
        row: u64,
        /// Where it stands, in bytes from the start of the unpacked file.
        offset: u64,
        /// As what the file was read.
        encoding: &'static str,
        /// What the file looks like instead.
        suspected: Option<&'static str>,
    },
    /// A row is larger than a row may be.
    #[error("{file}, row {row}: longer than {limit} bytes; is the delimiter or encoding another?")]
    RecordTooLong {
        /// The file's name.
        file: String,
        /// The data row, counted from 1; 0 is the header.
        row: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The file is packed, and the packing is damaged or cut.
    #[error("{file}: {packing} ends or breaks at unpacked byte {offset}; upload the whole file")]
    Unpacking {
        /// The file's name.
        file: String,
        /// How it is packed.
        packing: &'static str,
        /// How many bytes could be unpacked.
        offset: u64,
        /// What the decoder said.
        #[source]
        source: std::io::Error,
    },
    /// The unpacked file is larger than a file may be.
    #[error("{file}: more than {limit} bytes unpacked; split it")]
    FileTooLarge {
        /// The file's name.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not of a kind that can be published.
    #[error("{file}: {why}")]
    Format {
        /// The file's name.
        file: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A mapping does not fit its standard.
    #[error("mapping {mapping}: {why}")]
    Mapping {
        /// Its name.
        mapping: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The data standard cannot be turned into a table.
    #[error("data standard: {why}")]
    Standard {
        /// What is wrong and what to do.
        why: String,
    },
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Reading or writing a file failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Arrow or Parquet refused values that we made.
    #[error("{what}")]
    Columns {
        /// What was being done.
        what: &'static str,
        /// What the library said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A Parquet file could not be read or written.
    #[error("{what}")]
    Parquet {
        /// What was being done.
        what: &'static str,
        /// What the library said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A query over a table failed.
    #[error("{what}")]
    Query {
        /// What was being done.
        what: &'static str,
        /// What the library said.
        #[source]
        source: Box<datafusion::error::DataFusionError>,
    },
    /// The Delta log could not be read or written.
    #[error("{what}")]
    Table {
        /// What was being done.
        what: &'static str,
        /// What the library said.
        #[source]
        source: Box<deltalake::DeltaTableError>,
    },
    /// A file of a table is not what the version's digest says.
    #[error("{file} is not the file that was published; restore it from a good copy")]
    Tampered {
        /// The file's name.
        file: String,
    },
    /// A record has no canonical form, or a key could not sign.
    #[error("{what}: {why}")]
    Record {
        /// What was being done.
        what: &'static str,
        /// What stood in the way.
        why: String,
    },
    /// No such version, dataset or job here.
    #[error("no {what} {name} on this node")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A worker ended without an answer: a defect of ours.
    #[error("{0} ended without an answer")]
    Worker(&'static str),
}

impl Error {
    /// The stable code that programs match on.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::EmptyFile { .. }
            | Self::Header { .. }
            | Self::WrongByte { .. }
            | Self::RecordTooLong { .. }
            | Self::Unpacking { .. }
            | Self::Mapping { .. }
            | Self::Format { .. } => ErrorCode::SchemaViolation,
            Self::FileTooLarge { .. } => ErrorCode::LimitExceeded,
            Self::Io { source, .. } if is_full(source) => ErrorCode::StorageFull,
            Self::Missing { .. } => ErrorCode::NotFound,
            Self::Tampered { .. } => ErrorCode::Tampered,
            Self::Cancelled => ErrorCode::Conflict,
            Self::Standard { .. }
            | Self::Io { .. }
            | Self::Columns { .. }
            | Self::Parquet { .. }
            | Self::Query { .. }
            | Self::Table { .. }
            | Self::Record { .. }
            | Self::Worker(_) => ErrorCode::Internal,
        }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub(crate) fn columns(what: &'static str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Columns { what, source }
    }

    pub(crate) fn parquet(
        what: &'static str,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Parquet { what, source }
    }

    pub(crate) fn query(
        what: &'static str,
    ) -> impl FnOnce(datafusion::error::DataFusionError) -> Self {
        move |source| Self::Query {
            what,
            source: Box::new(source),
        }
    }

    pub(crate) fn table(what: &'static str) -> impl FnOnce(deltalake::DeltaTableError) -> Self {
        move |source| Self::Table {
            what,
            source: Box::new(source),
        }
    }
}

/// Whether the disk or a quota is full.
pub(crate) fn is_full(source: &std::io::Error) -> bool {
    matches!(
        source.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}
