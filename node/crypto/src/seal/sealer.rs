//! The sender's side.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroize as _;

use super::schedule::{DataKey, Schedule};
use super::{
    CHUNK_TAG_BYTES, Leaves, SealedHeader, SealedTrailer, StreamParameters, chunk_count,
    chunk_range, header, neighbours, trailer,
};
use crate::Error;
use crate::encoding::length;
use crate::keys::Signer;
use crate::merkle::leaf_digests;
use crate::sm2::PublicKey;

/// Seals the chunks of one stream. Shared by threads; the key is wiped on drop.
pub struct Sealer {
    schedule: Schedule,
    plain_bytes: u64,
    leaves: Mutex<Leaves>,
}

impl Sealer {
    /// Makes a key, wraps it to each recipient and signs the header.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] for too long a stream or context or too many recipients,
    /// [`Error::InvalidArgument`] for none or the same twice, [`Error::Randomness`], and what
    /// the signer says.
    pub async fn start(
        parameters: StreamParameters,
        recipients: &[PublicKey],
        signer: &dyn Signer,
    ) -> Result<(Self, SealedHeader), Error> {
        let data_key = DataKey::generate()?;
        let (sealed, binding) = header::make(&parameters, &data_key, recipients, signer).await?;
        let count = chunk_count(parameters.plain_bytes);
        let sealer = Self {
            schedule: Schedule::new(data_key, binding, sealed.digest(), count),
            plain_bytes: parameters.plain_bytes,
            leaves: Mutex::new(Leaves::new(count)?),
        };
        Ok((sealer, sealed))
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
        let end = self.plain_bytes;
        chunk_range(end, index).unwrap_or(end..end)
    }

    /// Encrypts a chunk. The same bytes again give the same ciphertext.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchChunk`], [`Error::ChunkLength`], and [`Error::PinnedBytesChanged`] when
    /// other bytes were sealed under this index before; nothing of them is returned then.
    pub fn seal_chunk(&self, index: u64, plain: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut sealed = self.seal_chunks(index, vec![plain])?;
        sealed.pop().ok_or(Error::Rejected)
    }

    /// Encrypts neighbouring chunks, of which `first` is the index of the first one. Their leaves
    /// are hashed side by side, so that sixteen at a time cost little more than their encryption.
    ///
    /// # Errors
    ///
    /// As [`Self::seal_chunk`] for the first chunk that fails; nothing of any is returned then.
    pub fn seal_chunks(&self, first: u64, mut chunks: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let outcome = self.seal_in_place(first, &mut chunks);
        if outcome.is_err() {
            chunks.zeroize();
        }
        outcome.map(|()| chunks)
    }

    fn seal_in_place(&self, first: u64, chunks: &mut [Vec<u8>]) -> Result<(), Error> {
        for (index, chunk) in neighbours(first).zip(chunks.iter_mut()) {
            let range = chunk_range(self.plain_bytes, index)?;
            let expected_bytes = range.end - range.start;
            let found_bytes = length(chunk.len());
            if found_bytes != expected_bytes {
                return Err(Error::ChunkLength {
                    index,
                    expected_bytes,
                    found_bytes,
                });
            }
            chunk.reserve_exact(CHUNK_TAG_BYTES);
            self.schedule.seal(index, chunk)?;
        }
        let sealed: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let digests = leaf_digests(&sealed);
        // A thread that panicked while it held the lock left a whole digest or none.
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, leaf) in neighbours(first).zip(digests) {
            if !leaves.record(index, leaf) {
                return Err(Error::PinnedBytesChanged { index });
            }
        }
        Ok(())
    }

    /// Signs the root over all sealed chunks.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] when chunks are missing, and what the signer says.
    pub async fn finish(&self, signer: &dyn Signer) -> Result<SealedTrailer, Error> {
        let root = {
            let leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
            leaves.root()?
        };
        trailer::make(
            *self.schedule.header_digest(),
            self.chunk_count(),
            root,
            signer,
        )
        .await
    }
}
