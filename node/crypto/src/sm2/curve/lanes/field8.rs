//! Eight residues modulo the curve's prime p, in five vectors of 52-bit limbs.
//!
//! It does not compare, and it does not keep residues least: only [`Residues::to_elements`] does.
//! A residue x stands as x * 2^260 (Montgomery's form for five limbs), below 2^260, which is a
//! little more than 16 p.
//!
//! | step | takes | gives |
//! |---|---|---|
//! | product of values below a p and b p | a, b up to 16 | below (a b / 16 + 1) p |
//! | sums and differences, then [`Unsettled::carry`] | 0 to 16 p | the same value |
//! | sums and differences, then [`Unsettled::settle`] | -16 p to 16 p | below 2.01 p |
//!
//! The multiplier of the processor takes the low 52 bits of each operand and adds the low or high
//! half of the product to a 64-bit lane. So limbs must be below 2^52 before a product, and while
//! products are added up, columns have 12 bits to spare, of which the sign is one: they are
//! carried by arithmetic shifts.
//!
//! p = 2^208 * [`P4`] - 2^104 + 2^52 * [`P1`] - 1. As in [`super::super::field`], it is -1 modulo
//! the lowest limb's radix, so the multiple of p that clears the lowest limb m is m * p.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_sub_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srai_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
    _mm512_ternarylogic_epi64,
};

use crate::sm2::curve::field::{Element, P};
use crate::sm2::curve::limbs;

/// Eight residues, each below 2^260 in limbs below 2^52.
#[derive(Clone, Copy)]
pub(super) struct Residues([__m512i; 5]);

/// Eight sums of a few residues and their negatives, whose limbs were not carried.
#[derive(Clone, Copy)]
pub(super) struct Unsettled([__m512i; 5]);

impl Residues {
    /// The same residue in all lanes.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn all(limbs: [u64; 5]) -> Self {
        Self(spread(limbs))
    }

    /// The residues of [`Element`]s given as vectors of their words, below 16 p.
    ///
    /// An element's words are x * 2^256. Shifted by four bits, they are x * 2^260.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_words(words: &[__m512i; 4]) -> Self {
        const FIRST_OR_MASKED_SECOND: i32 = 0xf8;
        let [a, b, c, d] = *words;
        let mask = spread_one(MASK);
        let join = |low, high| _mm512_ternarylogic_epi64::<FIRST_OR_MASKED_SECOND>(low, high, mask);
        Self([
            _mm512_and_si512(_mm512_slli_epi64::<4>(a), mask),
            join(_mm512_srli_epi64::<48>(a), _mm512_slli_epi64::<16>(b)),
            join(_mm512_srli_epi64::<36>(b), _mm512_slli_epi64::<28>(c)),
            join(_mm512_srli_epi64::<24>(c), _mm512_slli_epi64::<40>(d)),
            _mm512_srli_epi64::<12>(d),
        ])
    }

    /// The residues as elements.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn to_elements(self) -> [Element; 8] {
        // x * 2^260 times 2^256 over 2^260: an element's words, but below 2 p instead of p.
        let product = self.mul(&Self::all([0, 0, 0, 0, 1 << 48]));
        let limbs = product.0.map(|vector| store(vector));
        std::array::from_fn(|lane| {
            let [a, b, c, d, e] = limbs.map(|limb| limb[lane]);
            let words = [
                a | b << 52,
                b >> 12 | c << 40,
                c >> 24 | d << 28,
                d >> 36 | e << 16,
            ];
            Element::from_montgomery(limbs::reduce_once(&words, e >> 48 != 0, &P))
        })
    }

    #[inline]
    pub(super) const fn unsettled(self) -> Unsettled {
        Unsettled(self.0)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let mut columns = [_mm512_setzero_si512(); 10];
        add_product(&mut columns, self, other);
        reduce(columns)
    }

    /// `self * other + third * fourth`, reduced once.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn mul_and_add(&self, other: &Self, third: &Self, fourth: &Self) -> Self {
        let mut columns = [_mm512_setzero_si512(); 10];
        add_product(&mut columns, self, other);
        add_product(&mut columns, third, fourth);
        reduce(columns)
    }

    /// The square: products of two different limbs are made once and doubled.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        let mut columns = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
                columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
            }
        }
        for column in &mut columns[1..9] {
            *column = _mm512_add_epi64(*column, *column);
        }
        for i in 0..5 {
            columns[2 * i] = _mm512_madd52lo_epu64(columns[2 * i], a[i], a[i]);
            columns[2 * i + 1] = _mm512_madd52hi_epu64(columns[2 * i + 1], a[i], a[i]);
        }
        reduce(columns)
    }
}

