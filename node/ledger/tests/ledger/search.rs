//! Search finds what reading everything finds, whatever becomes of the index.

use std::fs;
use std::path::PathBuf;

use futures::future::join_all;
use ledger::{Error, Filter};
use schemas::code::{Action, ReasonCode};
use schemas::decision::{
    Decision, DecisionRequest, Facts, Obligations, Party, PolicyVersion, Principal, Reason,
};
use schemas::ledger_entry::ReleaseOutcome;
use schemas::participant::ParticipantKind;
use schemas::request::Purpose;
use schemas::{Jurisdiction, PersonId, ReleaseId};

use super::*;

/// A complete block and a part of the next.
const ENTRIES: u64 = 9_000;

pub(crate) fn decided(number: u64) -> LedgerEvent {
    let reasons = vec![Reason::new(ReasonCode::GrantExpired, "the grant has ended")];
    LedgerEvent::Decided {
        request: Box::new(DecisionRequest {
            principal: Principal {
                participant: ParticipantId::parse(format!("gd.p{}", number % 5)).unwrap(),
                kind: ParticipantKind::ALL[0],
                jurisdiction: Jurisdiction::MAINLAND,
                person: Some(PersonId::parse(format!("person-{}", number % 7)).unwrap()),
                node: None,
                roles: [].into(),
            },
            action: Action::ALL[usize::try_from(number % 4).unwrap()],
            dataset: Some(DatasetId::parse(format!("dataset-{}", number % 3)).unwrap()),
            record: None,
            purpose: Some(Purpose {
                code: format!("purpose-{}", number % 11),
                text: String::new(),
            }),
            destination: [Jurisdiction::MAINLAND, Jurisdiction::MACAO]
                [usize::from(number.is_multiple_of(13))],
            columns: None,
            at: Timestamp::from_millis(0),
        }),
        facts: Box::new(Facts {
            view_index: 1,
            view_age_ms: 0,
            linearizable: true,
            clock_trusted: true,
            principal_valid: true,
            policy: PolicyVersion {
                number: 0,
                digest: crypto::Digest::ZERO,
            },
            party: Party::Consumer,
            dataset: None,
            grant: None,
            export: None,
        }),
        decision: if number.is_multiple_of(2) {
            Decision::Permit(Obligations::default())
        } else {
            Decision::Deny(reasons)
        },
    }
}

/// Decisions, ends of releases, and versions, a second apart; every 100th an hour late.
fn mixed(number: u64) -> LedgerEntry {
    let late = if number.is_multiple_of(100) {
        -3_600_000
    } else {
        0
    };
    let at = 1_790_000_000_000 + i64::try_from(number).unwrap() * 1_000 + late;
    let event = match number % 6 {
        0 => entry(number).event,
        1 => LedgerEvent::ReleaseEnded {
            release: ReleaseId::parse(format!("rl-{}", number % 20)).unwrap(),
            bytes: number,
            outcome: ReleaseOutcome::Revoked,
        },
        _ => decided(number),
    };
    LedgerEntry {
        at: Timestamp::from_millis(at),
        event,
        ..entry(number)
    }
}

fn filters() -> Vec<Filter> {
    let id = |text: &str| Some(text.to_owned());
    let at = |seconds: i64| Some(Timestamp::from_millis(1_790_000_000_000 + seconds * 1_000));
    let dataset = |text: &str| Some(DatasetId::parse(text).unwrap());
    let all = Filter::default();
    vec![
        all.clone(),
        Filter {
            dataset: dataset("dataset-1"),
            ..all.clone()
        },
        Filter {
            dataset: dataset("dataset-none"),
            ..all.clone()
        },
        Filter {
            participant: Some(ParticipantId::parse("gd.p3").unwrap()),
            actor: id("person-4"),
            outcome: id("deny"),
            dataset: dataset("dataset-2"),
            ..all.clone()
        },
        Filter {
            outcome: id("GRANT_EXPIRED"),
            purpose: id("purpose-9"),
            ..all.clone()
        },
        Filter {
            destination: Some(Jurisdiction::MACAO),
            action: id(Action::ALL[1].as_str()),
            ..all.clone()
        },
        Filter {
            release: Some(ReleaseId::parse("rl-7").unwrap()),
            ..all.clone()
        },
        Filter {
            action: id("published"),
            from: at(8_000),
            until: at(8_400),
            ..all.clone()
        },
        Filter {
            from: at(-4_000),
            until: at(-3_000),
            ..all.clone()
        },
        Filter {
            from: at(8_990),
            outcome: id("permit"),
            ..all
        },
    ]
}

