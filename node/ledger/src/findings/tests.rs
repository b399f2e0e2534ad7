//! Each rule, with what raises it and what just does not.

use crypto::{Digest, Label, SecretKey};
use expect_test::{Expect, expect};
use schemas::code::ReasonCode;
use schemas::decision::{
    DecisionRequest, Facts, Obligations, Party, PolicyVersion, Principal, Reason,
};
use schemas::participant::ParticipantKind;
use schemas::request::Purpose;
use schemas::{GrantId, Jurisdiction, NodeId, PersonId, Signed, TransferId, canonical};

use super::*;

/// 2026-09-21 22:13:20 in China: an hour before night.
const EVENING: i64 = 1_790_000_000_000;

fn entry(at: i64, event: LedgerEvent) -> LedgerEntry {
    LedgerEntry {
        at: Timestamp::from_millis(at),
        node: NodeId::parse("node-1").unwrap(),
        clock_trusted: true,
        trace: String::new(),
        event,
    }
}

fn decided(person: &str, purpose: &str, decision: Decision) -> LedgerEvent {
    LedgerEvent::Decided {
        request: Box::new(DecisionRequest {
            principal: Principal {
                participant: ParticipantId::parse("zh").unwrap(),
                kind: ParticipantKind::ALL[0],
                jurisdiction: Jurisdiction::MAINLAND,
                person: Some(PersonId::parse(person).unwrap()),
                node: None,
                roles: [].into(),
            },
            action: Action::DatasetRead,
            dataset: Some(DatasetId::parse("c").unwrap()),
            record: None,
            purpose: Some(Purpose {
                code: purpose.to_owned(),
                text: String::new(),
            }),
            destination: Jurisdiction::MAINLAND,
            columns: None,
            at: Timestamp::default(),
        }),
        facts: Box::new(Facts {
            view_index: 1,
            view_age_ms: 0,
            linearizable: true,
            clock_trusted: true,
            principal_valid: true,
            policy: PolicyVersion {
                number: 0,
                digest: Digest::ZERO,
            },
            party: Party::Consumer,
            dataset: None,
            grant: None,
            export: None,
        }),
        decision,
    }
}

fn permit(purpose: &str) -> LedgerEvent {
    decided("zh.a", purpose, Decision::Permit(Obligations::default()))
}

fn released(id: &str, decided_at: u64, rows: u64) -> LedgerEvent {
    LedgerEvent::Released {
        release: ReleaseId::parse(id).unwrap(),
        decided_at: LedgerIndex(decided_at),
        transfer: None,
        dataset: DatasetId::parse("c").unwrap(),
        artefact: Digest::ZERO,
        rows,
        bytes: 10,
        deadline: Timestamp::MAX,
        revocation_epoch: 0,
        obligations: Obligations::default(),
    }
}

fn body(id: &str, side: ReceiptSide, rows: u64) -> Receipt {
    Receipt {
        transfer: TransferId::parse("tr").unwrap(),
        release: ReleaseId::parse(id).unwrap(),
        side,
        participant: ParticipantId::parse(match side {
            ReceiptSide::Sent => "gz",
            ReceiptSide::Received => "zh",
        })
        .unwrap(),
        dataset: DatasetId::parse("c").unwrap(),
        version: 1,
        grant: GrantId::parse("gr").unwrap(),
        rows,
        bytes: 10,
        artefact: Digest::ZERO,
        sealed_root: None,
        at: Timestamp::from_millis(EVENING),
    }
}

fn receipt(id: &str, side: ReceiptSide, rows: u64) -> LedgerEvent {
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    let body = body(id, side, rows);
    let bytes = canonical::to_bytes(&body).unwrap();
    LedgerEvent::Receipt {
        receipt: Box::new(Signed {
            signature: key.sign(Label::Receipt, &bytes).unwrap(),
            key: key.public().key_id(),
            body,
        }),
    }
}

fn ended(id: &str, outcome: ReleaseOutcome) -> LedgerEvent {
    LedgerEvent::ReleaseEnded {
        release: ReleaseId::parse(id).unwrap(),
        bytes: 10,
        outcome,
    }
}

