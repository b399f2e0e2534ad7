//! How sure a member is that its view is new: the last instant at which it had everything that was
//! acknowledged anywhere.
//!
//! It does not believe a leader's word alone, for one that was cut off still speaks as a leader,
//! and what it says can be long on its way. A leader is sure as of the last instant for which a
//! majority has answered it, once it has applied an entry of its own term: before, there may be
//! acknowledged entries in its log that it does not know to be committed. A follower is sure as of
//! an instant of its own clock, which the leader has sent back after it was sure itself:
//!
//! ```text
//!   follower  -- reply, stamped 5 -->  leader, applied 90
//!                                      majority answers what was sent after that
//!   follower  <-- 5 is proved, 90 ---  leader
//!   and when the follower has applied 90, it was current at 5
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A follower's own clock, as it wrote it into a reply: of which life, and milliseconds in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) life: i64,
    pub(crate) millis: u64,
}

/// What a leader proves to a follower: at the stamp, nothing was acknowledged beyond the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) stamp: Stamp,
    pub(crate) index: u64,
}

/// Term and member of a vote.
pub(crate) type Rank = (u64, u64);

/// What is known of how new the view is.
#[derive(Debug, Default)]
pub(crate) struct Currency {
    known_at: Option<Instant>,
    /// It was proved for that instant, up to this index, which is not applied yet.
    waiting: Option<(u64, Instant)>,
    /// The voters; two sets while they change.
    voters: Vec<BTreeSet<u64>>,
    lead: Lead,
}

/// What a leader knows of its lead.
#[derive(Debug, Default)]
struct Lead {
    rank: Rank,
    /// The first entry of its own term that was seen to be committed.
    own: Option<u64>,
    /// When each follower last answered; the instant is that of the question.
    answered: BTreeMap<u64, Instant>,
    echoes: BTreeMap<u64, Echo>,
}

#[derive(Debug, Default)]
struct Echo {
    proved: Option<Proof>,
    /// When it came, and no majority has answered a question since.
    waiting: Option<(Proof, Instant)>,
}

impl Currency {
    pub(crate) fn set_voters(&mut self, voters: Vec<BTreeSet<u64>>) {
        self.voters = voters;
    }

    /// This member leads by the vote of `rank`; of its own term, `own` is committed.
    pub(crate) fn leads(&mut self, rank: Rank, own: Option<u64>) {
        if self.lead.rank != rank {
            self.lead = Lead {
                rank,
                ..Lead::default()
            };
        }
        if self.lead.own.is_none() {
            self.lead.own = own;
        }
    }

    /// A follower answered at `now` what was asked at `asked` under the vote of `rank`, when this
    /// leader had applied up to `applied`.
    pub(crate) fn answered(
        &mut self,
        rank: Rank,
        follower: u64,
        (asked, now): (Instant, Instant),
        stamp: Option<Stamp>,
        applied: u64,
    ) {
        if self.lead.rank != rank {
            return;
        }
        let last = self.lead.answered.entry(follower).or_insert(asked);
        *last = asked.max(*last);
        let knows_all = self.lead.own.is_some_and(|own| applied >= own);
        if let Some(stamp) = stamp.filter(|_| knows_all) {
            let echo = self.lead.echoes.entry(follower).or_default();
            let proof = Proof {
                stamp,
                index: applied,
            };
            // An older one is kept: under load a newer one would never come to its end.
            echo.waiting.get_or_insert((proof, now));
        }
    }

    /// The last instant at which nobody else than this member, `me`, can have led.
    fn led_at(&self, me: u64, now: Instant) -> Option<Instant> {
        let of = |voters: &BTreeSet<u64>| {
            let mut instants: Vec<Instant> = voters
                .iter()
                .filter_map(|voter| {
                    let own = (*voter == me).then_some(now);
                    own.or_else(|| self.lead.answered.get(voter).copied())
                })
                .collect();
            instants.sort_unstable_by(|a, b| b.cmp(a));
            instants.get(voters.len() / 2).copied()
        };
        let each: Option<Vec<Instant>> = self.voters.iter().map(of).collect();
        each?.into_iter().min()
    }

    /// As the leader: takes note of how long the lead is proved.
    pub(crate) fn led(&mut self, me: u64, applied: u64, now: Instant) {
        if self.lead.own.is_some_and(|own| applied >= own)
            && let Some(instant) = self.led_at(me, now)
        {
            self.knew(instant);
        }
    }

    /// As the leader: the newest proof for a follower.
    pub(crate) fn proof(&mut self, me: u64, follower: u64, now: Instant) -> Option<Proof> {
        let led_at = self.led_at(me, now);
        let echo = self.lead.echoes.get_mut(&follower)?;
        if let Some((proof, _)) = echo
            .waiting
            .take_if(|(_, came)| led_at.is_some_and(|led_at| led_at >= *came))
        {
            echo.proved = Some(proof);
        }
        echo.proved
    }

    /// As a follower: at `instant`, nothing was acknowledged beyond `index`.
    pub(crate) fn heard(&mut self, index: u64, instant: Instant, applied: u64) {
        self.promote(applied);
        if applied >= index {
            self.knew(instant);
        } else if self.waiting.is_none() {
            self.waiting = Some((index, instant));
        }
    }

