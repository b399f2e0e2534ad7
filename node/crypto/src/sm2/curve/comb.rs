//! Tables of multiples of one point, so that multiplying it needs additions only.
//!
//! It does not choose which points are worth a table; it keeps the two of the base point.
//!
//! A scalar is written with odd digits only. Since it is odd (the caller takes n - k for an even
//! k), cut it into windows of `W` bits and set the lowest bit of each; a window whose lowest bit
//! was clear took one from the window below. So digit i is bits `iW ..= iW + W` with the lowest
//! bit set, minus 2^W; the topmost digit keeps its 2^W. All digits are odd and below 2^W in
//! absolute value, and each depends on its own bits alone.

use std::sync::OnceLock;

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use super::field::Element;
use super::limbs;
use super::order::Integer;
use super::point::{Affine, Jacobian, to_affine};

/// For each window i of `W` bits, the odd multiples 1, 3, .. 2^W - 1 of 2^(iW) times the point.
pub(in crate::sm2) struct Comb<const W: usize> {
    entries: Box<[Affine]>,
}

impl<const W: usize> Comb<W> {
    /// How many entries are added up for a scalar: one of each window.
    pub(super) const WINDOWS: usize = 256_usize.div_ceil(W);
    const ENTRIES_PER_WINDOW: usize = 1 << (W - 1);

    /// The size of the table in bytes.
    pub(in crate::sm2) const BYTES: usize =
        Self::WINDOWS * Self::ENTRIES_PER_WINDOW * size_of::<Affine>();

    pub(in crate::sm2) fn new(point: &Affine) -> Self {
        let mut base = Jacobian::from_affine(point);
        let mut entries = Vec::with_capacity(Self::WINDOWS * Self::ENTRIES_PER_WINDOW);
        for _ in 0..Self::WINDOWS {
            let twice = base.double();
            let mut entry = base;
            entries.push(entry);
            for _ in 1..Self::ENTRIES_PER_WINDOW {
                entry = entry.add(&twice);
                entries.push(entry);
            }
            // The next window's base is 2^W times this one: one more than the last entry.
            base = entry.add(&base);
        }
        Self {
            entries: to_affine(&entries),
        }
    }

    /// `start` plus `scalar` times the point. Variable time: the scalar must be public.
    pub(in crate::sm2) fn add_vartime(&self, scalar: &Integer, start: &Jacobian) -> Jacobian {
        if scalar.is_zero() {
            return *start;
        }
        let (odd, flipped) = scalar.odd();
        let mut sum = *start;
        for window in 0..Self::WINDOWS {
            let (entry, negative) = self.entry(&odd, window);
            sum = sum.add_affine(&entry.negate_if(limbs::mask(negative ^ flipped)));
        }
        sum
    }

    /// The entry of the absolute value of an odd scalar's digit, and whether the digit is
    /// negative. Variable time: the scalar must be public.
    #[inline]
    pub(super) fn entry(&self, odd: &[u64; 4], window: usize) -> (&Affine, bool) {
        let (index, negative) = Self::digit(odd, window);
        #[expect(clippy::cast_possible_truncation, reason = "an index is below 2^W")]
        let index = index as usize;
        let entry = &self.entries[window * Self::ENTRIES_PER_WINDOW + index];
        (entry, negative != 0)
    }

    fn windows(&self) -> impl Iterator<Item = (usize, &[Affine])> {
        self.entries
            .chunks_exact(Self::ENTRIES_PER_WINDOW)
            .enumerate()
    }

    /// Where the absolute value of an odd scalar's digit stands in its window's entries, and a
    /// mask of ones if the digit is negative.
    #[inline]
    fn digit(odd: &[u64; 4], window: usize) -> (u64, u64) {
        let top = window == Self::WINDOWS - 1;
        let bits = limbs::bits(odd, window * W, W + 1) | 1 | (u64::from(top) << W);
        // `bits` is 2^W more than the digit: with bit W the digit is positive, and its value is
        // the lower bits; without, its absolute value is 2^W - bits, which is the complement of
        // the lower bits plus one.
        let negative = (bits >> W).wrapping_sub(1);
        let absolute = (bits ^ negative) & ((1 << W) - 1);
        (absolute >> 1, negative)
    }
}

