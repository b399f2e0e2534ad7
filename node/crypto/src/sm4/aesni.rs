//! The kernel for processors with AES-NI and AVX2, but without GFNI.
//!
//! The last round of AES inverts in its field and then applies an affine map, which the round's
//! own maps undo. Those are looked up by halves of a byte in registers. AES also moves bytes
//! between words; the byte rotations of SM4's L undo that on the way.
//!
//! It does not read tables in memory at secret places: a shuffle within a register takes the same
//! time for every index.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_aesenclast_si128, _mm_cvtsi128_si32, _mm_set_epi8, _mm_set1_epi32,
    _mm_setzero_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::batch::{BATCH_BYTES, BatchKernel, KeyStream};
use super::field::{POST_AES, POST_AES_ADD, PRE, PRE_ADD};
use super::schedule::{ALL_BYTES, Columns, columns, map};
use super::shuffles::{Halves, PRE_HALVES, ROUND_HALVES, UNDO_PRE_HALVES, UNMOVED_ROTATIONS};
use super::vector::{load_128, store_256};
use super::{BLOCK_BYTES, Expanded, clmul, schedule, ymm};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct AesNi(());

impl AesNi {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("pclmulqdq");
        found.then_some(Self(()))
    }
}

#[expect(
    unsafe_code,
    reason = "only here is it known that the processor has the instructions"
)]
impl BatchKernel for AesNi {
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

#[target_feature(enable = "avx2,aes")]
fn round_keys(key: &[u8; 16], out: &mut [u32; 32]) {
    schedule::round_keys(key, |word| substitute(word), out);
    schedule::to_image(out);
}

const PRE_COLUMNS: Columns = columns(&PRE);
const POST_COLUMNS: Columns = columns(&POST_AES);

/// The S-box on a word that stands in all four columns, so that AES moves nothing.
#[inline]
#[target_feature(enable = "avx2,aes")]
fn substitute(word: u32) -> u32 {
    let x = map(&PRE_COLUMNS, word) ^ (ALL_BYTES * u32::from(PRE_ADD));
    let columns = _mm_set1_epi32(x.cast_signed());
    let y = _mm_cvtsi128_si32(_mm_aesenclast_si128(columns, _mm_setzero_si128()));
    map(&POST_COLUMNS, y.cast_unsigned()) ^ (ALL_BYTES * u32::from(POST_AES_ADD))
}

/// Looked-up maps in registers.
struct Maps {
    round: [[__m256i; 2]; 3],
    rotate: [__m256i; 4],
}

impl Maps {
    #[inline]
    #[target_feature(enable = "avx2,aes")]
    fn load() -> Self {
        Self {
            round: [
                both(&ROUND_HALVES[0]),
                both(&ROUND_HALVES[1]),
                both(&ROUND_HALVES[2]),
            ],
            rotate: [
                twice(&UNMOVED_ROTATIONS[0]),
                twice(&UNMOVED_ROTATIONS[1]),
                twice(&UNMOVED_ROTATIONS[2]),
                twice(&UNMOVED_ROTATIONS[3]),
            ],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,aes")]
    fn to_image(&self, x: __m256i) -> __m256i {
        look_up(&both(&PRE_HALVES), split(x))
    }

    #[inline]
    #[target_feature(enable = "avx2,aes")]
    fn out_of_image(&self, x: __m256i) -> __m256i {
        look_up(&both(&UNDO_PRE_HALVES), split(x))
    }

    /// `own` plus the round function of `x`.
    #[inline]
    #[target_feature(enable = "avx2,aes")]
    fn round(&self, own: __m256i, x: __m256i) -> __m256i {
        let zero = _mm_setzero_si128();
        let x = split(_mm256_set_m128i(
            _mm_aesenclast_si128(_mm256_extracti128_si256::<1>(x), zero),
            _mm_aesenclast_si128(_mm256_castsi256_si128(x), zero),
        ));
        let same = look_up(&self.round[0], x);
        let next = look_up(&self.round[1], x);
        let last = look_up(&self.round[2], x);
        let near = _mm256_xor_si256(
            _mm256_shuffle_epi8(next, self.rotate[1]),
            _mm256_shuffle_epi8(next, self.rotate[2]),
        );
        let far = _mm256_xor_si256(
            _mm256_shuffle_epi8(same, self.rotate[0]),
            _mm256_shuffle_epi8(last, self.rotate[3]),
        );
        _mm256_xor_si256(own, _mm256_xor_si256(near, far))
    }
}

ymm::key_stream!("avx2,aes,pclmulqdq");

/// The lower and the upper halves of all bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn split(x: __m256i) -> [__m256i; 2] {
    let mask = _mm256_set1_epi8(0x0f);
    [
        _mm256_and_si256(x, mask),
        _mm256_and_si256(_mm256_srli_epi16::<4>(x), mask),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn look_up(halves: &[__m256i; 2], [low, high]: [__m256i; 2]) -> __m256i {
    _mm256_xor_si256(
        _mm256_shuffle_epi8(halves[0], low),
        _mm256_shuffle_epi8(halves[1], high),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn both(halves: &Halves) -> [__m256i; 2] {
    [twice(&halves[0]), twice(&halves[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn twice(bytes: &[u8; 16]) -> __m256i {
    let half: __m128i = load_128(bytes);
    _mm256_broadcastsi128_si256(half)
}
