//! Changes of bytes as fuzzers make them.
//!
//! It does not draw from the system: the same number gives the same changes on every machine.

/// Integers at which lengths and counts go wrong.
const INTERESTING: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x0001_0000,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Longest input that is made: changes that only lengthen must end somewhere.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// The source of changes: SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One of the seeds, changed in one to eight places.
    pub(crate) fn changed(&mut self, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = self.one_of(seeds).cloned().unwrap_or_default();
        for _ in 0..1 << self.below(4) {
            self.change(&mut bytes, seeds, words);
            bytes.truncate(INPUT_BYTES_MAX);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
        let at = self.place(bytes);
        let length = 1 + self.below(16);
        let span = at..bytes.len().min(at + length);
        match self.below(10) {
            0 => bytes[span]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte = !*byte),
            1 => {
                let bit = 1 << self.below(8);
                bytes[span].iter_mut().take(1).for_each(|byte| *byte ^= bit);
            }
            2 => {
                let step = *self.one_of(&[1, 0xff]).unwrap_or(&1);
                let one = bytes[span].iter_mut().take(1);
                one.for_each(|byte| *byte = byte.wrapping_add(step));
            }
            3 => {
                let number = *self.one_of(&INTERESTING).unwrap_or(&0);
                let width = 1 << self.below(4);
                let written = number.to_be_bytes();
                for (byte, new) in bytes[at..].iter_mut().zip(&written[8 - width..]) {
                    *byte = *new;
                }
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(span)),
            6 => {
                let again = bytes[span].to_vec();
                drop(bytes.splice(at..at, again));
            }
            7 => {
                let noise: Vec<u8> = (0..length).map(|_| self.next().to_be_bytes()[0]).collect();
                drop(bytes.splice(at..at, noise));
            }
            8 => {
                let other = self.one_of(seeds).map_or(&[][..], Vec::as_slice);
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let word = self.one_of(words).copied().unwrap_or_default();
                let replaced = *self.one_of(&[0, word.len()]).unwrap_or(&0);
                let until = bytes.len().min(at + replaced);
                drop(bytes.splice(at..until, word.bytes()));
            }
        }
    }

    /// Anywhere, or half of the time where a part of a text begins.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let at = self.below(bytes.len() + 1);
        let begins = bytes[at..].iter().position(u8::is_ascii_punctuation);
        match begins {
            Some(before) if self.below(2) == 0 => at + before + 1,
            _ => at,
        }
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        let bytes = self.next().to_be_bytes();
        usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) % end.max(1)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
