//! The kernel for aarch64 processors with the AES and PMULL instructions.
//!
//! The construction is that of the AES-NI kernel: AES inverts in its field, the round's own maps
//! undo what else it does, and those are looked up by halves of a byte in registers. AESE adds a
//! key before it does anything, and that is where the round key goes.
//!
//! It does not read tables in memory at secret places: TBL, AESE and PMULL are among the
//! instructions that Arm lists as independent of their data. It does not set the processor's DIT
//! bit, which no stable intrinsic reaches and which makes the list a promise.

mod pmull;
mod vector;

use std::arch::aarch64::{
    uint8x16_t, vaddq_u32, vaeseq_u8, vandq_u8, vdupq_n_u8, vdupq_n_u32, veorq_u8, vgetq_lane_u32,
    vqtbl1q_u8, vreinterpretq_u8_u32, vreinterpretq_u32_u8, vreinterpretq_u64_u32, vrev32q_u8,
    vshrq_n_u8, vzip1q_u32, vzip1q_u64, vzip2q_u32, vzip2q_u64,
};
use std::arch::is_aarch64_feature_detected;

use super::batch::{BATCH_BYTES, BatchKernel, KeyStream};
use super::field::{POST_AES, POST_AES_ADD, PRE, PRE_ADD};
use super::schedule::{ALL_BYTES, Columns, columns, map};
use super::shuffles::{Halves, PRE_HALVES, ROUND_HALVES, UNDO_PRE_HALVES, UNMOVED_ROTATIONS};
use super::{BLOCK_BYTES, Expanded, schedule};
use pmull::Product;
use vector::{load, load_words, store_pair};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// Little-endian systems only, since words in registers are taken for bytes in memory.
    pub(super) fn detect() -> Option<Self> {
        let found = cfg!(target_endian = "little")
            && is_aarch64_feature_detected!("neon")
            && is_aarch64_feature_detected!("aes")
            && is_aarch64_feature_detected!("pmull");
        found.then_some(Self(()))
    }
}

#[expect(
    unsafe_code,
    reason = "only here is it known that the processor has the instructions"
)]
impl BatchKernel for Neon {
    fn round_keys(&self, key: &[u8; 16], out: &mut [u32; 32]) {
        // SAFETY: `detect` found all instructions.
        unsafe { round_keys(key, out) }
    }

    fn powers(&self, hash_key: &[u8; BLOCK_BYTES], powers: &mut [[u64; 2]; 64]) {
        // SAFETY: `detect` found all instructions.
        unsafe { pmull::powers(hash_key, powers) }
    }

    fn key_stream(&self, keys: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
        // SAFETY: `detect` found all instructions.
        unsafe { key_stream(&keys.round_keys, nonce, counter, out) }
    }

    fn key_stream_absorbing(
        &self,
        keys: &Expanded,
        from: (&[u8; 12], u32),
        out: &mut KeyStream,
        sum: &mut [u8; BLOCK_BYTES],
        data: &[u8; BATCH_BYTES],
    ) {
        // SAFETY: `detect` found all instructions.
        unsafe { key_stream_absorbing(keys, from, out, sum, data) }
    }

    fn absorb(&self, keys: &Expanded, sum: &mut [u8; BLOCK_BYTES], data: &[u8]) {
        // SAFETY: `detect` found all instructions.
        unsafe { pmull::absorb(&keys.powers, sum, data) }
    }
}

#[target_feature(enable = "neon,aes")]
fn round_keys(key: &[u8; 16], out: &mut [u32; 32]) {
    schedule::round_keys(key, |word| substitute(word), out);
    schedule::to_image(out);
}

const PRE_COLUMNS: Columns = columns(&PRE);
const POST_COLUMNS: Columns = columns(&POST_AES);

/// The S-box on a word that stands in all four columns, so that AES moves nothing.
#[inline]
#[target_feature(enable = "neon,aes")]
fn substitute(word: u32) -> u32 {
    let columns = broadcast(map(&PRE_COLUMNS, word));
    let y = vaeseq_u8(columns, vdupq_n_u8(PRE_ADD));
    let y = vgetq_lane_u32::<0>(vreinterpretq_u32_u8(y));
    map(&POST_COLUMNS, y) ^ (ALL_BYTES * u32::from(POST_AES_ADD))
}

/// Looked-up maps in registers.
struct Maps {
    round: [[uint8x16_t; 2]; 3],
    rotate: [uint8x16_t; 4],
}

impl Maps {
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn load() -> Self {
        Self {
            round: [
                both(&ROUND_HALVES[0]),
                both(&ROUND_HALVES[1]),
                both(&ROUND_HALVES[2]),
            ],
            rotate: [
                load(&UNMOVED_ROTATIONS[0]),
                load(&UNMOVED_ROTATIONS[1]),
                load(&UNMOVED_ROTATIONS[2]),
                load(&UNMOVED_ROTATIONS[3]),
            ],
        }
    }

    /// `own` plus the round function of `x` plus `key`.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn round(&self, own: uint8x16_t, x: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        let x = split(vaeseq_u8(x, key));
        let same = look_up(&self.round[0], x);
        let next = look_up(&self.round[1], x);
        let last = look_up(&self.round[2], x);
        let near = veorq_u8(
            vqtbl1q_u8(next, self.rotate[1]),
            vqtbl1q_u8(next, self.rotate[2]),
        );
        let far = veorq_u8(
            vqtbl1q_u8(same, self.rotate[0]),
            vqtbl1q_u8(last, self.rotate[3]),
        );
        veorq_u8(own, veorq_u8(near, far))
    }
}

/// Four blocks as four words, in the image of the pre-affine map.
type Group = [uint8x16_t; 4];

