//! Proofs that others check without the tree.
//!
//! It does not know where roots come from; checking a root's signature is the caller's part.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{PATH_DIGESTS_MAX, node_digest};
use crate::Error;
use crate::digest::Digest;

/// Shows that one leaf is in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The leaf's position, from 0.
    pub index: u64,
    /// The number of leaves of the tree.
    pub size: u64,
    /// Sibling digests from the leaf to the root; at most [`PATH_DIGESTS_MAX`].
    #[serde(deserialize_with = "bounded_path")]
    pub path: Vec<Digest>,
}

impl InclusionProof {
    /// Checks the proof for a leaf digest against a root (RFC 9162, 2.1.3.2).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when it does not lead from the leaf to the root.
    pub fn verify(&self, leaf: &Digest, root: &Digest) -> Result<(), Error> {
        if self.index >= self.size || self.path.len() > PATH_DIGESTS_MAX {
            return Err(Error::Rejected);
        }
        let mut position = self.index;
        let mut last = self.size - 1;
        let mut reached = *leaf;
        for sibling in &self.path {
            if last == 0 {
                return Err(Error::Rejected);
            }
            if position % 2 == 1 || position == last {
                reached = node_digest(sibling, &reached);
                // A right edge without sibling on these levels moves up unhashed.
                while position.is_multiple_of(2) && position != 0 {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                reached = node_digest(&reached, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        if last == 0 && reached == *root {
            Ok(())
        } else {
            Err(Error::Rejected)
        }
    }
}

/// Shows that an older tree is a prefix of a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// The number of leaves of the older tree.
    pub old_size: u64,
    /// The number of leaves of the newer tree.
    pub new_size: u64,
    /// Subtree digests; at most [`PATH_DIGESTS_MAX`].
    #[serde(deserialize_with = "bounded_path")]
    pub path: Vec<Digest>,
}

impl ConsistencyProof {
    /// Checks the proof between two roots (RFC 9162, 2.1.4.2).
    ///
    /// An empty older tree is a prefix of every tree, but its root must still be the empty one.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when the older tree is not shown to be a prefix of the newer one.
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), Error> {
        if self.old_size > self.new_size || self.path.len() > PATH_DIGESTS_MAX {
            return Err(Error::Rejected);
        }
        if self.old_size == self.new_size {
            let same = self.path.is_empty() && old_root == new_root;
            return if same && self.empty_is_empty(old_root) {
                Ok(())
            } else {
                Err(Error::Rejected)
            };
        }
        if self.old_size == 0 {
            let fits = self.path.is_empty() && self.empty_is_empty(old_root);
            return if fits { Ok(()) } else { Err(Error::Rejected) };
        }
        self.walk(old_root, new_root)
    }

    fn empty_is_empty(&self, old_root: &Digest) -> bool {
        self.old_size != 0 || *old_root == Digest::of(b"")
    }

    fn walk(&self, old_root: &Digest, new_root: &Digest) -> Result<(), Error> {
        let mut position = self.old_size - 1;
        let mut last = self.new_size - 1;
        // Complete subtrees shared by both trees need no step.
        while position % 2 == 1 {
            position >>= 1;
            last >>= 1;
        }
        let mut path = self.path.iter();
        // A complete old tree is itself the first subtree; otherwise the proof starts with it.
        let first = if self.old_size.is_power_of_two() {
            old_root
        } else {
            path.next().ok_or(Error::Rejected)?
        };
        let (mut old_reached, mut new_reached) = (*first, *first);
        for sibling in path {
            if last == 0 {
                return Err(Error::Rejected);
            }
            if position % 2 == 1 || position == last {
                old_reached = node_digest(sibling, &old_reached);
                new_reached = node_digest(sibling, &new_reached);
                while position.is_multiple_of(2) && position != 0 {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                new_reached = node_digest(&new_reached, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        let fits = last == 0 && old_reached == *old_root && new_reached == *new_root;
        if fits { Ok(()) } else { Err(Error::Rejected) }
    }
}

/// Reads a path and stops at the limit, before memory is spent on the rest.
fn bounded_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    struct Path;

    impl<'de> Visitor<'de> for Path {
        type Value = Vec<Digest>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "at most {PATH_DIGESTS_MAX} digests")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut digests: A) -> Result<Self::Value, A::Error> {
            let mut path = Vec::new();
            while let Some(digest) = digests.next_element()? {
                if path.len() == PATH_DIGESTS_MAX {
                    return Err(A::Error::custom("the path has more than 64 digests"));
                }
                path.push(digest);
            }
            Ok(path)
        }
    }

    deserializer.deserialize_seq(Path)
}
