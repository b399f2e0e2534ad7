//! What clients of real members see can have happened one after the other, while members stop and
//! start.
//!
//! It does not cut lines; the simulation does, and it knows many more ways to stop.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

mod linear;
#[expect(
    clippy::panic,
    dead_code,
    reason = "a deadline that passes is a failed test; each test uses a part of the world"
)]
mod raft_world;
mod seeded;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catalog::{Applied, Catalog, Error, Options, View};
use linear::{Answer, Call, Operation, Register, Verdict, judge};
use raft_world::{World, by_admin, eventually, found_three, options, participant};
use schemas::command::{Command, Outcome, SignedProposal};
use schemas::{LocalText, ParticipantId};
use seeded::Random;

type Members = Arc<Mutex<Vec<Option<Catalog>>>>;

/// What clients saw, in the order of calls and answers.
#[derive(Default)]
struct Histories {
    events: AtomicU64,
    values: AtomicU64,
    of: Mutex<BTreeMap<u64, Vec<Operation>>>,
}

impl Histories {
    fn event(&self) -> u64 {
        self.events.fetch_add(1, Ordering::SeqCst)
    }

    fn call(&self, key: u64, call: Call) -> usize {
        let called = self.event();
        let mut of = self.of.lock().unwrap();
        let history = of.entry(key).or_default();
        history.push(Operation {
            called,
            answered: None,
            call,
        });
        history.len() - 1
    }

    fn answered(&self) -> usize {
        let of = self.of.lock().unwrap();
        of.values()
            .flatten()
            .filter(|it| it.answered.is_some())
            .count()
    }

    /// Waits for some more answers, so that a stop falls among operations.
    async fn more(&self) {
        let before = self.answered();
        eventually("more answers", || async { self.answered() > before + 12 }).await;
    }

    fn answer(&self, key: u64, at: usize, answer: Answer) {
        let now = self.event();
        self.of.lock().unwrap().get_mut(&key).unwrap()[at].answered = Some((now, answer));
    }
}

fn writing(id: &str, key: u64, seen: u64, value: u64) -> SignedProposal {
    let mut record = participant(&format!("register-{key}"));
    record.revision = seen;
    record.name = LocalText::new("单位", format!("v{value}"));
    let participant = Box::new(record);
    by_admin(id, Command::RegisterParticipant { participant })
}

fn held(view: &View, key: u64) -> Register {
    let id = ParticipantId::parse(format!("register-{key}")).unwrap();
    view.participant(&id)
        .map_or_else(Register::default, |it| Register {
            revision: it.revision,
            value: it.name.en.trim_start_matches('v').parse().unwrap(),
        })
}

struct Client {
    number: u64,
    random: Random,
    members: Members,
    histories: Arc<Histories>,
    done: Arc<AtomicBool>,
}

impl Client {
    fn any(&mut self) -> Option<Catalog> {
        let members: Vec<_> = self
            .members
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .cloned()
            .collect();
        self.random.one(&members)
    }

    async fn run(mut self) {
        let mut seen = BTreeMap::new();
        while !self.done.load(Ordering::Relaxed) {
            let key = self.random.below(KEYS);
            if self.random.percent(40) || !seen.contains_key(&key) {
                if let Some(register) = self.read(key).await {
                    seen.insert(key, register);
                }
            } else {
                let register: Register = seen.remove(&key).unwrap();
                self.write(key, register.revision).await;
            }
        }
    }

    async fn read(&mut self, key: u64) -> Option<Register> {
        let member = self.any()?;
        let at = self.histories.call(key, Call::Read);
        let register = held(&*member.linearizable().await.ok()?, key);
        self.histories.answer(key, at, Answer::Holds(register));
        Some(register)
    }

    /// Proposes until there is an answer: one that does not come is asked for again elsewhere.
    async fn write(&mut self, key: u64, seen: u64) {
        let value = 1 + self.histories.values.fetch_add(1, Ordering::SeqCst);
        let proposal = writing(&format!("c{}-{value}", self.number), key, seen, value);
        let at = self.histories.call(key, Call::Write { seen, value });
        for _ in 0..TRIES_MAX {
            let Some(member) = self.any() else { return };
            match member.propose(proposal.clone()).await {
                Ok(Applied { outcome, .. }) => {
                    let answer = match outcome {
                        Outcome::Applied { revision } => Answer::Written(revision),
                        Outcome::Refused { .. } => Answer::Refused,
                    };
                    return self.histories.answer(key, at, answer);
                }
                Err(Error::TimedOut { .. } | Error::Stopped { .. } | Error::NoLeader { .. }) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_see_one_order_while_members_stop_and_start() {
    let world = World::new();
    let options = Options {
        answer: Duration::from_secs(3),
        snapshot_entries: 40,
        snapshot_entries_kept: 4,
        ..options()
    };
    let (mut places, members) = found_three(&world, &options).await;
    let members: Members = Arc::new(Mutex::new(members));
    let (histories, done) = (
        Arc::new(Histories::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client {
                number,
                random: Random::new(number),
                members: Arc::clone(&members),
                histories: Arc::clone(&histories),
                done: Arc::clone(&done),
            };
            tokio::spawn(client.run())
        })
        .collect();
    for at in [0, 1, 2, 0] {
        histories.more().await;
        let gone = members.lock().unwrap()[at].take().unwrap();
        gone.shutdown().await;
        drop(gone);
        histories.more().await;
        let back = world.start(&mut places[at], &options).await;
        members.lock().unwrap()[at] = Some(back);
    }
    histories.more().await;
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    println!("{} answered operations", histories.answered());
    let histories = histories.of.lock().unwrap().clone();
    for (key, history) in &histories {
        let verdict = judge(Register::default(), history);
        assert_eq!(verdict, Verdict::Linearizable, "register {key}");
    }
    let members: Vec<_> = members.lock().unwrap().drain(..).flatten().collect();
    for member in members {
        member.shutdown().await;
    }
}

const CLIENTS: u64 = 6;
const KEYS: u64 = 3;
const TRIES_MAX: u64 = 4;
