//! Writes a backup, chunk by chunk.
//!
//! It does not sign: it says what is to be signed, and takes the signature.

use std::io::Write;

use crypto::{Digest, Hasher};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::{
    BACKUP_FORMAT, BackupError, BackupHeader, BackupSeal, CHUNK, CHUNK_BYTES, END,
    HEADER_BYTES_MAX, KEY_BYTES_MAX, MAGIC, SEAL_BYTES_MAX,
};
use crate::canonical::{self, CANONICAL_BYTES_MAX};
use crate::{Error, Signed};

/// A backup that is being written. Memory is bounded by one chunk.
pub struct BackupWriter<W> {
    out: W,
    raw: Vec<u8>,
    seal: BackupSeal,
}

impl<W: Write> BackupWriter<W> {
    /// Writes what stands in front.
    ///
    /// # Errors
    /// [`BackupError::Io`]; [`BackupError::Unreadable`] for a header without canonical form.
    pub fn new(mut out: W, header: &BackupHeader) -> Result<Self, BackupError> {
        let header = canonical(header, "the header", HEADER_BYTES_MAX)?;
        let mut front = MAGIC.to_vec();
        front.extend_from_slice(&BACKUP_FORMAT.to_be_bytes());
        put(&mut front, &header);
        out.write_all(&front).map_err(failed)?;
        Ok(Self {
            out,
            raw: Vec::with_capacity(CHUNK_BYTES),
            seal: BackupSeal {
                chain: Digest::of(&front),
                chunks: 0,
                records: 0,
                raw_bytes: 0,
            },
        })
    }

    /// Writes a record.
    ///
    /// # Errors
    /// [`BackupError::Io`], [`BackupError::TooLong`].
    pub fn record(&mut self, key: &str, bytes: &[u8]) -> Result<(), BackupError> {
        check("a record's key", key.len(), KEY_BYTES_MAX)?;
        check("a record", bytes.len(), CANONICAL_BYTES_MAX)?;
        for frame in [key.as_bytes(), bytes] {
            self.push(&length(frame))?;
            self.push(frame)?;
        }
        self.seal.records += 1;
        Ok(())
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.raw.len()));
            self.raw.extend_from_slice(now);
            bytes = later;
            if self.raw.len() == CHUNK_BYTES {
                self.chunk()?;
            }
        }
        Ok(())
    }

    /// Writes what waits as a chunk.
    fn chunk(&mut self) -> Result<(), BackupError> {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(CHUNK_BYTES / 4), LEVEL);
        encoder.write_all(&self.raw).map_err(failed)?;
        let stored = encoder.finish().map_err(failed)?;
        let mut front = [0_u8; 9];
        front[0] = CHUNK;
        front[1..5].copy_from_slice(&length(&stored));
        front[5..].copy_from_slice(&length(&self.raw));
        let chain = link(&self.seal.chain, &front, &stored);
        for part in [front.as_slice(), &stored, chain.as_bytes()] {
            self.out.write_all(part).map_err(failed)?;
        }
        self.seal.chain = chain;
        self.seal.chunks += 1;
        self.seal.raw_bytes += u64::try_from(self.raw.len()).unwrap_or(u64::MAX);
        self.raw.clear();
        Ok(())
    }

    /// Ends the records and says what the node signs, under [`BackupSeal::LABEL`].
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn end_records(&mut self) -> Result<&BackupSeal, BackupError> {
        if !self.raw.is_empty() {
            self.chunk()?;
        }
        Ok(&self.seal)
    }

    /// Writes the end and hands back what was written to.
    ///
    /// # Errors
    /// [`BackupError::Io`], [`BackupError::SealMismatch`] when another seal was signed.
    pub fn finish(mut self, seal: &Signed<BackupSeal>) -> Result<W, BackupError> {
        if seal.body != self.seal || !self.raw.is_empty() {
            return Err(BackupError::SealMismatch {
                why: "something else was signed",
            });
        }
        let mut end = vec![END];
        put(&mut end, &canonical(seal, "the seal", SEAL_BYTES_MAX)?);
        self.out.write_all(&end).map_err(failed)?;
        self.out.flush().map_err(failed)?;
        Ok(self.out)
    }
}

/// The digest of a chunk and of everything before it.
pub(super) fn link(before: &Digest, front: &[u8], stored: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(before.as_bytes());
    hasher.update(front);
    hasher.update(stored);
    hasher.finish()
}

fn canonical<T: serde::Serialize>(
    record: &T,
    part: &'static str,
    limit: usize,
) -> Result<Vec<u8>, BackupError> {
    let bytes = canonical::to_bytes(record).map_err(|error: Error| BackupError::Unreadable {
        part: part.to_owned(),
        why: error.to_string(),
    })?;
    check(part, bytes.len(), limit)?;
    Ok(bytes)
}

const fn check(part: &'static str, bytes: usize, limit: usize) -> Result<(), BackupError> {
    if bytes > limit {
        return Err(BackupError::TooLong { part, bytes, limit });
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, frame: &[u8]) {
    out.extend_from_slice(&length(frame));
    out.extend_from_slice(frame);
}

fn length(bytes: &[u8]) -> [u8; 4] {
    // Every part has a limit far below this.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

const fn failed(source: std::io::Error) -> BackupError {
    BackupError::Io {
        action: "write",
        source,
    }
}

/// Records are JSON with much in common: the fastest level already takes three quarters away.
const LEVEL: Compression = Compression::fast();