/// Every page of an answer, and what it says of their number.
fn pages(ledger: &Ledger, filter: &Filter) -> Vec<LedgerIndex> {
    let mut found = Vec::new();
    let mut next = Some(LedgerIndex(0));
    let mut size = None;
    while let Some(from) = next {
        let page = ledger.search(filter, from, size, 700).unwrap();
        assert!(size.is_none_or(|size| size == page.size));
        size = Some(page.size);
        found.extend(page.indices);
        next = page.next;
        if next.is_none() {
            assert_eq!(page.total, u64::try_from(found.len()).unwrap());
        }
    }
    found
}

async fn build(dir: &Path) -> Vec<Vec<LedgerIndex>> {
    let ledger = open(
        dir,
        Options {
            segment_bytes: 1 << 20,
            ..Options::default()
        },
    );
    let mut from = 0;
    while from < ENTRIES {
        let until = (from + 2_000).min(ENTRIES);
        let appends = (from..until).map(|number| ledger.append(mixed(number)));
        for appended in join_all(appends).await {
            appended.unwrap();
        }
        from = until;
    }
    let entries: Vec<_> = (0..ENTRIES).map(mixed).collect();
    let matching = |filter: &Filter| -> Vec<LedgerIndex> {
        let found = (0..)
            .zip(&entries)
            .filter(|(_, entry)| filter.matches(entry));
        found.map(|(index, _)| LedgerIndex(index)).collect()
    };
    let expected: Vec<_> = filters().iter().map(matching).collect();
    // A question that finds nothing, or everything, would prove little.
    let some = expected
        .iter()
        .filter(|it| (1..ENTRIES / 2).contains(&(u64::try_from(it.len()).unwrap())));
    assert!(some.count() > 6);
    check(&ledger, &expected, "as written");
    ledger.close().await;
    expected
}

fn check(ledger: &Ledger, expected: &[Vec<LedgerIndex>], state: &str) {
    for (filter, expected) in filters().iter().zip(expected) {
        assert_eq!(pages(ledger, filter), *expected, "{state}: {filter:?}");
    }
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn search_finds_what_reading_finds_and_survives_a_damaged_index() {
    let dir = tempfile::tempdir().unwrap();
    let expected = build(dir.path()).await;
    let ledger = open(dir.path(), small());
    assert_eq!(ledger.index_rebuilt(), None);
    check(&ledger, &expected, "opened again");
    ledger.close().await;

    let mut said = 0;
    let mut files = Vec::new();
    files_below(&dir.path().join("index"), &mut files);
    for path in files {
        let Ok(mut bytes) = fs::read(&path) else {
            continue;
        };
        let middle = bytes.len() / 2;
        let Some(byte) = bytes.get_mut(middle) else {
            continue;
        };
        *byte ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let ledger = open(dir.path(), small());
        said += usize::from(ledger.index_rebuilt().is_some());
        check(&ledger, &expected, path.to_str().unwrap());
        ledger.close().await;
    }
    assert!(said > 0, "no damage was noticed");
}

#[tokio::test]
async fn an_index_of_other_entries_is_begun_anew() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = build(dir.path()).await;
    let ledger = open(other.path(), small());
    let appends = (0..9_000).map(|number| {
        let ledger = ledger.clone();
        async move {
            while let Err(Error::Pushback { .. }) = ledger.append(entry(number + 1)).await {
                tokio::task::yield_now().await;
            }
        }
    });
    join_all(appends).await;
    ledger.close().await;
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    fs::rename(other.path().join("index"), dir.path().join("index")).unwrap();
    let ledger = open(dir.path(), small());
    assert_eq!(ledger.index_rebuilt(), Some("it is about other entries"));
    check(&ledger, &expected, "another's index");
}

#[tokio::test]
async fn a_span_in_which_nothing_can_lie_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    let at = Some(Timestamp::from_millis(5));
    let filter = Filter {
        from: at,
        until: at,
        ..Filter::default()
    };
    let refused = ledger.search(&filter, LedgerIndex(0), None, 10);
    assert!(matches!(refused, Err(Error::Question { .. })));
}
