//! Clients that write and read registers through whichever member they like, and write down what
//! they saw.
//!
//! It does not judge. An operation without an answer may have been done, once, at any later time;
//! one that the catalog says was not proposed is left out, so that its value must never be seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemas::command::{Outcome, RefusalCode, SignedProposal};

use super::linear::{Answer, Call, Operation, Register};
use super::members::{Life, Members};
use super::seeded::Random;
use super::world::{held, writing};
use crate::{Applied, Error};

/// What all clients saw.
pub(super) struct Histories {
    /// Orders calls and answers; a count is finer than any clock.
    events: AtomicU64,
    values: AtomicU64,
    histories: Mutex<BTreeMap<u64, Vec<Operation>>>,
    pub(super) done: AtomicBool,
}

impl Histories {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            events: AtomicU64::new(1),
            values: AtomicU64::new(1),
            histories: Mutex::default(),
            done: AtomicBool::new(false),
        })
    }

    fn event(&self) -> u64 {
        self.events.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins an operation, of which nobody knows yet what becomes.
    fn call(&self, key: u64, call: Call) -> usize {
        let operation = Operation {
            called: self.event(),
            answered: None,
            call,
        };
        let mut histories = self.histories.lock().unwrap();
        let history = histories.entry(key).or_default();
        history.push(operation);
        history.len() - 1
    }

    fn answer(&self, key: u64, at: usize, answer: Answer) {
        let now = self.event();
        let mut histories = self.histories.lock().unwrap();
        histories.get_mut(&key).unwrap()[at].answered = Some((now, answer));
    }

    /// Nothing was done: as if the write had never been called. Its place stays, for others.
    fn forget(&self, key: u64, at: usize) {
        let mut histories = self.histories.lock().unwrap();
        // A write for a revision that never comes changes nothing, whenever it takes effect.
        histories.get_mut(&key).unwrap()[at].call = Call::Write {
            seen: u64::MAX,
            value: 0,
        };
    }

    /// Reads a register and writes down what was seen.
    pub(super) async fn read(&self, life: &Life, key: u64) -> Result<Register, Error> {
        let at = self.call(key, Call::Read);
        let view = life.member.linearizable().await?;
        let register = held(&view, key);
        self.answer(key, at, Answer::Holds(register));
        Ok(register)
    }

    /// Reads a register and writes it, both of which must be answered.
    pub(super) async fn use_once(
        &self,
        members: &Members,
        life: &Life,
        key: u64,
    ) -> Result<(), Error> {
        let seen = self.read(life, key).await?.revision;
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let id = format!("last-{value}");
        let proposal = writing(&id, members.oracle.now(), key, seen, value);
        let at = self.call(key, Call::Write { seen, value });
        let id = proposal.proposal.id.clone();
        let applied = life.batcher.propose(proposal).await?;
        members.oracle.acknowledged(&id, &applied);
        match applied.outcome {
            Outcome::Applied { revision } => self.answer(key, at, Answer::Written(revision)),
            Outcome::Refused { .. } => self.answer(key, at, Answer::Refused),
        }
        Ok(())
    }

    pub(super) fn all(&self) -> BTreeMap<u64, Vec<Operation>> {
        self.histories.lock().unwrap().clone()
    }
}

/// What became of a try.
enum Tried {
    Answered(Applied),
    /// It may have been done, now or later.
    Unknown,
    /// It was not proposed.
    Nothing,
}

/// One client.
pub(super) struct Client {
    pub(super) number: u64,
    pub(super) keys: u64,
    pub(super) random: Random,
    pub(super) members: Arc<Members>,
    pub(super) histories: Arc<Histories>,
    /// What it saw last of each register.
    pub(super) seen: BTreeMap<u64, Register>,
}

impl Client {
    /// Goes on until all clients are told to stop.
    pub(super) async fn run(mut self) {
        while !self.histories.done.load(Ordering::Relaxed) {
            let key = self.random.below(self.keys);
            match self.random.below(100) {
                0..=49 => self.write(key).await,
                50..=84 => self.read(key).await,
                _ => self.read_locally(),
            }
            let pause = Duration::from_millis(1 + self.random.below(PAUSE_MS));
            tokio::time::sleep(pause).await;
        }
    }

