//! Four messages in NEON registers.
//!
//! It does not know messages, only runs of whole blocks; [`super::many`] cuts them.

use std::arch::aarch64::{
    uint32x4_t, vaddq_u32, vandq_u32, vbslq_u32, vdupq_n_s32, vdupq_n_u32, veorq_u32, vld1q_u32,
    vorrq_u32, vshlq_u32, vst1q_u32,
};
use std::arch::is_aarch64_feature_detected;

use super::lanes::compress_words;
use super::many::LaneKernel;
use super::{BLOCK_BYTES, CONSTANTS};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct Lanes4(());

impl Lanes4 {
    pub(super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl LaneKernel<4> for Lanes4 {
    #[expect(
        unsafe_code,
        reason = "only here is it known that the processor can do it"
    )]
    fn compress(&self, state: &mut [[u32; 4]; 8], runs: &[&[[u8; BLOCK_BYTES]]; 4]) {
        // SAFETY: `detect` found all instructions.
        unsafe { compress(state, runs) }
    }
}

#[target_feature(enable = "neon")]
fn compress(state: &mut [[u32; 4]; 8], runs: &[&[[u8; BLOCK_BYTES]]; 4]) {
    let mut vectors = [vdupq_n_u32(0); 8];
    for (vector, words) in vectors.iter_mut().zip(state.iter()) {
        *vector = load(words);
    }
    let blocks = runs.iter().map(|run| run.len()).min().unwrap_or(0);
    for i in 0..blocks {
        // Words are gathered one by one; the rounds take so long that this does not show.
        let mut gathered = [[0_u32; 4]; 16];
        for (lane, run) in runs.iter().enumerate() {
            for (words, bytes) in gathered.iter_mut().zip(run[i].as_chunks().0) {
                words[lane] = u32::from_be_bytes(*bytes);
            }
        }
        let mut words = [vdupq_n_u32(0); 16];
        for (word, gathered) in words.iter_mut().zip(&gathered) {
            *word = load(gathered);
        }
        compress_words(&mut vectors, &mut words);
    }
    for (vector, words) in vectors.iter().zip(state) {
        store(words, *vector);
    }
}

compress_words!("neon", uint32x4_t);

#[inline]
#[target_feature(enable = "neon")]
fn add(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    vaddq_u32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn sum2(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    veorq_u32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn sum3(a: uint32x4_t, b: uint32x4_t, c: uint32x4_t) -> uint32x4_t {
    veorq_u32(veorq_u32(a, b), c)
}

#[inline]
#[target_feature(enable = "neon")]
fn majority(a: uint32x4_t, b: uint32x4_t, c: uint32x4_t) -> uint32x4_t {
    vorrq_u32(vandq_u32(a, b), vandq_u32(vorrq_u32(a, b), c))
}

#[inline]
#[target_feature(enable = "neon")]
fn choose(a: uint32x4_t, b: uint32x4_t, c: uint32x4_t) -> uint32x4_t {
    vbslq_u32(a, b, c)
}

#[inline]
#[target_feature(enable = "neon")]
fn constant(word: u32) -> uint32x4_t {
    vdupq_n_u32(word)
}

/// A shift by a negative number goes the other way.
#[inline]
#[target_feature(enable = "neon")]
fn rotate<const BY: i32>(x: uint32x4_t) -> uint32x4_t {
    vorrq_u32(
        vshlq_u32(x, vdupq_n_s32(BY)),
        vshlq_u32(x, vdupq_n_s32(BY - 32)),
    )
}

#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
fn load(words: &[u32; 4]) -> uint32x4_t {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vld1q_u32(words.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
fn store(words: &mut [u32; 4], vector: uint32x4_t) {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vst1q_u32(words.as_mut_ptr(), vector) }
}
