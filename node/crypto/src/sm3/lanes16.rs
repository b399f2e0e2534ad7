//! Sixteen messages in AVX-512 registers.
//!
//! It does not know messages, only runs of whole blocks; [`super::many`] cuts them.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_set_epi8, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_loadu_si512,
    _mm512_rol_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::lanes::compress_words;
use super::many::LaneKernel;
use super::{BLOCK_BYTES, CONSTANTS};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct Lanes16(());

impl Lanes16 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        found.then_some(Self(()))
    }
}

impl LaneKernel<16> for Lanes16 {
    #[expect(
        unsafe_code,
        reason = "only here is it known that the processor can do it"
    )]
    fn compress(&self, state: &mut [[u32; 16]; 8], runs: &[&[[u8; BLOCK_BYTES]]; 16]) {
        // SAFETY: `detect` found all instructions.
        unsafe { compress(state, runs) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn compress(state: &mut [[u32; 16]; 8], runs: &[&[[u8; BLOCK_BYTES]]; 16]) {
    let mut vectors = [_mm512_setzero_si512(); 8];
    for (vector, words) in vectors.iter_mut().zip(state.iter()) {
        *vector = load(words);
    }
    let blocks = runs.iter().map(|run| run.len()).min().unwrap_or(0);
    for i in 0..blocks {
        let mut rows = [_mm512_setzero_si512(); 16];
        for (row, run) in rows.iter_mut().zip(runs) {
            *row = load(&run[i]);
        }
        compress_words(&mut vectors, &mut transpose(&rows));
    }
    for (vector, words) in vectors.iter().zip(state) {
        store(words, *vector);
    }
}

compress_words!("avx512f,avx512bw", __m512i);

/// Sixteen blocks as their sixteen words each, the bytes of a word in the order of the register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose(rows: &[__m512i; 16]) -> [__m512i; 16] {
    let order: __m128i = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    let order = _mm512_broadcast_i32x4(order);
    // Within lanes of 128 bits: `squares[r][c]` holds word c of each lane of rows 4 r to 4 r + 3.
    let mut squares = [[_mm512_setzero_si512(); 4]; 4];
    for (square, rows) in squares.iter_mut().zip(rows.as_chunks::<4>().0) {
        let a = _mm512_unpacklo_epi32(rows[0], rows[1]);
        let b = _mm512_unpackhi_epi32(rows[0], rows[1]);
        let c = _mm512_unpacklo_epi32(rows[2], rows[3]);
        let d = _mm512_unpackhi_epi32(rows[2], rows[3]);
        square[0] = _mm512_shuffle_epi8(_mm512_unpacklo_epi64(a, c), order);
        square[1] = _mm512_shuffle_epi8(_mm512_unpackhi_epi64(a, c), order);
        square[2] = _mm512_shuffle_epi8(_mm512_unpacklo_epi64(b, d), order);
        square[3] = _mm512_shuffle_epi8(_mm512_unpackhi_epi64(b, d), order);
    }
    // Then the lanes: word c of lane l is word 4 l + c of the block.
    let mut words = [_mm512_setzero_si512(); 16];
    for c in 0..4 {
        let [r0, r1, r2, r3] = [squares[0][c], squares[1][c], squares[2][c], squares[3][c]];
        let a = _mm512_shuffle_i32x4::<0b10_00_10_00>(r0, r1);
        let b = _mm512_shuffle_i32x4::<0b11_01_11_01>(r0, r1);
        let d = _mm512_shuffle_i32x4::<0b10_00_10_00>(r2, r3);
        let e = _mm512_shuffle_i32x4::<0b11_01_11_01>(r2, r3);
        words[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, d);
        words[4 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(b, e);
        words[8 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, d);
        words[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(b, e);
    }
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum2(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn constant(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const BY: i32>(x: __m512i) -> __m512i {
    _mm512_rol_epi32::<BY>(x)
}

/// Sixty-four bytes, as words or as a block.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
fn load<T: Copy, const N: usize>(bytes: &[T; N]) -> __m512i {
    const { assert!(size_of::<[T; N]>() == 64, "a register is filled exactly") };
    // SAFETY: the reference is good for 64 bytes, and the load is unaligned.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
fn store(words: &mut [u32; 16], vector: __m512i) {
    // SAFETY: the reference is good for 64 bytes, and the store is unaligned.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}
