//! Where the kernels' numbers come from: the S-box of SM4 as algebra, worked out by the compiler.
//!
//! GB/T 32907-2016 gives the S-box as a table. It is also `S(x) = A inv(A x + C) + C` over
//! GF(2^8) modulo x^8+x^7+x^6+x^5+x^4+x^2+1 (F. Liu et al., "Analysis of the SMS4 Block Cipher",
//! ACISP 2007), which needs no table: processors and circuits invert in other forms of the same
//! field, and a linear map leads there and back. The maps are found here.
//!
//! It does not compute on data: everything in this file is a constant or makes one.

/// A linear map over the bits of a byte: row `i` masks the input bits that sum to output bit `i`.
pub(super) type BitMatrix = [u8; 8];

/// The affine map of the S-box: a circulant matrix and its constant.
const AFFINE: BitMatrix = circulant(0xa7);
pub(super) const AFFINE_ADD: u8 = 0xd3;

/// The field of the S-box: x^8 is the sum of these powers of x.
const SM4_FIELD: u8 = 0xf5;
/// The same of AES, in which GFNI and AES-NI invert (FIPS 197, section 4.2).
const AES_FIELD: u8 = 0x1b;

/// The affine map of the AES S-box (FIPS 197, section 5.1.1), which AES-NI cannot leave out.
const AES_AFFINE: BitMatrix = circulant(0xf1);
const AES_AFFINE_ADD: u8 = 0x63;

/// Into the AES field: `S(x) = POST inv(PRE x + PRE_ADD) + AFFINE_ADD`.
pub(super) const PRE: BitMatrix = compose(&TO_AES, &AFFINE);
pub(super) const PRE_ADD: u8 = apply(&TO_AES, AFFINE_ADD);
pub(super) const POST: BitMatrix = compose(&AFFINE, &inverse(&TO_AES));
pub(super) const UNDO_PRE: BitMatrix = inverse(&PRE);

/// [`POST`] and [`AFFINE_ADD`] after the whole AES S-box instead of the bare inversion.
pub(super) const POST_AES: BitMatrix = compose(&POST, &inverse(&AES_AFFINE));
pub(super) const POST_AES_ADD: u8 = AFFINE_ADD ^ apply(&POST_AES, AES_AFFINE_ADD);

/// The S-box's output map, then L, then [`PRE`], for a state that stays in the image of `PRE`.
///
/// L(B) = B + (B<<<2) + (B<<<10) + (B<<<18) + (B<<<24) is circulant over the four bytes of a
/// word. Byte `i` of the result takes matrix 0 of byte `i`, matrix 1 of bytes `i+1` and `i+2`,
/// and matrix 2 of byte `i+3`, counted from the most significant one.
#[cfg(target_arch = "x86_64")]
pub(super) const ROUND: [BitMatrix; 3] = round(&POST);
/// The constant that a round adds to every byte.
#[cfg(target_arch = "x86_64")]
pub(super) const ROUND_ADD: u8 = apply(&PRE, AFFINE_ADD.rotate_left(2));

/// [`ROUND`] and its constant after the AES S-box.
pub(super) const ROUND_AES: [BitMatrix; 3] = round(&POST_AES);
pub(super) const ROUND_AES_ADD: u8 = apply(&PRE, POST_AES_ADD.rotate_left(2));

/// Into the tower field of [`super::bitslice`], and out of it.
pub(super) const PRE_TOWER: BitMatrix = compose(&TO_TOWER, &AFFINE);
pub(super) const PRE_TOWER_ADD: u8 = apply(&TO_TOWER, AFFINE_ADD);
pub(super) const POST_TOWER: BitMatrix = compose(&AFFINE, &inverse(&TO_TOWER));

const TO_AES: BitMatrix = isomorphism(false);
const TO_TOWER: BitMatrix = isomorphism(true);

const IDENTITY: BitMatrix = [1, 2, 4, 8, 16, 32, 64, 128];

const fn circulant(first: u8) -> BitMatrix {
    let mut rows = [0; 8];
    let mut i = 0;
    while i < 8 {
        rows[i as usize] = first.rotate_left(i);
        i += 1;
    }
    rows
}

/// The map's value at `x`.
pub(super) const fn apply(matrix: &BitMatrix, x: u8) -> u8 {
    let mut y = 0;
    let mut i = 0;
    while i < 8 {
        if (matrix[i] & x).count_ones() % 2 == 1 {
            y |= 1 << i;
        }
        i += 1;
    }
    y
}

/// First `inner`, then `outer`.
const fn compose(outer: &BitMatrix, inner: &BitMatrix) -> BitMatrix {
    let mut columns = [0; 8];
    let mut j = 0;
    while j < 8 {
        columns[j] = apply(outer, apply(inner, 1 << j));
        j += 1;
    }
    transpose(&columns)
}

const fn transpose(matrix: &BitMatrix) -> BitMatrix {
    let mut rows = [0; 8];
    let mut i = 0;
    while i < 64 {
        rows[i / 8] |= (matrix[i % 8] >> (i / 8) & 1) << (i % 8);
        i += 1;
    }
    rows
}