#[target_feature(enable = "neon,aes")]
fn key_stream(round_keys: &[u32; 32], nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
    let maps = Maps::load();
    let mut groups = start(nonce, counter);
    for [k0, k1] in round_keys.as_chunks::<2>().0.as_chunks::<2>().0 {
        two_rounds::<0>(&maps, &mut groups, k0);
        two_rounds::<2>(&maps, &mut groups, k1);
    }
    finish(groups, out);
}

/// The same, with a batch of the hash between the rounds.
#[target_feature(enable = "neon,aes")]
fn key_stream_absorbing(
    keys: &Expanded,
    (nonce, counter): (&[u8; 12], u32),
    out: &mut KeyStream,
    sum: &mut [u8; BLOCK_BYTES],
    data: &[u8; BATCH_BYTES],
) {
    let maps = Maps::load();
    let mut groups = start(nonce, counter);
    let powers = &keys.powers[48..];
    let mut product = Product::starting(sum, &powers[0]);
    let (blocks, _) = data.as_chunks::<BLOCK_BYTES>();
    let (block_pairs, power_pairs) = (blocks.as_chunks::<2>().0, powers.as_chunks::<2>().0);
    let round_steps = keys.round_keys.as_chunks::<2>().0.as_chunks::<2>().0;
    let hash_steps = block_pairs.iter().zip(power_pairs);
    for ([k0, k1], (blocks, powers)) in round_steps.iter().zip(hash_steps) {
        two_rounds::<0>(&maps, &mut groups, k0);
        product.add_block(&blocks[0], &powers[0]);
        two_rounds::<2>(&maps, &mut groups, k1);
        product.add_block(&blocks[1], &powers[1]);
    }
    product.finish(sum);
    finish(groups, out);
}

/// Sixteen blocks, each of them `nonce` with a counter.
#[inline]
#[target_feature(enable = "neon,aes")]
fn start(nonce: &[u8; 12], counter: u32) -> [Group; 4] {
    let to_image = both(&PRE_HALVES);
    let mut words = [vdupq_n_u8(0); 4];
    for (word, bytes) in words.iter_mut().zip(nonce.as_chunks().0) {
        *word = look_up(&to_image, split(broadcast(u32::from_le_bytes(*bytes))));
    }
    let mut groups = [words; 4];
    let mut counters = vaddq_u32(vdupq_n_u32(counter), load_words(&[0, 1, 2, 3]));
    for group in &mut groups {
        let big_endian = vrev32q_u8(vreinterpretq_u8_u32(counters));
        group[3] = look_up(&to_image, split(big_endian));
        counters = vaddq_u32(counters, vdupq_n_u32(4));
    }
    groups
}

/// Two rounds share the sum of the two words that both take. The first round key is no part of it
/// here, so it comes back to the second, from which [`schedule::to_image`] took it.
#[inline]
#[target_feature(enable = "neon,aes")]
fn two_rounds<const AT: usize>(maps: &Maps, groups: &mut [Group; 4], round_keys: &[u32; 2]) {
    let k0 = broadcast(round_keys[0]);
    let k1 = veorq_u8(k0, broadcast(round_keys[1]));
    for x in groups {
        let [own, next, third, fourth] = [AT, AT + 1, (AT + 2) % 4, (AT + 3) % 4];
        let shared = veorq_u8(x[third], x[fourth]);
        x[own] = maps.round(x[own], veorq_u8(shared, x[next]), k0);
        x[next] = maps.round(x[next], veorq_u8(shared, x[own]), k1);
    }
}

/// From words back to blocks.
#[inline]
#[target_feature(enable = "neon,aes")]
fn finish(groups: [Group; 4], out: &mut KeyStream) {
    let out_of_image = both(&UNDO_PRE_HALVES);
    for (group, out) in groups.into_iter().zip(out.0.as_chunks_mut::<8>().0) {
        let mut words = [vdupq_n_u32(0); 4];
        // The output is the last four words in reverse.
        for (word, x) in words.iter_mut().zip(group.into_iter().rev()) {
            *word = vreinterpretq_u32_u8(look_up(&out_of_image, split(x)));
        }
        let [w0, w1, w2, w3] = words;
        let a = vreinterpretq_u64_u32(vzip1q_u32(w0, w1));
        let b = vreinterpretq_u64_u32(vzip2q_u32(w0, w1));
        let c = vreinterpretq_u64_u32(vzip1q_u32(w2, w3));
        let d = vreinterpretq_u64_u32(vzip2q_u32(w2, w3));
        let blocks = [
            vzip1q_u64(a, c),
            vzip2q_u64(a, c),
            vzip1q_u64(b, d),
            vzip2q_u64(b, d),
        ];
        for (block, out) in blocks.into_iter().zip(out.as_chunks_mut::<2>().0) {
            store_pair(out, block);
        }
    }
}

/// The lower and the upper halves of all bytes.
#[inline]
#[target_feature(enable = "neon")]
fn split(x: uint8x16_t) -> [uint8x16_t; 2] {
    [vandq_u8(x, vdupq_n_u8(0x0f)), vshrq_n_u8::<4>(x)]
}

#[inline]
#[target_feature(enable = "neon")]
fn look_up(halves: &[uint8x16_t; 2], [low, high]: [uint8x16_t; 2]) -> uint8x16_t {
    veorq_u8(vqtbl1q_u8(halves[0], low), vqtbl1q_u8(halves[1], high))
}

#[inline]
#[target_feature(enable = "neon")]
fn both(halves: &Halves) -> [uint8x16_t; 2] {
    [load(&halves[0]), load(&halves[1])]
}

#[inline]
#[target_feature(enable = "neon")]
fn broadcast(word: u32) -> uint8x16_t {
    vreinterpretq_u8_u32(vdupq_n_u32(word))
}
