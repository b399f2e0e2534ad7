//! Eight messages in AVX2 registers.
//!
//! It does not know messages, only runs of whole blocks; [`super::many`] cuts them.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_sll_epi32,
    _mm256_srl_epi32, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::lanes::compress_words;
use super::many::LaneKernel;
use super::{BLOCK_BYTES, CONSTANTS};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct Lanes8(());

impl Lanes8 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl LaneKernel<8> for Lanes8 {
    #[expect(
        unsafe_code,
        reason = "only here is it known that the processor can do it"
    )]
    fn compress(&self, state: &mut [[u32; 8]; 8], runs: &[&[[u8; BLOCK_BYTES]]; 8]) {
        // SAFETY: `detect` found all instructions.
        unsafe { compress(state, runs) }
    }
}

#[target_feature(enable = "avx2")]
fn compress(state: &mut [[u32; 8]; 8], runs: &[&[[u8; BLOCK_BYTES]]; 8]) {
    let mut vectors = [_mm256_setzero_si256(); 8];
    for (vector, words) in vectors.iter_mut().zip(state.iter()) {
        *vector = load(words);
    }
    let blocks = runs.iter().map(|run| run.len()).min().unwrap_or(0);
    for i in 0..blocks {
        // Words are gathered one by one: with half the lanes and no rotation, the rounds take
        // so long that this does not show.
        let mut gathered = [[0_u32; 8]; 16];
        for (lane, run) in runs.iter().enumerate() {
            for (words, bytes) in gathered.iter_mut().zip(run[i].as_chunks().0) {
                words[lane] = u32::from_be_bytes(*bytes);
            }
        }
        let mut words = [_mm256_setzero_si256(); 16];
        for (word, gathered) in words.iter_mut().zip(&gathered) {
            *word = load(gathered);
        }
        compress_words(&mut vectors, &mut words);
    }
    for (vector, words) in vectors.iter().zip(state) {
        store(words, *vector);
    }
}

compress_words!("avx2", __m256i);

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum2(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_or_si256(
        _mm256_and_si256(a, b),
        _mm256_and_si256(_mm256_or_si256(a, b), c),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(a, b), _mm256_andnot_si256(a, c))
}

#[inline]
#[target_feature(enable = "avx2")]
fn constant(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const BY: i32>(x: __m256i) -> __m256i {
    _mm256_or_si256(
        _mm256_sll_epi32(x, _mm_cvtsi32_si128(BY)),
        _mm256_srl_epi32(x, _mm_cvtsi32_si128(32 - BY)),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
fn load(words: &[u32; 8]) -> __m256i {
    // SAFETY: the reference is good for 32 bytes, and the load is unaligned.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
fn store(words: &mut [u32; 8], vector: __m256i) {
    // SAFETY: the reference is good for 32 bytes, and the store is unaligned.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}
