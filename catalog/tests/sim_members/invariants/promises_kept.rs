//! A member that has answered one leader or candidate does not say yes to an older one.
//!
//! Source: a vote is promised once (Ongaro and Ousterhout, 2014, section 5.2). It catches a vote
//! that a restart forgot at its first wrong answer, long before two leaders do harm. It does not
//! see what a member has stored. A member that lost its disk promised as another: it takes part
//! again only when a leader has taken it out and added it anew.

use std::collections::BTreeMap;

use crate::raft::types::Vote;

#[derive(Default)]
pub(in super::super) struct PromisesKept {
    highest: BTreeMap<u64, Vote>,
}

impl PromisesKept {
    pub(in super::super) fn promised(&mut self, member: u64, vote: Vote) -> Result<(), String> {
        let before = *self.highest.entry(member).or_insert(vote);
        let rank = |it: Vote| (it.leader_id.term, it.leader_id.node_id);
        if rank(vote) < rank(before) {
            return Err(format!(
                "member {member} had promised {before} and then said yes to {vote}"
            ));
        }
        self.highest.insert(member, vote);
        Ok(())
    }

    pub(in super::super) fn knows(&self, member: u64) -> bool {
        self.highest.contains_key(&member)
    }

    pub(in super::super) fn forgot(&mut self, member: u64) {
        self.highest.remove(&member);
    }
}
