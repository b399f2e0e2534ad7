//! Several signatures verified side by side.
//!
//! It only ever confirms: a claim that it does not confirm may hold or not, and its owner asks
//! [`super::Jacobian`]. So the lanes have one addition without branches, and no way out of its
//! exceptions but to say nothing. [`lanes8`] says why what they do confirm holds.

#[cfg(target_arch = "x86_64")]
mod field8;
#[cfg(target_arch = "x86_64")]
mod lanes8;

use super::comb::{Comb, KEY_WINDOW_BITS};
use super::order::Integer;

/// A signature's last equation: the x coordinate of `s` times the base point plus `t` times the
/// key is `wanted`, modulo n.
#[derive(Clone, Copy)]
pub(in crate::sm2) struct Claim<'a> {
    pub(in crate::sm2) key: &'a Comb<KEY_WINDOW_BITS>,
    /// Not zero.
    pub(in crate::sm2) t: Integer,
    /// Not zero.
    pub(in crate::sm2) s: Integer,
    pub(in crate::sm2) wanted: Integer,
}

/// What this processor verifies side by side with.
#[derive(Clone, Copy)]
pub(in crate::sm2) enum Lanes {
    #[cfg(target_arch = "x86_64")]
    Eight(lanes8::Lanes8),
}

impl Lanes {
    /// How many claims are looked at together.
    pub(in crate::sm2) const COUNT: usize = 8;

    /// Nothing where one at a time is all there is.
    pub(in crate::sm2) fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        let found = lanes8::Lanes8::detect().map(Self::Eight);
        #[cfg(not(target_arch = "x86_64"))]
        let found = None;
        found
    }

    /// Which claims are sure to hold. The others need another look.
    pub(in crate::sm2) fn confirm(self, claims: &[&Claim<'_>; Self::COUNT]) -> [bool; Self::COUNT] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Eight(lanes) => lanes.confirm(claims),
        }
    }
}
