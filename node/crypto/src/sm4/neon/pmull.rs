//! GHASH (NIST SP 800-38D, 6.4) with PMULL.
//!
//! Blocks, powers and the reduction have the form that the kernels for x86-64 give them: a block
//! is a polynomial whose coefficient `i` is bit `127 - i` of a register, carry-less products come
//! out one bit too low, and the powers of the hash key are kept multiplied by 1/x for it.
//!
//! It does not reduce for each block: products of sixteen blocks are summed first.

use std::arch::aarch64::{
    uint8x16_t, uint64x2_t, vcombine_u64, vcreate_u64, vdupq_n_u64, veorq_u64, vextq_u8, vextq_u64,
    vgetq_lane_u64, vmull_high_p64, vmull_p64, vreinterpretq_p64_u64, vreinterpretq_u8_u64,
    vreinterpretq_u64_p128, vreinterpretq_u64_u8, vrev64q_u8,
};

use super::super::{BLOCK_BYTES, ghash};
use super::vector::{load, load_pair, store, store_pair};

/// Powers 16 to 1 of the hash key, at the end of `powers`.
#[target_feature(enable = "neon,aes")]
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
#[target_feature(enable = "neon,aes")]
fn first_power(hash_key: &[u8; BLOCK_BYTES]) -> uint64x2_t {
    let key = u128::from_be_bytes(*hash_key);
    // Dividing by x carries the constant coefficient to x^127 + x^6 + x + 1.
    let carry = (key >> 127).wrapping_neg() & ((0xc2 << 120) | 1);
    let divided = (key << 1) ^ carry;
    let [low, high] = [divided, divided >> 64].map(ghash::low_half);
    vcombine_u64(vcreate_u64(low), vcreate_u64(high))
}

/// Takes up to sixteen blocks into the hash; the last may be short.
#[target_feature(enable = "neon,aes")]
pub(super) fn absorb(powers: &[[u64; 2]; 64], sum: &mut [u8; BLOCK_BYTES], data: &[u8]) {
    let (whole, rest) = data.as_chunks::<BLOCK_BYTES>();
    let count = whole.len() + usize::from(!rest.is_empty());
    let mut powers = powers[64 - count..].iter();
    let mut carried = swap(load(sum));
    let mut total = Product::zero();
    for (block, power) in whole.iter().zip(&mut powers) {
        total.add(veorq_u64(swap(load(block)), carried), load_pair(power));
        carried = vdupq_n_u64(0);
    }
    if let Some(power) = powers.next() {
        let mut block = [0; BLOCK_BYTES];
        block[..rest.len()].copy_from_slice(rest);
        total.add(veorq_u64(swap(load(&block)), carried), load_pair(power));
    }
    if count > 0 {
        total.finish(sum);
    }
}

/// The product of two powers.
#[inline]
#[target_feature(enable = "neon,aes")]
fn multiply(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    let mut product = Product::zero();
    product.add(a, b);
    product.reduce()
}

/// A sum of products that is not reduced yet.
pub(super) struct Product {
    low: uint64x2_t,
    /// To be added in the middle.
    cross: uint64x2_t,
    high: uint64x2_t,
}

impl Product {
    /// `sum` carried over the sixteen blocks whose highest power this is.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    pub(super) fn starting(sum: &[u8; BLOCK_BYTES], power: &[u64; 2]) -> Self {
        let mut product = Self::zero();
        product.add_block(sum, power);
        product
    }

    /// Adds the product of a block.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    pub(super) fn add_block(&mut self, block: &[u8; BLOCK_BYTES], power: &[u64; 2]) {
        self.add(swap(load(block)), load_pair(power));
    }

    /// The sum modulo the polynomial, as GHASH writes it.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    pub(super) fn finish(self, sum: &mut [u8; BLOCK_BYTES]) {
        store(sum, reverse(vreinterpretq_u8_u64(self.reduce())));
    }

    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn zero() -> Self {
        let zero = vdupq_n_u64(0);
        Self {
            low: zero,
            cross: zero,
            high: zero,
        }
    }

    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn add(&mut self, a: uint64x2_t, b: uint64x2_t) {
        let crossed = exchange(b);
        let cross = veorq_u64(low_product(a, crossed), high_product(a, crossed));
        self.low = veorq_u64(self.low, low_product(a, b));
        self.cross = veorq_u64(self.cross, cross);
        self.high = veorq_u64(self.high, high_product(a, b));
    }

    /// The sum modulo x^128 + x^7 + x^2 + x + 1.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn reduce(self) -> uint64x2_t {
        let zero = vdupq_n_u64(0);
        let low = veorq_u64(self.low, vextq_u64::<1>(zero, self.cross));
        let high = veorq_u64(self.high, vextq_u64::<1>(self.cross, zero));
        veorq_u64(high, fold(fold(low)))
    }
}

/// Cancels the lower half against the modulus; the halves change places.
#[inline]
#[target_feature(enable = "neon,aes")]
fn fold(x: uint64x2_t) -> uint64x2_t {
    let modulus = vdupq_n_u64(0xc2 << 56);
    veorq_u64(exchange(x), low_product(x, modulus))
}

/// The carry-less product of the lower halves.
#[inline]
#[target_feature(enable = "neon,aes")]
fn low_product(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    let product = vmull_p64(vgetq_lane_u64::<0>(a), vgetq_lane_u64::<0>(b));
    vreinterpretq_u64_p128(product)
}

/// The carry-less product of the upper halves.
#[inline]
#[target_feature(enable = "neon,aes")]
fn high_product(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    let product = vmull_high_p64(vreinterpretq_p64_u64(a), vreinterpretq_p64_u64(b));
    vreinterpretq_u64_p128(product)
}

#[inline]
#[target_feature(enable = "neon")]
fn exchange(x: uint64x2_t) -> uint64x2_t {
    vextq_u64::<1>(x, x)
}

/// From the order of memory to that of the register.
#[inline]
#[target_feature(enable = "neon")]
fn swap(x: uint8x16_t) -> uint64x2_t {
    vreinterpretq_u64_u8(reverse(x))
}

/// The bytes of a vector, last first.
#[inline]
#[target_feature(enable = "neon")]
fn reverse(x: uint8x16_t) -> uint8x16_t {
    let halves = vrev64q_u8(x);
    vextq_u8::<8>(halves, halves)
}
