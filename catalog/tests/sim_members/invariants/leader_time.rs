//! Leader time does not go back, and a single wrong clock does not move it.
//!
//! Source: `architecture.md`, "Time", and `raft/published.rs`. It catches a tick that a clock
//! nobody vouches for has made, and a replica whose time differs at one index. It does not test
//! what expires.

use std::collections::BTreeMap;

use schemas::Timestamp;

use crate::View;

#[derive(Default)]
pub(in super::super) struct LeaderTime {
    at: BTreeMap<u64, Timestamp>,
}

impl LeaderTime {
    /// `now` is true time.
    pub(in super::super) fn reached(
        &mut self,
        member: u64,
        view: &View,
        now: Timestamp,
    ) -> Result<(), String> {
        let (index, time) = (view.index(), view.leader_time());
        let ahead = time.millis_since(now);
        if ahead > AHEAD_MS_MAX {
            return Err(format!(
                "member {member} at {index}: leader time is {ahead} ms ahead of true time"
            ));
        }
        self.at.insert(index, time);
        let before = self.at.range(..index).next_back();
        let after = self.at.range(index + 1..).next();
        match (before, after) {
            (Some((earlier, its)), _) if *its > time => Err(format!(
                "member {member}: leader time at {index} is {time}, at {earlier} it was {its}"
            )),
            (_, Some((later, its))) if *its < time => Err(format!(
                "member {member}: leader time at {index} is {time}, at {later} it is {its}"
            )),
            _ => Ok(()),
        }
    }
}

/// The thirty seconds within which a leader's clock is believed, and the longest delay of a call.
const AHEAD_MS_MAX: i64 = 31_000;
