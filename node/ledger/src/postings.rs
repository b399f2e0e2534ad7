//! Which of 8,192 neighbouring entries have a term: sets of positions, and their bytes. Pure.
//!
//! It does not know terms or entries. A set with few positions is a list of them, one with many
//! is a bit each, so that a term takes at most one bit an entry and a rare one two bytes a hit.

/// Entries in one block. Small enough that writing one is about one sync's time, large enough
/// that ten million entries are 1,221 blocks, which a search reads in milliseconds.
pub(crate) const BLOCK_ENTRIES: usize = 8_192;
/// The same, as a number of entries.
pub(crate) const BLOCK_ENTRIES_U64: u64 = 8_192;

const WORDS: usize = BLOCK_ENTRIES / 64;
/// From here on a bit each is smaller than a list.
const LIST_MAX: usize = BLOCK_ENTRIES / 16;
const LIST: u8 = 1;
const BITS: u8 = 2;

/// A set of positions in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Positions([u64; WORDS]);

impl Positions {
    /// The first `count` positions.
    pub(crate) fn first(count: usize) -> Self {
        let mut all = Self([0; WORDS]);
        for (at, word) in all.0.iter_mut().enumerate() {
            let within = count.saturating_sub(at * 64).min(64);
            *word = match within {
                64 => u64::MAX,
                within => (1 << within) - 1,
            };
        }
        all
    }

    /// The positions in a list.
    pub(crate) fn of(list: &[u16]) -> Self {
        let mut set = Self([0; WORDS]);
        for position in list {
            let at = usize::from(*position);
            if let Some(word) = set.0.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
        set
    }

    /// Keeps what both have.
    pub(crate) fn keep(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Takes a position out.
    pub(crate) fn remove(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = usize::try_from(rest.trailing_zeros()).unwrap_or(64);
                (bit < 64).then(|| {
                    rest &= rest - 1;
                    at * 64 + bit
                })
            })
        })
    }
}

/// The bytes of a list of ascending positions.
pub(crate) fn encode(list: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + list.len().min(LIST_MAX) * 2);
    if list.len() <= LIST_MAX {
        bytes.push(LIST);
        bytes.extend(list.iter().flat_map(|it| it.to_be_bytes()));
    } else {
        bytes.push(BITS);
        bytes.extend(Positions::of(list).0.iter().flat_map(|it| it.to_be_bytes()));
    }
    bytes
}

/// The set in some bytes, if they are one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Positions> {
    match bytes.split_first()? {
        (&LIST, list) => {
            let (pairs, rest) = list.as_chunks::<2>();
            let list: Vec<u16> = pairs.iter().map(|it| u16::from_be_bytes(*it)).collect();
            let fits = list.iter().all(|it| usize::from(*it) < BLOCK_ENTRIES);
            (rest.is_empty() && fits).then(|| Positions::of(&list))
        }
        (&BITS, bits) => {
            let (words, rest) = bits.as_chunks::<8>();
            let words: Vec<u64> = words.iter().map(|it| u64::from_be_bytes(*it)).collect();
            let words = <[u64; WORDS]>::try_from(words).ok()?;
            rest.is_empty().then_some(Positions(words))
        }
        _ => None,
    }
}

/// The bytes of instants in milliseconds: each as its distance from the one before, in sevens of
/// bits, lowest first, the sign in the lowest bit. Neighbours are close, so most take two bytes.
pub(crate) fn encode_times(times: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(times.len() * 2);
    let mut before = 0_i64;
    for time in times {
        let distance = time.wrapping_sub(before);
        let mut rest = ((distance << 1) ^ (distance >> 63)).cast_unsigned();
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        before = *time;
    }
    bytes
}

/// The instants in some bytes, if they are a block's.
pub(crate) fn decode_times(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut times = Vec::with_capacity(BLOCK_ENTRIES);
    let mut before = 0_i64;
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        loop {
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        let distance = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        before = before.wrapping_add(distance);
        times.push(before);
        if times.len() > BLOCK_ENTRIES {
            return None;
        }
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_are_read_as_they_were_written(
            set in prop::collection::btree_set(0_u16..8_192, 0..2_000),
        ) {
            let list: Vec<u16> = set.into_iter().collect();
            let read = decode(&encode(&list)).unwrap();
            let positions: Vec<u16> = read.iter().map(|it| u16::try_from(it).unwrap()).collect();
            prop_assert_eq!(&positions, &list);
            prop_assert_eq!(read.count(), u64::try_from(list.len()).unwrap());
            prop_assert_eq!(read.is_empty(), list.is_empty());
            prop_assert!(encode(&list).len() <= 1 + BLOCK_ENTRIES / 8);
        }

        #[test]
        fn times_are_read_as_they_were_written(
            times in prop::collection::vec(any::<i64>(), 0..50),
        ) {
            prop_assert_eq!(decode_times(&encode_times(&times)), Some(times));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = decode(&bytes);
            let _ = decode_times(&bytes);
        }

        #[test]
        fn what_is_kept_is_in_both(
            one in prop::collection::btree_set(0_u16..8_192, 0..700),
            count in 0_usize..8_193,
        ) {
            let list: Vec<u16> = one.iter().copied().collect();
            let mut kept = Positions::first(count);
            kept.keep(&Positions::of(&list));
            let expected = one.iter().filter(|it| usize::from(**it) < count).count();
            prop_assert_eq!(kept.count(), u64::try_from(expected).unwrap());
        }
    }
}
