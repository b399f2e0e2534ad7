//! GHASH (NIST SP 800-38D, 6.4) with VPCLMULQDQ, four blocks in a register.
//!
//! The form of blocks and powers is that of [`super::clmul`]. It does not reduce for each block:
//! products of up to sixty-four blocks are summed first.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_set_epi8, _mm_xor_si128, _mm512_broadcast_i32x4, _mm512_bslli_epi128,
    _mm512_bsrli_epi128, _mm512_castsi512_si128, _mm512_clmulepi64_epi128,
    _mm512_extracti32x4_epi32, _mm512_inserti32x4, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_shuffle_epi32, _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::gfni512::sum3;
use super::vector::{load_512, load_pairs, load_some, load_some_pairs, store_pairs};
use super::{BLOCK_BYTES, clmul};

/// Powers 64 to 1 of the hash key.
#[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
pub(super) fn powers(hash_key: &[u8; BLOCK_BYTES], powers: &mut [[u64; 2]; 64]) {
    let first = clmul::first_power(hash_key);
    let second = clmul::multiply(first, first);
    let mut quads = [_mm512_zextsi128_si512(clmul::multiply(second, second)); 16];
    quads[0] = _mm512_inserti32x4::<1>(quads[0], clmul::multiply(second, first));
    quads[0] = _mm512_inserti32x4::<2>(quads[0], second);
    quads[0] = _mm512_inserti32x4::<3>(quads[0], first);
    // Each step doubles what there is, so that products wait for each other four times only.
    for known in [1, 2, 4, 8] {
        let highest = _mm512_broadcast_i32x4(_mm512_castsi512_si128(quads[known - 1]));
        for i in 0..known {
            quads[known + i] = multiply(quads[i], highest);
        }
    }
    for (out, quad) in powers.as_chunks_mut::<4>().0.iter_mut().rev().zip(quads) {
        store_pairs(out, quad);
    }
}

/// Takes up to sixty-four blocks into the hash; the last may be short.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
pub(super) fn absorb(powers: &[[u64; 2]; 64], before: __m128i, data: &[u8]) -> __m128i {
    let mut sum = Sum::of(powers, before, data.len().div_ceil(BLOCK_BYTES));
    for bytes in data.chunks(64) {
        sum.add(load_some(bytes), bytes.len());
    }
    sum.reduce()
}

/// The hash of a number of blocks that is known before, and reduced once.
pub(super) struct Sum<'a> {
    product: Product,
    /// What was hashed before them, until it was added to the first.
    carried: __m512i,
    /// Those of the blocks that are to come.
    powers: &'a [[u64; 2]],
}

impl<'a> Sum<'a> {
    /// One to sixty-four blocks after those whose hash is `before`.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    pub(super) fn of(powers: &'a [[u64; 2]; 64], before: __m128i, blocks: usize) -> Self {
        Self {
            product: Product::zero(),
            carried: _mm512_zextsi128_si512(before),
            powers: &powers[64 - blocks..],
        }
    }

    /// Adds the blocks that `length` bytes take, up to four. Behind those bytes must be zeros.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    pub(super) fn add(&mut self, bytes: __m512i, length: usize) {
        let (now, later) = self.powers.split_at(length.div_ceil(BLOCK_BYTES));
        let blocks = _mm512_xor_si512(swap(bytes), self.carried);
        self.product.add(blocks, load_some_pairs(now));
        self.carried = _mm512_setzero_si512();
        self.powers = later;
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    pub(super) fn reduce(self) -> __m128i {
        self.product.reduce()
    }
}

/// A sum of products in each lane that is not reduced yet.
pub(super) struct Product {
    low: __m512i,
    /// To be added in the middle.
    cross: __m512i,
    high: __m512i,
}

impl Product {
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    fn zero() -> Self {
        let zero = _mm512_setzero_si512();
        Self {
            low: zero,
            cross: zero,
            high: zero,
        }
    }

    /// `sum` carried over as many blocks as the first of `powers` says.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    pub(super) fn starting(sum: __m128i, powers: &[[u64; 2]; 4]) -> Self {
        let mut product = Self::zero();
        product.add(_mm512_zextsi128_si512(sum), load_pairs(powers));
        product
    }

    /// Adds the products of four blocks.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    pub(super) fn add_blocks(&mut self, blocks: &[u8; 64], powers: &[[u64; 2]; 4]) {
        self.add(swap(load_512(blocks)), load_pairs(powers));
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    fn add(&mut self, a: __m512i, b: __m512i) {
        self.low = _mm512_xor_si512(self.low, _mm512_clmulepi64_epi128::<0x00>(a, b));
        self.cross = sum3(
            self.cross,
            _mm512_clmulepi64_epi128::<0x01>(a, b),
            _mm512_clmulepi64_epi128::<0x10>(a, b),
        );
        self.high = _mm512_xor_si512(self.high, _mm512_clmulepi64_epi128::<0x11>(a, b));
    }

    /// The sum over all lanes modulo x^128 + x^7 + x^2 + x + 1.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
    pub(super) fn reduce(self) -> __m128i {
        let product = clmul::Product {
            low: sum_of_lanes(self.low),
            cross: sum_of_lanes(self.cross),
            high: sum_of_lanes(self.high),
        };
        product.reduce()
    }
}

/// The product in each lane.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
fn multiply(a: __m512i, b: __m512i) -> __m512i {
    let mut product = Product::zero();
    product.add(a, b);
    let low = _mm512_xor_si512(product.low, _mm512_bslli_epi128::<8>(product.cross));
    let high = _mm512_xor_si512(product.high, _mm512_bsrli_epi128::<8>(product.cross));
    _mm512_xor_si512(high, fold(fold(low)))
}

/// Cancels the lower halves against the modulus; the halves change places.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
fn fold(x: __m512i) -> __m512i {
    let modulus = _mm512_set1_epi64((0xc2_u64 << 56).cast_signed());
    _mm512_xor_si512(
        _mm512_shuffle_epi32::<0b0100_1110>(x),
        _mm512_clmulepi64_epi128::<0x00>(x, modulus),
    )
}

#[inline]
#[target_feature(enable = "avx2,avx512f")]
fn sum_of_lanes(x: __m512i) -> __m128i {
    _mm_xor_si128(
        _mm_xor_si128(_mm512_castsi512_si128(x), _mm512_extracti32x4_epi32::<1>(x)),
        _mm_xor_si128(
            _mm512_extracti32x4_epi32::<2>(x),
            _mm512_extracti32x4_epi32::<3>(x),
        ),
    )
}

/// Between the order of memory and that of the register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap(x: __m512i) -> __m512i {
    let reverse = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(reverse))
}
