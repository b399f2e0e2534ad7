//! An exact set of persons in memory: 16 bytes each, sorted within buckets.
//!
//! It does not know keys, years or disks. A person is 124 bits of a keyed hash and four flags that
//! say in which kinds of volumes she occurs; two persons of ten million meet in 124 bits with a
//! chance below 2^-77.

use std::ops::{AddAssign, SubAssign};

/// Persons of one bucket, about: so many are compared and moved at one time.
const BUCKET_PERSONS: usize = 256;

/// One person: the high 124 bits are her hash, the low four are [`Flags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry(u128);

/// In which volumes a person occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// In none.
    pub const NONE: Self = Self(0);
    /// With information that is not sensitive.
    pub const PERSONAL: Self = Self(1);
    /// With sensitive information.
    pub const SENSITIVE: Self = Self(4);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The same in a volume that is exempt.
    const fn exempt(self) -> Self {
        Self((self.0 & 0b0101) << 1)
    }
}

impl Entry {
    /// Bytes of one entry.
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn new(hash: [u8; 16], flags: Flags) -> Self {
        Self((u128::from_be_bytes(hash) & !FLAG_BITS) | u128::from(flags.0))
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_be_bytes()
    }

    const fn person(self) -> u128 {
        self.0 & !FLAG_BITS
    }

    fn flags(self) -> Flags {
        Flags(self.to_bytes()[Self::BYTES - 1] & FLAG_BYTE)
    }

    /// The same person in a volume that is exempt.
    pub(crate) fn exempted(self) -> Self {
        Self(self.person() | u128::from(self.flags().exempt().0))
    }
}

const FLAG_BYTE: u8 = 0b1111;
const FLAG_BITS: u128 = 0b1111;

/// How many persons there are of each combination of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; 16]);

impl Tally {
    pub(crate) fn of(sorted: &[Entry]) -> Self {
        let mut tally = Self::default();
        for it in sorted {
            tally.count(it.flags());
        }
        tally
    }

    fn count(&mut self, flags: Flags) {
        self.0[usize::from(flags.0)] += 1;
    }

    fn uncount(&mut self, flags: Flags) {
        self.0[usize::from(flags.0)] -= 1;
    }

    fn sum(&self, wanted: impl Fn(usize) -> bool) -> u64 {
        (1..16)
            .filter(|flags| wanted(*flags))
            .map(|flags| self.0[flags])
            .sum()
    }

    /// All persons.
    pub(crate) fn persons(&self) -> u64 {
        self.sum(|_| true)
    }

    /// Persons with information that is not sensitive.
    pub(crate) fn personal(&self) -> u64 {
        self.sum(|flags| flags & 0b0011 != 0)
    }

    /// Of those, the ones that occur in exempt volumes only.
    pub(crate) fn personal_exempt(&self) -> u64 {
        self.sum(|flags| flags & 0b0011 == 0b0010)
    }

    /// Persons with sensitive information.
    pub(crate) fn sensitive(&self) -> u64 {
        self.sum(|flags| flags & 0b1100 != 0)
    }

    /// Of those, the ones that occur in exempt volumes only.
    pub(crate) fn sensitive_exempt(&self) -> u64 {
        self.sum(|flags| flags & 0b1100 == 0b1000)
    }

    /// A person's flags became others.
    pub(crate) fn turn(&mut self, before: Flags, after: Flags) {
        if !before.is_empty() {
            self.uncount(before);
        }
        if !after.is_empty() {
            self.count(after);
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (own, added) in self.0.iter_mut().zip(other.0) {
            *own += added;
        }
    }
}

impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        for (own, taken) in self.0.iter_mut().zip(other.0) {
            *own -= taken;
        }
    }
}

/// Sorts entries and makes one of those of one person.
pub(crate) fn settle(entries: &mut Vec<Entry>) {
    entries.sort_unstable();
    entries.dedup_by(|later, kept| {
        let same = later.person() == kept.person();
        if same {
            kept.0 |= later.0;
        }
        same
    });
}

/// The flags of a person in entries that [`settle`] went over.
pub(crate) fn flags_in(sorted: &[Entry], of: Entry) -> Flags {
    let at = sorted.binary_search_by_key(&of.person(), |it| it.person());
    at.ok()
        .and_then(|at| sorted.get(at))
        .map_or(Flags::NONE, |it| it.flags())
}

/// The flags of an entry.
pub(crate) fn flags_of(entry: Entry) -> Flags {
    entry.flags()
}

/// Persons, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonSet {
    /// A power of two of them; a person's is chosen by the first bits of her hash.
    buckets: Vec<Vec<Entry>>,
    tally: Tally,
}

impl Default for PersonSet {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new()],
            tally: Tally::default(),
        }
    }
}

