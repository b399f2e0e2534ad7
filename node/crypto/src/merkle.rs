//! Merkle trees over SM3 in the shape of RFC 6962 section 2 and RFC 9162 section 2.1.
//!
//! It does not store anything and it does not sign: a root is a number that others sign. Leaves
//! and nodes are hashed under different prefixes, so that a node can never be shown as a leaf.

mod content;
pub mod map;
mod proof;
mod tree;

pub use content::{CONTENT_PIECE_BYTES, ContentHasher};
pub use proof::{ConsistencyProof, InclusionProof};
pub use tree::Tree;

use crate::digest::{Digest, Hasher};

/// No path is longer: it would belong to a tree of more than 2^63 leaves.
pub const PATH_DIGESTS_MAX: usize = 64;

/// The digest of a leaf: SM3(00 || bytes).
#[must_use]
pub fn leaf_digest(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[LEAF_PREFIX]);
    hasher.update(bytes);
    hasher.finish()
}

/// The digests of many leaves, as [`leaf_digest`] gives each.
#[must_use]
pub fn leaf_digests(leaves: &[&[u8]]) -> Vec<Digest> {
    leaves.iter().map(|leaf| leaf_digest(leaf)).collect()
}

/// The digest of an inner node: SM3(01 || left || right).
#[must_use]
pub fn node_digest(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[NODE_PREFIX]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    hasher.finish()
}

/// The root over leaf digests; for none of them SM3 of nothing, as RFC 6962 section 2.1 says.
#[must_use]
pub fn root_of(leaves: &[Digest]) -> Digest {
    // Folding complete subtrees from the left needs no recursion and log n memory.
    let mut peaks: Vec<(u32, Digest)> = Vec::new();
    for leaf in leaves {
        let mut carried = (0, *leaf);
        while let Some((height, left)) = peaks.pop_if(|(height, _)| *height == carried.0) {
            carried = (height + 1, node_digest(&left, &carried.1));
        }
        peaks.push(carried);
    }
    fold_peaks(peaks.into_iter().map(|(_, peak)| peak))
}

/// Joins the roots of complete subtrees, largest first, to one root.
fn fold_peaks(peaks: impl DoubleEndedIterator<Item = Digest>) -> Digest {
    peaks
        .rev()
        .reduce(|right, left| node_digest(&left, &right))
        .unwrap_or_else(|| Digest::of(b""))
}

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;
