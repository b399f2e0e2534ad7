//! The state as bytes: a header, then every record with its checksum, in key order.
//!
//! It does not sign anything: a snapshot is trusted with a digest that a majority of voters
//! cosigned, and reading one recomputes that digest from the records.
//!
//! ```text
//!   magic, then frames:  length (4 bytes, big-endian) | bytes
//!   frame 0              header, canonical JSON
//!   frame 3n+1..3n+3     key text | canonical bytes | SM3 of the canonical bytes
//! ```

use std::io::Read;
use std::sync::Arc;

use crypto::Digest;
use schemas::canonical::{self, CANONICAL_BYTES_MAX};
use serde::{Deserialize, Serialize};

use super::record::{Record, RecordKey};
use super::store::State;

/// The format of snapshots that this program writes, and the only one that it reads.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// What stands before the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotHeader {
    /// [`SNAPSHOT_FORMAT`].
    pub format: u32,
    /// The log index up to which the state is applied.
    pub applied: u64,
    /// The state digest.
    pub digest: Digest,
    /// How many records follow.
    pub records: u64,
}

/// Why records did not become a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes end early, or reading them failed.
    #[error("read {part} of the snapshot; fetch it again from another member")]
    Read {
        /// What was being read.
        part: &'static str,
        /// What the reader said.
        #[source]
        source: std::io::Error,
    },
    /// Not a snapshot, or one of another format.
    #[error("{why}; this program reads snapshots of format 1")]
    Format {
        /// What was found.
        why: String,
    },
    /// A frame is longer than any record may be.
    #[error("{part} has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record's bytes are not those that its checksum covers.
    #[error("record {key} hashes to {found}, its checksum says {expected}")]
    RecordDamaged {
        /// The first such record.
        key: String,
        /// Its checksum.
        expected: Digest,
        /// What its bytes hash to.
        found: Digest,
    },
    /// A record cannot be read, or stands under a key that is not its own.
    #[error("record {key}: {why}")]
    RecordUnreadable {
        /// The record.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// Every record is sound, but together they are not the state of that digest: some vanished,
    /// were added or are from another index.
    #[error("{records} records give digest {found}, the header says {expected}")]
    DigestMismatch {
        /// How many records there were.
        records: u64,
        /// The header's digest.
        expected: Digest,
        /// The digest of what was read.
        found: Digest,
    },
    /// A record of this state has no canonical form. That is a defect of ours.
    #[error("write record {key}")]
    Unwritable {
        /// The record.
        key: String,
        /// Why.
        #[source]
        source: schemas::Error,
    },
}

impl State {
    /// The header of a snapshot of this state.
    #[must_use]
    pub fn snapshot_header(&self) -> SnapshotHeader {
        SnapshotHeader {
            format: SNAPSHOT_FORMAT,
            applied: self.applied,
            digest: self.digest(),
            records: self.digests.len(),
        }
    }

