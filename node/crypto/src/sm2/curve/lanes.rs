//! Several signatures verified side by side.
//!
//! It only ever confirms: a claim that it does not confirm may hold or not, and its owner asks
//! [`super::Jacobian`]. So the lanes have one addition without branches, and no way out of its
//! exceptions but to say nothing. [`lanes8`] says why what they do confirm holds.

#[cfg(target_arch = "x86_64")]
mod field8;
#[cfg(target_arch = "x86_64")]
mod lanes8;

use super::comb::{Comb, KEY_WINDOW_BITS, verifying_base};
use super::order::Integer;
use super::point::Jacobian;

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

impl Claim<'_> {
    /// Looks at the claim alone.
    fn holds(&self) -> bool {
        let of_key = self.key.add_vartime(&self.t, &Jacobian::NEUTRAL);
        let sum = verifying_base().add_vartime(&self.s, &of_key);
        sum.has_x(&self.wanted)
    }
}

/// What this processor verifies with.
#[derive(Clone, Copy)]
pub(in crate::sm2) enum Lanes {
    #[cfg(target_arch = "x86_64")]
    Eight(lanes8::Lanes8),
    One,
}

impl Lanes {
    /// How many claims are looked at together.
    pub(in crate::sm2) const COUNT: usize = 8;

    /// The best that there is.
    pub(in crate::sm2) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = lanes8::Lanes8::detect() {
            return Self::Eight(lanes);
        }
        Self::One
    }

    /// Whether looking at claims together saves time.
    pub(in crate::sm2) const fn are_many(self) -> bool {
        !matches!(self, Self::One)
    }

    /// Which claims are sure to hold. The others need another look.
    pub(in crate::sm2) fn confirm(self, claims: &[&Claim<'_>; Self::COUNT]) -> [bool; Self::COUNT] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Eight(lanes) => lanes.confirm(claims),
            Self::One => claims.map(Claim::holds),
        }
    }
}
