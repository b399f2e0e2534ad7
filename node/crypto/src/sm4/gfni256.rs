//! The kernel for processors with GFNI and AVX2: inversion and map of a byte in one instruction.
//!
//! It does not use wider vectors; [`super::gfni512`] does.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_gf2p8affine_epi64_epi8,
    _mm_gf2p8affineinv_epi64_epi8, _mm_set_epi8, _mm_set1_epi64x, _mm256_add_epi32,
    _mm256_broadcastsi128_si256, _mm256_gf2p8affine_epi64_epi8, _mm256_gf2p8affineinv_epi64_epi8,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::batch::{BATCH_BYTES, BatchKernel, KeyStream};
use super::field::{AFFINE_ADD, BitMatrix, POST, PRE, PRE_ADD, ROUND, ROUND_ADD, UNDO_PRE};
use super::shuffles::rotation;
use super::vector::{load_128, store_256};
use super::{BLOCK_BYTES, Expanded, clmul, schedule, ymm};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct Gfni256(());

impl Gfni256 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("pclmulqdq");
        found.then_some(Self(()))
    }
}

#[expect(
    unsafe_code,
    reason = "only here is it known that the processor has the instructions"
)]
impl BatchKernel for Gfni256 {
    fn round_keys(&self, key: &[u8; 16], out: &mut [u32; 32]) {
        // SAFETY: `detect` found all instructions.
        unsafe { round_keys(key, out) }
    }

    fn powers(&self, hash_key: &[u8; BLOCK_BYTES], powers: &mut [[u64; 2]; 64]) {
        // SAFETY: `detect` found all instructions.
        unsafe { clmul::powers(hash_key, powers) }
    }

    fn key_stream(&self, keys: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
        // SAFETY: `detect` found all instructions.
        unsafe { key_stream(&keys.round_keys, nonce, counter, out) }
    }

    fn key_streams_absorbing(
        &self,
        keys: &Expanded,
        from: (&[u8; 12], u32),
        out: &mut [KeyStream; 2],
        sum: &mut [u8; BLOCK_BYTES],
        data: &[[u8; BATCH_BYTES]; 2],
    ) {
        // SAFETY: `detect` found all instructions.
        unsafe { key_streams_absorbing(keys, from, out, sum, data) }
    }

    fn absorb(&self, keys: &Expanded, sum: &mut [u8; BLOCK_BYTES], data: &[u8]) {
        // SAFETY: `detect` found all instructions.
        unsafe { clmul::absorb(&keys.powers, sum, data) }
    }
}

/// Round keys in the image of the pre-affine map.
#[target_feature(enable = "avx2,gfni")]
pub(super) fn round_keys(key: &[u8; 16], out: &mut [u32; 32]) {
    schedule::round_keys(key, |word| substitute(word), out);
    schedule::to_image(out);
}

#[inline]
#[target_feature(enable = "avx2,gfni")]
fn substitute(word: u32) -> u32 {
    let x = _mm_cvtsi32_si128(word.cast_signed());
    let x = _mm_gf2p8affine_epi64_epi8::<{ PRE_ADD as i32 }>(x, narrow(&PRE));
    let y = _mm_gf2p8affineinv_epi64_epi8::<{ AFFINE_ADD as i32 }>(x, narrow(&POST));
    _mm_cvtsi128_si32(y).cast_unsigned()
}

/// Matrices in registers.
struct Maps {
    round: [__m256i; 3],
    rotate: [__m256i; 3],
}

impl Maps {
    #[inline]
    #[target_feature(enable = "avx2,gfni")]
    fn load() -> Self {
        let rotate = |by| _mm256_broadcastsi128_si256(load_128(&rotation(by)));
        Self {
            round: [wide(&ROUND[0]), wide(&ROUND[1]), wide(&ROUND[2])],
            rotate: [rotate(1), rotate(2), rotate(3)],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,gfni")]
    fn to_image(&self, x: __m256i) -> __m256i {
        _mm256_gf2p8affine_epi64_epi8::<0>(x, wide(&PRE))
    }

    #[inline]
    #[target_feature(enable = "avx2,gfni")]
    fn out_of_image(&self, x: __m256i) -> __m256i {
        _mm256_gf2p8affine_epi64_epi8::<0>(x, wide(&UNDO_PRE))
    }

    /// `own` plus the round function of `x`.
    #[inline]
    #[target_feature(enable = "avx2,gfni")]
    fn round(&self, own: __m256i, x: __m256i) -> __m256i {
        let same = _mm256_gf2p8affineinv_epi64_epi8::<{ ROUND_ADD as i32 }>(x, self.round[0]);
        let next = _mm256_gf2p8affineinv_epi64_epi8::<0>(x, self.round[1]);
        let last = _mm256_gf2p8affineinv_epi64_epi8::<0>(x, self.round[2]);
        let near = _mm256_xor_si256(
            _mm256_shuffle_epi8(next, self.rotate[0]),
            _mm256_shuffle_epi8(next, self.rotate[1]),
        );
        let far = _mm256_shuffle_epi8(last, self.rotate[2]);
        _mm256_xor_si256(_mm256_xor_si256(own, same), _mm256_xor_si256(near, far))
    }
}

ymm::key_stream!("avx2,gfni,pclmulqdq");

/// A matrix as the instructions want it: the row of output bit 7 in the lowest byte.
pub(super) const fn rows(matrix: &BitMatrix) -> i64 {
    i64::from_be_bytes(*matrix)
}

#[inline]
#[target_feature(enable = "avx2,gfni")]
fn narrow(matrix: &BitMatrix) -> __m128i {
    _mm_set1_epi64x(rows(matrix))
}

#[inline]
#[target_feature(enable = "avx2,gfni")]
fn wide(matrix: &BitMatrix) -> __m256i {
    _mm256_set1_epi64x(rows(matrix))
}
