//! The bounded queue, with a writer that is made to wait.

use futures::FutureExt as _;
use futures::future::join_all;

use super::*;
use crate::Error;

const QUEUE: usize = 4;

#[test]
fn a_full_queue_pushes_back_and_records_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        queue_entries_max: QUEUE,
        batch_entries_max: 1,
        ..small()
    };
    let ledger = Ledger::open(dir.path(), identity(), options).unwrap();
    let appends: Vec<_> = (0..20).map(|number| ledger.append(entry(number))).collect();
    let mut waiting = Vec::new();
    let mut refused = 0;
    {
        // The writer cannot acknowledge while somebody reads the tree, so it holds one entry.
        let state = ledger.state_for_tests();
        let _reading = state.tree();
        for append in appends {
            let mut append = Box::pin(append);
            match append.as_mut().now_or_never() {
                None => waiting.push(append),
                Some(Err(Error::Pushback { .. })) => refused += 1,
                Some(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(
        (QUEUE..=QUEUE + 1).contains(&waiting.len()),
        "{}",
        waiting.len()
    );
    assert_eq!(refused + waiting.len(), 20);
    let accepted = waiting.len();
    let answers = runtime().block_on(join_all(waiting));
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(usize::try_from(ledger.size()).unwrap(), accepted);
    runtime().block_on(async { ledger.append(entry(99)).await.unwrap() });
}

#[test]
fn a_queue_of_large_entries_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        queue_bytes_max: 1_000,
        ..small()
    };
    let ledger = Ledger::open(dir.path(), identity(), options).unwrap();
    let mut large = entry(0);
    large.trace = "t".repeat(1_001);
    let refused = runtime().block_on(ledger.append(large));
    assert!(matches!(refused, Err(Error::Pushback { .. })));
    runtime().block_on(ledger.append(entry(0))).unwrap();
}
