//! Random histories of commands, bit for bit repeatable from a seed (simulation depth A): replay
//! equality, snapshot and tail, equal digests however the log is cut, and the invariants of the
//! records after every batch.
//!
//! It does not test single rules or signatures. `KOUAN_HISTORIES=10000` runs more seeds than the
//! default, `KOUAN_SEED=42` one alone.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

mod seeded;
mod state_author;
mod state_world;

use std::collections::BTreeMap;

use catalog::state::{RecordKey, RecordKind, State, VerifiedProposal};
use catalog::view::View;
use schemas::command::{Command, Outcome, RefusalCode};
use schemas::dataset::Grade;
use schemas::dispute::{Dispute, DisputeMove};
use schemas::request::{GrantState, RequestState};
use schemas::transfer::TransferState;
use seeded::Random;
use state_author::Author;
use state_world::*;

/// Indexes and approvals.
fn check_governance(view: &View, seed: u64) {
    for it in view.instruments() {
        for recipient in &it.envelope.recipients {
            let mut found = view.instruments_for(&it.processor, recipient);
            assert!(
                found.any(|other| other == it),
                "seed {seed}: {} is not in the index",
                it.id
            );
        }
    }
    for it in view.approvals() {
        let request = view.request(&it.request).unwrap();
        assert!(
            it.second.as_ref() != Some(&it.first),
            "seed {seed}: one person agreed twice to {}",
            it.request
        );
        let waits = it.second.is_none() && it.request_revision == request.revision;
        assert!(
            !waits || request.state == RequestState::Submitted,
            "seed {seed}: {} was agreed to by one person",
            it.request
        );
    }
    for it in view.emergencies() {
        let active = view.grant(&it.grant).unwrap().state == GrantState::Active;
        let late = it.review.is_none() && it.due_at <= view.leader_time();
        assert!(
            !(active && late),
            "seed {seed}: {} runs on without a review",
            it.grant
        );
        let reviewer = it.review.as_ref().map(|it| &it.by);
        assert!(
            reviewer != Some(&it.by),
            "seed {seed}: {} reviewed her own grant",
            it.by
        );
    }
    for it in view.disputes() {
        let opens = it.steps.first().map(|it| it.step) == Some(DisputeMove::Open);
        let short = it.steps.len() <= Dispute::STEPS_MAX;
        assert!(opens && short, "seed {seed}: {it:?}");
    }
    for it in view.corrections() {
        let corrected = it.corrected_in.is_none_or(|number| number > it.version);
        let told = it.notified.is_empty() || it.corrected_in.is_some();
        assert!(corrected && told, "seed {seed}: {it:?}");
    }
    for it in view.supervisions() {
        let late = it.due_at <= it.raised_at;
        let told = it.settled_at.is_none_or(|at| it.raised_at <= at);
        assert!(late && told, "seed {seed}: {it:?}");
    }
}

/// What must hold of every state.
fn check_invariants(view: &View, seed: u64) {
    check_governance(view, seed);
    let now = view.leader_time();
    for grant in view.grants() {
        let contract = view.contract(&grant.contract).unwrap();
        let request = view.request(&contract.request).unwrap();
        let (inner, middle, outer) = (grant.period, contract.period, request.period);
        assert!(
            outer.from <= middle.from
                && middle.from <= inner.from
                && inner.until <= middle.until
                && middle.until <= outer.until,
            "seed {seed}: grant {} outlives its contract",
            grant.id
        );
        let active = grant.state == GrantState::Active;
        assert!(
            !active || now < grant.period.until,
            "seed {seed}: {} is over",
            grant.id
        );
        let agreed = matches!(request.state, RequestState::Agreed | RequestState::Active);
        assert_eq!(
            active, agreed,
            "seed {seed}: {} is {}",
            request.id, request.state
        );
        let found = view
            .grants_for(&grant.dataset, &grant.consumer)
            .any(|it| it == grant);
        assert!(found, "seed {seed}: {} is not in the index", grant.id);
    }
    for it in view.transfers() {
        let grant = view.grant(&it.grant).unwrap();
        let open = it.state == TransferState::Requested;
        let revoked = grant.state == GrantState::Revoked;
        assert!(
            !(open && revoked),
            "seed {seed}: {} runs under a revoked grant",
            it.id
        );
        let both = it.receipts.len() == 2;
        assert_eq!(
            it.state == TransferState::Completed,
            both,
            "seed {seed}: {}",
            it.id
        );
    }
    for card in view.datasets() {
        let core = card.grade == Grade::Core;
        assert!(
            !(core && card.is_served()),
            "seed {seed}: core data {} is served",
            card.id
        );
        for (expected, version) in (1..).zip(view.versions(&card.id)) {
            assert_eq!(
                version.body.number, expected,
                "seed {seed}: versions of {}",
                card.id
            );
        }
    }
}

