//! Loads and stores of vectors, so that the kernel is safe code but for its dispatch.
//!
//! It does not ask for alignment beyond that of what it is given.

use std::arch::aarch64::{
    uint8x16_t, uint32x4_t, uint64x2_t, vld1q_u8, vld1q_u32, vld1q_u64, vst1q_u8, vst1q_u64,
};

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Four words, in the order of memory.
#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_words(words: &[u32; 4]) -> uint32x4_t {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vld1q_u32(words.as_ptr()) }
}

/// Two words, in the order of memory.
#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
pub(super) fn load_pair(words: &[u64; 2]) -> uint64x2_t {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vld1q_u64(words.as_ptr()) }
}

/// The bytes of a vector.
#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store(bytes: &mut [u8; 16], vector: uint8x16_t) {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), vector) }
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
pub(super) fn store_pair(words: &mut [u64; 2], vector: uint64x2_t) {
    // SAFETY: the reference is good for 16 bytes.
    unsafe { vst1q_u64(words.as_mut_ptr(), vector) }
}
