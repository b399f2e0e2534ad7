//! Reads a backup, chunk by chunk.
//!
//! It does not hand out a byte of a chunk before the chunk's digest was compared.

use std::io::{ErrorKind, Read};

use crypto::{Digest, PublicKey};
use flate2::read::DeflateDecoder;

use super::write::link;
use super::{
    BACKUP_FORMAT, BackupError, BackupHeader, BackupReport, BackupSeal, CHUNK, CHUNK_BYTES, END,
    Expected, HEADER_BYTES_MAX, KEY_BYTES_MAX, MAGIC, SEAL_BYTES_MAX, STORED_BYTES_MAX, vouches,
};
use crate::canonical::{self, CANONICAL_BYTES_MAX};
use crate::participant::Node;
use crate::{Error, Signed};

/// A backup that is being read.
pub struct Backup<R> {
    source: R,
    header: BackupHeader,
    chain: Digest,
    chunks: u64,
    records: u64,
    raw_bytes: u64,
    chunk: Vec<u8>,
    read: usize,
    stored: Vec<u8>,
    ended: bool,
}

/// A backup that was read to its end and whose seal holds.
#[derive(Debug)]
pub struct SealedBackup {
    header: BackupHeader,
    seal: BackupSeal,
}

impl<R: Read> Backup<R> {
    /// Reads what stands in front.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn open(mut source: R) -> Result<Self, BackupError> {
        let mut front = vec![0_u8; MAGIC.len() + 4];
        fill(&mut source, &mut front[..MAGIC.len()], "the first bytes")?;
        if front[..MAGIC.len()] != *MAGIC {
            return Err(BackupError::NotABackup);
        }
        let format = length(&mut source, "the format")?;
        if format != BACKUP_FORMAT {
            return Err(BackupError::NewerFormat {
                found: format,
                supported: BACKUP_FORMAT,
            });
        }
        front[MAGIC.len()..].copy_from_slice(&format.to_be_bytes());
        let bytes = frame(&mut source, "the header", HEADER_BYTES_MAX)?;
        let header = canonical::from_bytes(&bytes).map_err(|error| unreadable("header", error))?;
        // Lengths fit: the frame was read by a length of four bytes.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        front.extend_from_slice(&length.to_be_bytes());
        front.extend_from_slice(&bytes);
        Ok(Self {
            source,
            header,
            chain: Digest::of(&front),
            chunks: 0,
            records: 0,
            raw_bytes: 0,
            chunk: Vec::new(),
            read: 0,
            stored: Vec::new(),
            ended: false,
        })
    }

    /// What stands in front. Nobody has vouched for it before [`Self::finish`].
    #[must_use]
    pub const fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// Refuses early what [`Self::finish`] would refuse anyway.
    ///
    /// # Errors
    /// [`BackupError::AnotherCluster`], [`BackupError::SignatureRejected`].
    pub fn expect(&self, expected: &Expected<'_>) -> Result<(), BackupError> {
        if let Some(cluster) = expected.cluster
            && cluster != self.header.cluster
        {
            return Err(BackupError::AnotherCluster {
                expected: cluster,
                found: self.header.cluster,
            });
        }
        if !expected.keys.is_empty() && !expected.keys.contains(&self.header.signing) {
            return Err(self.rejected("its key is none of those that are trusted"));
        }
        Ok(())
    }

    /// The next record: its key and its canonical bytes. None at the end.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn next_record(&mut self) -> Result<Option<(String, Vec<u8>)>, BackupError> {
        if self.ended || (self.read == self.chunk.len() && !self.next_chunk()?) {
            return Ok(None);
        }
        let key = self.frame("a record's key", KEY_BYTES_MAX)?;
        let bytes = self.frame("a record", CANONICAL_BYTES_MAX)?;
        let key = String::from_utf8(key).map_err(|_| BackupError::Unreadable {
            part: format!("the key of record {}", self.records),
            why: "it is no text".to_owned(),
        })?;
        self.records += 1;
        Ok(Some((key, bytes)))
    }

    fn frame(&mut self, part: &'static str, limit: usize) -> Result<Vec<u8>, BackupError> {
        let mut bytes = [0_u8; 4];
        self.take(&mut bytes, part)?;
        let length = usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(BackupError::TooLong {
                part,
                bytes: length,
                limit,
            });
        }
        let mut frame = vec![0_u8; length];
        self.take(&mut frame, part)?;
        Ok(frame)
    }

    fn take(&mut self, mut into: &mut [u8], part: &'static str) -> Result<(), BackupError> {
        while !into.is_empty() {
            if self.read == self.chunk.len() && !self.next_chunk()? {
                return Err(BackupError::Truncated { part });
            }
            let there = &self.chunk[self.read..];
            let now = there.len().min(into.len());
            let (filled, rest) = into.split_at_mut(now);
            filled.copy_from_slice(&there[..now]);
            self.read += now;
            into = rest;
        }
        Ok(())
    }

    /// Reads the next chunk; false at the end of the records.
    fn next_chunk(&mut self) -> Result<bool, BackupError> {
        let mut front = [0_u8; 9];
        fill(&mut self.source, &mut front[..1], "a chunk")?;
        let damaged = BackupError::ChunkDamaged { chunk: self.chunks };
        match front[0] {
            CHUNK => {}
            END => {
                self.ended = true;
                return Ok(false);
            }
            _ => return Err(damaged),
        }
        fill(&mut self.source, &mut front[1..], "a chunk")?;
        let number = |at: usize| {
            let bytes = front.get(at..at + 4).and_then(|it| it.try_into().ok());
            usize::try_from(u32::from_be_bytes(bytes.unwrap_or_default())).unwrap_or(usize::MAX)
        };
        let (stored, raw) = (number(1), number(5));
        if stored > STORED_BYTES_MAX || raw > CHUNK_BYTES || raw == 0 {
            return Err(damaged);
        }
        self.stored.resize(stored, 0);
        fill(&mut self.source, &mut self.stored, "a chunk")?;
        let mut written = [0_u8; Digest::BYTES];
        fill(&mut self.source, &mut written, "a chunk")?;
        let chain = link(&self.chain, &front, &self.stored);
        if chain != Digest::from_bytes(written) {
            return Err(damaged);
        }
        self.chunk.clear();
        let limit = u64::try_from(raw + 1).unwrap_or(u64::MAX);
        let inflated = DeflateDecoder::new(self.stored.as_slice())
            .take(limit)
            .read_to_end(&mut self.chunk);
        if !inflated.is_ok_and(|bytes| bytes == raw) {
            return Err(damaged);
        }
        self.chain = chain;
        self.read = 0;
        self.chunks += 1;
        self.raw_bytes += u64::try_from(raw).unwrap_or(u64::MAX);
        Ok(true)
    }

    /// After the last record: reads the seal and checks it, with the signing node's record as it
    /// stands in the backup.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn finish(
        mut self,
        expected: &Expected<'_>,
        node: Option<&Node>,
    ) -> Result<SealedBackup, BackupError> {
        self.expect(expected)?;
        if !self.ended {
            return Err(BackupError::SealMismatch {
                why: "records were left unread",
            });
        }
        let bytes = frame(&mut self.source, "the seal", SEAL_BYTES_MAX)?;
        let seal: Signed<BackupSeal> =
            canonical::from_bytes(&bytes).map_err(|error| unreadable("seal", error))?;
        let mut more = [0_u8; 1];
        match self.source.read(&mut more) {
            Ok(0) => {}
            Ok(_) => return Err(BackupError::Trailing),
            Err(source) => return Err(io(source)),
        }
        let counted = BackupSeal {
            chain: self.chain,
            chunks: self.chunks,
            records: self.records,
            raw_bytes: self.raw_bytes,
        };
        if seal.body != counted || self.records != self.header.records {
            return Err(BackupError::SealMismatch {
                why: "it counts other chunks or records",
            });
        }
        self.check_signature(&seal, expected.keys, node)?;
        Ok(SealedBackup {
            header: self.header,
            seal: seal.body,
        })
    }

    fn check_signature(
        &self,
        seal: &Signed<BackupSeal>,
        trusted: &[PublicKey],
        node: Option<&Node>,
    ) -> Result<(), BackupError> {
        if trusted.is_empty() && !vouches(node, &self.header) {
            return Err(self.rejected("the node's record has another key; name the key it had"));
        }
        seal.verify(BackupSeal::LABEL, &self.header.signing)
            .map_err(|error| self.rejected(&error.to_string()))
    }

    fn rejected(&self, why: &str) -> BackupError {
        BackupError::SignatureRejected {
            node: self.header.node.to_string(),
            why: why.to_owned(),
        }
    }
}