/// The inverse of a bijective map; the tests show that the ones used here are.
const fn inverse(matrix: &BitMatrix) -> BitMatrix {
    let mut columns = [0; 8];
    let mut x = u8::MAX;
    while x > 0 {
        let y = apply(matrix, x);
        if y.is_power_of_two() {
            columns[y.trailing_zeros() as usize] = x;
        }
        x -= 1;
    }
    transpose(&columns)
}

const fn round(post: &BitMatrix) -> [BitMatrix; 3] {
    let mut own = IDENTITY;
    let mut rotated = IDENTITY;
    let mut last = IDENTITY;
    let mut i = 0;
    while i < 8 {
        // Bit i of a byte shifted left by two, of the byte rotated, and of its top two bits.
        let left = if i < 2 { 0 } else { 1 << (i - 2) };
        let right = if i < 2 { 1 << (i + 6) } else { 0 };
        own[i] ^= left;
        rotated[i] = left | right;
        last[i] ^= right;
        i += 1;
    }
    [
        compose(&PRE, &compose(&own, post)),
        compose(&PRE, &compose(&rotated, post)),
        compose(&PRE, &compose(&last, post)),
    ]
}

/// Sends a root of the S-box's field polynomial to a root of it in the other field.
const fn isomorphism(to_tower: bool) -> BitMatrix {
    let mut root = u8::MAX;
    while root > 0 {
        let mut columns = [0; 8];
        let mut power = 1;
        let mut sum = 0;
        let mut j = 0;
        while j < 8 {
            columns[j] = power;
            if SM4_FIELD >> j & 1 == 1 {
                sum ^= power;
            }
            power = if to_tower {
                multiply_tower(power, root)
            } else {
                multiply(power, root, AES_FIELD)
            };
            j += 1;
        }
        if sum == power {
            return transpose(&columns);
        }
        root -= 1;
    }
    IDENTITY
}

const fn multiply(a: u8, b: u8, field: u8) -> u8 {
    let mut product = 0;
    let mut i = 8;
    while i > 0 {
        i -= 1;
        let carry = product & 0x80 != 0;
        product <<= 1;
        if carry {
            product ^= field;
        }
        if b >> i & 1 == 1 {
            product ^= a;
        }
    }
    product
}

/// The product in the tower: pairs over GF(2^4) with y^2 = y + wz, those pairs over GF(2^2) with
/// z^2 = z + w, those pairs of bits with w^2 = w + 1; the low half first.
const fn multiply_tower(a: u8, b: u8) -> u8 {
    let high = multiply_16(a >> 4, b >> 4);
    let low = multiply_16(a & 15, b & 15);
    let both = multiply_16((a >> 4) ^ (a & 15), (b >> 4) ^ (b & 15));
    (both ^ low) << 4 | (low ^ multiply_16(high, 0b1000))
}

const fn multiply_16(a: u8, b: u8) -> u8 {
    let high = multiply_4(a >> 2, b >> 2);
    let low = multiply_4(a & 3, b & 3);
    let both = multiply_4((a >> 2) ^ (a & 3), (b >> 2) ^ (b & 3));
    (both ^ low) << 2 | (low ^ multiply_4(high, 0b10))
}

const fn multiply_4(a: u8, b: u8) -> u8 {
    let high = (a >> 1) & (b >> 1);
    let low = a & b & 1;
    let both = ((a >> 1) ^ (a & 1)) & ((b >> 1) ^ (b & 1));
    (both ^ low) << 1 | (low ^ high)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Row 0 of the table in GB/T 32907-2016, 6.2.
    const PUBLISHED: [u8; 16] = [
        0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7, 0x16, 0xb6, 0x14, 0xc2, 0x28, 0xfb, 0x2c,
        0x05,
    ];

    /// The S-box by its definition.
    pub(in crate::sm4) fn substitute(x: u8) -> u8 {
        let inverse = invert(apply(&AFFINE, x) ^ AFFINE_ADD, |a, b| {
            multiply(a, b, SM4_FIELD)
        });
        apply(&AFFINE, inverse) ^ AFFINE_ADD
    }

    fn invert(x: u8, product: impl Fn(u8, u8) -> u8) -> u8 {
        (0..=255).find(|y| product(x, *y) == 1).unwrap_or(0)
    }

    #[test]
    fn the_definition_gives_the_published_table() {
        for (x, published) in (0..).zip(PUBLISHED) {
            assert_eq!(substitute(x), published);
        }
    }

    #[test]
    fn every_field_gives_the_same_s_box() {
        for x in 0..=255 {
            let in_aes = invert(apply(&PRE, x) ^ PRE_ADD, |a, b| multiply(a, b, AES_FIELD));
            assert_eq!(apply(&POST, in_aes) ^ AFFINE_ADD, substitute(x));
            let aes = apply(&AES_AFFINE, in_aes) ^ AES_AFFINE_ADD;
            assert_eq!(apply(&POST_AES, aes) ^ POST_AES_ADD, substitute(x));
            let in_tower = invert(apply(&PRE_TOWER, x) ^ PRE_TOWER_ADD, multiply_tower);
            assert_eq!(apply(&POST_TOWER, in_tower) ^ AFFINE_ADD, substitute(x));
        }
    }

    #[test]
    fn maps_that_are_undone_are_bijective() {
        for matrix in [AFFINE, AES_AFFINE, TO_AES, TO_TOWER, PRE] {
            assert_eq!(compose(&inverse(&matrix), &matrix), IDENTITY);
        }
    }
}