/// A key names its owner.
fn check_keys(view: &View, seed: u64) {
    for it in view.persons() {
        let found = view.person_by_key(&it.key_id());
        assert_eq!(
            found,
            Some(it),
            "seed {seed}: the key of {} is another's",
            it.id
        );
    }
    for it in view.nodes() {
        for key in &it.transport_keys {
            let found = view.node_by_transport_key(key);
            assert_eq!(
                found,
                Some(it),
                "seed {seed}: a transport key of {} is another's",
                it.id
            );
        }
    }
}

/// Nothing goes back between two states.
fn check_progress(before: &View, after: &View, seed: u64) {
    assert!(
        before.leader_time() <= after.leader_time(),
        "seed {seed}: time went back"
    );
    for it in before.checkpoints() {
        let old = &it.update.checkpoint.body;
        let new = &after
            .checkpoint(&old.ledger.participant)
            .unwrap()
            .update
            .checkpoint
            .body;
        let grew = (old.ledger.incarnation, old.size) <= (new.ledger.incarnation, new.size);
        assert!(grew, "seed {seed}: a checkpoint shrank");
    }
    for it in before.datasets() {
        let revision = after.dataset(&it.id).unwrap().revision;
        assert!(it.revision <= revision, "seed {seed}: a revision went back");
    }
}

fn is_remembered(it: &VerifiedProposal, outcome: &Outcome) -> bool {
    let tick = matches!(it.proposal().command, Command::Tick { .. });
    let unkept = matches!(
        outcome,
        Outcome::Refused {
            code: RefusalCode::SignatureRejected | RefusalCode::ClockSkew,
            ..
        }
    );
    !tick && !unkept
}

type Log = Vec<(u64, Vec<VerifiedProposal>, Vec<Outcome>)>;

/// Runs one history and checks it as it goes; returns the log and the last state.
fn run(seed: u64) -> (Log, State, BTreeMap<RecordKey, Vec<u8>>) {
    let mut state = World::granted().state;
    let mut stored: BTreeMap<_, _> = state.records().map(Result::unwrap).collect();
    let mut author = Author::new(seed);
    let mut log = Log::new();
    let mut answered: Vec<(VerifiedProposal, Outcome)> = Vec::new();
    for index in 1_000..1_000 + BATCHES {
        let before = View::new(state.clone());
        let retry = if author.random.percent(10) {
            author.random.one(&answered)
        } else {
            None
        };
        let (batch, expected) = match retry {
            Some((it, outcome)) => (vec![it], Some(outcome)),
            None => {
                let size = 1 + author.random.below(3);
                ((0..size).map(|_| author.proposal(&before)).collect(), None)
            }
        };
        let report = state.apply_recorded(index, &batch);
        if let Some(expected) = expected {
            assert_eq!(
                report.outcomes,
                [expected],
                "seed {seed}: a retry got another answer"
            );
            assert_eq!(report.written, [], "seed {seed}: a retry was applied again");
        }
        if report
            .outcomes
            .iter()
            .all(|it| matches!(it, Outcome::Refused { .. }))
        {
            let only = report
                .written
                .iter()
                .all(|(key, _)| key.kind() == RecordKind::Command);
            assert!(
                only,
                "seed {seed}: refused commands changed {:?}",
                report.written
            );
        }
        for (key, bytes) in &report.written {
            match bytes {
                Some(bytes) => stored.insert(key.clone(), bytes.to_vec()),
                None => stored.remove(key),
            };
        }
        let after = View::new(state.clone());
        check_invariants(&after, seed);
        check_progress(&before, &after, seed);
        for (it, outcome) in batch.iter().zip(&report.outcomes) {
            if is_remembered(it, outcome) {
                answered.push((it.clone(), outcome.clone()));
            }
        }
        log.push((index, batch, report.outcomes));
    }
    check_keys(&View::new(state.clone()), seed);
    (log, state, stored)
}

/// Another replica applies the same log one proposal at a time.
fn check_replay(
    seed: u64,
    from: State,
    log: &[(u64, Vec<VerifiedProposal>, Vec<Outcome>)],
    expected: &State,
) {
    let mut replica = from;
    for (index, batch, outcomes) in log {
        let mut again = Vec::new();
        for it in batch {
            again.extend(replica.apply(*index, std::slice::from_ref(it)));
        }
        assert_eq!(
            again, *outcomes,
            "seed {seed}: replicas answer differently at {index}"
        );
    }
    assert_eq!(
        replica.digest(),
        expected.digest(),
        "seed {seed}: digests differ"
    );
    assert_eq!(
        replica.applied(),
        expected.applied(),
        "seed {seed}: indexes differ"
    );
}