impl SealedBackup {
    /// What stands in front, now that a signature covers it.
    #[must_use]
    pub const fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// Compares the digest that the records gave.
    ///
    /// # Errors
    /// [`BackupError::DigestMismatch`].
    pub fn check_digest(&self, records: u64, found: Digest) -> Result<(), BackupError> {
        if found == self.header.digest && records == self.header.records {
            return Ok(());
        }
        Err(BackupError::DigestMismatch {
            records,
            expected: self.header.digest,
            found,
        })
    }

    pub(super) fn into_report(self) -> BackupReport {
        BackupReport {
            header: self.header,
            seal: self.seal,
        }
    }
}

fn unreadable(part: &str, error: Error) -> BackupError {
    BackupError::Unreadable {
        part: format!("the {part} of the backup"),
        why: error.to_string(),
    }
}

fn frame(source: &mut impl Read, part: &'static str, limit: usize) -> Result<Vec<u8>, BackupError> {
    let bytes = usize::try_from(length(source, part)?).unwrap_or(usize::MAX);
    if bytes > limit {
        return Err(BackupError::TooLong { part, bytes, limit });
    }
    let mut frame = vec![0_u8; bytes];
    fill(source, &mut frame, part)?;
    Ok(frame)
}

fn length(source: &mut impl Read, part: &'static str) -> Result<u32, BackupError> {
    let mut bytes = [0_u8; 4];
    fill(source, &mut bytes, part)?;
    Ok(u32::from_be_bytes(bytes))
}

fn fill(source: &mut impl Read, into: &mut [u8], part: &'static str) -> Result<(), BackupError> {
    source.read_exact(into).map_err(|error| {
        if error.kind() == ErrorKind::UnexpectedEof {
            BackupError::Truncated { part }
        } else {
            io(error)
        }
    })
}

const fn io(source: std::io::Error) -> BackupError {
    BackupError::Io {
        action: "read",
        source,
    }
}
