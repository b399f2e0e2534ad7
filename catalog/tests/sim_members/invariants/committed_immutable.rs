//! Two members never apply different entries at one index, in this life or another.
//!
//! Source: state machine safety, Ongaro and Ousterhout, "In search of an understandable consensus
//! algorithm" (2014), figure 3. It catches two majorities that decide apart, the moment the second
//! of them applies. It does not see what an entry does; `applied_equal_digest` does.

use std::collections::BTreeMap;

use crypto::Digest;

use crate::raft::codec::encode_entry;
use crate::raft::types::{Entry, LogId};

#[derive(Default)]
pub(in super::super) struct CommittedImmutable {
    entries: BTreeMap<u64, (LogId, Digest)>,
}

impl CommittedImmutable {
    pub(in super::super) fn applied(&mut self, member: u64, entry: &Entry) -> Result<(), String> {
        let bytes = encode_entry(entry).map_err(|error| error.to_string())?;
        let found = (entry.log_id, Digest::of(&bytes));
        let known = *self.entries.entry(entry.log_id.index).or_insert(found);
        if known == found {
            return Ok(());
        }
        Err(format!(
            "member {member} applies {} where {} was applied",
            found.0, known.0
        ))
    }

    /// What was applied, by index.
    pub(super) fn applied_entries(&self) -> impl Iterator<Item = LogId> + '_ {
        self.entries.values().map(|(id, _)| *id)
    }

    pub(in super::super) fn count(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap()
    }
}
