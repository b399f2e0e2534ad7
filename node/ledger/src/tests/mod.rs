//! Tests that need what is inside: torn batches, forged records, a stalled writer.

mod forged;
mod fuzz;
mod queue;
mod torn;

use std::collections::BTreeSet;
use std::path::Path;

use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIdentity};
use schemas::{NodeId, ParticipantId, Timestamp};

use crate::{Ledger, Options};

fn identity() -> LedgerIdentity {
    LedgerIdentity {
        participant: ParticipantId::parse("gd.gz.port").unwrap(),
        incarnation: 1,
    }
}

fn small() -> Options {
    Options {
        segment_bytes: 1 << 20,
        preallocation_bytes: 1 << 15,
        ..Options::default()
    }
}

fn entry(number: u64) -> LedgerEntry {
    LedgerEntry {
        at: Timestamp::from_millis(1_790_000_000_000 + i64::try_from(number).unwrap()),
        node: NodeId::parse("node-1").unwrap(),
        clock_trusted: true,
        trace: format!("trace-{number}"),
        event: LedgerEvent::Started {
            version: "v".repeat(100),
        },
    }
}

fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, identity(), small()).unwrap()
}

/// All entries' numbers, as their traces say.
fn traces(ledger: &Ledger) -> Vec<String> {
    let page = ledger
        .scan(schemas::ledger_entry::LedgerIndex(0), 1_000)
        .unwrap();
    let indices: BTreeSet<u64> = page.iter().map(|(index, _)| index.0).collect();
    assert_eq!(indices, (0..ledger.size()).collect());
    page.into_iter().map(|(_, entry)| entry.trace).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}