    /// Every record with its canonical bytes, by kind and then identifier.
    ///
    /// # Errors
    /// Each item: [`SnapshotError::Unwritable`].
    pub fn records(
        &self,
    ) -> impl Iterator<Item = Result<(RecordKey, Vec<u8>), SnapshotError>> + '_ {
        self.record_list().map(|record| {
            let key = record.key();
            match record.to_bytes() {
                Ok(bytes) => Ok((key, bytes)),
                Err(source) => Err(SnapshotError::Unwritable {
                    key: key.to_string(),
                    source,
                }),
            }
        })
    }

    /// The snapshot in pieces: the first is magic and header, then one a record. Nothing is
    /// buffered, so a writer can stream them.
    ///
    /// # Errors
    /// Each item: [`SnapshotError::Unwritable`].
    pub fn snapshot_frames(&self) -> impl Iterator<Item = Result<Vec<u8>, SnapshotError>> + '_ {
        let first = canonical::to_bytes(&self.snapshot_header())
            .map_err(|source| SnapshotError::Unwritable {
                key: "header".to_owned(),
                source,
            })
            .map(|header| {
                let mut out = MAGIC.to_vec();
                put(&mut out, &header);
                out
            });
        let records = self.records().map(|record| {
            record.map(|(key, bytes)| {
                let mut out = Vec::with_capacity(bytes.len() + 160);
                put(&mut out, key.to_string().as_bytes());
                put(&mut out, &bytes);
                put(&mut out, Digest::of(&bytes).as_bytes());
                out
            })
        });
        std::iter::once(first).chain(records)
    }

    /// The snapshot in one piece.
    ///
    /// # Errors
    /// [`SnapshotError::Unwritable`].
    pub fn to_snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut out = Vec::new();
        for frame in self.snapshot_frames() {
            out.extend_from_slice(&frame?);
        }
        Ok(out)
    }

    /// Reads a snapshot and recomputes its digest.
    ///
    /// # Errors
    /// [`SnapshotError`]; a state is returned only when it is the header's.
    pub fn from_snapshot(mut reader: impl Read) -> Result<Self, SnapshotError> {
        let mut magic = [0_u8; MAGIC.len()];
        read_exact(&mut reader, &mut magic, "the magic")?;
        if magic != *MAGIC {
            return Err(SnapshotError::Format {
                why: "the first bytes are others".to_owned(),
            });
        }
        let header = read_frame(&mut reader, "the header", HEADER_BYTES_MAX)?;
        let header: SnapshotHeader =
            canonical::from_bytes(&header).map_err(|error| SnapshotError::Format {
                why: format!("the header: {error}"),
            })?;
        if header.format != SNAPSHOT_FORMAT {
            return Err(SnapshotError::Format {
                why: format!("format {}", header.format),
            });
        }
        let mut state = Self {
            applied: header.applied,
            ..Self::default()
        };
        for _ in 0..header.records {
            let (key, bytes) = read_record(&mut reader)?;
            state.take(&key, &bytes)?;
        }
        state.expect_digest(&header)
    }

    /// Builds a state from stored records and the header that was stored with them.
    ///
    /// # Errors
    /// [`SnapshotError`] for a record that cannot be read or a digest that differs.
    pub fn from_records<B: AsRef<[u8]>>(
        header: &SnapshotHeader,
        records: impl IntoIterator<Item = (RecordKey, B)>,
    ) -> Result<Self, SnapshotError> {
        let mut state = Self {
            applied: header.applied,
            ..Self::default()
        };
        for (key, bytes) in records {
            state.take(&key, bytes.as_ref())?;
        }
        state.expect_digest(header)
    }

    fn take(&mut self, key: &RecordKey, bytes: &[u8]) -> Result<(), SnapshotError> {
        let unreadable = |why: String| SnapshotError::RecordUnreadable {
            key: key.to_string(),
            why,
        };
        let record =
            Record::from_bytes(key.kind(), bytes).map_err(|error| unreadable(error.to_string()))?;
        if record.key() != *key {
            return Err(unreadable(format!("its own key is {}", record.key())));
        }
        self.put(record, bytes);
        Ok(())
    }

    fn expect_digest(self, header: &SnapshotHeader) -> Result<Self, SnapshotError> {
        let found = self.digest();
        if found == header.digest && self.digests.len() == header.records {
            return Ok(self);
        }
        Err(SnapshotError::DigestMismatch {
            records: self.digests.len(),
            expected: header.digest,
            found,
        })
    }

    /// Every record, by kind and then identifier.
    fn record_list(&self) -> impl Iterator<Item = Record> + '_ {
        fn all<'a, K: Ord + Clone, V>(
            map: &'a imbl::OrdMap<K, Arc<V>>,
            wrap: fn(Arc<V>) -> Record,
        ) -> impl Iterator<Item = Record> + 'a {
            map.values().map(move |it| wrap(Arc::clone(it)))
        }
        let versions = self
            .versions
            .values()
            .flat_map(|of_dataset| all(of_dataset, Record::Version));
        let single = self.federation.iter().cloned().map(Record::Federation);
        single
            .chain(self.clock.iter().cloned().map(Record::Clock))
            .chain(all(&self.participants, Record::Participant))
            .chain(all(&self.nodes, Record::Node))
            .chain(all(&self.persons, Record::Person))
            .chain(all(&self.standards, Record::Standard))
            .chain(all(&self.datasets, Record::Dataset))
            .chain(all(&self.submissions, Record::Submission))
            .chain(versions)
            .chain(all(&self.requests, Record::Request))
            .chain(all(&self.contracts, Record::Contract))
            .chain(all(&self.grants, Record::Grant))
            .chain(all(&self.transfers, Record::Transfer))
            .chain(all(&self.policy_sets, Record::PolicySet))
            .chain(all(&self.rule_packs, Record::RulePack))
            .chain(all(&self.instruments, Record::Instrument))
            .chain(all(&self.approvals, Record::Approval))
            .chain(all(&self.supervisions, Record::Supervision))
            .chain(all(&self.checkpoints, Record::Checkpoint))
            .chain(all(&self.commands, Record::Command))
    }
}

fn put(out: &mut Vec<u8>, frame: &[u8]) {
    // Frames are records, at most 1 MiB each.
    out.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(frame);
}

fn read_record(reader: &mut impl Read) -> Result<(RecordKey, Vec<u8>), SnapshotError> {
    let key = read_frame(reader, "a record's key", KEY_BYTES_MAX)?;
    let bytes = read_frame(reader, "a record", CANONICAL_BYTES_MAX)?;
    let checksum = read_frame(reader, "a record's checksum", Digest::BYTES)?;
    let text = String::from_utf8_lossy(&key).into_owned();
    let found = Digest::of(&bytes);
    if found.as_bytes().as_slice() != checksum {
        let mut expected = [0_u8; Digest::BYTES];
        expected[..checksum.len()].copy_from_slice(&checksum);
        let expected = Digest::from_bytes(expected);
        return Err(SnapshotError::RecordDamaged {
            key: text,
            expected,
            found,
        });
    }
    let key = RecordKey::parse(&text).ok_or_else(|| SnapshotError::RecordUnreadable {
        key: text,
        why: "no such kind of record".to_owned(),
    })?;
    Ok((key, bytes))
}

fn read_frame(
    reader: &mut impl Read,
    part: &'static str,
    limit: usize,
) -> Result<Vec<u8>, SnapshotError> {
    let mut length = [0_u8; 4];
    read_exact(reader, &mut length, part)?;
    let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if bytes > limit {
        return Err(SnapshotError::TooLong { part, bytes, limit });
    }
    let mut frame = vec![0_u8; bytes];
    read_exact(reader, &mut frame, part)?;
    Ok(frame)
}

fn read_exact(
    reader: &mut impl Read,
    buffer: &mut [u8],
    part: &'static str,
) -> Result<(), SnapshotError> {
    reader
        .read_exact(buffer)
        .map_err(|source| SnapshotError::Read { part, source })
}

const MAGIC: &[u8; 14] = b"kouan-state-1\n";

/// A header has four short members.
const HEADER_BYTES_MAX: usize = 1_024;

/// The longest key is a remembered command's: a kind and three identifiers of 96 bytes.
const KEY_BYTES_MAX: usize = 512;
