//! Simulation depth A: the pure state on several replicas, bit for bit.
//!
//! A seed makes one history: commands that are valid, refused, repeated, malformed or unsigned,
//! and clocks that jump. Several replicas take it in, each with the log cut in its own way, each
//! restarting from its store, from its snapshots or from somebody else's whenever the seed says
//! so. At each index all of them have the same digest and gave the same outcomes.
//!
//! It does not test the shell: no Raft, no disk, no time. A failing seed prints the line that
//! replays it; `KOUAN_SIM_HISTORIES=100000` runs more of them.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

mod malformed;
mod replica;
#[path = "../seeded/mod.rs"]
mod seeded;
#[path = "../state_author/mod.rs"]
mod state_author;
#[path = "../state_world/mod.rs"]
mod state_world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::state::{Signer, State, VerifiedProposal};
use catalog::view::View;
use crypto::Digest;
use replica::{Event, Replica};
use schemas::command::{Command, Outcome, Proposal, RefusalCode};
use seeded::Random;
use state_author::Author;
use state_world::*;

/// One entry of the log: what it carries, and what it did to the replica that wrote it.
pub(crate) struct Entry {
    pub(crate) index: u64,
    pub(crate) proposals: Vec<VerifiedProposal>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) digest: Digest,
}

/// What the author may put into an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Sensible,
    Repeated,
    IdentifierUsedAgain,
    Malformed,
    Unsigned,
    ClockJump,
}

/// Writes the history of one seed.
struct Writer {
    author: Author,
    random: Random,
    state: State,
    proposed: Vec<VerifiedProposal>,
    kinds: BTreeMap<Kind, u64>,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let world = World::granted();
        Self {
            author: Author::new(seed),
            random: Random::new(seed ^ 0x5eed),
            state: world.state,
            proposed: world.log,
            kinds: BTreeMap::new(),
        }
    }

    fn kind(&mut self) -> Kind {
        match self.random.below(100) {
            0..=59 => Kind::Sensible,
            60..=72 => Kind::Repeated,
            73..=77 => Kind::IdentifierUsedAgain,
            78..=92 => Kind::Malformed,
            93..=96 => Kind::Unsigned,
            _ => Kind::ClockJump,
        }
    }

    fn proposal(&mut self, view: &View) -> VerifiedProposal {
        let kind = self.kind();
        let sensible = self.author.proposal(view);
        let made = match kind {
            Kind::Sensible => None,
            Kind::Repeated => self.random.one(&self.proposed),
            Kind::IdentifierUsedAgain => self.random.one(&self.proposed).and_then(|before| {
                let (id, author) = (before.proposal().id.clone(), &before.proposal().author);
                let proposal = Proposal {
                    id,
                    author: author.clone(),
                    ..sensible.proposal().clone()
                };
                encoded(proposal, before.signer().clone())
            }),
            Kind::Malformed => {
                let proposal = sensible.proposal();
                let damaged =
                    (0..TRIES).find_map(|_| malformed::damaged(&mut self.random, proposal));
                damaged.and_then(|proposal| encoded(proposal, sensible.signer().clone()))
            }
            Kind::Unsigned => {
                let why = "the signature does not fit the proposal".to_owned();
                encoded(sensible.proposal().clone(), Signer::Rejected { why })
            }
            Kind::ClockJump => Some(self.jump(view)),
        };
        let kind = if made.is_some() { kind } else { Kind::Sensible };
        *self.kinds.entry(kind).or_default() += 1;
        let made = made.unwrap_or(sensible);
        self.proposed.push(made.clone());
        made
    }

    /// A clock that is an hour off, either way.
    fn jump(&mut self, view: &View) -> VerifiedProposal {
        const HOUR_MS: i64 = 3_600_000;
        let by = if self.random.percent(50) {
            HOUR_MS
        } else {
            -HOUR_MS
        };
        let now = view.leader_time().plus_millis(by);
        let id = format!("jump-{}", self.random.next());
        proposal(&id, "node-port", now, Command::Tick { now })
    }

    /// Some entries are blank: a new leader writes one.
    fn entry(&mut self, index: u64) -> Entry {
        let view = View::new(self.state.clone());
        let size = if self.random.percent(5) {
            0
        } else {
            1 + self.random.below(5)
        };
        let proposals: Vec<_> = (0..size).map(|_| self.proposal(&view)).collect();
        let outcomes = self.state.apply(index, &proposals);
        Entry {
            index,
            proposals,
            outcomes,
            digest: self.state.digest(),
        }
    }
}

fn encoded(proposal: Proposal, signer: Signer) -> Option<VerifiedProposal> {
    VerifiedProposal::insecure_assume_verified_for_tests(proposal, signer).ok()
}