/// One line a finding: its record, when in hours after the evening, and its entries.
fn lines(look: &Look) -> String {
    let mut text = String::new();
    for finding in &look.findings {
        let what = serde_json::to_string(&finding.what).unwrap();
        let hours = (finding.at.millis() - EVENING) / HOUR_MS;
        let entries: Vec<u64> = finding.entries.iter().map(|it| it.0).collect();
        text.push_str(&format!("{hours} h {entries:?} {what}\n"));
    }
    text
}

/// `events` by hours after the evening, judged at the hour `now`.
fn check(events: Vec<(i64, LedgerEvent)>, now: i64, expected: &Expect) {
    let mut watch = Watch::new(Thresholds::default(), None);
    for (index, (hours, event)) in (0..).zip(events) {
        watch.see(LedgerIndex(index), &entry(EVENING + hours * HOUR_MS, event));
    }
    let look = watch.finish(Timestamp::from_millis(EVENING + now * HOUR_MS));
    assert_eq!(look.total, u64::try_from(look.findings.len()).unwrap());
    expected.assert_eq(&lines(&look));
}

#[test]
fn receipts_are_missed_after_their_time_and_not_before() {
    use ReceiptSide::{Received, Sent};
    let flow = || {
        vec![
            (0, released("rl-both", 0, 5)),
            (0, receipt("rl-both", Received, 5)),
            (0, receipt("rl-both", Sent, 5)),
            (0, released("rl-none", 0, 5)),
            (0, released("rl-one", 0, 5)),
            (0, receipt("rl-one", Received, 5)),
            (0, released("rl-aborted", 0, 5)),
            (1, ended("rl-aborted", ReleaseOutcome::Aborted)),
            // In a consumer's ledger there is no release, only receipts.
            (1, receipt("rl-taken", Received, 5)),
        ]
    };
    check(flow(), 25, &expect![""]);
    check(
        flow(),
        27,
        &expect![[r#"
            0 h [3] {"code":"RECEIPT_MISSING","release":"rl-none","missing":["SENT","RECEIVED"]}
            0 h [4, 5] {"code":"RECEIPT_MISSING","release":"rl-one","missing":["SENT"]}
            1 h [8] {"code":"RECEIPT_MISSING","release":"rl-taken","missing":["SENT"]}
        "#]],
    );
}

#[test]
fn receipts_that_do_not_agree_are_found_at_once() {
    use ReceiptSide::{Received, Sent};
    let events = vec![
        (0, released("rl-1", 0, 5)),
        (0, receipt("rl-1", Received, 5)),
        (0, receipt("rl-1", Sent, 6)),
        (0, released("rl-2", 0, 5)),
        (0, receipt("rl-2", Received, 7)),
        (0, receipt("rl-2", Sent, 7)),
    ];
    check(
        events,
        0,
        &expect![[r#"
            0 h [0, 1, 2] {"code":"RECEIPT_MISMATCH","release":"rl-1","differ":["rows","released"]}
            0 h [3, 4, 5] {"code":"RECEIPT_MISMATCH","release":"rl-2","differ":["released"]}
        "#]],
    );
}

#[test]
fn gaps_silence_and_a_clock_that_went_back_are_found() {
    let started = || LedgerEvent::Started {
        version: "1".to_owned(),
    };
    let gap = LedgerEvent::Gap {
        last: None,
        why: "the disk was lost".to_owned(),
    };
    check(
        vec![
            (0, started()),
            (72, started()),
            (145, gap),
            (144, started()),
        ],
        300,
        &expect![[r#"
            72 h [1, 2] {"code":"SILENCE","millis":262800000}
            144 h [2, 3] {"code":"CLOCK_BACK","millis":3600000}
            144 h [3] {"code":"SILENCE","millis":561600000}
            145 h [2] {"code":"GAP","why":"the disk was lost"}
        "#]],
    );
}

#[test]
fn work_at_night_counts_by_person_and_night() {
    let deny = || {
        let reasons = vec![Reason::new(ReasonCode::GrantMissing, "none")];
        decided("zh.b", "p", Decision::Deny(reasons))
    };
    check(
        vec![
            (0, permit("p")),
            (1, permit("p")),
            (2, permit("p")),
            (2, deny()),
            (2, deny()),
            (3, deny()),
            (7, permit("p")),
            (8, permit("p")),
            (25, permit("p")),
        ],
        26,
        &expect![[r#"
            1 h [1, 2, 6] {"code":"NIGHT_ACCESS","actor":"zh.a","decisions":3}
            2 h [3, 4, 5] {"code":"NIGHT_ACCESS","actor":"zh.b","decisions":3}
        "#]],
    );
}

#[test]
fn a_day_of_far_more_rows_than_usual_is_found_once() {
    let mut events = Vec::new();
    for day in 0..8_i64 {
        let rows = if day == 7 { 40_000 } else { 10_000 };
        let at = u64::try_from(events.len()).unwrap();
        events.push((day * 24, permit("p")));
        events.push((day * 24, released(&format!("rl-{day}"), at, rows)));
        events.push((
            day * 24,
            ended(&format!("rl-{day}"), ReleaseOutcome::Aborted),
        ));
        events.push((day * 24, released(&format!("rl-{day}-b"), at, 1)));
        events.push((
            day * 24,
            ended(&format!("rl-{day}-b"), ReleaseOutcome::Aborted),
        ));
    }
    check(
        events,
        169,
        &expect![[r#"
  168 h [36] {"code":"UNUSUAL_VOLUME","recipient":"zh","dataset":"c","rows":40000,"usual":10001}
  "#]],
    );
}

#[test]
fn a_second_purpose_is_found_and_the_first_is_not() {
    check(
        vec![
            (0, permit("p")),
            (0, permit("p")),
            (0, permit("q")),
            (0, permit("q")),
        ],
        0,
        &expect![[r#"
            0 h [2] {"code":"FIRST_PURPOSE","participant":"zh","dataset":"c","purpose":"q"}
        "#]],
    );
    let learnt = Timestamp::from_millis(EVENING + HOUR_MS);
    let mut watch = Watch::new(Thresholds::default(), Some(learnt));
    for (index, purpose) in (0..).zip(["p", "q", "p", "q"]) {
        watch.see(LedgerIndex(index), &entry(EVENING, permit(purpose)));
    }
    assert_eq!(watch.finish(learnt).findings, []);
}

#[test]
fn two_roots_of_one_size_are_a_fork() {
    let checkpoint = |size, root: &[u8]| Checkpoint {
        ledger: schemas::ledger_entry::LedgerIdentity {
            participant: ParticipantId::parse("gz").unwrap(),
            incarnation: 1,
        },
        size,
        root: Digest::of(root),
        at: Timestamp::from_millis(EVENING),
    };
    let (one, other) = (checkpoint(5, b"a"), checkpoint(5, b"b"));
    let found = forks(&[one.clone(), checkpoint(6, b"c"), one.clone(), other.clone()]);
    let what = What::Fork {
        one: Box::new(one),
        other: Some(Box::new(other)),
    };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].what, what);
}

#[test]
fn both_ledgers_hold_both_receipts_or_it_is_found() {
    use ReceiptSide::{Received, Sent};
    let stand = |ledger: &str, side, rows| SideReceipt {
        ledger: ParticipantId::parse(ledger).unwrap(),
        receipt: body("rl-1", side, rows),
    };
    let all = vec![
        stand("gz", Sent, 5),
        stand("gz", Received, 5),
        stand("zh", Sent, 5),
        stand("zh", Received, 5),
    ];
    let later = Timestamp::from_millis(EVENING + 27 * HOUR_MS);
    let after = Thresholds::default().receipt_after_ms;
    let kinds = |receipts: &[SideReceipt], now| {
        let found = unmatched(receipts, now, after);
        found.into_iter().map(|it| it.what).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&all, later), []);
    let release = ReleaseId::parse("rl-1").unwrap();
    let without = |left_out: usize| {
        let mut kept = all.clone();
        kept.remove(left_out);
        kept
    };
    for (left_out, side) in [(0, Sent), (1, Received), (2, Sent), (3, Received)] {
        let missing = vec![side];
        let release = release.clone();
        let expected = [What::ReceiptMissing { release, missing }];
        assert_eq!(kinds(&without(left_out), later), expected);
        assert_eq!(
            kinds(&without(left_out), Timestamp::from_millis(EVENING)),
            []
        );
    }
    let mut other = all;
    other[2] = stand("zh", Sent, 6);
    let differ = vec!["SENT in the ledger of zh".to_owned()];
    assert_eq!(
        kinds(&other, later),
        [What::ReceiptMismatch { release, differ }]
    );
}
