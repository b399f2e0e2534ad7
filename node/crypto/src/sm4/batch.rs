//! Galois/counter mode over kernels that make sixteen blocks of key stream at a time.
//!
//! It does not know how a kernel computes; it says which counters and which bytes come next.
//! Block 0 of the first batch masks the tag, so a short message takes one batch and no more. Long
//! ones take two batches at once.

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

    /// [`Self::key_stream`], and at the same time [`Self::absorb`] of a whole batch.
    fn key_stream_absorbing(
        &self,
        keys: &Expanded,
        (nonce, counter): (&[u8; 12], u32),
        out: &mut KeyStream,
        sum: &mut [u8; BLOCK_BYTES],
        data: &[u8; BATCH_BYTES],
    ) {
        self.key_stream(keys, nonce, counter, out);
        self.absorb(keys, sum, data);
    }

    /// The same for two batches that follow each other, for kernels that are faster with both.
    fn key_streams_absorbing(
        &self,
        keys: &Expanded,
        (nonce, counter): (&[u8; 12], u32),
        out: &mut [KeyStream; 2],
        sum: &mut [u8; BLOCK_BYTES],
        data: &[[u8; BATCH_BYTES]; 2],
    ) {
        let [first, second] = out;
        self.key_stream_absorbing(keys, (nonce, counter), first, sum, &data[0]);
        let counter = counter.wrapping_add(16);
        self.key_stream_absorbing(keys, (nonce, counter), second, sum, &data[1]);
    }

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

pub(super) const BATCH_BYTES: usize = 16 * BLOCK_BYTES;

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
    let mut run = Run::<K, SEAL> {
        kernel,
        keys,
        nonce,
        counter: 1,
        sum: [0; BLOCK_BYTES],
        streams: [KeyStream::ZERO; 2],
    };
    for part in aad.chunks(BATCH_BYTES) {
        kernel.absorb(keys, &mut run.sum, part);
    }
    let (first, rest) = data.split_at_mut(data.len().min(BATCH_BYTES - BLOCK_BYTES));
    run.key_stream(0);
    let mut mask = run.streams[0].block(0);
    run.part(first, 1);
    let (whole, last) = rest.as_chunks_mut::<BATCH_BYTES>();
    let (pairs, odd) = whole.as_chunks_mut::<2>();
    run.pairs(pairs);
    for part in odd {
        run.key_stream(0);
        run.part(part, 0);
    }
    if !last.is_empty() {
        run.key_stream(0);
        run.part(last, 0);
    }
    run.streams.zeroize();
    kernel.absorb(keys, &mut run.sum, &lengths);
    for (byte, key) in run.sum.iter_mut().zip(mask) {
        *byte ^= key;
    }
    mask.zeroize();
    run.sum
}

/// What goes on from one batch to the next.
struct Run<'a, K, const SEAL: bool> {
    kernel: &'a K,
    keys: &'a Expanded,
    nonce: &'a [u8; 12],
    /// That of the next batch.
    counter: u32,
    /// GHASH so far.
    sum: [u8; BLOCK_BYTES],
    streams: [KeyStream; 2],
}

impl<K: BatchKernel, const SEAL: bool> Run<'_, K, SEAL> {
    fn key_stream(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        self.kernel
            .key_stream(self.keys, self.nonce, self.counter, stream);
        self.counter = self.counter.wrapping_add(16);
    }

    fn key_streams_absorbing(&mut self, data: &[[u8; BATCH_BYTES]; 2]) {
        let (from, streams) = ((self.nonce, self.counter), &mut self.streams);
        self.kernel
            .key_streams_absorbing(self.keys, from, streams, &mut self.sum, data);
        self.counter = self.counter.wrapping_add(32);
    }

    /// Up to a batch, less the `skip` blocks of the key stream that are not for data.
    fn part(&mut self, data: &mut [u8], skip: usize) {
        if !SEAL {
            self.kernel.absorb(self.keys, &mut self.sum, data);
        }
        self.streams[0].add_to(skip, data);
        if SEAL {
            self.kernel.absorb(self.keys, &mut self.sum, data);
        }
    }

    /// Two batches at a time, with the hash of the two before, or of the same, on the way.
    fn pairs(&mut self, data: &mut [[[u8; BATCH_BYTES]; 2]]) {
        for i in 0..data.len() {
            let (before, rest) = data.split_at_mut(i);
            let Some(this) = rest.first_mut() else { return };
            match if SEAL { before.last() } else { Some(&*this) } {
                Some(hashed) => self.key_streams_absorbing(hashed),
                None => [0, 1].into_iter().for_each(|at| self.key_stream(at)),
            }
            for (stream, batch) in self.streams.iter().zip(this) {
                stream.add_to(0, batch);
            }
        }
        if SEAL && let Some(last) = data.last() {
            for batch in last {
                self.kernel.absorb(self.keys, &mut self.sum, batch);
            }
        }
    }
}
