//! SM4 on sixteen blocks at once in plain integers: the S-box as a circuit of gates.
//!
//! A word of sixteen blocks is eight planes of 64 bits. Plane `k` holds bit `k` of every byte:
//! bit `16 r + b` is that of byte `r`, from the most significant one, of block `b`. So a gate
//! works on 64 bytes, and a rotation by whole bytes is one rotation of a plane.
//!
//! It does not branch on data and reads no memory at a place that depends on data.

use super::field::{AFFINE_ADD, BitMatrix, POST_TOWER, PRE_TOWER, PRE_TOWER_ADD};

/// One 32-bit word of each of sixteen blocks.
pub(super) type Planes = [u64; 8];

/// The S-box on every byte of `x`.
#[inline]
pub(super) fn substitute(x: &Planes) -> Planes {
    let inverse = invert_256(&affine(&PRE_TOWER, PRE_TOWER_ADD, x));
    affine(&POST_TOWER, AFFINE_ADD, &inverse)
}

/// A round's linear map: L(B) = B + (B<<<2) + (B<<<10) + (B<<<18) + (B<<<24).
#[inline]
pub(super) fn diffuse(b: &Planes) -> Planes {
    let by_two: Planes = std::array::from_fn(|k| match k.checked_sub(2) {
        Some(below) => b[below],
        None => next_byte(b[k + 6]),
    });
    std::array::from_fn(|k| {
        b[k] ^ b[k].rotate_right(48)
            ^ by_two[k]
            ^ by_two[k].rotate_right(16)
            ^ by_two[k].rotate_right(32)
    })
}

/// In every place what was in the next less significant byte of its word.
const fn next_byte(plane: u64) -> u64 {
    plane.rotate_right(16)
}

/// The planes of one word that all sixteen blocks share.
#[inline]
pub(super) fn broadcast(word: u32) -> Planes {
    let spread = spread(word);
    std::array::from_fn(|k| (spread >> k & LOW_BITS).wrapping_mul(0xffff))
}

/// The four bytes of a word, 16 bits apart, the most significant one lowest.
#[inline]
pub(super) const fn spread(word: u32) -> u64 {
    let [b0, b1, b2, b3] = word.to_be_bytes();
    u64::from_le_bytes([b0, 0, b1, 0, b2, 0, b3, 0])
}

/// One bit in each byte of [`spread`].
pub(super) const LOW_BITS: u64 = 0x0001_0001_0001_0001;

/// Sixteen words as planes.
#[inline]
pub(super) fn slice(words: &[u32; 16]) -> Planes {
    let mut planes = [0; 8];
    for byte in 0..4 {
        let mut rows = [[0_u8; 8]; 2];
        for (block, word) in words.iter().enumerate() {
            rows[block / 8][block % 8] = word.to_be_bytes()[byte];
        }
        let [low, high] = rows.map(|row| transpose(u64::from_le_bytes(row)).to_le_bytes());
        for (plane, (low, high)) in planes.iter_mut().zip(low.into_iter().zip(high)) {
            *plane |= u64::from(u16::from_le_bytes([low, high])) << (16 * byte);
        }
    }
    planes
}

/// Planes as sixteen words.
#[inline]
pub(super) fn unslice(planes: &Planes) -> [u32; 16] {
    let mut words = [0; 16];
    for byte in 0..4 {
        for (half, words) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let rows = planes.map(|plane| plane.to_le_bytes()[2 * byte + half]);
            let columns = transpose(u64::from_le_bytes(rows)).to_le_bytes();
            for (word, column) in words.iter_mut().zip(columns) {
                // The most significant byte comes first and is pushed up by the others.
                *word = *word << 8 | u32::from(column);
            }
        }
    }
    words
}

/// Transposes an 8 x 8 matrix of bits by exchanging ever larger blocks of it.
const fn transpose(mut x: u64) -> u64 {
    let swap = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x ^= swap ^ (swap << 7);
    let swap = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x ^= swap ^ (swap << 14);
    let swap = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    x ^ swap ^ (swap << 28)
}

#[inline(always)]
fn affine(matrix: &BitMatrix, add: u8, x: &Planes) -> Planes {
    std::array::from_fn(|i| {
        let mut sum = 0;
        for (j, plane) in x.iter().enumerate() {
            // The matrix is a constant: this chooses gates, not data.
            if matrix[i] >> j & 1 == 1 {
                sum ^= plane;
            }
        }
        if add >> i & 1 == 1 { !sum } else { sum }
    })
}

