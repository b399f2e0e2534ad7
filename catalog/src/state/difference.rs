//! Where two states that should be equal are not: 256 parts of the records by the hash of their
//! keys, one digest for each part, and the records of the part that differs.
//!
//! It does not ask anybody; whoever compares two members does. A part is small enough for one
//! message at millions of records, so two answers name the record.

use std::collections::BTreeMap;

use crypto::{Digest, Hasher};

use super::store::State;

/// How many parts there are: one for each first byte of SM3 over a key.
pub(crate) const PARTS: usize = 256;

/// The records of a part: the digest of each record's bytes by its key.
pub(crate) type Part = BTreeMap<String, Digest>;

/// A record that two states do not have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its key, `kind/id`.
    pub record: String,
    /// SM3 of its bytes in the one state; none when it is not there.
    pub ours: Option<Digest>,
    /// And in the other.
    pub theirs: Option<Digest>,
}

impl State {
    /// A digest of each part. Walks over all records.
    pub(crate) fn part_digests(&self) -> Vec<Digest> {
        let mut hashers: Vec<Hasher> = (0..PARTS).map(|_| Hasher::new()).collect();
        for (key, digest) in self.keyed_digests() {
            if let Some(hasher) = hashers.get_mut(usize::from(part_of(&key))) {
                // No key holds a line feed.
                hasher.update(key.as_bytes());
                hasher.update(b"\n");
                hasher.update(digest.as_bytes());
            }
        }
        hashers.into_iter().map(Hasher::finish).collect()
    }

    /// The records of one part. Walks over all records.
    pub(crate) fn part(&self, number: u8) -> Part {
        self.keyed_digests()
            .filter(|(key, _)| part_of(key) == number)
            .collect()
    }

    /// Puts other bytes in the place of a record, as nothing but damage does.
    #[cfg(test)]
    pub(crate) fn edit_for_tests(&mut self, key: &str, bytes: &[u8]) {
        let key = super::RecordKey::parse(key).unwrap();
        let record = super::record::Record::from_bytes(key.kind(), bytes).unwrap();
        self.put(record, bytes);
    }

    /// Every key with the digest that the state digest is made of, in one order on all replicas.
    fn keyed_digests(&self) -> impl Iterator<Item = (String, Digest)> + '_ {
        self.record_list().map(|record| {
            let key = record.key();
            let digest = self.digests.get(key.as_str().as_bytes());
            (key.to_string(), digest.unwrap_or_default())
        })
    }
}

fn part_of(key: &str) -> u8 {
    Digest::of(key.as_bytes()).as_bytes()[0]
}

/// The first part whose digests differ.
pub(crate) fn differing_part(ours: &[Digest], theirs: &[Digest]) -> Option<u8> {
    let mut both = ours.iter().zip(theirs);
    let at = both.position(|(one, other)| one != other)?;
    u8::try_from(at).ok()
}

/// The first record, by key, that is not alike in two copies of a part.
pub(crate) fn first_difference(ours: &Part, theirs: &Part) -> Option<Difference> {
    let keys = ours.keys().chain(theirs.keys());
    let unlike = keys.filter(|key| ours.get(*key) != theirs.get(*key));
    let record = unlike.min()?.clone();
    Some(Difference {
        ours: ours.get(&record).copied(),
        theirs: theirs.get(&record).copied(),
        record,
    })
}
