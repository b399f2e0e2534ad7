//! Fuzzing of evidence: `targets` says what must hold, here are valid inputs. Files of segments
//! are fuzzed beside their parser.
//!
//! It does not follow coverage.

#![expect(clippy::expect_used, reason = "set-up of tests, and what must hold")]

mod targets;

use mutate::Fuzz;
use schemas::canonical;

use targets::SAMPLE;

const WORDS: &[&str] = &[
    "18446744073709551615",
    "9007199254740992",
    "0",
    "null",
    "{}",
    "\"\"",
    "\\u0000",
    "gap",
    "00",
    "ff",
];

#[test]
fn changed_entries() {
    let seeds: Vec<Vec<u8>> = SAMPLE
        .entries
        .iter()
        .map(|it| canonical::to_bytes(it).unwrap())
        .collect();
    let fuzz = Fuzz {
        name: "ledger_entry",
        seeds: &seeds,
        words: WORDS,
        runs: 5_000,
    };
    fuzz.run(targets::ledger_entry);
}

#[test]
fn changed_checkpoints() {
    let fuzz = Fuzz {
        name: "ledger_checkpoint",
        seeds: &[canonical::to_bytes(&SAMPLE.checkpoint).unwrap()],
        words: WORDS,
        runs: 3_000,
    };
    fuzz.run(targets::ledger_checkpoint);
}

#[test]
fn changed_evidence() {
    let seeds = [0, 2, 4].map(|index| serde_json::to_vec(&SAMPLE.evidence(index)).unwrap());
    let fuzz = Fuzz {
        name: "ledger_evidence",
        seeds: &seeds,
        words: WORDS,
        runs: 3_000,
    };
    fuzz.run(targets::ledger_evidence);
}

#[test]
fn changed_packages() {
    let fuzz = Fuzz {
        name: "ledger_package",
        seeds: &[serde_json::to_vec(&*targets::PACKAGE).unwrap()],
        words: WORDS,
        runs: 1_000,
    };
    fuzz.run(targets::ledger_package);
}
