//! The form of a backup of the catalog: what stands in front, chunks of records, and a signed end.
//!
//! It does not know what a record means and opens no file. The node writes one, the node that is
//! restored reads it, and an auditor verifies it without any node.
//!
//! ```text
//!   magic | format (4 bytes)
//!   length (4) | header, canonical JSON
//!   chunk:  1 | stored length (4) | raw length (4) | deflate (RFC 1951) | SM3 of all so far
//!   end:    0 | length (4) | signed seal, canonical JSON, and nothing behind it
//!
//!   in the chunks, cut anywhere:  length (4) | key text | length (4) | canonical bytes
//! ```
//!
//! Each chunk's digest covers the one before it, so no chunk can be changed, moved, left out or
//! taken from another backup; the seal covers the last one, so none can be missing at the end.
//! Numbers are big-endian.

mod read;
mod write;

use crypto::merkle::map::MerkleMap;
use crypto::{Digest, Label, PublicKey};
use serde::{Deserialize, Serialize};

use crate::participant::Node;
use crate::{NodeId, Timestamp};

pub use read::{Backup, SealedBackup};
pub use write::BackupWriter;

/// The format that this program writes, and the newest that it reads.
pub const BACKUP_FORMAT: u32 = 1;

/// A member of the catalog's Raft when the backup was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupMember {
    /// Its number in Raft.
    pub raft_number: u64,
    /// Where others called it.
    pub address: String,
}

/// What stands in front of the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupHeader {
    /// Which catalog: SM3 of the record of its founding.
    pub cluster: Digest,
    /// The log index up to which the state is applied.
    pub index: u64,
    /// The Raft term when it was taken, at least that of the entry at `index`.
    pub term: u64,
    /// The state digest: the root over SM3 of every record.
    pub digest: Digest,
    /// How many records follow.
    pub records: u64,
    /// Leader time as of the state.
    pub leader_time: Timestamp,
    /// When it was taken, by the clock of the node that took it.
    pub taken_at: Timestamp,
    /// The node that took it.
    pub node: NodeId,
    /// That node's key, which signs the seal.
    pub signing: PublicKey,
    /// Who voted.
    pub voters: Vec<BackupMember>,
    /// Who took part without a vote.
    pub learners: Vec<BackupMember>,
    /// The version of the program.
    pub program: String,
}

/// What the node signs when everything is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupSeal {
    /// The digest of the last chunk, which covers everything before it.
    pub chain: Digest,
    /// How many chunks there are.
    pub chunks: u64,
    /// How many records are in them.
    pub records: u64,
    /// How many bytes they had before they were compressed.
    pub raw_bytes: u64,
}

impl BackupSeal {
    /// The label of the node's signature.
    pub const LABEL: Label = Label::Snapshot;
}

/// Why a file is not a backup that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Another kind of file.
    #[error("this is no backup of a catalog: its first bytes are others")]
    NotABackup,
    /// Written by a newer program.
    #[error(
        "the backup has format {found}, this program reads up to {supported}; use the version \
         that wrote it or a newer one"
    )]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// The file ends early.
    #[error("the backup ends within {part}; copy it again from where it was written")]
    Truncated {
        /// What was being read.
        part: &'static str,
    },
    /// Something stands behind the end.
    #[error("something stands behind the end of the backup")]
    Trailing,
    /// A chunk is not what was written.
    #[error("chunk {chunk} of the backup is damaged; copy it again from where it was written")]
    ChunkDamaged {
        /// Its place, from 0.
        chunk: u64,
    },
    /// A part is longer than it may be.
    #[error("{part} has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Header, seal or a record cannot be read.
    #[error("{part}: {why}")]
    Unreadable {
        /// Which part.
        part: String,
        /// What is wrong.
        why: String,
    },
    /// Two records have one key.
    #[error("record {key} stands twice in the backup")]
    RecordTwice {
        /// The key.
        key: String,
    },
    /// Every part is sound, but together they are not what the header says.
    #[error("{records} records give digest {found}, the header says {expected}")]
    DigestMismatch {
        /// How many records there were.
        records: u64,
        /// The header's digest.
        expected: Digest,
        /// The digest of what was read.
        found: Digest,
    },
    /// The seal is another backup's, or counts other things.
    #[error("the seal is not this backup's: {why}")]
    SealMismatch {
        /// What differs.
        why: &'static str,
    },
    /// The signature does not hold, or nobody who is trusted made it.
    #[error("the signature of node {node} does not hold: {why}")]
    SignatureRejected {
        /// The node that the header names.
        node: String,
        /// What is wrong.
        why: String,
    },
    /// A backup of another catalog.
    #[error("the backup is of catalog {found}, not of {expected}; check that it is the right file")]
    AnotherCluster {
        /// Which catalog was asked for.
        expected: Digest,
        /// Whose backup this is.
        found: Digest,
    },
    /// The file could not be read or written.
    #[error("{action} the backup")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl BackupError {
    /// Whether the file itself, and not the disk or the program, is at fault.
    #[must_use]
    pub const fn is_about_the_content(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// What a backup must be, beyond being whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// Of this catalog.
    pub cluster: Option<Digest>,
    /// Signed with one of these keys; none means that the key of the node's own record, which is
    /// within the backup, is enough: then the backup agrees with itself, and nobody vouches for it.
    pub keys: &'a [PublicKey],
}

/// What was found in a backup that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Its header.
    pub header: BackupHeader,
    /// Its seal.
    pub seal: BackupSeal,
}

/// Reads a whole backup and verifies everything in it: chunks, seal, signature, and the state
/// digest over all records. Memory is bounded by the chunk and some 250 bytes a record.
///
/// # Errors
/// [`BackupError`], for the first thing that is wrong.
pub fn verify(
    source: impl std::io::Read,
    expected: &Expected<'_>,
) -> Result<BackupReport, BackupError> {
    let mut backup = Backup::open(source)?;
    backup.expect(expected)?;
    let mut digests = MerkleMap::new();
    let own = format!("node/{}", backup.header().node);
    let mut vouched = None;
    while let Some((key, bytes)) = backup.next_record()? {
        if digests.insert(key.as_bytes(), Digest::of(&bytes)).is_some() {
            return Err(BackupError::RecordTwice { key });
        }
        if key == own {
            vouched = serde_json::from_slice(&bytes).ok();
        }
    }
    let sealed = backup.finish(expected, vouched.as_ref())?;
    let found = digests.root();
    sealed.check_digest(digests.len(), found)?;
    Ok(sealed.into_report())
}

/// Whether the node's own record, within the backup, has the key that signed.
fn vouches(node: Option<&Node>, header: &BackupHeader) -> bool {
    node.is_some_and(|it| it.id == header.node && it.signing == header.signing)
}

const MAGIC: &[u8; 13] = b"kouan-backup\n";

/// A thousand members with their addresses have a fifth of this.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// Four numbers, a digest, a key and a signature.
const SEAL_BYTES_MAX: usize = 4 << 10;

/// Raw bytes in a chunk: what a reader holds at once, twice over.
const CHUNK_BYTES: usize = 1 << 20;

/// Deflate adds at most five bytes for each 16 KiB that it cannot compress (RFC 1951, 3.2.4).
const STORED_BYTES_MAX: usize = CHUNK_BYTES + CHUNK_BYTES / 1_024;

/// The longest key is a remembered command's: a kind and three identifiers of 96 bytes.
const KEY_BYTES_MAX: usize = 512;

const CHUNK: u8 = 1;
const END: u8 = 0;

#[cfg(test)]
mod tests;
