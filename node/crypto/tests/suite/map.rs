//! The Merkle map against an ordered map.

use std::collections::BTreeMap;

use crypto::Digest;
use crypto::merkle::map::{FirstDifference, MerkleMap, Place, first_difference};
use proptest::prelude::*;

type Records = BTreeMap<u16, u8>;

fn value(number: u8) -> Digest {
    Digest::of(&[number])
}

fn build<'a>(records: impl IntoIterator<Item = (&'a u16, &'a u8)>) -> MerkleMap {
    let mut map = MerkleMap::new();
    for (key, number) in records {
        map.insert(&key.to_be_bytes(), value(*number));
    }
    map
}

/// The first difference by the definition: in the order of key hashes.
fn naive_difference(left: &Records, right: &Records) -> Option<FirstDifference> {
    left.keys()
        .chain(right.keys())
        .map(|key| FirstDifference {
            key_hash: Digest::of(&key.to_be_bytes()),
            left: left.get(key).map(|number| value(*number)),
            right: right.get(key).map(|number| value(*number)),
        })
        .filter(|found| found.left != found.right)
        .min_by_key(|found| found.key_hash)
}

/// The root by its definition, from records in the order of their places.
fn naive_root(records: &[(Digest, Digest)]) -> Digest {
    let of = |parts: &[&[u8]]| Digest::of(&parts.concat());
    match records {
        [] => Digest::of(b""),
        [(place, value)] => of(&[&[2], place.as_bytes(), value.as_bytes()]),
        [(first, _), .., (last, _)] => {
            let is_set = |place: &Digest, bit: u16| {
                place.as_bytes()[usize::from(bit / 8)] >> (7 - bit % 8) & 1 == 1
            };
            let divides = |bit: &u16| is_set(first, *bit) != is_set(last, *bit);
            // Places of different keys differ somewhere.
            let bit = (0..256).find(divides).unwrap_or(255);
            let right = records.partition_point(|(place, _)| !is_set(place, bit));
            let (left, right) = records.split_at(right);
            let (left, right) = (naive_root(left), naive_root(right));
            of(&[
                &[3][..],
                &bit.to_be_bytes(),
                left.as_bytes(),
                right.as_bytes(),
            ])
        }
    }
}

fn sorted(records: &Records) -> Vec<(Digest, Digest)> {
    let place = |key: &u16| Digest::of(&key.to_be_bytes());
    let mut sorted: Vec<_> = records
        .iter()
        .map(|(key, number)| (place(key), value(*number)))
        .collect();
    sorted.sort();
    sorted
}

fn records() -> impl Strategy<Value = Records> {
    prop::collection::btree_map(any::<u16>(), any::<u8>(), 0..80)
}

/// A step: insert or remove. Few keys, so that steps meet.
fn steps() -> impl Strategy<Value = Vec<(u16, Option<u8>)>> {
    prop::collection::vec((0_u16..60, any::<Option<u8>>()), 0..200)
}

proptest! {
    #[test]
    fn the_root_is_what_its_definition_says(
        first in records(),
        more in prop::collection::btree_map(any::<u16>(), any::<u8>(), 0..600),
    ) {
        let mut map = build(&first);
        prop_assert_eq!(map.root(), naive_root(&sorted(&first)));
        for (key, number) in &more {
            map.insert(&key.to_be_bytes(), value(*number));
        }
        let mut all = first;
        all.extend(more);
        prop_assert_eq!(map.root(), naive_root(&sorted(&all)));
    }

    #[test]
    fn the_same_records_have_the_same_root_in_any_order(
        records in records(),
        order in any::<prop::sample::Index>(),
    ) {
        let forwards = build(&records);
        let backwards = build(records.iter().rev());
        let cut = if records.is_empty() { 0 } else { order.index(records.len()) };
        let turned = build(records.iter().skip(cut).chain(records.iter().take(cut)));
        prop_assert_eq!(forwards.root(), backwards.root());
        prop_assert_eq!(forwards.root(), turned.root());
        prop_assert_eq!(first_difference(&forwards, &turned), None);
    }

    #[test]
    fn steps_lead_where_an_ordered_map_leads(steps in steps()) {
        let (mut map, mut model) = (MerkleMap::new(), Records::new());
        for (key, step) in steps {
            let before = map.clone();
            let root_before = before.root();
            let bytes = key.to_be_bytes();
            let (found, expected) = match step {
                Some(number) => (map.insert(&bytes, value(number)), model.insert(key, number)),
                None => (map.remove(&bytes), model.remove(&key)),
            };
            prop_assert_eq!(found, expected.map(value));
            prop_assert_eq!(map.len(), model.len() as u64);
            prop_assert_eq!(map.is_empty(), model.is_empty());
            prop_assert_eq!(map.get(&bytes), model.get(&key).map(|number| value(*number)));
            // Asking in between must not leave a stale digest, and copies must not change.
            prop_assert_eq!(map.root(), build(&model).root());
            prop_assert_eq!(before.root(), root_before);
        }
    }

    #[test]
    fn the_first_difference_is_found(left in records(), right in records()) {
        let found = first_difference(&build(&left), &build(&right));
        prop_assert_eq!(found, naive_difference(&left, &right));
    }

    #[test]
    fn one_changed_record_among_many_is_found(records in records(), key: u16, number: Option<u8>) {
        let mut changed = records.clone();
        match number {
            Some(number) => changed.insert(key, number),
            None => changed.remove(&key),
        };
        let found = first_difference(&build(&records), &build(&changed));
        prop_assert_eq!(found, naive_difference(&records, &changed));
        prop_assert_eq!(build(&records).root() == build(&changed).root(), records == changed);
    }
}

/// Some records by number in a window, the others by key.
fn numbered(records: &Records, window: &std::ops::Range<u64>) -> MerkleMap {
    let mut map = build(records);
    for number in window.clone() {
        map.insert_at(Place::numbered(number), Digest::of(&number.to_be_bytes()));
    }
    map
}

proptest! {
    #[test]
    fn a_window_of_numbers_that_moves_is_the_window_that_was_built(
        records in records(),
        first in prop_oneof![0_u64..300, Just(u64::MAX - 200)],
        len in 1_u64..100,
        steps in 1_u64..100,
    ) {
        let mut moved = numbered(&records, &(first..first + len));
        let before = moved.clone();
        let root_before = before.root();
        for number in first..first + steps {
            let value = Digest::of(&number.to_be_bytes());
            let next = number + len;
            prop_assert_eq!(
                moved.insert_at(Place::numbered(next), Digest::of(&next.to_be_bytes())),
                None
            );
            prop_assert_eq!(moved.remove_at(Place::numbered(number)), Some(value));
            prop_assert_eq!(moved.remove_at(Place::numbered(number)), None);
        }
        let built = numbered(&records, &(first + steps..first + steps + len));
        prop_assert_eq!(moved.root(), built.root());
        prop_assert_eq!(moved.len(), built.len());
        prop_assert_eq!(before.root(), root_before);
        let found = first_difference(&before, &moved).expect("the windows differ");
        prop_assert_eq!(found, FirstDifference {
            key_hash: found.key_hash,
            left: Some(Digest::of(&first.to_be_bytes())),
            right: None,
        });
    }
}

#[test]
fn an_empty_map_is_not_a_map_of_nothing_in_particular() {
    let mut map = MerkleMap::new();
    assert_eq!(map.root(), Digest::of(b""));
    map.insert(b"", Digest::ZERO);
    assert_ne!(map.root(), Digest::of(b""));
    assert_eq!(map.remove(b""), Some(Digest::ZERO));
    assert_eq!(map, MerkleMap::new());
}
