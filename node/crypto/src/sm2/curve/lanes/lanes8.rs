//! Eight claims in AVX-512 registers, one in each 64-bit lane.
//!
//! It does not handle the exceptions of adding points, it is not for secrets, and it says nothing
//! about a claim that it does not confirm.
//!
//! **The sum.** A point is (x / zz, y / zzz) with zz^3 = zzz^2, which adds an affine point in eight
//! multiplications and two squares. All digits of a comb are odd, so each of the 84 windows of
//! both tables has a point to add in every lane, and the first starts the sum. A step makes
//! `entry - sum` rather than `sum + entry`: so no product has to be subtracted in y. Every second
//! entry is negated to make up for it. What is left is the sum of all or its negative, and both
//! have the same x coordinate.
//!
//! **Why a confirmed claim holds.** Let u be the difference of the x coordinates of entry and sum,
//! scaled by zz. A step multiplies zz by u^2. p is a prime, so zz is zero at the end exactly if u
//! was zero in some step; and [`is_x`] refuses zero. Where zz is not zero, no step met an equal
//! point or an opposite one, and starting from an affine point, no sum was neutral: then the
//! formula, which is the chord's, is right in each step. x and zz are those of the true sum, and
//! the claim is decided by the same comparison as one at a time. The exceptions are the claims of
//! someone who looks for them; they cost a second look, and a test provokes them at each window.
//!
//! **Bounds.** [`field8`](super::field8) computes with residues that are not the least: it says
//! what goes in and comes out. With x below 2.01 p, y below 3.2 p, zz and zzz below 2 p, and the
//! entries below 16 p, a step keeps these bounds; the comments count.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_load_si512, _mm512_shuffle_i64x2, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};
use std::array;

use super::field8::{ONE, Residues};
use super::{Claim, KEY_WINDOW_BITS, Lanes};
use crate::sm2::curve::comb::{Comb, VERIFYING_WINDOW_BITS, verifying_base};
use crate::sm2::curve::field::Element;
use crate::sm2::curve::point::{Affine, is_x};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(in crate::sm2) struct Lanes8(());

impl Lanes8 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        found.then_some(Self(()))
    }

    /// Which claims are sure to hold.
    pub(super) fn confirm(self, claims: &[&Claim<'_>; Lanes::COUNT]) -> [bool; Lanes::COUNT] {
        let found = self.add_up(&claims.map(Terms::of));
        array::from_fn(|lane| {
            let (x, zz) = &found[lane];
            is_x(x, zz, &claims[lane].wanted)
        })
    }

    /// x and zz of each sum, up to its sign; zz is zero where there was an exception.
    #[expect(
        unsafe_code,
        reason = "only here is it known that the processor can do it"
    )]
    pub(super) fn add_up(
        self,
        terms: &[Terms<'_>; Lanes::COUNT],
    ) -> [(Element, Element); Lanes::COUNT] {
        // SAFETY: `detect` found all instructions.
        unsafe { add_up(terms) }
    }
}

/// What a lane adds up.
pub(super) struct Terms<'a> {
    key: &'a Comb<KEY_WINDOW_BITS>,
    of_key: ([u64; 4], bool),
    base: &'static Comb<VERIFYING_WINDOW_BITS>,
    of_base: ([u64; 4], bool),
}

impl<'a> Terms<'a> {
    const COUNT: usize = Comb::<KEY_WINDOW_BITS>::WINDOWS + Comb::<VERIFYING_WINDOW_BITS>::WINDOWS;

    pub(super) fn of(claim: &Claim<'a>) -> Self {
        Self {
            key: claim.key,
            of_key: claim.t.odd(),
            base: verifying_base(),
            of_base: claim.s.odd(),
        }
    }

