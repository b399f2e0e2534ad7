//! A local view that says how old it is has everything in it that was acknowledged before.
//!
//! Source: `raft/published.rs`; the gate issues permits on the strength of it. It catches a member
//! that was cut off and does not know. It does not test linearizable reads.

/// When each write was acknowledged, and at which index.
#[derive(Default)]
pub(in super::super) struct StalenessIsTrue {
    acknowledged: Vec<(u64, u64)>,
}

impl StalenessIsTrue {
    pub(in super::super) fn acknowledged(&mut self, millis: u64, index: u64) {
        self.acknowledged.push((millis, index));
    }

    pub(in super::super) fn read(
        &self,
        member: u64,
        millis: u64,
        index: u64,
        staleness_ms: u64,
    ) -> Result<(), String> {
        // Both ends are cut to whole milliseconds.
        let known_at = millis.saturating_sub(staleness_ms.saturating_add(1));
        let missing = self
            .acknowledged
            .iter()
            .find(|(at, acknowledged)| *at < known_at && *acknowledged > index);
        match missing {
            None => Ok(()),
            Some((at, acknowledged)) => Err(format!(
                "member {member} shows index {index}, {staleness_ms} ms old at {millis} ms, and \
                 {acknowledged} was acknowledged at {at} ms"
            )),
        }
    }
}
