//! What a client was told stands in the log, and in the end every member has applied it.
//!
//! Source: durability of acknowledged writes; etcd's robustness tests hold the same of their
//! clients' histories. It catches an answer that ran ahead of the log. It does not compare logs;
//! `committed_immutable` does, and together they say that nothing acknowledged is ever lost.

use std::collections::{BTreeMap, BTreeSet};

use schemas::CommandId;

#[derive(Default)]
pub(in super::super) struct AcknowledgedNotLost {
    applied: BTreeMap<CommandId, BTreeSet<u64>>,
    newest: u64,
    count: u64,
}

impl AcknowledgedNotLost {
    pub(in super::super) fn applied(&mut self, index: u64, id: &CommandId) {
        self.applied.entry(id.clone()).or_default().insert(index);
    }

    pub(in super::super) fn acknowledged(
        &mut self,
        id: &CommandId,
        index: u64,
    ) -> Result<(), String> {
        self.newest = self.newest.max(index);
        self.count += 1;
        let places = self.applied.get(id);
        if places.is_some_and(|places| places.contains(&index)) {
            return Ok(());
        }
        Err(format!(
            "{id} was acknowledged at {index}, and was applied at {places:?}"
        ))
    }

    pub(in super::super) const fn newest(&self) -> u64 {
        self.newest
    }

    pub(in super::super) const fn count(&self) -> u64 {
        self.count
    }
}
