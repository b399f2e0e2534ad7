//! Changed segment files: real ones, and how a kill leaves them.

use mutate::Fuzz;

use super::*;
use crate::segment::{ALIGN_BYTES, Stream};
use crate::store::{list, read_file};

/// A few entries in two segments, of which the first is sealed.
fn segments() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1_024,
        preallocation_bytes: ALIGN_BYTES,
        ..small()
    };
    let ledger = Ledger::open(dir.path(), identity(), options).unwrap();
    runtime().block_on(async {
        for number in 0..5 {
            ledger.append(entry(number)).await.unwrap();
        }
        ledger.close().await;
    });
    let firsts = list(dir.path(), Stream::Entries).unwrap();
    assert!(firsts.len() > 1);
    let read = |first: &u64| read_file(dir.path(), Stream::Entries, *first).unwrap();
    firsts.iter().map(read).collect()
}

#[test]
fn changed_segments() {
    let fuzz = Fuzz {
        name: "ledger_segment",
        seeds: &segments(),
        words: &["\0\0\0\0", "\u{1}", "\u{2}", "\u{3}"],
        runs: 1_000,
    };
    fuzz.run(crate::fuzz::ledger_segment);
}
