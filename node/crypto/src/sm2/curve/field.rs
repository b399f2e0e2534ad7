//! Integers modulo the curve's prime p (GB/T 32918.5-2017).
//!
//! It does not branch on a value or index by one: both kinds of caller use it. An [`Element`] x
//! is kept as x * 2^256 mod p (Montgomery's form) in four limbs, always below p, so that equal
//! elements have equal limbs.
//!
//! p = 2^256 - 2^224 - 2^96 + 2^64 - 1 is -1 modulo 2^64. So the multiple of p that clears the
//! lowest limb m of a product is m * p, with no multiplication to find it; and m * p itself is a
//! sum of shifts of m.

use super::limbs;

/// An integer modulo p.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
#[repr(transparent)]
pub(in crate::sm2) struct Element([u64; 4]);

impl Element {
    pub(super) const ZERO: Self = Self([0; 4]);

    /// 2^256 mod p.
    pub(super) const ONE: Self = Self([1, 0xffff_ffff, 0, 1 << 32]);

    /// The element whose limbs in Montgomery's form these are; they must be below p.
    pub(super) const fn from_montgomery(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }

    /// Reads a big-endian integer below p.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Self::from_integer(&limbs::from_bytes(bytes))
    }

    /// The element of an integer below p.
    pub(super) fn from_integer(integer: &[u64; 4]) -> Option<Self> {
        let (_, below) = limbs::sub(integer, &P);
        below.then(|| Self(*integer).mul(&Self(SQUARED_RADIX)))
    }

    /// Writes the element as a big-endian integer.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let [a, b, c, d] = self.0;
        limbs::to_bytes(&reduce(&[a, b, c, d, 0, 0, 0, 0]))
    }

    #[inline]
    pub(super) fn is_zero(self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    #[inline]
    pub(super) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = limbs::add(&self.0, &other.0);
        Self(limbs::reduce_once(&sum, carry, &P))
    }

    #[inline]
    pub(super) fn double(&self) -> Self {
        self.add(self)
    }

    #[inline]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = limbs::sub(&self.0, &other.0);
        let mask = limbs::mask(borrow);
        let (sum, _) = limbs::add(&difference, &P.map(|limb| limb & mask));
        Self(sum)
    }

    #[inline]
    pub(super) fn negate(&self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let mut product = [0; 8];
        for at in 0..4 {
            let mut carry = 0;
            for to in 0..4 {
                (product[at + to], carry) = a[at].carrying_mul_add(b[to], product[at + to], carry);
            }
            product[at + 4] = carry;
        }
        Self(reduce(&product))
    }

    /// The square: the products of two different limbs are made once and doubled.
    #[inline]
    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        let (t1, carry) = a[0].carrying_mul(a[1], 0);
        let (t2, carry) = a[0].carrying_mul(a[2], carry);
        let (t3, t4) = a[0].carrying_mul(a[3], carry);
        let (t3, carry) = a[1].carrying_mul(a[2], t3);
        let (t4, t5) = a[1].carrying_mul_add(a[3], t4, carry);
        let (t5, t6) = a[2].carrying_mul(a[3], t5);

        let t7 = t6 >> 63;
        let t6 = (t6 << 1) | (t5 >> 63);
        let t5 = (t5 << 1) | (t4 >> 63);
        let t4 = (t4 << 1) | (t3 >> 63);
        let t3 = (t3 << 1) | (t2 >> 63);
        let t2 = (t2 << 1) | (t1 >> 63);
        let t1 = t1 << 1;

        let (low0, high0) = a[0].carrying_mul(a[0], 0);
        let (low1, high1) = a[1].carrying_mul(a[1], 0);
        let (low2, high2) = a[2].carrying_mul(a[2], 0);
        let (low3, high3) = a[3].carrying_mul(a[3], 0);
        let (t1, carry) = t1.carrying_add(high0, false);
        let (t2, carry) = t2.carrying_add(low1, carry);
        let (t3, carry) = t3.carrying_add(high1, carry);
        let (t4, carry) = t4.carrying_add(low2, carry);
        let (t5, carry) = t5.carrying_add(high2, carry);
        let (t6, carry) = t6.carrying_add(low3, carry);
        let (t7, _) = t7.carrying_add(high3, carry);
        Self(reduce(&[low0, t1, t2, t3, t4, t5, t6, t7]))
    }

    fn square_times(&self, times: usize) -> Self {
        let mut power = *self;
        for _ in 0..times {
            power = power.square();
        }
        power
    }

    /// The inverse, and zero for zero: the power p - 2, by a fixed chain.
    ///
    /// In 32-bit words, p - 2 is fffffffe, four times ffffffff, 00000000, ffffffff, fffffffd. The
    /// names below say how many ones the exponent has.
    pub(super) fn invert(&self) -> Self {
        let ones_2 = self.square().mul(self);
        let ones_4 = ones_2.square_times(2).mul(&ones_2);
        let ones_8 = ones_4.square_times(4).mul(&ones_4);
        let ones_16 = ones_8.square_times(8).mul(&ones_8);
        let ones_24 = ones_16.square_times(8).mul(&ones_8);
        let ones_28 = ones_24.square_times(4).mul(&ones_4);
        let ones_30 = ones_28.square_times(2).mul(&ones_2);
        let ones_31 = ones_30.square().mul(self);
        let ones_32 = ones_31.square().mul(self);

        let mut power = ones_31.square();
        for _ in 0..4 {
            power = power.square_times(32).mul(&ones_32);
        }
        power = power.square_times(64).mul(&ones_32);
        power
            .square_times(30)
            .mul(&ones_30)
            .square_times(2)
            .mul(self)
    }

    /// This element, or its negative where the mask has ones.
    #[inline]
    pub(super) fn negate_if(&self, mask: u64) -> Self {
        Self(limbs::select(mask, &self.negate().0, &self.0))
    }

    /// Takes over the bits of `other` where the mask has ones, for reading a whole table.
    #[inline]
    pub(super) fn merge(&mut self, mask: u64, other: &Self) {
        for (limb, found) in self.0.iter_mut().zip(&other.0) {
            *limb |= mask & found;
        }
    }
}

