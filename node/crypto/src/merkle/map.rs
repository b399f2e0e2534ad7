//! A persistent map from keys to digests, with one root for its whole content.
//!
//! It does not keep keys or values: a record is the SM3 of its key and a digest that the caller
//! made of its value. Two maps have the same root exactly when they hold the same records,
//! whatever the order in which they came; that lets replicas compare state by 32 bytes and find
//! their first difference in a logarithmic number of steps.
//!
//! ```text
//!   a binary trie over SM3(key), with every chain of one-child nodes left out:
//!
//!            branch at bit 0               leaf   SM3(02 || key hash || value)
//!           /               \              branch SM3(03 || bit || left || right)
//!     leaf 0110..      branch at bit 3
//!                       /          \
//!                 leaf 1010..   leaf 1011..
//! ```

use std::sync::{Arc, OnceLock};

use crate::digest::{Digest, Hasher};

/// A map from keys to digests. Cloning is cheap: both copies share their content.
///
/// Digests of inner nodes are computed when a root is asked for, once each, so loading a million
/// records and then asking hashes each node once.
#[derive(Clone, Debug, Default)]
pub struct MerkleMap {
    root: Option<Arc<Node>>,
    len: u64,
}

/// The first record, in the order of key hashes, in which two maps differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// SM3 of the record's key.
    pub key_hash: Digest,
    /// Its value in the first map, if it is there.
    pub left: Option<Digest>,
    /// Its value in the second map, if it is there.
    pub right: Option<Digest>,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf {
        key_hash: Digest,
        value: Digest,
        digest: OnceLock<Digest>,
    },
    Branch {
        bit: u16,
        children: [Arc<Self>; 2],
        digest: OnceLock<Digest>,
    },
}

impl MerkleMap {
    /// A map without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value recorded under `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Digest> {
        let wanted = Digest::of(key);
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf {
                    key_hash, value, ..
                } => {
                    return (*key_hash == wanted).then_some(*value);
                }
                Node::Branch { bit, children, .. } => node = &children[side(&wanted, *bit)],
            }
        }
    }

    /// Records `value` under `key` and returns what was there before.
    pub fn insert(&mut self, key: &[u8], value: Digest) -> Option<Digest> {
        let key_hash = Digest::of(key);
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::leaf(key_hash, value)));
            self.len = 1;
            return None;
        };
        let nearest = nearest_leaf(root, &key_hash);
        let Some(bit) = first_differing_bit(&nearest.0, &key_hash) else {
            replace(root, &key_hash, value);
            return Some(nearest.1);
        };
        graft(root, bit, key_hash, value);
        self.len += 1;
        None
    }

    /// Removes the record under `key` and returns its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<Digest> {
        let key_hash = Digest::of(key);
        let root = self.root.as_mut()?;
        let nearest = nearest_leaf(root, &key_hash);
        if nearest.0 != key_hash {
            return None;
        }
        if let Node::Leaf { .. } = **root {
            self.root = None;
        } else {
            prune(root, &key_hash);
        }
        self.len -= 1;
        Some(nearest.1)
    }

    /// The root: SM3 of nothing for an empty map.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
            .as_ref()
            .map_or_else(|| Digest::of(b""), |node| node.digest())
    }
}

impl PartialEq for MerkleMap {
    /// By root: equal roots mean equal records, as long as SM3 has no collision.
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for MerkleMap {}

/// Finds the first record in which two maps differ, by comparing subtree digests.
#[must_use]
pub fn first_difference(left: &MerkleMap, right: &MerkleMap) -> Option<FirstDifference> {
    match (&left.root, &right.root) {
        (None, None) => None,
        (Some(node), None) => Some(only_left(node.first_leaf())),
        (None, Some(node)) => Some(only_right(node.first_leaf())),
        (Some(left), Some(right)) => difference(left, right),
    }
}

impl Node {
    const fn leaf(key_hash: Digest, value: Digest) -> Self {
        Self::Leaf {
            key_hash,
            value,
            digest: OnceLock::new(),
        }
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Leaf {
                key_hash,
                value,
                digest,
            } => *digest.get_or_init(|| {
                let mut hasher = Hasher::new();
                hasher.update(&[LEAF_PREFIX]);
                hasher.update(key_hash.as_bytes());
                hasher.update(value.as_bytes());
                hasher.finish()
            }),
            Self::Branch {
                bit,
                children: [left, right],
                digest,
            } => *digest.get_or_init(|| {
                let mut hasher = Hasher::new();
                hasher.update(&[BRANCH_PREFIX]);
                hasher.update(&bit.to_be_bytes());
                hasher.update(left.digest().as_bytes());
                hasher.update(right.digest().as_bytes());
                hasher.finish()
            }),
        }
    }

    /// The bit at which this node divides; behind the last one for a leaf.
    const fn bit(&self) -> u16 {
        match self {
            Self::Leaf { .. } => KEY_BITS,
            Self::Branch { bit, .. } => *bit,
        }
    }

    /// The record with the smallest key hash below this node.
    fn first_leaf(&self) -> (Digest, Digest) {
        let mut node = self;
        loop {
            match node {
                Self::Leaf {
                    key_hash, value, ..
                } => return (*key_hash, *value),
                Self::Branch { children, .. } => node = &children[0],
            }
        }
    }
}

