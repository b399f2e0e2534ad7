//! SM3 of one stream.
//!
//! It does not use vectors. Where BMI2 is there the compiler may rotate without a move, which is
//! a sixth of the time.

use super::{BLOCK_BYTES, CONSTANTS, DIGEST_BYTES, INITIAL, pad, to_digest};

/// SM3 over bytes that arrive in pieces.
#[derive(Clone)]
pub(crate) struct Stream {
    state: [u32; 8],
    /// The start of the next block.
    held: [u8; BLOCK_BYTES],
    bytes: u64,
}

impl Stream {
    pub(crate) const fn new() -> Self {
        Self {
            state: INITIAL,
            held: [0; BLOCK_BYTES],
            bytes: 0,
        }
    }

    /// Takes the next piece.
    pub(crate) fn update(&mut self, mut piece: &[u8]) {
        let held = self.held_bytes();
        self.bytes = self
            .bytes
            .wrapping_add(crate::encoding::length(piece.len()));
        if held > 0 {
            let taken = piece.len().min(BLOCK_BYTES - held);
            self.held[held..held + taken].copy_from_slice(&piece[..taken]);
            piece = &piece[taken..];
            if held + taken < BLOCK_BYTES {
                return;
            }
            compress(&mut self.state, &[self.held]);
        }
        let (blocks, rest) = piece.as_chunks();
        compress(&mut self.state, blocks);
        self.held[..rest.len()].copy_from_slice(rest);
    }

    /// The digest of all pieces.
    pub(crate) fn finish(mut self) -> [u8; DIGEST_BYTES] {
        let held = self.held_bytes();
        let mut tail = [0; 2 * BLOCK_BYTES];
        tail[..held].copy_from_slice(&self.held[..held]);
        let end = pad(&mut tail, held, self.bytes);
        compress(&mut self.state, tail[..end].as_chunks().0);
        to_digest(&self.state)
    }

    fn held_bytes(&self) -> usize {
        // Always below the block's length.
        usize::try_from(self.bytes % 64).unwrap_or(0)
    }
}

/// The compression function over all `blocks`.
pub(super) fn compress(state: &mut [u32; 8], blocks: &[[u8; BLOCK_BYTES]]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2") {
        #[expect(
            unsafe_code,
            reason = "the compiler cannot see that the processor was asked"
        )]
        // SAFETY: the processor was asked in the line above.
        unsafe {
            compress_bmi2(state, blocks);
        }
        return;
    }
    compress_blocks(state, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi1,bmi2")]
fn compress_bmi2(state: &mut [u32; 8], blocks: &[[u8; BLOCK_BYTES]]) {
    compress_blocks(state, blocks);
}

#[inline(always)]
fn compress_blocks(state: &mut [u32; 8], blocks: &[[u8; BLOCK_BYTES]]) {
    for block in blocks {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        let before = *state;
        sixteen_rounds::<0>(state, &mut words);
        sixteen_rounds::<16>(state, &mut words);
        sixteen_rounds::<32>(state, &mut words);
        sixteen_rounds::<48>(state, &mut words);
        for (word, before) in state.iter_mut().zip(before) {
            *word ^= before;
        }
    }
}

/// Rounds `FROM` to `FROM + 15`. Written out, since a compiler that sees all places of `words`
/// keeps many of them in registers.
#[inline(always)]
fn sixteen_rounds<const FROM: usize>(state: &mut [u32; 8], words: &mut [u32; 16]) {
    four_rounds::<FROM, 0>(state, words);
    four_rounds::<FROM, 4>(state, words);
    four_rounds::<FROM, 8>(state, words);
    four_rounds::<FROM, 12>(state, words);
}

#[inline(always)]
fn four_rounds<const FROM: usize, const AT: usize>(state: &mut [u32; 8], words: &mut [u32; 16]) {
    round::<FROM>(AT, state, words);
    round::<FROM>(AT + 1, state, words);
    round::<FROM>(AT + 2, state, words);
    round::<FROM>(AT + 3, state, words);
}

/// Round `FROM + at` (GB/T 32905-2016, 5.3.3). Word `at` of the message is its own; its place
/// then takes the one of sixteen rounds later.
#[inline(always)]
fn round<const FROM: usize>(at: usize, state: &mut [u32; 8], words: &mut [u32; 16]) {
    let [a, b, c, d, e, f, g, h] = *state;
    let word = words[at];
    let word_pair = word ^ words[(at + 4) % 16];
    if FROM + at < 52 {
        words[at] = permute_1(word ^ words[(at + 7) % 16] ^ words[(at + 13) % 16].rotate_left(15))
            ^ words[(at + 3) % 16].rotate_left(7)
            ^ words[(at + 10) % 16];
    }
    let rotated = a.rotate_left(12);
    let first = rotated
        .wrapping_add(e.wrapping_add(CONSTANTS[FROM + at]))
        .rotate_left(7);
    let second = first ^ rotated;
    let (left, right) = if FROM == 0 {
        (a ^ b ^ c, e ^ f ^ g)
    } else {
        ((a & b) | ((a | b) & c), (e & f) | (!e & g))
    };
    let left = left
        .wrapping_add(d.wrapping_add(word_pair))
        .wrapping_add(second);
    let right = right.wrapping_add(h.wrapping_add(word)).wrapping_add(first);
    *state = [
        left,
        a,
        b.rotate_left(9),
        c,
        permute_0(right),
        e,
        f.rotate_left(19),
        g,
    ];
}

#[inline(always)]
const fn permute_0(x: u32) -> u32 {
    x ^ x.rotate_left(9) ^ x.rotate_left(17)
}

#[inline(always)]
const fn permute_1(x: u32) -> u32 {
    x ^ x.rotate_left(15) ^ x.rotate_left(23)
}
