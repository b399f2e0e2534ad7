//! Integers modulo the order n of the curve's base point (GB/T 32918.5-2017), for verification.
//!
//! It does not multiply, and it is not for secrets: signing computes with RustCrypto's scalars.

use super::field::Element;
use super::limbs;

/// An integer below n.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(in crate::sm2) struct Integer([u64; 4]);

impl Integer {
    /// Reads a big-endian integer below n.
    pub(in crate::sm2) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let integer = limbs::from_bytes(bytes);
        let (_, below) = limbs::sub(&integer, &N);
        below.then_some(Self(integer))
    }

    /// Reads any big-endian integer and reduces it; one subtraction is enough, since 2^256 is
    /// below 2n.
    pub(in crate::sm2) fn reduced(bytes: &[u8; 32]) -> Self {
        Self(limbs::reduce_once(&limbs::from_bytes(bytes), false, &N))
    }

    pub(in crate::sm2) fn is_zero(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(in crate::sm2) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = limbs::add(&self.0, &other.0);
        Self(limbs::reduce_once(&sum, carry, &N))
    }

    pub(in crate::sm2) fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = limbs::sub(&self.0, &other.0);
        if borrow {
            Self(limbs::add(&difference, &N).0)
        } else {
            Self(difference)
        }
    }

    /// An odd integer with the same multiple up to its sign, and whether the sign changed: n is
    /// odd, so that one of x and n - x is.
    pub(super) fn odd(&self) -> ([u64; 4], bool) {
        if self.0[0] & 1 == 1 {
            (self.0, false)
        } else {
            (limbs::sub(&N, &self.0).0, true)
        }
    }

    pub(super) const fn limbs(&self) -> &[u64; 4] {
        &self.0
    }

    /// The integers below p that are this one modulo n: itself, since n is below p, and itself
    /// plus n if that is below p too.
    pub(super) fn elements(&self) -> [Option<Element>; 2] {
        let (sum, carry) = limbs::add(&self.0, &N);
        let second = if carry {
            None
        } else {
            Element::from_integer(&sum)
        };
        [Element::from_integer(&self.0), second]
    }
}

/// n, the order of the base point in GB/T 32918.5-2017.
pub(super) const N: [u64; 4] = [
    0x53bb_f409_39d5_4123,
    0x7203_df6b_21c6_052b,
    0xffff_ffff_ffff_ffff,
    0xffff_fffe_ffff_ffff,
];
