//! What can go wrong with a ledger.
//!
//! It does not carry entry contents: an error is logged where fewer people may look than at the
//! ledger.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::ledger_entry::{LedgerIdentity, LedgerIndex};

/// Why the ledger could not do what was asked. Cloneable, because one failed batch answers many.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The queue before the writer is full. Nothing was recorded; try again later.
    #[error("{waiting} entries wait to be recorded and the queue is full; try again later")]
    Pushback {
        /// Entries in the queue.
        waiting: usize,
    },
    /// Stored bytes are not what was acknowledged. An operator is needed now.
    #[error(
        "{segment} at byte {offset}, entry {index}: {why}; do not write to this ledger, \
             compare it with its mirror and its witnessed checkpoints"
    )]
    Tampered {
        /// The file, relative to the ledger's directory.
        segment: String,
        /// Where in it, in bytes from its start.
        offset: u64,
        /// The first entry (or in `checkpoints/` the first checkpoint) that cannot be trusted.
        index: u64,
        /// What was found.
        why: String,
    },
    /// The directory holds another participant's ledger, or another incarnation.
    #[error("this directory holds the ledger of {} (incarnation {}), not of {} (incarnation {}); \
             give each ledger its own directory",
            found.participant, found.incarnation, expected.participant, expected.incarnation)]
    ForeignLedger {
        /// Whose it is.
        found: Box<LedgerIdentity>,
        /// Whose it should be.
        expected: Box<LedgerIdentity>,
    },
    /// The files were written by a program with another format.
    #[error("{segment} has format version {found}; this program reads version {known}")]
    FormatVersion {
        /// The file.
        segment: String,
        /// Its version.
        found: u32,
        /// The one version that is known.
        known: u32,
    },
    /// The directory is not a ledger.
    #[error("{} holds no ledger: there is no directory `entries` with segments", path.display())]
    NotALedger {
        /// The directory.
        path: PathBuf,
    },
    /// Another process has the ledger open.
    #[error("{} is open in another process; stop it first", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// An entry is larger than a record may be.
    #[error("the entry has {bytes} bytes, the limit is {limit}; record digests of what is large")]
    EntryTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The disk, a quota or a file size limit is full. Nothing was recorded; works again once
    /// there is space.
    #[error("no space to {action} {}; free space, then try again", path.display())]
    StorageFull {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// A write or sync failed in a way after which the file's content is unknown. What was in
    /// flight may or may not be recorded; opening the ledger again finds out.
    #[error("the writer stopped after a failed write or sync; open the ledger again")]
    WriterStopped,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// There is no such entry (yet).
    #[error("there is no entry {index}; the ledger has {size}")]
    NoSuchEntry {
        /// What was asked for.
        index: LedgerIndex,
        /// How many entries there are.
        size: u64,
    },
    /// A proof was asked for a tree that never was.
    #[error("no proof from {from} to size {to}: the ledger has {size} entries")]
    ProofRange {
        /// The index or older size.
        from: u64,
        /// The newer size.
        to: u64,
        /// How many entries there are.
        size: u64,
    },
    /// No checkpoint covers the entry yet.
    #[error("no checkpoint covers entry {index} yet; make one first")]
    NotCheckpointed {
        /// The entry.
        index: LedgerIndex,
    },
    /// Evidence does not prove what it should.
    #[error("{part}: {why}")]
    NotProven {
        /// Which part of it.
        part: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// What is asked for cannot be answered as it is asked.
    #[error("{why}")]
    Question {
        /// What is wrong with it, and what to ask instead.
        why: String,
    },
    /// The index holds what nobody wrote. Opening the ledger again rebuilds it.
    #[error("the ledger's index is damaged; open the ledger again, which rebuilds it")]
    IndexDamaged,
    /// A record has no canonical bytes, or bytes are not a record.
    #[error("read or write a record")]
    Record(#[from] schemas::Error),
    /// The checkpoint could not be signed.
    #[error("sign the checkpoint")]
    Sign(#[from] crypto::Error),
    /// A file could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The index could not be read or written. It can be deleted: opening rebuilds it.
    #[error("{action} the ledger's index")]
    Index {
        /// What was attempted.
        action: &'static str,
        /// What the store said.
        #[source]
        source: Arc<fjall::Error>,
    },
}

impl Error {
    /// An error of the operating system; a full disk gets its own variant, because callers and
    /// operators do something else then.
    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            // A file size limit (EFBIG) is a quota by another name.
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::StorageFull {
                action,
                path: path.to_owned(),
            },
            _ => Self::File {
                action,
                path: path.to_owned(),
                source: Arc::new(source),
            },
        }
    }

    pub(crate) fn index(action: &'static str, source: fjall::Error) -> Self {
        Self::Index {
            action,
            source: Arc::new(source),
        }
    }
}