/// What the histories of a run reached.
#[derive(Default)]
struct Reached {
    kinds: BTreeMap<Kind, u64>,
    applied: BTreeMap<String, u64>,
    refused: BTreeMap<RefusalCode, u64>,
    events: BTreeMap<Event, u64>,
}

impl Reached {
    fn count(&mut self, log: &[Entry]) {
        let each = log
            .iter()
            .flat_map(|entry| entry.proposals.iter().zip(&entry.outcomes));
        for (it, outcome) in each {
            match outcome {
                Outcome::Applied { .. } => {
                    let name = serde_json::to_value(&it.proposal().command).unwrap();
                    let name = name["command"].as_str().unwrap().to_owned();
                    *self.applied.entry(name).or_default() += 1;
                }
                Outcome::Refused { code, .. } => *self.refused.entry(*code).or_default() += 1,
            }
        }
    }

    fn add(&mut self, other: Self) {
        fn sum<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            for (key, count) in from {
                *to.entry(key).or_default() += count;
            }
        }
        sum(&mut self.kinds, other.kinds);
        sum(&mut self.applied, other.applied);
        sum(&mut self.refused, other.refused);
        sum(&mut self.events, other.events);
    }

    /// A generator that no longer reaches something tests it no longer.
    fn check(&self) {
        assert_eq!(self.kinds.len(), 6, "{:?}", self.kinds);
        // Every command there is; a founding only as one that is repeated.
        assert_eq!(self.applied.len(), 29, "{:?}", self.applied);
        assert_eq!(
            self.refused.len(),
            RefusalCode::ALL.len(),
            "{:?}",
            self.refused
        );
        assert_eq!(self.events.len(), Event::ALL.len(), "{:?}", self.events);
    }
}

/// Names the seed when its history fails.
struct Replay(u64);

impl Drop for Replay {
    #[expect(clippy::print_stdout, reason = "it is a part of the test's failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "replay with: KOUAN_SIM_SEED={} cargo test -p catalog --test sim histories",
                self.0
            );
        }
    }
}

fn check_seed(seed: u64, reached: &mut Reached) -> Digest {
    let _named = Replay(seed);
    let mut writer = Writer::new(seed);
    let mut log: Vec<Entry> = Vec::new();
    let mut replicas: Vec<Replica> = (1..=REPLICAS)
        .map(|number| Replica::new(number, seed, &World::granted().state))
        .collect();
    for index in FIRST..FIRST + ENTRIES {
        log.push(writer.entry(index));
        let snapshots: Vec<_> = replicas
            .iter()
            .filter_map(|replica| replica.newest_snapshot().cloned())
            .collect();
        for replica in &mut replicas {
            replica.step(&log, &snapshots, &mut reached.events);
        }
    }
    let whole = writer.state.to_snapshot().unwrap();
    for replica in &mut replicas {
        replica.finish(&log);
        assert!(
            replica.snapshot() == whole,
            "replica {} has other bytes",
            replica.number()
        );
    }
    reached.count(&log);
    for (kind, count) in writer.kinds {
        *reached.kinds.entry(kind).or_default() += count;
    }
    writer.state.digest()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests choose seeds; the state reads nothing"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn histories_are_the_same_on_every_replica_however_they_are_cut_and_restarted() {
    let mut reached = Reached::default();
    if let Some(seed) = setting("KOUAN_SIM_SEED") {
        check_seed(seed, &mut reached);
        return;
    }
    let seeds = setting("KOUAN_SIM_HISTORIES").unwrap_or(HISTORIES);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let one = || {
            let mut reached = Reached::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return reached;
                }
                check_seed(seed, &mut reached);
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        for thread in running {
            reached.add(thread.join().unwrap());
        }
    });
    println!(
        "{seeds} histories\nproposed {:?}\napplied {:?}\nrefused {:?}\nreplicas {:?}",
        reached.kinds, reached.applied, reached.refused, reached.events
    );
    if seeds >= HISTORIES {
        reached.check();
    }
}

#[test]
fn a_seed_gives_the_same_history_each_time_and_another_gives_another() {
    let digest = |seed| check_seed(seed, &mut Reached::default());
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

/// Histories of an ordinary run.
const HISTORIES: u64 = 1_000;

/// Entries of one history.
const ENTRIES: u64 = 20;

/// How often a field is changed until some reader would take the command.
const TRIES: u64 = 8;

/// Replicas beside the one that writes.
const REPLICAS: u64 = 3;

/// The index of the first entry: the world before it was built from the log's beginning.
const FIRST: u64 = 1_000;