impl Comb<SIGNING_WINDOW_BITS> {
    /// A secret odd scalar below n, times the point. Constant time.
    ///
    /// [`Jacobian::add_distinct`] is enough. Before window i the sum is an odd multiple of the
    /// point, below 2^(5i) in absolute value, and what is added is a multiple by at least 2^(5i):
    /// the two differ, they are no negatives, and the sum is not neutral, as integers; and so
    /// they do modulo n while they are below 2^255 together, which ends before the last window.
    /// There, the digit is 1, and the two multiples can only be equal modulo n, for the one
    /// scalar 2^256 - n. It then gives z = 0, and the caller draws another.
    pub(in crate::sm2) fn multiply(&self, odd: &[u64; 4]) -> Jacobian {
        let mut windows = self
            .windows()
            .map(|(window, entries)| Self::read(odd, window, entries));
        let first = windows.next();
        first.map_or(Jacobian::NEUTRAL, |first| {
            windows.fold(Jacobian::from_affine(&first), |sum, entry| {
                sum.add_distinct(&entry)
            })
        })
    }

    /// Reads every entry of a window and keeps the one of the scalar's digit.
    #[inline]
    fn read(odd: &[u64; 4], window: usize, entries: &[Affine]) -> Affine {
        let (index, negative) = Self::digit(odd, window);
        let mut found = Affine {
            x: Element::ZERO,
            y: Element::ZERO,
        };
        for (at, entry) in (0_u64..).zip(entries) {
            let mask = u64::conditional_select(&0, &u64::MAX, at.ct_eq(&index));
            found.x.merge(mask, &entry.x);
            found.y.merge(mask, &entry.y);
        }
        found.negate_if(negative)
    }
}

/// The base point's table for signing: small, since all of it is read for each signature.
pub(in crate::sm2) fn signing_base() -> &'static Comb<SIGNING_WINDOW_BITS> {
    static TABLE: OnceLock<Comb<SIGNING_WINDOW_BITS>> = OnceLock::new();
    TABLE.get_or_init(|| Comb::new(&BASE))
}

/// The base point's table for verification: large, since 32 places of it are read.
pub(in crate::sm2) fn verifying_base() -> &'static Comb<VERIFYING_WINDOW_BITS> {
    static TABLE: OnceLock<Comb<VERIFYING_WINDOW_BITS>> = OnceLock::new();
    TABLE.get_or_init(|| Comb::new(&BASE))
}

/// 52 windows of 16 entries: 52 KiB.
const SIGNING_WINDOW_BITS: usize = 5;

/// 32 windows of 128 entries: 256 KiB, once for the process.
pub(super) const VERIFYING_WINDOW_BITS: usize = 8;

/// 52 windows of 16 entries for a key. Wider windows save few additions and cost memory: 6 bits
/// would take 86 KiB.
pub(in crate::sm2) const KEY_WINDOW_BITS: usize = 5;

/// The base point of GB/T 32918.5-2017; a test compares it with the coordinates written there.
pub(super) const BASE: Affine = Affine {
    x: Element::from_montgomery([
        0x6132_8990_f418_029e,
        0x3e79_81ed_dca6_c050,
        0xd6a1_ed99_ac24_c3c3,
        0x9116_7a5e_e1c1_3b05,
    ]),
    y: Element::from_montgomery([
        0xc135_4e59_3c2d_0ddd,
        0xc1f5_e578_8d32_95fa,
        0x8d4c_fb06_6e2a_48f8,
        0x63cd_65d4_81d7_35bd,
    ]),
};