impl Unsettled {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn plus(mut self, other: &Self) -> Self {
        for (limb, more) in self.0.iter_mut().zip(&other.0) {
            *limb = _mm512_add_epi64(*limb, *more);
        }
        self
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn minus(mut self, other: &Self) -> Self {
        for (limb, less) in self.0.iter_mut().zip(&other.0) {
            *limb = _mm512_sub_epi64(*limb, *less);
        }
        self
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn plus_3p(self) -> Self {
        self.plus(&Self(spread(P_3)))
    }

    /// 3 p minus the value in the lanes of the mask, and the value in the others.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn subtract_from_3p(mut self, lanes: __mmask8) -> Self {
        for (limb, from) in self.0.iter_mut().zip(P_3) {
            *limb = _mm512_mask_sub_epi64(*limb, lanes, spread_one(from), *limb);
        }
        self
    }

    /// The value, which must be from 0 to 16 p.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn carry(mut self) -> Residues {
        let mask = spread_one(MASK);
        for i in 0..4 {
            let carry = _mm512_srai_epi64::<52>(self.0[i]);
            self.0[i + 1] = _mm512_add_epi64(self.0[i + 1], carry);
            self.0[i] = _mm512_and_si512(self.0[i], mask);
        }
        Residues(self.0)
    }

    /// A residue of the value, which must be from -16 p to 16 p; it is below 2.01 p.
    ///
    /// The bits from 2^256 on, less one, say how often p is subtracted: h times. With carries that
    /// come later, the lower bits are from -2^212 to 2^256 + 2^212, and h * (2^256 - p) is below
    /// 2^229 in absolute value; so with the one p more, the result is above zero.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn settle(self) -> Residues {
        let [a, b, c, d, e] = self.0;
        let h = _mm512_sub_epi64(_mm512_srai_epi64::<48>(e), spread_one(1));
        // -h * p = h * (1 - 2^64 + 2^96 + 2^224 - 2^256).
        let a = _mm512_add_epi64(a, h);
        let b = _mm512_add_epi64(b, _mm512_slli_epi64::<44>(h));
        let b = _mm512_sub_epi64(b, _mm512_slli_epi64::<12>(h));
        let e = _mm512_add_epi64(e, _mm512_slli_epi64::<16>(h));
        let e = _mm512_sub_epi64(e, _mm512_slli_epi64::<48>(h));
        Self([a, b, c, d, e]).carry()
    }
}

/// Adds a product in columns of 52 bits: at most ten halves of products a column.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_product(columns: &mut [__m512i; 10], a: &Residues, b: &Residues) {
    for i in 0..5 {
        for j in 0..5 {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a.0[i], b.0[j]);
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a.0[i], b.0[j]);
        }
    }
}

/// Divides by 2^260 modulo p: adds m * p for the lowest limb m, five times.
///
/// m * p = m * (2^208 * P4 + 2^52 * P1) - 2^104 * m - m. The last of these leaves of the lowest
/// column what belongs to the next.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce(mut columns: [__m512i; 10]) -> Residues {
    let (mask, p1, p4) = (spread_one(MASK), spread_one(P1), spread_one(P4));
    for i in 0..5 {
        let m = _mm512_and_si512(columns[i], mask);
        let carry = _mm512_srai_epi64::<52>(columns[i]);
        columns[i + 1] = _mm512_add_epi64(columns[i + 1], carry);
        columns[i + 1] = _mm512_madd52lo_epu64(columns[i + 1], m, p1);
        columns[i + 2] = _mm512_sub_epi64(columns[i + 2], m);
        columns[i + 2] = _mm512_madd52hi_epu64(columns[i + 2], m, p1);
        columns[i + 4] = _mm512_madd52lo_epu64(columns[i + 4], m, p4);
        columns[i + 5] = _mm512_madd52hi_epu64(columns[i + 5], m, p4);
    }
    let [.., a, b, c, d, e] = columns;
    Unsettled([a, b, c, d, e]).carry()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn spread_one(limb: u64) -> __m512i {
    _mm512_set1_epi64(limb.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn spread(limbs: [u64; 5]) -> [__m512i; 5] {
    let [a, b, c, d, e] = limbs;
    [
        spread_one(a),
        spread_one(b),
        spread_one(c),
        spread_one(d),
        spread_one(e),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors go to memory through pointers")]
fn store(vector: __m512i) -> [u64; 8] {
    let mut lanes = [0; 8];
    // SAFETY: the array is 64 bytes long, and the store is unaligned.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) }
    lanes
}

/// The bits of a limb.
const MASK: u64 = (1 << 52) - 1;

/// 2^52 - 2^44 + 2^12.
const P1: u64 = (1 << 52) - (1 << 44) + (1 << 12);

/// 2^48 - 2^16.
const P4: u64 = (1 << 48) - (1 << 16);

/// 2^260 mod p: one.
pub(super) const ONE: [u64; 5] = [0x10, 0xffff_ffff_0000, 0, 0, 0x10_0000];

/// 3 p.
const P_3: [u64; 5] = [
    0xf_ffff_ffff_fffd,
    0xf_d000_0000_2fff,
    0xf_ffff_ffff_ffff,
    0xf_ffff_ffff_ffff,
    0x2_ffff_fffc_ffff,
];

#[cfg(test)]
mod tests;