/// The inverse in GF(2^8) as pairs over GF(2^4), and 0 of 0:
/// 1 / (a y + b) = (a y + (a + b)) / (wz a^2 + a b + b^2), since y^2 = y + wz.
#[inline(always)]
fn invert_256(&[b0, b1, b2, b3, a0, a1, a2, a3]: &Planes) -> Planes {
    let (a, b) = ([a0, a1, a2, a3], [b0, b1, b2, b3]);
    let sum = add(&a, &b);
    // b (a + b) is a b + b^2.
    let norm = add(&multiply_wz(&square_16(&a)), &multiply_16(&b, &sum));
    let inverse = invert_16(&norm);
    let [high, low] = [multiply_16(&a, &inverse), multiply_16(&sum, &inverse)];
    [
        low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3],
    ]
}

/// The same in GF(2^4), where z^2 = z + w and the inverse in GF(2^2) is the square.
#[inline(always)]
fn invert_16(&[b0, b1, a0, a1]: &[u64; 4]) -> [u64; 4] {
    let (a, b) = ([a0, a1], [b0, b1]);
    let sum = add(&a, &b);
    let norm = add(&multiply_w(&square_4(&a)), &multiply_4(&b, &sum));
    let inverse = square_4(&norm);
    let [high, low] = [multiply_4(&a, &inverse), multiply_4(&sum, &inverse)];
    [low[0], low[1], high[0], high[1]]
}

#[inline(always)]
fn multiply_16(&[a0, a1, a2, a3]: &[u64; 4], &[b0, b1, b2, b3]: &[u64; 4]) -> [u64; 4] {
    let low = multiply_4(&[a0, a1], &[b0, b1]);
    let high = multiply_4(&[a2, a3], &[b2, b3]);
    let both = multiply_4(&[a0 ^ a2, a1 ^ a3], &[b0 ^ b2, b1 ^ b3]);
    let [c0, c1] = add(&low, &multiply_w(&high));
    let [c2, c3] = add(&both, &low);
    [c0, c1, c2, c3]
}

#[inline(always)]
const fn multiply_4(&[a0, a1]: &[u64; 2], &[b0, b1]: &[u64; 2]) -> [u64; 2] {
    let low = a0 & b0;
    [low ^ (a1 & b1), ((a0 ^ a1) & (b0 ^ b1)) ^ low]
}

/// (a z + b)^2 = a^2 z + (b^2 + w a^2).
#[inline(always)]
fn square_16(&[b0, b1, a0, a1]: &[u64; 4]) -> [u64; 4] {
    let high = square_4(&[a0, a1]);
    let low = add(&square_4(&[b0, b1]), &multiply_w(&high));
    [low[0], low[1], high[0], high[1]]
}

#[inline(always)]
const fn square_4(&[a0, a1]: &[u64; 2]) -> [u64; 2] {
    [a0 ^ a1, a1]
}

#[inline(always)]
const fn multiply_w(&[a0, a1]: &[u64; 2]) -> [u64; 2] {
    [a1, a0 ^ a1]
}

/// (a z + b) w z = w (a + b) z + w^2 a.
#[inline(always)]
fn multiply_wz(&[b0, b1, a0, a1]: &[u64; 4]) -> [u64; 4] {
    let low = multiply_w(&multiply_w(&[a0, a1]));
    let high = multiply_w(&[a0 ^ b0, a1 ^ b1]);
    [low[0], low[1], high[0], high[1]]
}

#[inline(always)]
fn add<const N: usize>(a: &[u64; N], b: &[u64; N]) -> [u64; N] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sm4::field;

    #[test]
    fn slicing_is_undone() {
        let mut words = [0x9e37_79b9_u32; 16];
        for (i, word) in (0_u32..).zip(&mut words) {
            *word = word.wrapping_mul(7 + 2 * i);
        }
        assert_eq!(unslice(&slice(&words)), words);
        assert_eq!(unslice(&broadcast(0x0123_4567)), [0x0123_4567; 16]);
    }

    #[test]
    fn the_circuit_is_the_affine_map_of_the_inverse() {
        for x in 0..=255_u8 {
            let word = u32::from_be_bytes([x, !x, x ^ 0x55, 0]);
            let y = unslice(&substitute(&broadcast(word)))[5].to_be_bytes();
            let expected = word.to_be_bytes().map(field::tests::substitute);
            assert_eq!(y, expected);
        }
    }
}
