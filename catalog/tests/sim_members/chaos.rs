//! Faults, one after the other: lines, power, disks, clocks, elections, snapshots.
//!
//! It does not break more than the catalog promises to survive: at most one member at a time has
//! lost its disk, and one clock at most is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::members::Members;
use super::plan::{Plan, Weather};
use super::seeded::Random;
use super::world::address;
use crate::raft::membership::Change;

/// What breaks things.
pub(super) struct Chaos {
    pub(super) random: Random,
    pub(super) plan: Plan,
    pub(super) members: Arc<Members>,
    /// The member that lost its disk and was not added again yet.
    pub(super) wiped: Option<u64>,
}

impl Chaos {
    /// Breaks things for as long as the plan says.
    pub(super) async fn run(&mut self) {
        let until = tokio::time::Instant::now() + self.plan.chaos;
        while tokio::time::Instant::now() < until {
            let pause = Duration::from_millis(20 + self.random.below(self.plan.between_ms));
            tokio::time::sleep(pause).await;
            self.once().await;
        }
    }

    fn any(&mut self) -> u64 {
        let numbers = self.members.numbers();
        self.random.one(&numbers).unwrap()
    }

    async fn once(&mut self) {
        match self.random.below(100) {
            0..=24 => self.cut(),
            25..=39 => self.heal_lines(),
            40..=44 => {
                let weather = Weather::of(&mut self.random);
                self.members.oracle.note(format!("weather: {weather:?}"));
                self.members.net.set_weather(weather);
            }
            45..=59 => self.restart_one().await,
            60..=66 => self.restart_all().await,
            67..=72 => self.replace_disk().await,
            73..=79 => self.turn_clock(),
            80..=86 => self.elect().await,
            87..=90 => self.snapshot().await,
            91..=95 => self.resize().await,
            _ => self.rejoin().await,
        }
    }

    /// Cuts one member off, or splits all into two, or cuts one way only.
    fn cut(&mut self) {
        let numbers = self.members.numbers();
        let mut ways = BTreeSet::new();
        match self.random.below(3) {
            0 => {
                let alone = self.any();
                for other in numbers.iter().filter(|it| **it != alone) {
                    ways.extend([(alone, *other), (*other, alone)]);
                }
            }
            1 => {
                let side = self.random.next();
                let here = |number: &u64| side & (1 << number) != 0;
                for from in &numbers {
                    for to in numbers.iter().filter(|to| here(to) != here(from)) {
                        ways.insert((*from, *to));
                    }
                }
            }
            _ => {
                for _ in 0..=self.random.below(3) {
                    ways.insert((self.any(), self.any()));
                }
            }
        }
        self.members.oracle.note(format!("lines are cut: {ways:?}"));
        self.members.net.cut(ways);
    }

    fn heal_lines(&self) {
        self.members.oracle.note("lines are healed");
        self.members.net.cut(BTreeSet::new());
    }

    async fn restart_one(&mut self) {
        let number = self.any();
        self.members.cut_power(number);
        if self.plan.voters >= 3 && self.wiped.is_none() && self.random.percent(30) {
            self.members.damage(number);
        }
        if self.random.percent(50) {
            self.heal_lines();
        }
        self.wait(1_500).await;
        self.start(number).await;
    }

    /// The power of the whole building.
    async fn restart_all(&mut self) {
        let numbers = self.members.numbers();
        for number in &numbers {
            self.members.cut_power(*number);
        }
        self.wait(500).await;
        for number in numbers {
            self.start(number).await;
        }
    }

    async fn start(&mut self, number: u64) {
        if self.members.life(number).is_none() {
            self.members.start(number).await;
        }
        let fresh = self
            .members
            .life(number)
            .is_some_and(|life| !*life.member.admitted.borrow());
        // A spare member is fresh until it is added for the first time.
        let took_part = self.members.oracle.has_promised(number) || !self.plan.is_spare(number);
        if fresh && took_part && self.wiped.is_none() {
            self.wiped = Some(number);
        }
    }

