//! A multiple of a point that has no table.
//!
//! It does not take secrets: its time depends on the scalar.

use super::limbs;
use super::order::Integer;
use super::point::{Affine, Jacobian};

/// `scalar` times the point. Variable time: the scalar must be public.
pub(in crate::sm2) fn multiply_vartime(point: &Affine, scalar: &Integer) -> Jacobian {
    let base = Jacobian::from_affine(point);
    let twice = base.double();
    let mut odd_multiples = [base; ODD_MULTIPLES];
    for at in 1..ODD_MULTIPLES {
        odd_multiples[at] = odd_multiples[at - 1].add(&twice);
    }
    let mut product = Jacobian::NEUTRAL;
    let digits = sparse_digits(scalar);
    for digit in digits.iter().rev().skip_while(|digit| **digit == 0) {
        product = product.double();
        if *digit != 0 {
            let multiple = &odd_multiples[usize::from(digit.unsigned_abs() / 2)];
            product = if *digit > 0 {
                product.add(multiple)
            } else {
                product.add(&multiple.negate())
            };
        }
    }
    product
}

/// The non-adjacent form of width 5: the scalar is the sum of digit i times 2^i, each digit is
/// zero or odd and below 16 in absolute value, and of five in a row at most one is not zero.
pub(super) fn sparse_digits(scalar: &Integer) -> [i8; 257] {
    let limbs = scalar.limbs();
    let mut digits = [0; 257];
    let mut carry = 0;
    let mut at = 0;
    while at < 256 {
        if limbs::bits(limbs, at, 1) == carry {
            at += 1;
            continue;
        }
        let length = DIGIT_BITS.min(256 - at);
        let window = limbs::bits(limbs, at, length) + carry;
        carry = window >> (DIGIT_BITS - 1) & 1;
        #[expect(clippy::cast_possible_truncation, reason = "a window is at most 31")]
        let digit = window as i8 - ((carry as i8) << DIGIT_BITS);
        digits[at] = digit;
        at += length;
    }
    digits[256] = i8::from(carry == 1);
    digits
}

const DIGIT_BITS: usize = 5;

/// 1, 3, .. 15 times the point.
const ODD_MULTIPLES: usize = 1 << (DIGIT_BITS - 2);