impl PersonSet {
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// In their order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.buckets.iter().flatten().copied()
    }

    /// A person's flags; none when she is not in it.
    pub(crate) fn flags(&self, of: Entry) -> Flags {
        let bucket = self.buckets.get(self.bucket(of));
        bucket.map_or(Flags::NONE, |bucket| flags_in(bucket, of))
    }

    fn bucket(&self, of: Entry) -> usize {
        match self.buckets.len().trailing_zeros() {
            0 => 0,
            // The number of buckets fits, so that a bucket's number does.
            bits => usize::try_from(of.person() >> (u128::BITS - bits)).unwrap_or(0),
        }
    }

    /// Adds persons that [`settle`] went over.
    pub(crate) fn add(&mut self, sorted: &[Entry]) {
        self.make_room(sorted.len());
        let mut rest = sorted;
        while let Some(first) = rest.first() {
            let at = self.bucket(*first);
            let here = rest.partition_point(|it| self.bucket(*it) == at);
            let (mine, after) = rest.split_at(here);
            let Some(bucket) = self.buckets.get_mut(at) else {
                return;
            };
            merge(bucket, mine, &mut self.tally);
            rest = after;
        }
    }

    /// More buckets, each half of one, as long as they would become too full.
    fn make_room(&mut self, more: usize) {
        let held = usize::try_from(self.tally.persons()).unwrap_or(usize::MAX);
        let wanted = held.saturating_add(more) / BUCKET_PERSONS;
        while self.buckets.len() < wanted {
            let bit = u128::BITS - 1 - self.buckets.len().trailing_zeros();
            let halves = std::mem::take(&mut self.buckets)
                .into_iter()
                .flat_map(|mut low| {
                    let middle = low.partition_point(|it| it.person() >> bit & 1 == 0);
                    let high = low.split_off(middle);
                    low.shrink_to_fit();
                    [low, high]
                });
            self.buckets = halves.collect();
        }
    }
}

/// Merges sorted persons into a sorted bucket.
fn merge(bucket: &mut Vec<Entry>, added: &[Entry], tally: &mut Tally) {
    // An eighth of room, so that a few more do not copy it again.
    let room = bucket.len() + added.len();
    let before = std::mem::replace(bucket, Vec::with_capacity(room + room / 8));
    let (mut old, mut new) = (before.as_slice(), added);
    while let ([a, old_rest @ ..], [b, new_rest @ ..]) = (old, new) {
        if a.person() < b.person() {
            bucket.push(*a);
            old = old_rest;
        } else if b.person() < a.person() {
            tally.turn(Flags::NONE, b.flags());
            bucket.push(*b);
            new = new_rest;
        } else {
            let both = Entry(a.0 | b.0);
            tally.turn(a.flags(), both.flags());
            bucket.push(both);
            (old, new) = (old_rest, new_rest);
        }
    }
    bucket.extend_from_slice(old);
    for it in new {
        tally.turn(Flags::NONE, it.flags());
    }
    bucket.extend_from_slice(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// A few persons, so that they meet; some hashes share their first bits.
    fn entry() -> impl Strategy<Value = Entry> {
        let hash = prop_oneof![
            (0_u8..40).prop_map(|it| [it; 16]),
            (0_u8..4, any::<[u8; 2]>()).prop_map(|(high, low)| {
                let mut hash = [high << 6; 16];
                hash[13..15].copy_from_slice(&low);
                hash
            }),
        ];
        (hash, 1_u8..16).prop_map(|(hash, flags)| Entry::new(hash, Flags(flags)))
    }

    fn figures(tally: &Tally) -> [u64; 5] {
        [
            tally.persons(),
            tally.personal(),
            tally.personal_exempt(),
            tally.sensitive(),
            tally.sensitive_exempt(),
        ]
    }

    fn expected(all: &HashMap<u128, u8>) -> [u64; 5] {
        let count = |wanted: &dyn Fn(u8) -> bool| {
            u64::try_from(all.values().filter(|flags| wanted(**flags)).count()).unwrap()
        };
        [
            count(&|_| true),
            count(&|it| it & 3 != 0),
            count(&|it| it & 3 == 2),
            count(&|it| it & 12 != 0),
            count(&|it| it & 12 == 8),
        ]
    }

    proptest! {
        #[test]
        fn a_set_counts_like_a_map(
            batches in prop::collection::vec(prop::collection::vec(entry(), 0..900), 1..8),
        ) {
            let mut set = PersonSet::default();
            let mut all: HashMap<u128, u8> = HashMap::new();
            for mut batch in batches {
                for it in &batch {
                    *all.entry(it.person()).or_default() |= it.flags().0;
                }
                settle(&mut batch);
                set.add(&batch);
                prop_assert_eq!(figures(&set.tally()), expected(&all));
            }
            for (person, flags) in &all {
                prop_assert_eq!(set.flags(Entry(*person)), Flags(*flags));
            }
            let entries: Vec<Entry> = set.entries().collect();
            prop_assert!(entries.is_sorted());
            prop_assert_eq!(Tally::of(&entries), set.tally());
            prop_assert_eq!(set.flags(Entry::new([0xfe; 16], Flags::NONE)), Flags::NONE);
        }
    }

    #[test]
    fn a_person_in_a_counted_and_in_an_exempt_volume_is_counted() {
        let person = |flags| Entry::new([7; 16], flags);
        let both = Flags::PERSONAL.and(Flags::SENSITIVE);
        let mut set = PersonSet::default();
        set.add(&[person(both).exempted()]);
        assert_eq!(figures(&set.tally()), [1, 1, 1, 1, 1]);
        set.add(&[person(Flags::PERSONAL)]);
        assert_eq!(figures(&set.tally()), [1, 1, 0, 1, 1]);
    }
}
