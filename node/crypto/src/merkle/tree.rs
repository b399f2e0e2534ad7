//! An append-only tree that can prove what it holds.

use std::ops::Range;

use super::{ConsistencyProof, InclusionProof, node_digest};
use crate::Error;
use crate::digest::Digest;

/// An append-only Merkle tree in memory: about 64 bytes for each leaf.
///
/// It keeps every complete subtree, so a root or a proof of any size takes a logarithmic number
/// of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// `levels[h][i]` is the root of the complete subtree over leaves `i << h .. (i + 1) << h`.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// A tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf by its digest ([`super::leaf_digest`]).
    pub fn push(&mut self, leaf: Digest) {
        let mut carried = leaf;
        let mut height = 0;
        loop {
            if height == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[height];
            level.push(carried);
            // A level with an even count just closed a pair, which is a node one level up.
            let [.., left, right] = level.as_slice() else {
                return;
            };
            if level.len() % 2 == 1 {
                return;
            }
            carried = node_digest(left, right);
            height += 1;
        }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.levels
            .first()
            .map_or(0, |leaves| crate::encoding::length(leaves.len()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The digest of one leaf.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<Digest> {
        self.levels
            .first()?
            .get(usize::try_from(index).ok()?)
            .copied()
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        // The whole tree is always within itself.
        self.subtree(0..self.len())
            .unwrap_or_else(|| Digest::of(b""))
    }

    /// The root that the tree had when it held `size` leaves.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] when it never held so many.
    pub fn root_at(&self, size: u64) -> Result<Digest, Error> {
        self.check_size(size)?;
        if size == 0 {
            return Ok(Digest::of(b""));
        }
        self.subtree(0..size).ok_or_else(|| self.too_large(size))
    }

    /// Proves that leaf `index` is in the tree of `size` leaves (RFC 9162, 2.1.3.1).
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] when the tree does not have so many leaves.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, Error> {
        self.check_size(size)?;
        if index >= size {
            return Err(Error::LimitExceeded {
                what: "leaf index",
                limit: size.saturating_sub(1),
                found: index,
            });
        }
        let mut path = Vec::new();
        let mut within = 0..size;
        while within.end - within.start > 1 {
            let middle = within.start + split(within.end - within.start);
            let (inside, beside) = if index < middle {
                (within.start..middle, middle..within.end)
            } else {
                (middle..within.end, within.start..middle)
            };
            path.push(self.subtree(beside).ok_or_else(|| self.too_large(size))?);
            within = inside;
        }
        path.reverse();
        Ok(InclusionProof { index, size, path })
    }

    /// Proves that the tree of `old` leaves is a prefix of that of `new` (RFC 9162, 2.1.4.1).
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] when `old` is above `new` or `new` above what there is.
    pub fn consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
        self.check_size(new)?;
        if old > new {
            return Err(Error::LimitExceeded {
                what: "old tree size",
                limit: new,
                found: old,
            });
        }
        let mut path = Vec::new();
        if old != 0 && old != new {
            let mut within = 0..new;
            // Whether the old tree's part of `within` is all of the old tree, whose root the
            // verifier already has.
            let mut is_whole_old_tree = true;
            while within.end != old {
                let middle = within.start + split(within.end - within.start);
                let (inside, beside) = if old <= middle {
                    (within.start..middle, middle..within.end)
                } else {
                    is_whole_old_tree = false;
                    (middle..within.end, within.start..middle)
                };
                path.push(self.subtree(beside).ok_or_else(|| self.too_large(new))?);
                within = inside;
            }
            if !is_whole_old_tree {
                path.push(self.subtree(within).ok_or_else(|| self.too_large(new))?);
            }
            path.reverse();
        }
        Ok(ConsistencyProof {
            old_size: old,
            new_size: new,
            path,
        })
    }

    /// The root over a range that RFC 6962's splitting produces, from complete subtrees.
    fn subtree(&self, range: Range<u64>) -> Option<Digest> {
        let mut peaks = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let height = (range.end - start).ilog2();
            let level = self.levels.get(usize::try_from(height).ok()?)?;
            peaks.push(*level.get(usize::try_from(start >> height).ok()?)?);
            start += 1 << height;
        }
        (!peaks.is_empty()).then(|| super::fold_peaks(peaks.into_iter()))
    }

    fn check_size(&self, size: u64) -> Result<(), Error> {
        if size <= self.len() {
            Ok(())
        } else {
            Err(self.too_large(size))
        }
    }

    fn too_large(&self, size: u64) -> Error {
        Error::LimitExceeded {
            what: "tree size",
            limit: self.len(),
            found: size,
        }
    }
}

impl FromIterator<Digest> for Tree {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut levels = Vec::new();
        let mut level: Vec<Digest> = leaves.into_iter().collect();
        while !level.is_empty() {
            let above = super::node_digests(&level);
            levels.push(level);
            level = above;
        }
        Self { levels }
    }
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
