//! The past decided again: what another rule pack would change, and what the ledger says.

use policies::{Past, Replay};
use schemas::decision::Decision;
use schemas::explanation::{Changed, DryRun, Turn};
use schemas::export::{ExportOutcome, InstrumentKind};

use crate::world::{Export, ruled, strict};

/// Accesses of a month: trade, a few persons, many persons under a contract, a refusal.
fn month() -> Vec<(Export, Decision)> {
    let many = Export::personal().persons(100_000, 0);
    [
        Export::trade(),
        Export::personal(),
        many.clone().holding(InstrumentKind::StandardContract),
        many,
        Export::personal().unmeasured(),
    ]
    .into_iter()
    .map(|case| {
        let mut case = case;
        case.export().packs = strict().export_packs(case.request.at);
        let decision = case.decide(strict());
        (case, decision)
    })
    .collect()
}

fn entries(month: &[(Export, Decision)]) -> impl Iterator<Item = Past<'_>> {
    (0..).zip(month).map(|(entry, (case, decision))| Past {
        entry,
        request: &case.request,
        facts: &case.facts,
        decision,
    })
}

#[test]
fn the_same_rules_change_nothing() {
    let month = month();
    let expected = DryRun {
        accesses: 5,
        ..DryRun::default()
    };
    assert_eq!(strict().dry_run(entries(&month)), expected);
}

#[test]
fn a_dry_run_names_the_accesses_that_would_change() {
    let month = month();
    // A province that wants an assessment even for trade, and counts from fewer persons.
    let stricter = ruled(|it| {
        it.rules[7].outcome = ExportOutcome::SecurityAssessment;
        it.thresholds.exempt_below = 10;
    });
    let run = stricter.dry_run(entries(&month));
    let told: Vec<(u64, Turn)> = run.changed.iter().map(|it| (it.entry, it.turn)).collect();
    assert_eq!((run.accesses, run.changes), (5, 4));
    // The packs are named in the terms, so that the third access is under another pack.
    let expected = [
        (0, Turn::Tightened),
        (1, Turn::Tightened),
        (2, Turn::OtherDuties),
        (4, Turn::Tightened),
    ];
    assert_eq!(told, expected);
    for Changed { before, after, .. } in &run.changed {
        assert_ne!(before, after);
    }
    let back: Vec<(Export, Decision)> = month
        .iter()
        .map(|(case, _)| (case.clone(), case.decide(&stricter)))
        .collect();
    let loosened = strict().dry_run(entries(&back)).changed;
    assert_eq!(loosened[0].turn, Turn::Loosened);
}

#[test]
fn an_entry_replays_under_the_policy_of_its_time_and_no_other() {
    let month = month();
    for past in entries(&month) {
        assert_eq!(strict().replay(past), Replay::Agrees);
    }
    let (case, _) = &month[0];
    let forged = Decision::Deny(Vec::new());
    let past = Past {
        entry: 0,
        request: &case.request,
        facts: &case.facts,
        decision: &forged,
    };
    let truth = Box::new(case.decide(strict()));
    assert_eq!(strict().replay(past), Replay::Differs(truth));
    let mut elsewhere = case.clone();
    elsewhere.facts.policy.number = 9;
    let past = Past {
        facts: &elsewhere.facts,
        ..past
    };
    assert_eq!(strict().replay(past), Replay::OtherPolicy);
    let mut other_packs = case.clone();
    other_packs.export().packs[0].number = 9;
    let past = Past {
        facts: &other_packs.facts,
        ..past
    };
    assert_eq!(strict().replay(past), Replay::OtherPolicy);
}
