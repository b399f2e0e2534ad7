//! The kernel for every processor: [`super::bitslice`] and [`super::ghash`].
//!
//! It does not use vectors or special instructions, and it is what the others are tested against.
//! It alone decrypts blocks, which counter mode never does.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::batch::{BatchKernel, KeyStream};
use super::bitslice::{LOW_BITS, Planes, broadcast, diffuse, slice, spread, substitute, unslice};
use super::{BLOCK_BYTES, Expanded, ghash, schedule};

/// How many blocks [`Inverse::decrypt`] takes at once.
pub(crate) const DECRYPT_BLOCKS: usize = 16;

/// Runs everywhere.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// The round keys of one key in the order of decryption (GB/T 32907-2016, 7.2), wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Inverse([u32; 32]);

impl Inverse {
    /// Expands the key. In a box, so that a key that is moved leaves no copy behind.
    pub(crate) fn new(key: &[u8; 16]) -> Box<Self> {
        let mut inverse = Box::new(Self([0; 32]));
        schedule::round_keys(key, substitute_word, &mut inverse.0);
        inverse.0.reverse();
        inverse
    }

    /// Decrypts sixteen blocks in place, each by itself.
    pub(crate) fn decrypt(&self, blocks: &mut [[u8; BLOCK_BYTES]; DECRYPT_BLOCKS]) {
        let word = |blocks: &[[u8; BLOCK_BYTES]; DECRYPT_BLOCKS], at: usize| {
            slice(&std::array::from_fn(|i| {
                u32::from_be_bytes(blocks[i].as_chunks().0[at])
            }))
        };
        let mut state = [0, 1, 2, 3].map(|at| word(blocks, at));
        for round_keys in self.0.as_chunks::<4>().0 {
            four_rounds(&mut state, round_keys);
        }
        // The output is the last four words in reverse.
        for (at, planes) in state.iter().rev().enumerate() {
            for (block, word) in blocks.iter_mut().zip(unslice(planes)) {
                block.as_chunks_mut().0[at] = word.to_be_bytes();
            }
        }
        state.zeroize();
    }
}

impl BatchKernel for Portable {
    fn round_keys(&self, key: &[u8; 16], round_keys: &mut [u32; 32]) {
        schedule::round_keys(key, substitute_word, round_keys);
    }

    fn powers(&self, hash_key: &[u8; BLOCK_BYTES], powers: &mut [[u64; 2]; 64]) {
        powers[63] = split(hash_key);
    }

    fn key_stream(&self, keys: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
        let counters = std::array::from_fn(|i| counter.wrapping_add(OFFSETS[i]));
        let (fixed, _) = nonce.as_chunks();
        let [first, second, third] = [0, 1, 2].map(|i| broadcast(u32::from_be_bytes(fixed[i])));
        let mut state = [first, second, third, slice(&counters)];
        for round_keys in keys.round_keys.as_chunks::<4>().0 {
            four_rounds(&mut state, round_keys);
        }
        // The output is the last four words in reverse.
        let [w3, w2, w1, w0] = state.map(|planes| unslice(&planes).map(u32::swap_bytes));
        for (i, pair) in out.0.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
            *pair = [join(w0[i], w1[i]), join(w2[i], w3[i])];
        }
    }

    fn absorb(&self, keys: &Expanded, sum: &mut [u8; BLOCK_BYTES], data: &[u8]) {
        let [low, high] = keys.powers[63].map(u64::to_le_bytes);
        let mut hash_key = [0; BLOCK_BYTES];
        hash_key[..8].copy_from_slice(&low);
        hash_key[8..].copy_from_slice(&high);
        let hash_key = ghash::from_block(&hash_key);
        let mut element = ghash::from_block(sum);
        for part in data.chunks(BLOCK_BYTES) {
            let mut block = [0; BLOCK_BYTES];
            block[..part.len()].copy_from_slice(part);
            element = ghash::multiply(element ^ ghash::from_block(&block), hash_key);
        }
        *sum = ghash::to_block(element);
    }
}

const OFFSETS: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn split(block: &[u8; BLOCK_BYTES]) -> [u64; 2] {
    let (words, _) = block.as_chunks();
    [0, 1].map(|i| u64::from_le_bytes(words[i]))
}

fn four_rounds(state: &mut [Planes; 4], round_keys: &[u32; 4]) {
    let [x0, x1, x2, x3] = state;
    round(x0, [x1, x2, x3], round_keys[0]);
    round(x1, [x2, x3, x0], round_keys[1]);
    round(x2, [x3, x0, x1], round_keys[2]);
    round(x3, [x0, x1, x2], round_keys[3]);
}

#[inline]
fn round(own: &mut Planes, [a, b, c]: [&Planes; 3], round_key: u32) {
    let key = broadcast(round_key);
    let sum = std::array::from_fn(|k| a[k] ^ b[k] ^ c[k] ^ key[k]);
    let mixed = diffuse(&substitute(&sum));
    for (plane, mixed) in own.iter_mut().zip(mixed) {
        *plane ^= mixed;
    }
}

/// The S-box on the four bytes of a word, for the key schedule.
fn substitute_word(word: u32) -> u32 {
    let spread = spread(word);
    let planes = substitute(&std::array::from_fn(|k| spread >> k & LOW_BITS));
    let mut bytes = 0;
    for (k, plane) in planes.into_iter().enumerate() {
        bytes |= (plane & LOW_BITS) << k;
    }
    let [b0, _, b1, _, b2, _, b3, _] = bytes.to_le_bytes();
    u32::from_be_bytes([b0, b1, b2, b3])
}