    /// The entry of a step, and whether its negative is to be added.
    #[inline]
    fn entry(&self, step: usize) -> (&'a Affine, bool) {
        let ((entry, negative), flipped) = match step.checked_sub(Comb::<KEY_WINDOW_BITS>::WINDOWS)
        {
            None => (self.key.entry(&self.of_key.0, step), self.of_key.1),
            Some(step) => (self.base.entry(&self.of_base.0, step), self.of_base.1),
        };
        (entry, negative ^ flipped)
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up(terms: &[Terms<'_>; Lanes::COUNT]) -> [(Element, Element); Lanes::COUNT] {
    let mut sums = Points::start(&Entries::load(terms, 0));
    // Loaded a step ahead, so that a table that is far away comes while there is work.
    let mut entries = Entries::load(terms, 1);
    for step in 2..Terms::COUNT {
        let next = Entries::load(terms, step);
        sums.subtract_from(&entries);
        entries = next;
    }
    sums.subtract_from(&entries);
    let (x, zz) = (sums.x.to_elements(), sums.zz.to_elements());
    array::from_fn(|lane| (x[lane], zz[lane]))
}

/// One affine point in each lane.
struct Entries {
    x: Residues,
    y: Residues,
    negative: __mmask8,
}

impl Entries {
    /// The entries of a step, below 16 p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn load(terms: &[Terms<'_>; Lanes::COUNT], step: usize) -> Self {
        let found: [(&Affine, bool); Lanes::COUNT] = array::from_fn(|lane| terms[lane].entry(step));
        let odd_step = step % 2 == 1;
        let mut negative = 0;
        for (lane, (_, negated)) in found.iter().enumerate() {
            negative |= __mmask8::from(negated ^ odd_step) << lane;
        }
        let [x @ .., y0, y1, y2, y3] = transpose(&found.map(|(entry, _)| entry));
        Self {
            x: Residues::from_words(&x),
            y: Residues::from_words(&[y0, y1, y2, y3]),
            negative,
        }
    }
}

/// The four words of x and the four of y, of eight points.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(points: &[&Affine; Lanes::COUNT]) -> [__m512i; 8] {
    const FIRST_AND_THIRD: i32 = 0b10_00_10_00;
    const SECOND_AND_FOURTH: i32 = 0b11_01_11_01;
    // Pairs of points: words 0, 2, 4, 6 of both, and words 1, 3, 5, 7.
    let (pairs, _) = points.as_chunks::<2>();
    let pair = |at: usize| (load(pairs[at][0]), load(pairs[at][1]));
    let even = |at: usize| _mm512_unpacklo_epi64(pair(at).0, pair(at).1);
    let odd = |at: usize| _mm512_unpackhi_epi64(pair(at).0, pair(at).1);
    let halves = |a, b| {
        (
            _mm512_shuffle_i64x2::<FIRST_AND_THIRD>(a, b),
            _mm512_shuffle_i64x2::<SECOND_AND_FOURTH>(a, b),
        )
    };
    // Words 0 and 4, then 2 and 6, of four points each; and the same of the odd words.
    let (e04, e26) = (halves(even(0), even(1)), halves(even(2), even(3)));
    let (o15, o37) = (halves(odd(0), odd(1)), halves(odd(2), odd(3)));
    let (x0, y0) = halves(e04.0, e26.0);
    let (x2, y2) = halves(e04.1, e26.1);
    let (x1, y1) = halves(o15.0, o37.0);
    let (x3, y3) = halves(o15.1, o37.1);
    [x0, x1, x2, x3, y0, y1, y2, y3]
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors come from memory through pointers")]
fn load(point: &Affine) -> __m512i {
    const { assert!(size_of::<Affine>() == 64 && align_of::<Affine>() == 64) };
    // SAFETY: the reference is good for 64 bytes, and a point is aligned to as many.
    unsafe { _mm512_load_si512(std::ptr::from_ref(point).cast()) }
}

/// One sum in each lane: (x / zz, y / zzz).
struct Points {
    x: Residues,
    y: Residues,
    zz: Residues,
    zzz: Residues,
}

impl Points {
    /// Affine points.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn start(entries: &Entries) -> Self {
        let one = Residues::all(ONE);
        // 16 * 1 / 16 + 1: both below 2 p. So y or its negative is below 3 p.
        let (x, y) = (entries.x.mul(&one), entries.y.mul(&one));
        Self {
            x,
            y: y.unsettled().subtract_from_3p(entries.negative).carry(),
            zz: one,
            zzz: one,
        }
    }

    /// Makes each sum `entry - sum`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn subtract_from(&mut self, entries: &Entries) {
        let (x, y) = (self.x.unsettled(), self.y.unsettled());
        // Both 16 * 2 / 16 + 1: below 3 p.
        let their_x = entries.x.mul(&self.zz).unsettled();
        let their_y = entries.y.mul(&self.zzz).unsettled();
        // 3 + 3: below 6 p. The sum is negated, so that its y is added: 3.2 + 3, below 6.2 p.
        let width = their_x.minus(&x).plus_3p().carry();
        let height = their_y.subtract_from_3p(entries.negative).plus(&y).carry();
        // 6 * 6 / 16 + 1, 6 * 3.25 / 16 + 1, 2.01 * 3.25 / 16 + 1: below 3.25, 2.22 and 1.41 p.
        let squared = width.square();
        let cubed = width.mul(&squared);
        let middle = self.x.mul(&squared);
        // 6.2 * 6.2 / 16 + 1: below 3.41 p. x then lies above -(2.22 + 2 * 1.41) p.
        let x = height
            .square()
            .unsettled()
            .minus(&cubed.unsettled())
            .minus(&middle.unsettled())
            .minus(&middle.unsettled());
        self.x = x.settle();
        // 1.41 + 3: below 4.41 p. And (6.2 * 4.41 + 3.2 * 2.22) / 16 + 1: below 3.2 p.
        let back = middle
            .unsettled()
            .minus(&self.x.unsettled())
            .plus_3p()
            .carry();
        self.y = height.mul_and_add(&back, &self.y, &cubed);
        // 2 * 3.25 / 16 + 1, 2 * 2.22 / 16 + 1: below 1.41 and 1.28 p.
        self.zz = self.zz.mul(&squared);
        self.zzz = self.zzz.mul(&cubed);
    }
}

#[cfg(test)]
mod tests;
