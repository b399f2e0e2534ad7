//! SM3 (GB/T 32905-2016): one message fast, and many messages side by side.
//!
//! One stream of SM3 is a chain that no vector shortens. Many messages are as many chains, and
//! [`digests`] runs sixteen of them in one register (AVX-512), eight (AVX2) or four (NEON); the
//! results are the same. It does not wipe what it hashed; HMAC and what derives keys stay with
//! RustCrypto's traits in [`crate::digest`].

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes16;
#[cfg(target_arch = "aarch64")]
mod lanes4;
#[cfg(target_arch = "x86_64")]
mod lanes8;
mod many;
mod scalar;

pub(crate) use many::{Lanes, digests};
pub(crate) use scalar::Stream;

/// A block of SM3 in bytes (GB/T 32905-2016, 5.3).
pub(crate) const BLOCK_BYTES: usize = 64;

/// The length of a digest in bytes.
const DIGEST_BYTES: usize = 32;

/// IV, GB/T 32905-2016, 4.1.
const INITIAL: [u32; 8] = [
    0x7380_166f,
    0x4914_b2b9,
    0x1724_42d7,
    0xda8a_0600,
    0xa96f_30bc,
    0x1631_38aa,
    0xe38d_ee4d,
    0xb0fb_0e4e,
];

/// T of each round, rotated as the round wants it (GB/T 32905-2016, 4.2 and 5.3.3).
const CONSTANTS: [u32; 64] = {
    let mut constants = [0_u32; 64];
    let mut j = 0;
    while j < 64 {
        let t: u32 = if j < 16 { 0x79cc_4519 } else { 0x7a87_9d8a };
        constants[j as usize] = t.rotate_left(j % 32);
        j += 1;
    }
    constants
};

/// The state as the standard writes a digest.
fn to_digest(state: &[u32; 8]) -> [u8; DIGEST_BYTES] {
    let mut digest = [0; DIGEST_BYTES];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

/// What follows the last `rest` bytes of a message of `bytes`: a one bit, zeros, the length in
/// bits. Returns how many bytes of `tail` count, 64 or 128.
fn pad(tail: &mut [u8; 2 * BLOCK_BYTES], rest: usize, bytes: u64) -> usize {
    let end = if rest < BLOCK_BYTES - 8 {
        BLOCK_BYTES
    } else {
        2 * BLOCK_BYTES
    };
    tail[rest] = 0x80;
    tail[rest + 1..end - 8].fill(0);
    tail[end - 8..end].copy_from_slice(&bytes.wrapping_mul(8).to_be_bytes());
    end
}

#[cfg(test)]
mod tests;
