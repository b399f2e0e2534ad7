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

/// The digest of each leaf, in their order: the same as [`leaf_digest`] one by one, and several
/// times as fast where the processor has vectors.
#[must_use]
pub fn leaf_digests(leaves: &[&[u8]]) -> Vec<Digest> {
    Digest::of_each_with(&[LEAF_PREFIX], leaves)
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
    // Level by level, since the nodes of a level can be hashed side by side. A node without a
    // neighbour goes up as it is, which makes the tree that splitting from above makes.
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let mut above = node_digests(&level);
        if level.len() % 2 == 1 {
            above.extend(level.last());
        }
        level = above;
    }
    level.pop().unwrap_or_else(|| Digest::of(b""))
}

/// The digests of the nodes over each pair of neighbours; a last one without a neighbour is left
/// out.
fn node_digests(below: &[Digest]) -> Vec<Digest> {
    let mut above = Vec::with_capacity(below.len() / 2);
    for below in below.chunks(2 * NODES_AT_ONCE) {
        let pairs: Vec<[u8; 2 * Digest::BYTES]> = below
            .as_chunks()
            .0
            .iter()
            .map(|[left, right]| {
                let mut pair = [0; 2 * Digest::BYTES];
                pair[..Digest::BYTES].copy_from_slice(left.as_bytes());
                pair[Digest::BYTES..].copy_from_slice(right.as_bytes());
                pair
            })
            .collect();
        let pairs: Vec<&[u8]> = pairs.iter().map(<[u8; _]>::as_slice).collect();
        above.extend(Digest::of_each_with(&[NODE_PREFIX], &pairs));
    }
    above
}

/// Joins the roots of complete subtrees, largest first, to one root.
fn fold_peaks(peaks: impl DoubleEndedIterator<Item = Digest>) -> Digest {
    peaks
        .rev()
        .reduce(|right, left| node_digest(&left, &right))
        .unwrap_or_else(|| Digest::of(b""))
}

/// Pairs that are copied together before they are hashed; a few lanes' worth, and small.
const NODES_AT_ONCE: usize = 256;

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;
