//! The key schedule of SM4 (GB/T 32907-2016, 7.3), and round keys as the vector kernels want them.
//!
//! It does not contain the S-box; the kernel that calls brings its own.

use zeroize::Zeroizing;

use super::field::{BitMatrix, PRE, PRE_ADD, apply};

/// What each bit of a byte contributes to the value of a linear map.
pub(super) type Columns = [u32; 8];

const PRE_COLUMNS: Columns = columns(&PRE);

/// The round keys of `key`.
#[inline(always)]
pub(super) fn round_keys(
    key: &[u8; 16],
    substitute: impl Fn(u32) -> u32,
    round_keys: &mut [u32; 32],
) {
    let mut words = Zeroizing::new([0_u32; 4]);
    for ((word, bytes), system) in words.iter_mut().zip(key.as_chunks().0).zip(SYSTEM) {
        *word = u32::from_be_bytes(*bytes) ^ system;
    }
    for (i, round_key) in round_keys.iter_mut().enumerate() {
        let [first, second, third, fourth] = *words;
        let b = substitute(second ^ third ^ fourth ^ FIXED[i]);
        *round_key = first ^ b ^ b.rotate_left(13) ^ b.rotate_left(23);
        *words = [second, third, fourth, *round_key];
    }
}

/// Turns round keys into what [`super::field::ROUND`] needs: in memory order, mapped into the
/// AES field, and every second one with the one before it added, since two rounds share a sum.
pub(super) fn to_image(round_keys: &mut [u32; 32]) {
    let (pairs, _) = round_keys.as_chunks_mut::<2>();
    for [even, odd] in pairs {
        *odd ^= *even;
        *even = map(&PRE_COLUMNS, *even).swap_bytes() ^ (ALL_BYTES * u32::from(PRE_ADD));
        *odd = map(&PRE_COLUMNS, *odd).swap_bytes();
    }
}

/// A linear map on each byte of a word, without a table.
#[inline(always)]
pub(super) fn map(columns: &Columns, word: u32) -> u32 {
    let mut mapped = 0;
    for (bit, column) in columns.iter().enumerate() {
        mapped ^= ((word >> bit) & ALL_BYTES) * column;
    }
    mapped
}

/// A matrix as [`map`] wants it.
pub(super) const fn columns(matrix: &BitMatrix) -> Columns {
    let mut columns = [0; 8];
    let mut bit = 0;
    while bit < 8 {
        columns[bit] = apply(matrix, 1 << bit) as u32;
        bit += 1;
    }
    columns
}

/// One in each byte.
pub(super) const ALL_BYTES: u32 = 0x0101_0101;

/// FK, GB/T 32907-2016, 7.3 a).
const SYSTEM: [u32; 4] = [0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc];

/// CK, GB/T 32907-2016, 7.3 b): byte `j` of word `i` is 7 (4 i + j) modulo 256.
const FIXED: [u32; 32] = {
    let mut words = [0_u32; 32];
    let mut byte = 0_u8;
    while byte < 128 {
        let i = (byte / 4) as usize;
        words[i] = words[i] << 8 | byte.wrapping_mul(7) as u32;
        byte += 1;
    }
    words
};