    /// A linearizable read proved that the view is current as of `instant`.
    pub(crate) fn knew(&mut self, instant: Instant) {
        if self.known_at.is_none_or(|before| before < instant) {
            self.known_at = Some(instant);
        }
    }

    /// When the view was last known to be current.
    pub(crate) fn known_at(&mut self, applied: u64) -> Option<Instant> {
        self.promote(applied);
        self.known_at
    }

    fn promote(&mut self, applied: u64) {
        if let Some((_, instant)) = self.waiting.take_if(|(index, _)| *index <= applied) {
            self.knew(instant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RANK: Rank = (3, 1);

    fn currency(voters: &[&[u64]]) -> Currency {
        let mut currency = Currency::default();
        currency.set_voters(
            voters
                .iter()
                .map(|it| it.iter().copied().collect())
                .collect(),
        );
        currency.leads(RANK, Some(7));
        currency
    }

    fn stamp(millis: u64) -> Option<Stamp> {
        Some(Stamp { life: 1, millis })
    }

    #[test]
    fn a_leader_is_sure_as_of_what_a_majority_of_all_voters_has_answered() {
        let start = crate::raft::clock::steady();
        let at = |millis| start + Duration::from_millis(millis);
        // The voters, who answered what was asked when, and as of when it is sure at 100.
        for (voters, answers, expected) in [
            (vec![&[1][..]], vec![], Some(100)),
            (vec![&[1, 2, 3]], vec![], None),
            (vec![&[1, 2, 3]], vec![(2, 40)], Some(40)),
            (vec![&[1, 2, 3]], vec![(2, 40), (3, 60)], Some(60)),
            (vec![&[1, 2, 3, 4, 5]], vec![(2, 40)], None),
            (vec![&[1, 2, 3, 4, 5]], vec![(2, 40), (4, 30)], Some(30)),
            // A learner's answer counts for nothing.
            (vec![&[1, 2, 3]], vec![(9, 90)], None),
            // While voters change, a majority of the old and one of the new ones.
            (vec![&[1, 2, 3], &[1, 4, 5]], vec![(4, 50), (5, 50)], None),
            (
                vec![&[1, 2, 3], &[1, 4, 5]],
                vec![(2, 20), (5, 50)],
                Some(20),
            ),
            // One that was removed leads until that is committed, and is no voter itself.
            (vec![&[2, 3]], vec![(2, 20), (3, 30)], Some(20)),
        ] {
            let mut currency = currency(&voters);
            for (follower, asked) in answers {
                currency.answered(RANK, follower, (at(asked), at(99)), None, 7);
            }
            currency.led(1, 7, at(100));
            assert_eq!(currency.known_at(7), expected.map(at), "{voters:?}");
        }
    }

    #[test]
    fn a_new_leader_is_not_sure_before_it_has_applied_an_entry_of_its_own() {
        let now = crate::raft::clock::steady();
        let mut currency = Currency::default();
        currency.set_voters(vec![BTreeSet::from([1])]);
        currency.leads(RANK, None);
        currency.led(1, 100, now);
        assert_eq!(currency.known_at(100), None);
        currency.leads(RANK, Some(101));
        currency.led(1, 100, now);
        assert_eq!(currency.known_at(100), None);
        currency.led(1, 101, now);
        assert_eq!(currency.known_at(101), Some(now));
        currency.leads((4, 1), None);
        assert_eq!(currency.lead.own, None);
    }

    #[test]
    fn a_follower_gets_its_stamp_back_when_a_majority_has_answered_after_it() {
        let start = crate::raft::clock::steady();
        let at = |millis| start + Duration::from_millis(millis);
        let mut currency = currency(&[&[1, 2, 3]]);
        currency.answered(RANK, 3, (at(10), at(20)), stamp(5), 90);
        // It was asked before the stamp came, so somebody else may lead by now.
        assert_eq!(currency.proof(1, 3, at(30)), None);
        currency.answered(RANK, 2, (at(19), at(31)), stamp(8), 90);
        assert_eq!(currency.proof(1, 3, at(32)), None);
        currency.answered(RANK, 2, (at(21), at(33)), stamp(9), 95);
        let proof = Proof {
            stamp: Stamp { life: 1, millis: 5 },
            index: 90,
        };
        assert_eq!(currency.proof(1, 3, at(34)), Some(proof));
        // An answer to an older vote says nothing about this lead.
        currency.answered((2, 1), 3, (at(50), at(60)), stamp(55), 99);
        assert_eq!(currency.proof(1, 3, at(61)), Some(proof));
    }

    #[test]
    fn a_follower_is_sure_when_it_has_applied_what_was_proved() {
        let start = crate::raft::clock::steady();
        let later = start + Duration::from_millis(1);
        let mut currency = Currency::default();
        currency.heard(90, start, 89);
        currency.heard(95, later, 89);
        assert_eq!(currency.known_at(89), None);
        assert_eq!(currency.known_at(90), Some(start));
        currency.heard(95, later, 95);
        assert_eq!(currency.known_at(95), Some(later));
    }
}
