//! A persistent map from keys to digests, with one root for its whole content.
//!
//! It does not keep keys or values: a record is its place, mostly the SM3 of its key, and a digest
//! that the caller made of its value. Two maps have the same root exactly when they hold the same
//! records, whatever the order in which they came; that lets replicas compare state by 32 bytes and
//! find their first difference in a logarithmic number of steps.
//!
//! ```text
//!   a binary trie over places, with every chain of one-child nodes left out:
//!
//!            branch at bit 0               leaf   SM3(02 || place || value)
//!           /               \              branch SM3(03 || bit || left || right)
//!     leaf 0110..      branch at bit 3
//!                       /          \
//!                 leaf 1010..   leaf 1011..
//! ```

use std::sync::{Arc, OnceLock};

use crate::digest::{Digest, Hasher};

/// A map from keys to digests. Cloning is cheap: both copies share their content.
///
/// Digests of nodes are computed when a root is asked for, once each, so loading a million records
/// and then asking hashes each node once. All that are missing are computed level by level, those
/// of a level side by side.
#[derive(Clone, Debug, Default)]
pub struct MerkleMap {
    root: Option<Node>,
    len: u64,
}

/// Where a record stands in the trie.
///
/// The trie is balanced as long as nobody can choose places. SM3 of a key is as good as random.
/// Numbers that the keeper of the map gives out one after the other are even better: a run of them
/// is a complete subtree but for its ends, all of it below one node, and records that come together
/// are written together. A number that others choose must go through a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Digest);

impl Place {
    /// The place of a record with this key.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Self {
        Self(Digest::of(key))
    }

    /// The place of the record with this number: 24 zero bytes, which are the beginning of no
    /// key's SM3 that anybody could find, and the number.
    #[must_use]
    pub fn numbered(number: u64) -> Self {
        let mut place = [0; Digest::BYTES];
        place[Digest::BYTES - 8..].copy_from_slice(&number.to_be_bytes());
        Self(Digest::from_bytes(place))
    }
}

/// The first record, in the order of places, in which two maps differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// The record's place: SM3 of its key, where it has one.
    pub key_hash: Digest,
    /// Its value in the first map, if it is there.
    pub left: Option<Digest>,
    /// Its value in the second map, if it is there.
    pub right: Option<Digest>,
}

/// A leaf or a branch. They are allocated apart, because a change copies many branches and makes
/// one leaf.
#[derive(Clone, Debug)]
enum Node {
    Leaf(Arc<Leaf>),
    Branch(Arc<Branch>),
}

#[derive(Debug)]
struct Leaf {
    key_hash: Digest,
    value: Digest,
    digest: OnceLock<Digest>,
}

#[derive(Clone, Debug)]
struct Branch {
    bit: u16,
    children: [Node; 2],
    digest: OnceLock<Digest>,
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
        let nearest = self.root.as_ref()?.nearest_leaf(&wanted);
        (nearest.key_hash == wanted).then_some(nearest.value)
    }

    /// Records `value` under `key` and returns what was there before.
    pub fn insert(&mut self, key: &[u8], value: Digest) -> Option<Digest> {
        self.insert_at(Place::of_key(key), value)
    }

    /// Records `value` at a place and returns what was there before.
    pub fn insert_at(&mut self, place: Place, value: Digest) -> Option<Digest> {
        let key_hash = place.0;
        let Some(root) = &mut self.root else {
            self.root = Some(Node::leaf(key_hash, value));
            self.len = 1;
            return None;
        };
        let nearest = root.nearest_leaf(&key_hash);
        let Some(bit) = first_differing_bit(&nearest.key_hash, &key_hash) else {
            let before = nearest.value;
            replace(root, &key_hash, value);
            return Some(before);
        };
        graft(root, bit, key_hash, value);
        self.len += 1;
        None
    }

    /// Removes the record under `key` and returns its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<Digest> {
        self.remove_at(Place::of_key(key))
    }

    /// Removes the record at a place and returns its value.
    pub fn remove_at(&mut self, place: Place) -> Option<Digest> {
        let key_hash = place.0;
        let root = self.root.as_mut()?;
        let nearest = root.nearest_leaf(&key_hash);
        if nearest.key_hash != key_hash {
            return None;
        }
        let before = nearest.value;
        if let Node::Leaf(_) = root {
            self.root = None;
        } else {
            prune(root, &key_hash);
        }
        self.len -= 1;
        Some(before)
    }

    /// The root: SM3 of nothing for an empty map.
    #[must_use]
    pub fn root(&self) -> Digest {
        let Some(root) = &self.root else {
            return Digest::of(b"");
        };
        let mut missing = Missing::default();
        missing.gather(root);
        missing.compute();
        root.digest()
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
        // The roots first, so that digests which are missing are computed side by side.
        (Some(_), Some(_)) if left.root() == right.root() => None,
        (Some(left), Some(right)) => difference(left, right),
    }
}

