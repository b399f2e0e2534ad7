//! What one seed means: how many members, which faults, how often, for how long.
//!
//! It does not do anything.

use std::time::Duration;

use super::seeded::Random;

/// A mistake that the simulation makes on purpose, to show that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bug {
    /// An append is acknowledged before its sync.
    AcknowledgedBeforeSync,
    /// A vote is kept in memory only.
    VoteNotPersisted,
    /// What a learner has stored counts as a voter's.
    LearnerCounted,
    /// A command that comes twice is decided twice.
    WindowIgnored,
}

/// How the lines are while they are not cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Calls that are lost on the way there or back, in percent.
    pub(super) lost: u64,
    /// Calls that arrive twice, in percent.
    pub(super) twice: u64,
    /// The longest delay of one way, in milliseconds. Calls overtake each other.
    pub(super) delay_ms: u64,
}

impl Weather {
    pub(super) const CALM: Self = Self {
        lost: 0,
        twice: 0,
        delay_ms: 3,
    };

    pub(super) fn of(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::CALM,
            1 => Self {
                lost: 2,
                twice: 5,
                delay_ms: 20,
            },
            2 => Self {
                lost: 10,
                twice: 20,
                delay_ms: 80,
            },
            _ => Self {
                lost: 30,
                twice: 10,
                delay_ms: 200,
            },
        }
    }
}

/// The plan of a seed.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) voters: u64,
    pub(super) learners: u64,
    /// Members that run and have no part at first.
    pub(super) spares: u64,
    pub(super) clients: u64,
    pub(super) keys: u64,
    /// How long faults happen, in virtual time.
    pub(super) chaos: Duration,
    /// The longest calm between two faults, in milliseconds.
    pub(super) between_ms: u64,
    /// Entries between two snapshots, and entries kept behind one.
    pub(super) snapshot_entries: u64,
    pub(super) snapshot_entries_kept: u64,
    pub(super) bug: Option<Bug>,
}

impl Plan {
    pub(super) fn of(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = Random::new(seed ^ 0x0091_a000);
        let voters = match random.below(10) {
            0 => 1,
            1..=7 => 3,
            _ => 5,
        };
        let learners = u64::from(random.percent(30) || bug == Some(Bug::LearnerCounted));
        let spares = if voters == 3 && bug.is_none() && random.percent(40) {
            2
        } else {
            0
        };
        Self {
            spares,
            voters: if bug.is_some() { 3 } else { voters },
            learners,
            clients: 2 + random.below(3),
            keys: 1 + random.below(3),
            chaos: Duration::from_secs(6 + random.below(10)),
            between_ms: 300 + random.below(2_000),
            snapshot_entries: 8 + random.below(40),
            snapshot_entries_kept: random.below(6),
            bug,
        }
    }

    /// All members, with a part or without.
    pub(super) const fn members(&self) -> u64 {
        self.voters + self.learners + self.spares
    }

    pub(super) const fn is_learner(&self, number: u64) -> bool {
        number > self.voters && number <= self.voters + self.learners
    }

    pub(super) const fn is_spare(&self, number: u64) -> bool {
        number > self.voters + self.learners
    }
}