/// Divides a product below p * 2^256 by 2^256, modulo p.
#[inline]
fn reduce(product: &[u64; 8]) -> [u64; 4] {
    let [a, b, c, d, high @ ..] = product;
    let mut low = [*a, *b, *c, *d];
    for _ in 0..4 {
        low = clear_lowest(low);
    }
    let (sum, carry) = limbs::add(&low, high);
    limbs::reduce_once(&sum, carry, &P)
}

/// Adds m * p for the lowest limb m, which becomes zero, and drops that limb.
///
/// m * p = m * (2^256 + 2^64) - m * 2^32 * (2^192 + 2^64) - m. The result is below
/// p + 2^192 and so below 2^256; what the last limb loses to wrapping on the way comes back.
#[inline]
fn clear_lowest([m, a1, a2, a3]: [u64; 4]) -> [u64; 4] {
    let (low, high) = (m << 32, m >> 32);
    let (a1, carry) = a1.carrying_add(m, false);
    let (a2, carry) = a2.carrying_add(0, carry);
    let (a3, carry) = a3.carrying_add(0, carry);
    let (a4, _) = m.carrying_add(0, carry);
    let (a1, borrow) = a1.borrowing_sub(low, false);
    let (a2, borrow) = a2.borrowing_sub(high, borrow);
    let (a3, borrow) = a3.borrowing_sub(low, borrow);
    let (a4, _) = a4.borrowing_sub(high, borrow);
    [a1, a2, a3, a4]
}

/// p, the prime of GB/T 32918.5-2017.
pub(super) const P: [u64; 4] = [
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_ffff,
    0xffff_fffe_ffff_ffff,
];

/// 2^512 mod p: multiplying by it brings an integer into Montgomery's form.
const SQUARED_RADIX: [u64; 4] = [0x2_0000_0003, 0x2_ffff_ffff, 0x1_0000_0001, 0x4_0000_0002];