/// What is written, read back and continued is what was never written.
fn check_snapshots(seed: u64, log: &Log, state: &State, stored: BTreeMap<RecordKey, Vec<u8>>) {
    let held: BTreeMap<_, _> = state.records().map(Result::unwrap).collect();
    assert!(
        held == stored,
        "seed {seed}: the written records are not the state"
    );
    let loaded = State::from_records(&state.snapshot_header(), stored).unwrap();
    assert_eq!(loaded.digest(), state.digest(), "seed {seed}");
    let place = usize::try_from(Random::new(seed).below(BATCHES)).unwrap();
    let mut middle = World::granted().state;
    for (index, batch, _) in &log[..place] {
        middle.apply(*index, batch);
    }
    let bytes = middle.to_snapshot().unwrap();
    let restored = State::from_snapshot(bytes.as_slice()).unwrap();
    check_replay(seed, restored, &log[place..], state);
}

fn check_seed(seed: u64) -> Log {
    let (log, state, stored) = run(seed);
    check_replay(seed, World::granted().state, &log, &state);
    // Reading and writing every record costs more than the history itself.
    if seed.is_multiple_of(SNAPSHOT_EVERY) {
        check_snapshots(seed, &log, &state, stored);
    }
    log
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests choose seeds; the state reads nothing"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_history_is_the_same_on_every_replica() {
    if let Some(seed) = setting("KOUAN_SEED") {
        check_seed(seed);
        return;
    }
    let seeds = setting("KOUAN_HISTORIES").unwrap_or(HISTORIES);
    let mut applied: BTreeMap<String, u64> = BTreeMap::new();
    let mut refused: BTreeMap<RefusalCode, u64> = BTreeMap::new();
    for seed in 0..seeds {
        for (_, batch, outcomes) in check_seed(seed) {
            for (it, outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    Outcome::Applied { .. } => {
                        let name = serde_json::to_value(&it.proposal().command).unwrap();
                        let name = name["command"].as_str().unwrap().to_owned();
                        *applied.entry(name).or_default() += 1;
                    }
                    Outcome::Refused { code, .. } => *refused.entry(code).or_default() += 1,
                }
            }
        }
    }
    println!("applied {applied:?}\nrefused {refused:?}");
    // A generator that no longer reaches a command or a refusal tests nothing.
    if seeds >= HISTORIES {
        assert_eq!(applied.len(), 28, "{applied:?}");
        assert_eq!(refused.len(), RefusalCode::ALL.len(), "{refused:?}");
    }
}

#[test]
fn the_whole_log_from_the_founding_gives_the_same_state() {
    let world = World::granted();
    let mut replica = State::new();
    for (index, it) in (1..).zip(&world.log) {
        replica.apply(index, std::slice::from_ref(it));
    }
    assert_eq!(
        replica.to_snapshot().unwrap(),
        world.state.to_snapshot().unwrap()
    );
}

#[test]
fn replicas_of_equal_records_find_no_difference_and_others_find_it() {
    let (_, left, _) = run(1);
    let (_, same, _) = run(1);
    let (_, other, _) = run(2);
    let difference = crypto::merkle::map::first_difference;
    assert_eq!(difference(left.digests(), same.digests()), None);
    assert!(difference(left.digests(), other.digests()).is_some());
}

#[test]
fn the_idempotency_window_forgets_the_oldest_and_stays_bounded() {
    let mut state = World::founded().state;
    let before = state.snapshot_header().records;
    let tick = |n: u64| {
        let command = Command::AdoptStandard {
            standard: Box::new(standard(1)),
        };
        proposal(&format!("w{n}"), "port-consumer", at(0), command)
    };
    let mut removed = 0;
    for n in 0..WINDOW + 10 {
        let report = state.apply_recorded(n + 1_000, &[tick(n)]);
        removed += report
            .written
            .iter()
            .filter(|(_, bytes)| bytes.is_none())
            .count();
    }
    let held = state.records().map(Result::unwrap);
    let remembered = held
        .filter(|(key, _)| key.kind() == RecordKind::Command)
        .count();
    assert_eq!(u64::try_from(remembered).unwrap(), WINDOW);
    assert!(removed > 10, "the founding's commands and ten more leave");
    assert!(state.snapshot_header().records > before);
}

/// Batches in one history; about twice as many commands.
const BATCHES: u64 = 50;

/// Histories of an ordinary run.
const HISTORIES: u64 = 200;

/// Of so many seeds one checks snapshots too.
const SNAPSHOT_EVERY: u64 = 10;

/// The window's documented size.
const WINDOW: u64 = 32_768;
