//! 256-bit integers as four 64-bit limbs, the lowest first.
//!
//! It does not reduce by any modulus, and nothing here branches on a limb.

/// Reads a big-endian integer.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    let (words, _) = bytes.as_chunks::<8>();
    for (limb, word) in limbs.iter_mut().rev().zip(words) {
        *limb = u64::from_be_bytes(*word);
    }
    limbs
}

/// Writes a big-endian integer.
pub(super) fn to_bytes(limbs: &[u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (word, limb) in words.iter_mut().zip(limbs.iter().rev()) {
        *word = limb.to_be_bytes();
    }
    bytes
}

/// The sum and its carry.
#[inline]
pub(super) fn add(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let (s0, carry) = a[0].carrying_add(b[0], false);
    let (s1, carry) = a[1].carrying_add(b[1], carry);
    let (s2, carry) = a[2].carrying_add(b[2], carry);
    let (s3, carry) = a[3].carrying_add(b[3], carry);
    ([s0, s1, s2, s3], carry)
}

/// The difference and its borrow.
#[inline]
pub(super) fn sub(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let (d0, borrow) = a[0].borrowing_sub(b[0], false);
    let (d1, borrow) = a[1].borrowing_sub(b[1], borrow);
    let (d2, borrow) = a[2].borrowing_sub(b[2], borrow);
    let (d3, borrow) = a[3].borrowing_sub(b[3], borrow);
    ([d0, d1, d2, d3], borrow)
}

/// All ones for `true`, all zeros for `false`.
#[inline]
pub(super) fn mask(bit: bool) -> u64 {
    0_u64.wrapping_sub(u64::from(bit))
}

/// `a` where the mask has ones, `b` where it has zeros.
#[inline]
pub(super) const fn select(mask: u64, a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    [
        b[0] ^ (mask & (a[0] ^ b[0])),
        b[1] ^ (mask & (a[1] ^ b[1])),
        b[2] ^ (mask & (a[2] ^ b[2])),
        b[3] ^ (mask & (a[3] ^ b[3])),
    ]
}

/// Brings `carry * 2^256 + value`, which is below twice the modulus, below the modulus.
#[inline]
pub(super) fn reduce_once(value: &[u64; 4], carry: bool, modulus: &[u64; 4]) -> [u64; 4] {
    let (reduced, borrow) = sub(value, modulus);
    select(mask(borrow & !carry), value, &reduced)
}

/// `length` bits from bit `start` on; bits beyond the 256th are zeros. Which limbs are read
/// depends on `start` and `length` alone.
#[inline]
pub(super) const fn bits(limbs: &[u64; 4], start: usize, length: usize) -> u64 {
    let (limb, offset) = (start / 64, start % 64);
    let mut found = limbs[limb] >> offset;
    if offset + length > 64 && limb < 3 {
        found |= limbs[limb + 1] << (64 - offset);
    }
    found & ((1 << length) - 1)
}
