//! GHASH (NIST SP 800-38D, 6.4) in plain integers.
//!
//! A block is a polynomial over GF(2) with coefficient `i` at bit `i` of an integer. Products
//! come from integer multiplication: with three bits in four masked out, sums of up to fifteen
//! products stay within their place, and their lowest bit is the sum over GF(2). The idea is
//! that of T. Pornin's BearSSL.
//!
//! It does not run in constant time on a processor whose multiplication does not; those that a
//! node meets do.

/// The block as an integer. GHASH writes the constant coefficient into the first, highest bit.
pub(super) const fn from_block(block: &[u8; 16]) -> u128 {
    u128::from_be_bytes(*block).reverse_bits()
}

/// The inverse of [`from_block`].
pub(super) const fn to_block(element: u128) -> [u8; 16] {
    element.reverse_bits().to_be_bytes()
}

/// The product modulo x^128 + x^7 + x^2 + x + 1.
pub(super) fn multiply(a: u128, b: u128) -> u128 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    let low = multiply_64(a0, b0);
    let high = multiply_64(a1, b1);
    let middle = multiply_64(a0 ^ a1, b0 ^ b1) ^ low ^ high;
    reduce(low ^ (middle << 64), high ^ (middle >> 64))
}

const fn halves(x: u128) -> [u64; 2] {
    [low_half(x), low_half(x >> 64)]
}

/// The lower 64 bits.
pub(super) const fn low_half(x: u128) -> u64 {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = x.to_le_bytes();
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

fn multiply_64(a: u64, b: u64) -> u128 {
    // The upper half of a product is the lower half of the product of the mirrored factors.
    let high = low_product(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
    u128::from(high) << 64 | u128::from(low_product(a, b))
}

/// The lower 64 coefficients of the product.
fn low_product(a: u64, b: u64) -> u64 {
    let a = MASKS.map(|mask| a & mask);
    let b = MASKS.map(|mask| b & mask);
    let mut product = 0;
    for (place, mask) in MASKS.into_iter().enumerate() {
        let mut sum = 0;
        for (i, a) in a.into_iter().enumerate() {
            sum ^= a.wrapping_mul(b[(4 + place - i) % 4]);
        }
        product |= sum & mask;
    }
    product
}

/// Every fourth bit.
const MASKS: [u64; 4] = {
    let first = 0x1111_1111_1111_1111;
    [first, first << 1, first << 2, first << 3]
};

const fn reduce(low: u128, high: u128) -> u128 {
    // x^128 = x^7 + x^2 + x + 1, and what that pushes beyond x^127 goes round once more.
    let beyond = (high >> 127) ^ (high >> 126) ^ (high >> 121);
    low ^ fold(high) ^ fold(beyond)
}

const fn fold(x: u128) -> u128 {
    x ^ (x << 1) ^ (x << 2) ^ (x << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One bit at a time, as the standard defines it.
    fn slow(a: u128, b: u128) -> u128 {
        let mut product = 0;
        for bit in (0..128).rev() {
            let carry = product >> 127;
            product = (product << 1) ^ (carry * 0x87) ^ ((b >> bit & 1) * a);
        }
        product
    }

    proptest! {
        #[test]
        fn the_product_is_that_of_the_standard(a: u128, b: u128) {
            prop_assert_eq!(multiply(a, b), slow(a, b));
            prop_assert_eq!(multiply(a, u128::MAX), slow(a, u128::MAX));
        }
    }

    #[test]
    fn blocks_survive_the_change_of_form() {
        let block = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0eff_u128.to_le_bytes();
        assert_eq!(to_block(from_block(&block)), block);
    }
}
