//! The sealed stream: a pinned artefact of known length, encrypted for several recipients.
//!
//! It does not choose what is sealed or for whom, it does not move bytes, and it does not take a
//! nonce from anyone. Chunks may be sealed and opened in any order, by many threads, and again
//! after a failure; whatever is truncated, reordered, spliced, replayed or changed gives one
//! error, [`crate::Error::Rejected`].
//!
//! ```text
//!   sender                                              recipients
//!   DEK, 32 random bytes --- SM2 wrap, one each ------> DEK
//!    |                        (own signed section: a recipient's key can rotate)
//!    | HKDF-SM3, salt = SM3(header without key check)
//!    +-- key check -----------> in the header, signed: all recipients get the same key
//!    +-- K_epoch, IV_epoch      a new pair each 65,536 chunks (64 GiB)
//!
//!   chunk i = SM4-GCM(K_epoch, IV_epoch xor (i in epoch || last), plaintext,
//!                     AAD = SM3(header) || epoch || i || last || length)
//!   trailer = signature over SM3(header) || chunks || Merkle root of all sealed chunks
//! ```
//!
//! GCM alone binds a ciphertext to no single key, which matters with several recipients; the key
//! check closes that. Tags are no evidence to outsiders; the signed root in the trailer is.

mod header;
mod opener;
mod schedule;
mod sealer;
mod trailer;

pub use header::{SealedHeader, StreamParameters, Wrap};
pub use opener::Opener;
pub use sealer::Sealer;
pub use trailer::SealedTrailer;

use std::ops::Range;

use crate::Error;

/// The plaintext of a chunk in bytes, all but the last. Large enough that the cost for each
/// chunk vanishes, small enough that a retry and a buffer are cheap. A power of two.
pub const CHUNK_BYTES: usize = 1 << 20;

/// What sealing adds to each chunk, in bytes.
pub const CHUNK_TAG_BYTES: usize = crate::sm4gcm::TAG_BYTES;

/// The longest stream in bytes (1 TiB). Both sides keep 32 bytes for each chunk, so this bounds
/// what a stranger's header can make a recipient allocate: 32 MiB.
pub const STREAM_BYTES_MAX: u64 = 1 << 40;

/// The most recipients of one stream: the parties, their supervisors, and room.
pub const RECIPIENTS_MAX: usize = 16;

/// The most bytes of caller's context that a header binds.
pub const HEADER_CONTEXT_BYTES_MAX: usize = 4 * 1_024;

/// The longest encoded header in bytes: context, sixteen wraps and two signatures fit twice.
pub const SEALED_HEADER_BYTES_MAX: usize = 16 * 1_024;

/// The longest encoded trailer in bytes.
pub const SEALED_TRAILER_BYTES_MAX: usize = 256;

/// How many chunks may fail to open before a stream is given up: enough to fetch a damaged
/// chunk from elsewhere, far too few to try tags.
pub const REJECTED_CHUNKS_MAX: u32 = 16;

/// Chunks under one key: 2^16 of 2^16 blocks are 2^32 blocks, an advantage of 2^-65 for whoever
/// tries to tell GCM from noise.
const EPOCH_CHUNKS: u64 = 1 << 16;

/// How many chunks a stream has. An empty stream has one empty chunk, so that its absence shows.
fn chunk_count(plain_bytes: u64) -> u64 {
    plain_bytes.div_ceil(CHUNK_BYTES_U64).max(1)
}

/// The indices of neighbouring chunks; one that does not exist comes out as another such.
fn neighbours(first: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |offset| first.saturating_add(offset))
}

/// Which plaintext bytes chunk `index` holds.
fn chunk_range(plain_bytes: u64, index: u64) -> Result<Range<u64>, Error> {
    let count = chunk_count(plain_bytes);
    if index >= count {
        return Err(Error::NoSuchChunk {
            index,
            chunk_count: count,
        });
    }
    let start = index * CHUNK_BYTES_U64;
    Ok(start..plain_bytes.min(start + CHUNK_BYTES_U64))
}

const CHUNK_BYTES_U64: u64 = 1 << 20;
const _: () = assert!(
    CHUNK_BYTES == 1 << 20,
    "both forms of the chunk length are the same"
);

/// What chunks were sealed or opened so far, by their leaf digests.
struct Leaves {
    digests: Vec<Option<crate::Digest>>,
    present: u64,
}

impl Leaves {
    fn new(chunk_count: u64) -> Result<Self, Error> {
        let count = usize::try_from(chunk_count).map_err(|_| Error::Rejected)?;
        Ok(Self {
            digests: vec![None; count],
            present: 0,
        })
    }

    /// Records a digest; tells whether it is what was recorded before, if anything was.
    fn record(&mut self, index: u64, leaf: crate::Digest) -> bool {
        let Some(slot) = usize::try_from(index)
            .ok()
            .and_then(|at| self.digests.get_mut(at))
        else {
            return false;
        };
        match slot {
            Some(before) => *before == leaf,
            None => {
                *slot = Some(leaf);
                self.present += 1;
                true
            }
        }
    }

    /// The root over all leaves, once there are no gaps.
    fn root(&self) -> Result<crate::Digest, Error> {
        let leaves: Vec<crate::Digest> = self.digests.iter().flatten().copied().collect();
        let count = crate::encoding::length(self.digests.len());
        if leaves.len() < self.digests.len() {
            return Err(Error::Unfinished {
                missing: count - self.present,
                chunk_count: count,
            });
        }
        Ok(crate::merkle::root_of(&leaves))
    }
}
