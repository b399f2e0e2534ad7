//! The digest of a content of any size: a Merkle root over its pieces.
//!
//! It does not keep the pieces or prove anything about one of them. SM3 over a stream is bound to
//! one lane of one core; the pieces here are independent, so that many are hashed at once, and a
//! file of any size costs a tenth of the time.

use super::{fold_peaks, leaf_digests, node_digest};
use crate::digest::Digest;

/// Bytes of one piece, all but the last. Part of the digest: another size gives other digests.
pub const CONTENT_PIECE_BYTES: usize = 16 << 10;

/// Pieces that are hashed at once.
const PIECES: usize = 16;

/// Computes the digest of a content while it is written or read: the root of RFC 6962 section 2.1
/// over pieces of [`CONTENT_PIECE_BYTES`], SM3 as the hash; SM3 of nothing for an empty content.
#[derive(Clone, Debug, Default)]
pub struct ContentHasher {
    /// Whole pieces that wait for others, and the piece that is not whole yet.
    waiting: Vec<u8>,
    /// Roots of complete subtrees with their heights, largest first.
    peaks: Vec<(u32, Digest)>,
}

impl ContentHasher {
    /// Begins with an empty content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of a content that is in memory.
    #[must_use]
    pub fn digest(content: &[u8]) -> Digest {
        let mut hasher = Self::new();
        hasher.update(content);
        hasher.finish()
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        const FULL: usize = CONTENT_PIECE_BYTES * PIECES;
        while !bytes.is_empty() {
            if self.waiting.is_empty() && bytes.len() >= FULL {
                let (now, later) = bytes.split_at(FULL);
                push(&mut self.peaks, now);
                bytes = later;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(FULL - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() == FULL {
                push(&mut self.peaks, &self.waiting);
                self.waiting.clear();
            }
        }
    }

    /// The digest of everything so far.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        push(&mut self.peaks, &self.waiting);
        fold_peaks(self.peaks.into_iter().map(|(_, peak)| peak))
    }
}

/// Adds the pieces of `bytes` to the tree.
fn push(peaks: &mut Vec<(u32, Digest)>, bytes: &[u8]) {
    let pieces: Vec<&[u8]> = bytes.chunks(CONTENT_PIECE_BYTES).collect();
    for leaf in leaf_digests(&pieces) {
        let mut carried = (0, leaf);
        while let Some((height, left)) = peaks.pop_if(|(height, _)| *height == carried.0) {
            carried = (height + 1, node_digest(&left, &carried.1));
        }
        peaks.push(carried);
    }
}

impl std::io::Write for ContentHasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{leaf_digest, root_of};
    use super::*;
    use proptest::prelude::*;

    fn by_the_book(content: &[u8]) -> Digest {
        let leaves: Vec<Digest> = content
            .chunks(CONTENT_PIECE_BYTES)
            .map(leaf_digest)
            .collect();
        root_of(&leaves)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_digest_is_the_root_however_the_content_comes(
            near in prop::sample::select(vec![0_usize, 1, 3, 15, 16, 17, 32, 35]),
            off in -2_isize..3,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let len = (near * CONTENT_PIECE_BYTES).saturating_add_signed(off);
            let content: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
            cuts.push(len);
            cuts.sort_unstable();
            let mut hasher = ContentHasher::new();
            let mut from = 0;
            for to in cuts {
                hasher.update(&content[from..to]);
                from = to;
            }
            prop_assert_eq!(hasher.finish(), by_the_book(&content));
        }
    }

    #[test]
    fn one_changed_byte_gives_another_digest() {
        let content = vec![7; 3 * CONTENT_PIECE_BYTES];
        let mut changed = content.clone();
        changed[2 * CONTENT_PIECE_BYTES] ^= 1;
        assert_ne!(
            ContentHasher::digest(&content),
            ContentHasher::digest(&changed)
        );
        assert_eq!(ContentHasher::digest(b""), Digest::of(b""));
    }
}
