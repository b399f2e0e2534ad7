//! Loads and stores of vectors, so that the kernels are safe code but for their dispatch.
//!
//! It does not ask for alignment: on every processor with these instructions an unaligned access
//! to aligned memory costs nothing.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm256_storeu_si256,
    _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_epi64,
    _mm512_maskz_mov_epi8, _mm512_storeu_si512,
};

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_128(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference is good for 16 bytes, and the load is unaligned.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Two words, in the order of memory.
#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_pair(words: &[u64; 2]) -> __m128i {
    // SAFETY: the reference is good for 16 bytes, and the load is unaligned.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

/// The bytes of a vector.
#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_128(bytes: &mut [u8; 16], vector: __m128i) {
    // SAFETY: the reference is good for 16 bytes, and the store is unaligned.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), vector) }
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_pair(words: &mut [u64; 2], vector: __m128i) {
    // SAFETY: the reference is good for 16 bytes, and the store is unaligned.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), vector) }
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "avx")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_256(words: &mut [u64; 4], vector: __m256i) {
    // SAFETY: the reference is good for 32 bytes, and the store is unaligned.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}

/// Sixty-four bytes.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_512(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference is good for 64 bytes, and the load is unaligned.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_words(words: &mut [u64; 8], vector: __m512i) {
    // SAFETY: the reference is good for 64 bytes, and the store is unaligned.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

/// Four pairs of words.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_pairs(pairs: &[[u64; 2]; 4]) -> __m512i {
    // SAFETY: the reference is good for 64 bytes, and the load is unaligned.
    unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) }
}

/// The bytes of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_512(bytes: &mut [u8; 64], vector: __m512i) {
    // SAFETY: the reference is good for 64 bytes, and the store is unaligned.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_pairs(pairs: &mut [[u64; 2]; 4], vector: __m512i) {
    // SAFETY: the reference is good for 64 bytes, and the store is unaligned.
    unsafe { _mm512_storeu_si512(pairs.as_mut_ptr().cast(), vector) }
}

/// Up to 64 bytes, and zeros after them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_some(bytes: &[u8]) -> __m512i {
    // SAFETY: the mask admits only bytes of the slice; others are not accessed.
    unsafe { _mm512_maskz_loadu_epi8(first(bytes.len()), bytes.as_ptr().cast()) }
}

/// Up to four pairs of words, and zeros after them.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_some_pairs(pairs: &[[u64; 2]]) -> __m512i {
    let mask = match pairs.len() {
        0 => 0,
        1 => 0b11,
        2 => 0b1111,
        3 => 0b11_1111,
        _ => 0b1111_1111,
    };
    // SAFETY: the mask admits only words of the slice; others are not accessed.
    unsafe { _mm512_maskz_loadu_epi64(mask, pairs.as_ptr().cast()) }
}

/// As many bytes of a vector as fit, up to 64.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_some(bytes: &mut [u8], vector: __m512i) {
    // SAFETY: the mask admits only bytes of the slice; others are not accessed.
    unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), first(bytes.len()), vector) }
}

/// The first `length` bytes of a vector, and zeros after them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn some(vector: __m512i, length: usize) -> __m512i {
    _mm512_maskz_mov_epi8(first(length), vector)
}

/// A mask of the first `count` of 64 places.
pub(super) const fn first(count: usize) -> u64 {
    if count < 64 {
        (1 << count) - 1
    } else {
        u64::MAX
    }
}
