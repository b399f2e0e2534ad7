//! The ledger from outside: real files, real processes, real limits.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helper functions fail the test by panicking"
)]

mod append;
mod crash;
mod damage;
mod fuzz;
mod package;
mod proofs;
mod search;

use std::path::Path;

use ledger::{Ledger, Options};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIdentity, LedgerIndex};
use schemas::{DatasetId, NodeId, ParticipantId, Timestamp};

fn identity() -> LedgerIdentity {
    LedgerIdentity {
        participant: ParticipantId::parse("gd.gz.port").unwrap(),
        incarnation: 1,
    }
}

/// Segments of one batch each.
fn tiny() -> Options {
    Options {
        segment_bytes: 1,
        preallocation_bytes: 4_096,
        ..Options::default()
    }
}

fn small() -> Options {
    Options {
        segment_bytes: 16_384,
        preallocation_bytes: 8_192,
        ..Options::default()
    }
}

fn entry(number: u64) -> LedgerEntry {
    LedgerEntry {
        at: Timestamp::from_millis(1_790_000_000_000 + i64::try_from(number).unwrap()),
        node: NodeId::parse("node-1").unwrap(),
        clock_trusted: true,
        trace: number.to_string(),
        event: LedgerEvent::Published {
            dataset: DatasetId::parse(format!("dataset-{}", number % 3)).unwrap(),
            version: Some(number + 1),
            rows: number,
            quarantined_rows: 0,
            content_digest: crypto::Digest::of(&number.to_be_bytes()),
        },
    }
}

fn open(dir: &Path, options: Options) -> Ledger {
    Ledger::open(dir, identity(), options).unwrap()
}

/// Every entry, page by page.
fn all(ledger: &Ledger) -> Vec<(LedgerIndex, LedgerEntry)> {
    let mut found = Vec::new();
    loop {
        let from = LedgerIndex(u64::try_from(found.len()).unwrap());
        let page = ledger.scan(from, 7).unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}