impl Node {
    fn leaf(key_hash: Digest, value: Digest) -> Self {
        Self::Leaf(Arc::new(Leaf {
            key_hash,
            value,
            digest: OnceLock::new(),
        }))
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Leaf(it) => *it.digest.get_or_init(|| one(LEAF_PREFIX, &it.bytes())),
            Self::Branch(it) => *it.digest.get_or_init(|| one(BRANCH_PREFIX, &it.bytes())),
        }
    }

    /// The bit at which this node divides; behind the last one for a leaf.
    fn bit(&self) -> u16 {
        match self {
            Self::Leaf(_) => KEY_BITS,
            Self::Branch(it) => it.bit,
        }
    }

    /// The record with the smallest place below this node.
    fn first_leaf(&self) -> (Digest, Digest) {
        let mut node = self;
        loop {
            match node {
                Self::Leaf(it) => return (it.key_hash, it.value),
                Self::Branch(it) => node = &it.children[0],
            }
        }
    }

    /// The leaf that shares the longest path with `key_hash`.
    fn nearest_leaf(&self, key_hash: &Digest) -> &Leaf {
        let mut node = self;
        loop {
            match node {
                Self::Leaf(it) => return it,
                Self::Branch(it) => node = &it.children[side(key_hash, it.bit)],
            }
        }
    }
}

impl Leaf {
    fn bytes(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[..Digest::BYTES].copy_from_slice(self.key_hash.as_bytes());
        bytes[Digest::BYTES..].copy_from_slice(self.value.as_bytes());
        bytes
    }
}

impl Branch {
    fn bytes(&self) -> [u8; BRANCH_BYTES] {
        let [left, right] = &self.children;
        let mut bytes = [0; BRANCH_BYTES];
        bytes[..2].copy_from_slice(&self.bit.to_be_bytes());
        bytes[2..2 + Digest::BYTES].copy_from_slice(left.digest().as_bytes());
        bytes[2 + Digest::BYTES..].copy_from_slice(right.digest().as_bytes());
        bytes
    }
}

fn one(prefix: u8, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[prefix]);
    hasher.update(bytes);
    hasher.finish()
}

/// The nodes whose digests are missing.
#[derive(Default)]
struct Missing<'a> {
    leaves: Vec<&'a Leaf>,
    /// By how many branches with a missing digest lie below.
    branches: Vec<Vec<&'a Branch>>,
}

impl<'a> Missing<'a> {
    /// Takes in what is at and below a node, and says on which level its parent comes. Whatever
    /// lies below a node that has its digest has its own.
    fn gather(&mut self, node: &'a Node) -> usize {
        match node {
            Node::Leaf(it) => {
                if it.digest.get().is_none() {
                    self.leaves.push(it);
                }
                0
            }
            Node::Branch(it) if it.digest.get().is_some() => 0,
            Node::Branch(it) => {
                let [left, right] = &it.children;
                let level = self.gather(left).max(self.gather(right));
                if self.branches.len() <= level {
                    self.branches.resize(level + 1, Vec::new());
                }
                self.branches[level].push(it);
                level + 1
            }
        }
    }