    /// Some member that runs, if any does.
    fn any(&mut self) -> Option<Life> {
        let lives = self.members.lives();
        self.random.one(&lives)
    }

    async fn write(&mut self, key: u64) {
        let before = self.seen.get(&key).copied().unwrap_or_default();
        // Sometimes with a revision that is not there yet, or not any more.
        let seen = match self.random.below(20) {
            0 => before.revision + 1,
            1 => before.revision.saturating_sub(1),
            _ => before.revision,
        };
        let value = self.histories.values.fetch_add(1, Ordering::Relaxed);
        let id = format!("c{}-{value}", self.number);
        let proposal = writing(&id, self.members.oracle.now(), key, seen, value);
        let at = self.histories.call(key, Call::Write { seen, value });
        let mut maybe_done = false;
        for _ in 0..TRIES_MAX {
            let Some(life) = self.any() else { break };
            match self.propose(&life, proposal.clone()).await {
                Tried::Answered(applied) => return self.answered(key, at, value, &applied),
                Tried::Unknown => maybe_done = true,
                Tried::Nothing => {}
            }
            if self.random.percent(30) {
                break;
            }
        }
        if !maybe_done {
            self.histories.forget(key, at);
        }
        self.seen.remove(&key);
    }

    async fn propose(&self, life: &Life, proposal: SignedProposal) -> Tried {
        let id = proposal.proposal.id.clone();
        let told = tokio::select! {
            biased;
            () = life.dies() => return Tried::Unknown,
            told = life.batcher.propose(proposal) => told,
        };
        match told {
            Ok(applied) => {
                self.members.oracle.acknowledged(&id, &applied);
                Tried::Answered(applied)
            }
            Err(Error::NoLeader { .. } | Error::Pushback { .. }) => Tried::Nothing,
            Err(Error::TimedOut { .. } | Error::Stopped { .. }) => Tried::Unknown,
            Err(error) => {
                let why = format!("{id} through member {}: {error}", life.member.me);
                self.members.oracle.judge("writes_are_answered", Err(why));
                Tried::Unknown
            }
        }
    }

    fn answered(&mut self, key: u64, at: usize, value: u64, applied: &Applied) {
        match &applied.outcome {
            Outcome::Applied { revision } => {
                let (revision, answer) = (*revision, Answer::Written(*revision));
                self.histories.answer(key, at, answer);
                self.seen.insert(key, Register { revision, value });
            }
            Outcome::Refused {
                code: RefusalCode::Conflict,
                ..
            } => {
                self.histories.answer(key, at, Answer::Refused);
                self.seen.remove(&key);
            }
            // The clock of the leader went ahead; nothing was done.
            Outcome::Refused {
                code: RefusalCode::ClockSkew,
                ..
            } => self.histories.forget(key, at),
            refused @ Outcome::Refused { .. } => {
                let why = format!("c{}-{value}: {refused:?}", self.number);
                self.members.oracle.judge("writes_are_answered", Err(why));
            }
        }
    }

    async fn read(&mut self, key: u64) {
        let Some(life) = self.any() else { return };
        let read = tokio::select! {
            biased;
            () = life.dies() => return,
            read = self.histories.read(&life, key) => read,
        };
        if let Ok(register) = read {
            self.seen.insert(key, register);
        }
    }

    fn read_locally(&mut self) {
        let Some(life) = self.any() else { return };
        let staleness = life.member.staleness_ms();
        let index = life.member.published.view().index();
        let oracle = &self.members.oracle;
        oracle.read_locally(life.member.me, index, staleness);
    }
}

/// How often a client proposes the same command.
const TRIES_MAX: u64 = 4;

/// The longest pause between two operations of a client, in milliseconds.
const PAUSE_MS: u64 = 300;
