//! The recipient's side.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize as _;

use super::schedule::Schedule;
use super::{
    CHUNK_TAG_BYTES, Leaves, REJECTED_CHUNKS_MAX, SealedHeader, SealedTrailer, StreamParameters,
    chunk_count, chunk_range, neighbours,
};
use crate::Error;
use crate::digest::Digest;
use crate::encoding::length;
use crate::keys::Unwrapper;
use crate::merkle::leaf_digests;
use crate::sm2::PublicKey;

/// Opens the chunks of one stream. Shared by threads; the key is wiped on drop.
///
/// What [`Self::open_chunk`] returns was sealed by the sender for this place in this stream. That
/// it is all of the stream is known only when [`Self::finish`] has succeeded.
pub struct Opener {
    schedule: Schedule,
    parameters: StreamParameters,
    sender: PublicKey,
    leaves: Mutex<Leaves>,
    rejected: AtomicU32,
}

impl Opener {
    /// Verifies the sender's signatures, then opens the wrap for `key`, then checks that the key
    /// is the one the header commits to. In this order, so that a stranger's bytes never reach
    /// the private key.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when any of that fails, [`Error::NotARecipient`] when the stream is
    /// not sealed to `key`, and what the key's holder says.
    pub async fn start(
        sealed: &SealedHeader,
        sender: &PublicKey,
        key: &dyn Unwrapper,
    ) -> Result<Self, Error> {
        let parsed = sealed.verify_parsed(sender)?;
        let data_key = sealed.unwrap_key(&parsed, key).await?;
        let count = chunk_count(parsed.parameters.plain_bytes);
        Ok(Self {
            schedule: Schedule::new(data_key, parsed.binding, sealed.digest(), count),
            parameters: parsed.parameters,
            sender: sender.clone(),
            leaves: Mutex::new(Leaves::new(count)?),
            rejected: AtomicU32::new(0),
        })
    }

    /// What the stream is and is bound to, verified.
    #[must_use]
    pub const fn parameters(&self) -> &StreamParameters {
        &self.parameters
    }

    /// How many chunks the stream has, at least one.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        self.schedule.chunk_count()
    }

    /// Which plaintext bytes chunk `index` holds; for a chunk that the stream does not have, the
    /// empty range at its end.
    #[must_use]
    pub fn chunk_plain_range(&self, index: u64) -> Range<u64> {
        let end = self.parameters.plain_bytes;
        chunk_range(end, index).unwrap_or(end..end)
    }

    /// Checks and decrypts a chunk. Nothing is returned before its tag was found right.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchChunk`]; [`Error::Rejected`] for anything but what was sealed as this
    /// chunk, and for every chunk after [`super::REJECTED_CHUNKS_MAX`] failures.
    pub fn open_chunk(&self, index: u64, sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut opened = self.open_chunks(index, vec![sealed])?;
        let (plain, _) = opened.pop().ok_or(Error::Rejected)?;
        Ok(plain)
    }

    /// Checks and decrypts neighbouring chunks, of which `first` is the index of the first one.
    /// Their leaves are hashed side by side, so that sixteen at a time cost little more than
    /// their decryption. With each comes its leaf, for [`Self::resume_chunk`].
    ///
    /// # Errors
    ///
    /// As [`Self::open_chunk`] when it says so of any; nothing of any is returned then, and it
    /// counts as one failure.
    pub fn open_chunks(
        &self,
        first: u64,
        mut chunks: Vec<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Digest)>, Error> {
        let mut plain_bytes = Vec::with_capacity(chunks.len());
        for (index, _) in neighbours(first).zip(&chunks) {
            let range = chunk_range(self.parameters.plain_bytes, index)?;
            let length = usize::try_from(range.end - range.start);
            plain_bytes.push(length.map_err(|_| Error::Rejected)?);
        }
        if self.rejected.load(Ordering::Relaxed) >= REJECTED_CHUNKS_MAX {
            return Err(Error::Rejected);
        }
        match self.open_in_place(first, &plain_bytes, &mut chunks) {
            Ok(leaves) => Ok(chunks.into_iter().zip(leaves).collect()),
            Err(error) => {
                chunks.zeroize();
                self.rejected.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Takes note of a chunk that was opened before a restart, by the
    /// [`crate::merkle::leaf_digest`] of its sealed bytes that the caller kept beside the
    /// plaintext. [`Self::finish`] finds out if it is wrong.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchChunk`], and [`Error::Rejected`] when another digest is known already.
    pub fn resume_chunk(&self, index: u64, leaf: Digest) -> Result<(), Error> {
        chunk_range(self.parameters.plain_bytes, index)?;
        if self.leaves().record(index, leaf) {
            Ok(())
        } else {
            Err(Error::Rejected)
        }
    }

    /// Checks that every chunk was opened and that together they are what the sender signed.
    /// Returns the root, which is the evidence to keep.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] when chunks are missing, [`Error::Rejected`] when the trailer is
    /// not the sender's or of another stream, or the root differs.
    pub fn finish(&self, trailer: &SealedTrailer) -> Result<Digest, Error> {
        let root = self.leaves().root()?;
        trailer.verify(&self.sender)?;
        let fits = trailer.header_digest == *self.schedule.header_digest()
            && trailer.chunk_count == self.chunk_count()
            && trailer.root == root;
        if fits { Ok(root) } else { Err(Error::Rejected) }
    }

    fn open_in_place(
        &self,
        first: u64,
        plain_bytes: &[usize],
        chunks: &mut [Vec<u8>],
    ) -> Result<Vec<Digest>, Error> {
        let fits = |(chunk, plain_bytes): (&Vec<u8>, &usize)| {
            length(chunk.len()) == length(*plain_bytes) + length(CHUNK_TAG_BYTES)
        };
        if !chunks.iter().zip(plain_bytes).all(fits) {
            return Err(Error::Rejected);
        }
        let sealed: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let digests = leaf_digests(&sealed);
        for ((index, chunk), plain_bytes) in neighbours(first).zip(chunks).zip(plain_bytes) {
            self.schedule.open(index, *plain_bytes, chunk)?;
        }
        for (index, leaf) in neighbours(first).zip(&digests) {
            if !self.leaves().record(index, *leaf) {
                return Err(Error::Rejected);
            }
        }
        Ok(digests)
    }

    fn leaves(&self) -> MutexGuard<'_, Leaves> {
        // A thread that panicked while it held the lock left a whole digest or none.
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