/// The leaf that shares the longest path with `key_hash`.
fn nearest_leaf(root: &Node, key_hash: &Digest) -> (Digest, Digest) {
    let mut node = root;
    loop {
        match node {
            Node::Leaf {
                key_hash, value, ..
            } => return (*key_hash, *value),
            Node::Branch { bit, children, .. } => node = &children[side(key_hash, *bit)],
        }
    }
}

/// Gives an existing leaf a new value; nodes that others share are copied on the way.
fn replace(node: &mut Arc<Node>, wanted: &Digest, new_value: Digest) {
    match Arc::make_mut(node) {
        Node::Leaf { value, digest, .. } => {
            *value = new_value;
            *digest = OnceLock::new();
        }
        Node::Branch {
            bit,
            children,
            digest,
        } => {
            *digest = OnceLock::new();
            replace(&mut children[side(wanted, *bit)], wanted, new_value);
        }
    }
}

/// Puts a new leaf in, at a new branch that divides at `at`.
fn graft(node: &mut Arc<Node>, at: u16, key_hash: Digest, value: Digest) {
    if node.bit() < at {
        if let Node::Branch {
            bit,
            children,
            digest,
        } = Arc::make_mut(node)
        {
            *digest = OnceLock::new();
            graft(&mut children[side(&key_hash, *bit)], at, key_hash, value);
        }
        return;
    }
    let leaf = Arc::new(Node::leaf(key_hash, value));
    let old = Arc::clone(node);
    let children = if side(&key_hash, at) == 0 {
        [leaf, old]
    } else {
        [old, leaf]
    };
    *node = Arc::new(Node::Branch {
        bit: at,
        children,
        digest: OnceLock::new(),
    });
}

/// Takes an existing leaf out below a branch; its sibling takes the branch's place.
fn prune(node: &mut Arc<Node>, wanted: &Digest) {
    let sibling = match Arc::make_mut(node) {
        Node::Leaf { .. } => return,
        Node::Branch {
            bit,
            children,
            digest,
        } => {
            let towards = side(wanted, *bit);
            if matches!(*children[towards], Node::Branch { .. }) {
                *digest = OnceLock::new();
                prune(&mut children[towards], wanted);
                return;
            }
            Arc::clone(&children[1 - towards])
        }
    };
    *node = sibling;
}

fn difference(left: &Node, right: &Node) -> Option<FirstDifference> {
    if left.digest() == right.digest() {
        return None;
    }
    let (first_left, first_right) = (left.first_leaf(), right.first_leaf());
    let shared = first_differing_bit(&first_left.0, &first_right.0).unwrap_or(KEY_BITS);
    if shared < left.bit().min(right.bit()) {
        // Nothing below one is below the other.
        return Some(if first_left.0 < first_right.0 {
            only_left(first_left)
        } else {
            only_right(first_right)
        });
    }
    match (left, right) {
        (
            Node::Leaf {
                key_hash, value: a, ..
            },
            Node::Leaf { value: b, .. },
        ) => Some(FirstDifference {
            key_hash: *key_hash,
            left: Some(*a),
            right: Some(*b),
        }),
        (
            Node::Branch {
                bit: a,
                children: lefts,
                ..
            },
            Node::Branch {
                bit: b,
                children: rights,
                ..
            },
        ) if a == b => {
            difference(&lefts[0], &rights[0]).or_else(|| difference(&lefts[1], &rights[1]))
        }
        (Node::Branch { bit, children, .. }, other) if *bit < other.bit() => {
            if side(&first_right.0, *bit) == 0 {
                difference(&children[0], other)
                    .or_else(|| Some(only_left(children[1].first_leaf())))
            } else {
                Some(only_left(first_left))
            }
        }
        (other, Node::Branch { bit, children, .. }) => {
            if side(&first_left.0, *bit) == 0 {
                difference(other, &children[0])
                    .or_else(|| Some(only_right(children[1].first_leaf())))
            } else {
                Some(only_right(first_right))
            }
        }
        // A branch above a leaf always divides before the leaf's end, so the arms above took it.
        (Node::Branch { .. }, Node::Leaf { .. }) => Some(only_left(first_left)),
    }
}

const fn only_left((key_hash, value): (Digest, Digest)) -> FirstDifference {
    FirstDifference {
        key_hash,
        left: Some(value),
        right: None,
    }
}

const fn only_right((key_hash, value): (Digest, Digest)) -> FirstDifference {
    FirstDifference {
        key_hash,
        left: None,
        right: Some(value),
    }
}

/// The child, 0 or 1, to which a key belongs below a branch at `bit`.
fn side(key_hash: &Digest, bit: u16) -> usize {
    let byte = key_hash.as_bytes()[usize::from(bit / 8)];
    usize::from(byte >> (7 - bit % 8) & 1)
}

/// The first bit in which two key hashes differ.
fn first_differing_bit(a: &Digest, b: &Digest) -> Option<u16> {
    let mut bit = 0_u16;
    for (x, y) in a.as_bytes().iter().zip(b.as_bytes()) {
        if x != y {
            // A byte has at most 7 leading zeros here.
            return Some(bit + u16::try_from((x ^ y).leading_zeros()).unwrap_or(7));
        }
        bit += 8;
    }
    None
}

const KEY_BITS: u16 = 256;

/// Other prefixes than the tree's 00 and 01, so that no digest of one stands for the other's.
const LEAF_PREFIX: u8 = 0x02;
const BRANCH_PREFIX: u8 = 0x03;