    fn compute(self) {
        for lot in self.leaves.chunks(NODES_AT_ONCE) {
            let bytes: Vec<_> = lot.iter().map(|it| it.bytes()).collect();
            let bytes: Vec<&[u8]> = bytes.iter().map(<[u8; _]>::as_slice).collect();
            let digests = Digest::of_each_with(&[LEAF_PREFIX], &bytes);
            for (leaf, digest) in lot.iter().zip(digests) {
                leaf.digest.get_or_init(|| digest);
            }
        }
        for lot in self.branches.iter().flat_map(|it| it.chunks(NODES_AT_ONCE)) {
            let bytes: Vec<_> = lot.iter().map(|it| it.bytes()).collect();
            let bytes: Vec<&[u8]> = bytes.iter().map(<[u8; _]>::as_slice).collect();
            let digests = Digest::of_each_with(&[BRANCH_PREFIX], &bytes);
            for (branch, digest) in lot.iter().zip(digests) {
                branch.digest.get_or_init(|| digest);
            }
        }
    }
}

/// Gives an existing leaf a new value; branches that others share are copied on the way.
fn replace(node: &mut Node, wanted: &Digest, value: Digest) {
    match node {
        Node::Leaf(_) => *node = Node::leaf(*wanted, value),
        Node::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            branch.digest = OnceLock::new();
            let towards = side(wanted, branch.bit);
            replace(&mut branch.children[towards], wanted, value);
        }
    }
}

/// Puts a new leaf in, at a new branch that divides at `at`.
fn graft(node: &mut Node, at: u16, key_hash: Digest, value: Digest) {
    if let Node::Branch(branch) = node
        && branch.bit < at
    {
        let branch = Arc::make_mut(branch);
        branch.digest = OnceLock::new();
        let towards = side(&key_hash, branch.bit);
        graft(&mut branch.children[towards], at, key_hash, value);
        return;
    }
    let (leaf, old) = (Node::leaf(key_hash, value), node.clone());
    let children = if side(&key_hash, at) == 0 {
        [leaf, old]
    } else {
        [old, leaf]
    };
    *node = Node::Branch(Arc::new(Branch {
        bit: at,
        children,
        digest: OnceLock::new(),
    }));
}

/// Takes an existing leaf out below a branch; its sibling takes the branch's place.
fn prune(node: &mut Node, wanted: &Digest) {
    let Node::Branch(branch) = node else { return };
    let towards = side(wanted, branch.bit);
    if matches!(branch.children[towards], Node::Branch(_)) {
        let branch = Arc::make_mut(branch);
        branch.digest = OnceLock::new();
        prune(&mut branch.children[towards], wanted);
        return;
    }
    let sibling = branch.children[1 - towards].clone();
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
        (Node::Leaf(left), Node::Leaf(right)) => Some(FirstDifference {
            key_hash: left.key_hash,
            left: Some(left.value),
            right: Some(right.value),
        }),
        (Node::Branch(left), Node::Branch(right)) if left.bit == right.bit => {
            let mut pairs = left.children.iter().zip(&right.children);
            pairs.find_map(|(left, right)| difference(left, right))
        }
        (Node::Branch(branch), other) if branch.bit < other.bit() => {
            if side(&first_right.0, branch.bit) == 0 {
                difference(&branch.children[0], other)
                    .or_else(|| Some(only_left(branch.children[1].first_leaf())))
            } else {
                Some(only_left(first_left))
            }
        }
        (other, Node::Branch(branch)) => {
            if side(&first_left.0, branch.bit) == 0 {
                difference(other, &branch.children[0])
                    .or_else(|| Some(only_right(branch.children[1].first_leaf())))
            } else {
                Some(only_right(first_right))
            }
        }
        // A branch above a leaf always divides before the leaf's end, so the arms above took it.
        (Node::Branch(_), Node::Leaf(_)) => Some(only_left(first_left)),
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

/// Place and value.
const LEAF_BYTES: usize = 2 * Digest::BYTES;

/// Bit and the digests of both children.
const BRANCH_BYTES: usize = 2 + 2 * Digest::BYTES;

/// Nodes that are written out together before they are hashed; a few lanes' worth, and small.
const NODES_AT_ONCE: usize = 256;

/// Other prefixes than the tree's 00 and 01, so that no digest of one stands for the other's.
const LEAF_PREFIX: u8 = 0x02;
const BRANCH_PREFIX: u8 = 0x03;
