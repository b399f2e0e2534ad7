//! GHASH (NIST SP 800-38D, 6.4) with PCLMULQDQ.
//!
//! A block is a polynomial whose coefficient `i` is bit `127 - i` of a register, so that a byte
//! swap makes one from memory. Carry-less products then come out one bit too low; the powers of
//! the hash key are kept multiplied by 1/x to make up for it. The reduction folds from below, as
//! in S. Gueron's and M. Kounavis' white paper on GCM for Intel processors (2014).
//!
//! It does not reduce for each block: products of sixteen blocks are summed first.

use std::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_set_epi8, _mm_set_epi64x, _mm_setzero_si128,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_si128, _mm_srli_si128, _mm_xor_si128,
};

use super::vector::{load_128, load_pair, store_128, store_pair};
use super::{BLOCK_BYTES, ghash};

/// Powers 16 to 1 of the hash key, at the end of `powers`.
#[target_feature(enable = "avx2,pclmulqdq")]
pub(super) fn powers(hash_key: &[u8; BLOCK_BYTES], powers: &mut [[u64; 2]; 64]) {
    let first = first_power(hash_key);
    let mut power = first;
    for slot in powers.iter_mut().rev().take(16) {
        store_pair(slot, power);
        power = multiply(power, first);
    }
}

/// The hash key as a factor: divided by x, in the order of the register.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn first_power(hash_key: &[u8; BLOCK_BYTES]) -> __m128i {
    let key = u128::from_be_bytes(*hash_key);
    // Dividing by x carries the constant coefficient to x^127 + x^6 + x + 1.
    let carry = (key >> 127).wrapping_neg() & ((0xc2 << 120) | 1);
    let [low, high] = [(key << 1) ^ carry, ((key << 1) ^ carry) >> 64].map(ghash::low_half);
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

/// Takes up to sixteen blocks into the hash; the last may be short.
#[target_feature(enable = "avx2,pclmulqdq")]
pub(super) fn absorb(powers: &[[u64; 2]; 64], sum: &mut [u8; BLOCK_BYTES], data: &[u8]) {
    let (whole, rest) = data.as_chunks::<BLOCK_BYTES>();
    let count = whole.len() + usize::from(!rest.is_empty());
    let mut powers = powers[64 - count..].iter();
    let mut carried = swap(load_128(sum));
    let mut total = Product::zero();
    for (block, power) in whole.iter().zip(&mut powers) {
        total.add(
            _mm_xor_si128(swap(load_128(block)), carried),
            load_pair(power),
        );
        carried = _mm_setzero_si128();
    }
    if let Some(power) = powers.next() {
        let mut block = [0; BLOCK_BYTES];
        block[..rest.len()].copy_from_slice(rest);
        total.add(
            _mm_xor_si128(swap(load_128(&block)), carried),
            load_pair(power),
        );
    }
    if count > 0 {
        store_128(sum, swap(total.reduce()));
    }
}

/// The product of two powers, or of a block and a power.
#[inline]
#[target_feature(enable = "avx2,pclmulqdq")]
pub(super) fn multiply(a: __m128i, b: __m128i) -> __m128i {
    let mut product = Product::zero();
    product.add(a, b);
    product.reduce()
}

/// A sum of products that is not reduced yet.
pub(super) struct Product {
    pub(super) low: __m128i,
    /// To be added in the middle.
    pub(super) cross: __m128i,
    pub(super) high: __m128i,
}

impl Product {
    /// `sum` carried over the sixteen blocks whose highest power this is.
    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    pub(super) fn starting(sum: &[u8; BLOCK_BYTES], power: &[u64; 2]) -> Self {
        let mut product = Self::zero();
        product.add(swap(load_128(sum)), load_pair(power));
        product
    }

    /// Adds the product of a block.
    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    pub(super) fn add_block(&mut self, block: &[u8; BLOCK_BYTES], power: &[u64; 2]) {
        self.add(swap(load_128(block)), load_pair(power));
    }

    /// The sum modulo the polynomial, as GHASH writes it.
    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    pub(super) fn finish(self, sum: &mut [u8; BLOCK_BYTES]) {
        store_128(sum, swap(self.reduce()));
    }

    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    fn zero() -> Self {
        let zero = _mm_setzero_si128();
        Self {
            low: zero,
            cross: zero,
            high: zero,
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    fn add(&mut self, a: __m128i, b: __m128i) {
        let cross = _mm_xor_si128(
            _mm_clmulepi64_si128::<0x01>(a, b),
            _mm_clmulepi64_si128::<0x10>(a, b),
        );
        self.low = _mm_xor_si128(self.low, _mm_clmulepi64_si128::<0x00>(a, b));
        self.cross = _mm_xor_si128(self.cross, cross);
        self.high = _mm_xor_si128(self.high, _mm_clmulepi64_si128::<0x11>(a, b));
    }

    /// The sum modulo x^128 + x^7 + x^2 + x + 1.
    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    pub(super) fn reduce(self) -> __m128i {
        let low = _mm_xor_si128(self.low, _mm_slli_si128::<8>(self.cross));
        let high = _mm_xor_si128(self.high, _mm_srli_si128::<8>(self.cross));
        _mm_xor_si128(high, fold(fold(low)))
    }
}

/// Cancels the lower half against the modulus; the halves change places.
#[inline]
#[target_feature(enable = "avx2,pclmulqdq")]
fn fold(x: __m128i) -> __m128i {
    let modulus = _mm_set_epi64x(0, (0xc2_u64 << 56).cast_signed());
    _mm_xor_si128(
        _mm_shuffle_epi32::<0b0100_1110>(x),
        _mm_clmulepi64_si128::<0x00>(x, modulus),
    )
}

/// Between the order of memory and that of the register.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn swap(x: __m128i) -> __m128i {
    _mm_shuffle_epi8(
        x,
        _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    )
}
