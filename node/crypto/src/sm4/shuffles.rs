//! What the vector kernels shuffle bytes by: places to take them from, and maps looked up by
//! halves of a byte.
//!
//! It does not shuffle; every kernel has its own instruction for that.

use super::field::{BitMatrix, PRE, ROUND_AES, ROUND_AES_ADD, UNDO_PRE, apply};

/// Which byte of a word of four bytes comes `by` places after each, for four words.
pub(super) const fn rotation(by: u8) -> [u8; 16] {
    let mut places = [0; 16];
    let mut i = 0;
    while i < 16 {
        places[i as usize] = i / 4 * 4 + (i + by) % 4;
        i += 1;
    }
    places
}

/// Where AES puts the byte that comes `by` places after each byte of a word. Row `r` of AES, a
/// byte of each of the four words, moves `r` words down.
const fn unmoved_rotation(by: u8) -> [u8; 16] {
    let straight = rotation(by);
    let mut places = [0; 16];
    let mut i = 0;
    while i < 16 {
        let (column, row) = (straight[i] / 4, straight[i] % 4);
        places[i] = (column + 4 - row) % 4 * 4 + row;
        i += 1;
    }
    places
}

/// The byte rotations of L after AES has moved bytes.
pub(super) const UNMOVED_ROTATIONS: [[u8; 16]; 4] = [
    unmoved_rotation(0),
    unmoved_rotation(1),
    unmoved_rotation(2),
    unmoved_rotation(3),
];

/// A linear map as its values for the lower and for the upper half of a byte.
pub(super) type Halves = [[u8; 16]; 2];

pub(super) const ROUND_HALVES: [Halves; 3] = [
    halves(&ROUND_AES[0], ROUND_AES_ADD),
    halves(&ROUND_AES[1], 0),
    halves(&ROUND_AES[2], 0),
];
pub(super) const PRE_HALVES: Halves = halves(&PRE, 0);
pub(super) const UNDO_PRE_HALVES: Halves = halves(&UNDO_PRE, 0);

const fn halves(matrix: &BitMatrix, add: u8) -> Halves {
    let mut halves = [[0; 16]; 2];
    let mut x = 0;
    while x < 16 {
        halves[0][x as usize] = apply(matrix, x) ^ add;
        halves[1][x as usize] = apply(matrix, x << 4);
        x += 1;
    }
    halves
}
