//! Whoever leads has every entry that was committed before its term.
//!
//! Source: leader completeness, Ongaro and Ousterhout (2014), figure 3. It catches a lost entry
//! before anybody reads it: an append that was acknowledged and not kept, or a majority that was
//! none. It does not see entries that no member has applied yet.

use std::collections::{BTreeMap, BTreeSet};

use super::committed_immutable::CommittedImmutable;
use crate::raft::types::{LogId, Vote};

/// A leader's log: its entries, and up to where they were removed.
pub(in super::super) struct LogOf {
    pub(in super::super) purged: Option<LogId>,
    pub(in super::super) entries: BTreeMap<u64, LogId>,
}

#[derive(Default)]
pub(in super::super) struct LeaderCompleteness {
    /// Term and member of each.
    led: BTreeSet<(u64, u64)>,
}

impl LeaderCompleteness {
    pub(in super::super) fn leads(
        &mut self,
        member: u64,
        vote: Vote,
        log: &LogOf,
        committed: &CommittedImmutable,
    ) -> Result<(), String> {
        let now = (vote.leader_id.term, vote.leader_id.node_id);
        self.led.insert(now);
        let purged = log.purged.map_or(0, |id| id.index);
        for id in committed.applied_entries() {
            let of = (id.leader_id.term, id.leader_id.node_id);
            if of >= now || id.index <= purged {
                continue;
            }
            let has = log.entries.get(&id.index);
            if has != Some(&id) {
                let has = has.map_or_else(|| "nothing".to_owned(), ToString::to_string);
                return Err(format!(
                    "member {member} leads in term {} and has {has} in the place of {id}",
                    now.0
                ));
            }
        }
        Ok(())
    }

    pub(in super::super) fn count(&self) -> u64 {
        u64::try_from(self.led.len()).unwrap()
    }
}