    async fn replace_disk(&mut self) {
        let number = self.any();
        // With a single voter there is nobody to get the records from.
        if self.plan.voters < 3 || self.wiped.is_some() || number > self.plan.voters {
            return;
        }
        self.wiped = Some(number);
        self.members.cut_power(number);
        self.members.wipe(number);
        self.wait(1_000).await;
        self.start(number).await;
    }

    /// Adds a member that has no vote, or takes out one of more than three voters.
    async fn resize(&mut self) {
        let number = self.any();
        let lives = self.members.lives();
        let (Some((voters, _)), Some(life)) = (self.members.membership(), self.random.one(&lives))
        else {
            return;
        };
        if self.wiped.is_some() || self.plan.is_learner(number) {
            return;
        }
        let change = if !voters.contains(&number) && self.plan.spares > 0 {
            Change::Add {
                raft_number: number,
                address: address(number),
            }
        } else if voters.contains(&number) && voters.len() > 3 {
            Change::Remove {
                raft_number: number,
            }
        } else {
            return;
        };
        let changing = life.member.change(&change);
        let changed = tokio::time::timeout(PATIENCE, changing).await;
        let oracle = &self.members.oracle;
        oracle.note(format!("{voters:?}, {change:?}: {changed:?}"));
    }

    /// Has somebody add a member again that lost its disk.
    async fn rejoin(&mut self) {
        let Some(number) = self.wiped else { return };
        let lives = self.members.lives();
        let Some(life) = self.random.one(&lives) else {
            return;
        };
        let change = Change::Add {
            raft_number: number,
            address: address(number),
        };
        let adding = life.member.change(&change);
        let added = tokio::time::timeout(PATIENCE, adding).await;
        self.members
            .oracle
            .note(format!("{number} is added again: {added:?}"));
        if matches!(added, Ok(Ok(()))) {
            self.wiped = None;
        }
    }

    fn turn_clock(&mut self) {
        for number in self.members.numbers() {
            self.members.set_clock(number, 0);
        }
        // Two voters cannot outvote a wrong clock, and one has nobody to ask.
        if self.plan.voters < 3 || self.random.percent(40) {
            return;
        }
        let number = self.any();
        let off = self
            .random
            .one(&[-3_600_000, -40_000, -2_000, 2_000, 40_000, 3_600_000]);
        let off = off.unwrap_or_default();
        self.members.set_clock(number, off);
        self.members
            .oracle
            .note(format!("the clock of {number} is {off} ms ahead"));
    }

    async fn elect(&mut self) {
        let number = self.any();
        if let Some(life) = self.members.life(number)
            && number <= self.plan.voters
        {
            let _stopped = life.member.raft.trigger().elect().await;
        }
    }

    async fn snapshot(&mut self) {
        let number = self.any();
        if let Some(life) = self.members.life(number) {
            let _stopped = life.member.raft.trigger().snapshot().await;
            let applied = life.member.published.view().index();
            let _stopped = life.member.raft.trigger().purge_log(applied).await;
        }
    }

    async fn wait(&mut self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.random.below(most_ms))).await;
    }

    /// Everything works again from now on; whoever is missing is started and added.
    pub(super) async fn heal(&mut self) {
        self.members.oracle.note("everything is healed");
        self.members.net.set_weather(Weather::CALM);
        self.heal_lines();
        for number in self.members.numbers() {
            self.members.set_clock(number, 0);
            self.start(number).await;
        }
        let until = tokio::time::Instant::now() + HEALING_TIME_MAX;
        while self.wiped.is_some() && tokio::time::Instant::now() < until {
            self.rejoin().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// How long whoever changes the members waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A member that lost its disk is added within this time, when nothing else is wrong.
const HEALING_TIME_MAX: Duration = Duration::from_secs(60);
