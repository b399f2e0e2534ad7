//! Galois/counter mode over kernels that make sixteen blocks of key stream at a time.
//!
//! It does not know how a kernel computes; it says which counters and which bytes come next.
//! Block 0 of the first batch masks the tag, so a short message takes one batch and no more.

use zeroize::Zeroize;

use super::{BLOCK_BYTES, Expanded, Message};

/// What a kernel has to offer to this mode.
pub(super) trait BatchKernel {
    /// The round keys in the form that [`Self::key_stream`] reads.
    fn round_keys(&self, key: &[u8; 16], round_keys: &mut [u32; 32]);

    /// The powers of the hash key that [`Self::absorb`] reads.
    fn powers(&self, hash_key: &[u8; BLOCK_BYTES], powers: &mut [[u64; 2]; 64]);

    /// The encryptions of `nonce` with `counter` and the fifteen counters that follow it.
    fn key_stream(&self, keys: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream);

    /// Takes up to sixteen blocks into the hash; the last may be short.
    fn absorb(&self, keys: &Expanded, sum: &mut [u8; BLOCK_BYTES], data: &[u8]);
}

/// Sixteen blocks, in the order of memory.
#[derive(Zeroize)]
#[repr(C, align(64))]
pub(super) struct KeyStream(pub(super) [u64; 32]);

impl KeyStream {
    pub(super) const ZERO: Self = Self([0; 32]);

    pub(super) fn block(&self, index: usize) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(&self.0[2 * index].to_le_bytes());
        block[8..].copy_from_slice(&self.0[2 * index + 1].to_le_bytes());
        block
    }

    /// Adds what follows the first `skip` blocks to `data`.
    fn add_to(&self, skip: usize, data: &mut [u8]) {
        let words = &self.0[2 * skip..];
        let (whole, rest) = data.as_chunks_mut::<8>();
        for (bytes, word) in whole.iter_mut().zip(words) {
            *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
        }
        if let Some(word) = words.get(whole.len()) {
            for (byte, key) in rest.iter_mut().zip(word.to_le_bytes()) {
                *byte ^= key;
            }
        }
    }
}

const BATCH_BYTES: usize = 16 * BLOCK_BYTES;

/// Fills `expanded` for `key`.
pub(super) fn expand<K: BatchKernel>(kernel: &K, key: &[u8; 16], expanded: &mut Expanded) {
    kernel.round_keys(key, &mut expanded.round_keys);
    let mut stream = KeyStream::ZERO;
    // The hash key is the encryption of the zero block.
    kernel.key_stream(expanded, &[0; 12], 0, &mut stream);
    let mut hash_key = stream.block(0);
    kernel.powers(&hash_key, &mut expanded.powers);
    hash_key.zeroize();
    stream.zeroize();
}

/// Encrypts or decrypts in place and returns the tag.
pub(super) fn crypt<K: BatchKernel, const SEAL: bool>(
    kernel: &K,
    keys: &Expanded,
    message: Message<'_>,
) -> [u8; BLOCK_BYTES] {
    let lengths = message.lengths();
    let Message { nonce, aad, data } = message;
    let mut sum = [0; BLOCK_BYTES];
    for part in aad.chunks(BATCH_BYTES) {
        kernel.absorb(keys, &mut sum, part);
    }
    let mut stream = KeyStream::ZERO;
    let mut counter = 1;
    kernel.key_stream(keys, nonce, counter, &mut stream);
    let mut mask = stream.block(0);
    let mut step = |part: &mut [u8], stream: &KeyStream, skip| {
        if !SEAL {
            kernel.absorb(keys, &mut sum, part);
        }
        stream.add_to(skip, part);
        if SEAL {
            kernel.absorb(keys, &mut sum, part);
        }
    };
    let (first, rest) = data.split_at_mut(data.len().min(BATCH_BYTES - BLOCK_BYTES));
    step(first, &stream, 1);
    for part in rest.chunks_mut(BATCH_BYTES) {
        counter += 16;
        kernel.key_stream(keys, nonce, counter, &mut stream);
        step(part, &stream, 0);
    }
    stream.zeroize();
    kernel.absorb(keys, &mut sum, &lengths);
    for (byte, key) in sum.iter_mut().zip(mask) {
        *byte ^= key;
    }
    mask.zeroize();
    sum
}
