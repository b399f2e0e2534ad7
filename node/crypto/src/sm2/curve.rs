//! Arithmetic on the curve of GB/T 32918.5-2017, for signatures only.
//!
//! It does not know keys, messages or encodings, and it does not serve key wraps: those stay with
//! RustCrypto. Two kinds of caller meet here, and each function says which one it is for:
//!
//! ```text
//!   verification, all input public            signing, the scalar is a secret
//!   multiply_vartime   Comb::add_vartime      Comb::multiply
//!          \                |                       |
//!           Jacobian with its exceptions      Jacobian::add_distinct, no branch
//!                        \                     /
//!                         Element: no branch, no index
//! ```
//!
//! Where the processor has the instructions, [`Lanes`] verify eight signatures at once, by
//! additions and a field of their own; what they do not confirm goes the first of these ways.
//!
//! **Constant time.** Below [`Comb::multiply`] nothing branches on, or indexes by, the scalar: its
//! digits are cut out at places that the window number gives, the table is read as a whole for
//! each digit, and the formula is the same for every digit since none is zero. Elements are
//! reduced by masks. What the compiler makes of it is measured by the example `timing`.

mod comb;
mod field;
mod lanes;
mod limbs;
mod multiply;
mod order;
mod point;

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

pub(super) use comb::{Comb, KEY_WINDOW_BITS, verifying_base};
pub(super) use lanes::{Claim, Lanes};
pub(super) use multiply::multiply_vartime;
pub(super) use order::Integer;
pub(super) use point::{Affine, Jacobian};

/// The x coordinate of a secret odd scalar times the base point. Constant time.
///
/// Nothing for one scalar, 2^256 - n; [`Comb::multiply`] says why.
pub(super) fn base_multiple_x(odd: &[u8; 32]) -> Option<[u8; 32]> {
    let odd = Zeroizing::new(limbs::from_bytes(odd));
    comb::signing_base().multiply(&odd).x_bytes()
}
