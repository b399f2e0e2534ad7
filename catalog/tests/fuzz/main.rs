//! Fuzzing of proposals, records and snapshots: `targets` says what must hold, here are valid
//! inputs. Messages between members are fuzzed beside their parser.
//!
//! It does not follow coverage.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up of tests, and what must hold"
)]

#[path = "../state_world/mod.rs"]
mod state_world;
mod targets;

use catalog::state::VerifiedProposal;
use mutate::Fuzz;
use schemas::command::Command;
use schemas::export::{InstrumentKind, InstrumentState};
use schemas::policy_set::PolicySet;
use schemas::{InstrumentId, Period, canonical};
use state_world::*;

const WORDS: &[&str] = &[
    "18446744073709551615",
    "9007199254740991",
    "0",
    "null",
    "[]",
    "authority",
    "customs",
    "node-port",
    "port-steward",
    "\"agreed\"",
    "G3",
    "9999-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.000Z",
];

/// What built the world, and every other command once.
fn proposals() -> Vec<Vec<u8>> {
    let world = World::granted();
    let more: Vec<VerifiedProposal> = of_grants()
        .into_iter()
        .chain(of_ledgers())
        .map(|(by, command)| proposal("more", by, at(0), command))
        .collect();
    let all = world.log.iter().chain(&more);
    all.map(|it| canonical::to_bytes(it.proposal()).unwrap())
        .collect()
}

fn of_grants() -> Vec<(&'static str, Command)> {
    let period = Period {
        from: at(0),
        until: at(1_000_000),
    };
    let (_, grant) = agreement(&request("r1", "calls", CUSTOMS, period), PORT);
    let transfer = transfer("t1", &grant, 1);
    let because = "it ended".to_owned();
    let withdraw = Command::WithdrawRequest {
        request: request_id("r1"),
        revision: 1,
    };
    let revoke = Command::RevokeGrant {
        grant: grant.id,
        because: because.clone(),
    };
    let complete = Command::CompleteTransfer {
        transfer: transfer.id.clone(),
        receipts: receipts(&transfer),
    };
    let terminate = Command::TerminateTransfer {
        transfer: transfer.id.clone(),
        because,
    };
    let open = Command::OpenTransfer {
        transfer: Box::new(transfer),
    };
    vec![
        ("customs-consumer", withdraw),
        ("port-steward", revoke),
        ("node-customs", open),
        ("node-customs", complete),
        ("node-customs", terminate),
    ]
}

fn of_ledgers() -> Vec<(&'static str, Command)> {
    let root = crypto::Digest::of(b"root");
    let policy_set = PolicySet {
        number: 1,
        model: "m".to_owned(),
        roles: "p".to_owned(),
        rules: "r".to_owned(),
        note: "n".to_owned(),
    };
    let adopt = Command::AdoptPolicySet {
        policy_set: Box::new(policy_set),
    };
    let witness = Command::WitnessCheckpoint {
        participant: participant_id(PORT),
        size: 4,
        cosignature: cosign(&checkpoint(PORT, 4, root), CUSTOMS),
    };
    let register = Command::RegisterInstrument {
        instrument: Box::new(instrument(
            InstrumentKind::StandardContract,
            PORT,
            "calls",
            CUSTOMS,
        )),
    };
    let end = Command::MoveInstrument {
        instrument: InstrumentId::parse("i-1").unwrap(),
        revision: 1,
        to: InstrumentState::Ended,
        because: "it ended".to_owned(),
    };
    let rule_pack = Box::new(pack("clocks.cn", 1));
    let withdraw = Command::WithdrawRulePack {
        series: rule_pack.series.clone(),
        number: 1,
        because: "a wrong day".to_owned(),
    };
    vec![
        ("authority-officer", adopt),
        ("authority-officer", Command::AdoptRulePack { rule_pack }),
        ("authority-officer", withdraw),
        ("port-officer", register),
        ("port-officer", end),
        ("node-port", first_checkpoint(PORT, 4, root)),
        ("node-customs", witness),
        ("node-authority", Command::Tick { now: at(5_000_000) }),
    ]
}

#[test]
fn changed_proposals() {
    let fuzz = Fuzz {
        name: "catalog_proposal",
        seeds: &proposals(),
        words: WORDS,
        runs: 1_000,
    };
    fuzz.run(targets::catalog_proposal);
}

#[test]
fn changed_proposals_that_are_applied() {
    let fuzz = Fuzz {
        name: "catalog_apply",
        seeds: &proposals(),
        words: WORDS,
        runs: 150,
    };
    fuzz.run(targets::catalog_apply);
}

#[test]
fn changed_records() {
    let records = World::granted().records_with_commands();
    let seeds: Vec<Vec<u8>> = records
        .into_iter()
        .map(|(key, bytes)| [key.to_string().as_bytes(), b"\n", &bytes].concat())
        .collect();
    let fuzz = Fuzz {
        name: "catalog_record",
        seeds: &seeds,
        words: WORDS,
        runs: 2_000,
    };
    fuzz.run(targets::catalog_record);
}

#[test]
fn changed_snapshots() {
    let seeds = [World::empty(), World::founded(), World::granted()]
        .map(|world| world.state.to_snapshot().unwrap());
    let fuzz = Fuzz {
        name: "catalog_snapshot",
        seeds: &seeds,
        words: WORDS,
        runs: 60,
    };
    fuzz.run(targets::catalog_snapshot);
}
