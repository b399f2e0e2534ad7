//! Sets of document numbers: shared between versions of the index, and flat while a query runs.
//!
//! It does not give numbers; the index does.
//!
//! Numbers are cut into blocks of 65,536. A block is a sorted list while that is smaller, and bits
//! otherwise, as in Chambi, Lemire et al., "Better bitmap performance with Roaring bitmaps", 2016.

use std::sync::Arc;

/// A set that is cheap to copy: changing one number copies one block.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    blocks: Vec<Arc<Block>>,
}

#[derive(Clone, Debug)]
enum Block {
    /// At most [`LISTED_MAX`], ascending.
    Listed(Vec<u16>),
    Bits(Box<[u64]>),
}

impl Block {
    const fn empty() -> Self {
        Self::Listed(Vec::new())
    }

    fn insert(&mut self, low: u16) {
        match self {
            Self::Bits(words) => words[word(low)] |= bit(low),
            Self::Listed(listed) => {
                let Err(at) = listed.binary_search(&low) else {
                    return;
                };
                listed.insert(at, low);
                if listed.len() > LISTED_MAX {
                    let mut words = vec![0_u64; BLOCK_WORDS].into_boxed_slice();
                    for low in listed.iter() {
                        words[word(*low)] |= bit(*low);
                    }
                    *self = Self::Bits(words);
                }
            }
        }
    }

    fn remove(&mut self, low: u16) {
        match self {
            Self::Bits(words) => words[word(low)] &= !bit(low),
            Self::Listed(listed) => {
                if let Ok(at) = listed.binary_search(&low) {
                    listed.remove(at);
                }
            }
        }
    }
}

impl Set {
    pub(super) fn insert(&mut self, number: u32) {
        let (block, low) = split(number);
        while self.blocks.len() <= block {
            self.blocks.push(Arc::new(Block::empty()));
        }
        Arc::make_mut(&mut self.blocks[block]).insert(low);
    }

    pub(super) fn remove(&mut self, number: u32) {
        let (block, low) = split(number);
        if let Some(block) = self.blocks.get_mut(block) {
            Arc::make_mut(block).remove(low);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.iter().all(|block| match &**block {
            Block::Listed(listed) => listed.is_empty(),
            Block::Bits(words) => words.iter().all(|word| *word == 0),
        })
    }
}

/// A set as bits, for one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// The numbers below `length`.
    pub(super) fn below(length: usize) -> Self {
        let mut words = vec![u64::MAX; length / 64];
        if !length.is_multiple_of(64) {
            words.push((1 << (length % 64)) - 1);
        }
        Self { words }
    }

    /// Takes the numbers of a set in.
    pub(super) fn add(&mut self, set: &Set) {
        for (number, block) in set.blocks.iter().enumerate() {
            let from = number * BLOCK_WORDS;
            match &**block {
                Block::Listed(listed) => {
                    for low in listed {
                        let at = from + word(*low);
                        self.reach(at + 1);
                        self.words[at] |= bit(*low);
                    }
                }
                Block::Bits(words) => {
                    self.reach(from + words.len());
                    for (into, word) in self.words[from..].iter_mut().zip(words) {
                        *into |= word;
                    }
                }
            }
        }
    }

    /// Keeps what is in the other as well.
    pub(super) fn keep(&mut self, other: &Self) {
        self.words.truncate(other.words.len());
        for (into, word) in self.words.iter_mut().zip(&other.words) {
            *into &= word;
        }
    }

    /// Takes out what is in the other.
    pub(super) fn drop_all(&mut self, other: &Self) {
        for (into, word) in self.words.iter_mut().zip(&other.words) {
            *into &= !word;
        }
    }

    pub(super) fn has(&self, number: u32) -> bool {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let word = self.words.get(at / 64);
        word.is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| ones(*word)).sum()
    }

    /// How many numbers of a set are in here.
    pub(super) fn count(&self, set: &Set) -> usize {
        let mut count = 0;
        for (number, block) in set.blocks.iter().enumerate() {
            let here = self.words.get(number * BLOCK_WORDS..).unwrap_or_default();
            count += match &**block {
                Block::Listed(listed) => listed
                    .iter()
                    .filter(|low| here.get(word(**low)).is_some_and(|it| it & bit(**low) != 0))
                    .count(),
                Block::Bits(words) => {
                    let both = here.iter().zip(words);
                    both.map(|(one, other)| ones(one & other)).sum()
                }
            };
        }
        count
    }

    /// The numbers, ascending.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                // Numbers are made from 32 bits.
                u32::try_from(at * 64).ok().map(|from| from + bit)
            })
        })
    }

    fn reach(&mut self, words: usize) {
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
    }
}

fn split(number: u32) -> (usize, u16) {
    let low = u16::try_from(number % BLOCK_NUMBERS).unwrap_or_default();
    let block = usize::try_from(number / BLOCK_NUMBERS).unwrap_or_default();
    (block, low)
}

fn word(low: u16) -> usize {
    usize::from(low) / 64
}

const fn bit(low: u16) -> u64 {
    1 << (low % 64)
}

fn ones(word: u64) -> usize {
    usize::try_from(word.count_ones()).unwrap_or_default()
}

const BLOCK_NUMBERS: u32 = 1 << 16;

const BLOCK_WORDS: usize = 1 << 10;

/// So many numbers of two bytes take as much as the bits of a block.
const LISTED_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(numbers: &BTreeSet<u32>) -> Set {
        let mut set = Set::default();
        for number in numbers {
            set.insert(*number);
        }
        set
    }

    fn bits(numbers: &BTreeSet<u32>) -> Bits {
        let mut bits = Bits::default();
        bits.add(&set(numbers));
        bits
    }

    fn some() -> impl Strategy<Value = BTreeSet<u32>> {
        let near = prop::collection::btree_set(0_u32..300, 0..200);
        let far = prop::collection::btree_set(0_u32..200_000, 0..300);
        // More than a list holds.
        let many = (0_u32..70_000, 1_u32..7)
            .prop_map(|(from, step)| (0..5_000).map(|number| from + number * step).collect());
        prop_oneof![near, far, many]
    }

    proptest! {
        #[test]
        fn sets_do_what_sets_of_the_book_do(one in some(), other in some()) {
            let (a, b) = (bits(&one), bits(&other));
            prop_assert_eq!(&a.numbers().collect::<BTreeSet<_>>(), &one);
            prop_assert_eq!(a.len(), one.len());
            prop_assert_eq!(a.count(&set(&other)), one.intersection(&other).count());
            let mut both = a.clone();
            both.keep(&b);
            let expected: BTreeSet<u32> = one.intersection(&other).copied().collect();
            prop_assert_eq!(both.numbers().collect::<BTreeSet<_>>(), expected);
            let mut less = a.clone();
            less.drop_all(&b);
            let expected: BTreeSet<u32> = one.difference(&other).copied().collect();
            prop_assert_eq!(less.numbers().collect::<BTreeSet<_>>(), expected);
            let mut removed = set(&one);
            for number in &other {
                removed.remove(*number);
            }
            let mut left = Bits::default();
            left.add(&removed);
            prop_assert_eq!(left.len(), one.difference(&other).count());
            prop_assert_eq!(removed.is_empty(), left.len() == 0);
            prop_assert!(other.iter().all(|it| a.has(*it) == one.contains(it)));
        }
    }

    #[test]
    fn all_below_a_length() {
        for length in [0, 1, 63, 64, 65, 1_000] {
            assert_eq!(Bits::below(length).len(), length);
        }
    }
}
