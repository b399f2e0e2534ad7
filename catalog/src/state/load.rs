//! Builds a state from stored records: read, hashed and parsed, and put in, on a thread each, so
//! that a start takes as long as the slowest of the three.
//!
//! It does not decide where records come from, and it says the same as taking them in one by one:
//! of several that are wrong, the first is named.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use crypto::Digest;

use super::record::{Record, RecordKey};
use super::snapshot::SnapshotError;
use super::store::State;

/// A record as it was stored.
pub(super) struct Stored {
    pub(super) key: RecordKey,
    pub(super) bytes: Vec<u8>,
    /// What its bytes must hash to, where that was stored with it.
    pub(super) checksum: Option<Digest>,
}

/// A record that can be put in, with the digest of its bytes.
type Ready = (Record, Digest);

/// Builds the state of that index from the records that `next` gives, until there are none.
///
/// # Errors
/// [`SnapshotError`], for the first record that is wrong.
pub(super) fn load(
    applied: u64,
    next: impl FnMut() -> Result<Option<Stored>, SnapshotError>,
) -> Result<State, SnapshotError> {
    std::thread::scope(|scope| {
        let (lots, to_parse) = sync_channel(LOTS_WAITING_MAX);
        let (parsed, to_put) = sync_channel(LOTS_WAITING_MAX);
        let parser = scope.spawn(move || parse(&to_parse, &parsed));
        let putter = put_all(scope, applied, to_put);
        let fed = feed(next, &lots);
        drop(lots);
        let was_parsed = joined(parser);
        let state = joined(putter);
        // What the parser found stands before what ended the reading.
        was_parsed.and(fed).map(|()| state)
    })
}

/// Reads lots of records. A receiver that is gone has found something wrong.
fn feed(
    mut next: impl FnMut() -> Result<Option<Stored>, SnapshotError>,
    lots: &SyncSender<Vec<Stored>>,
) -> Result<(), SnapshotError> {
    let (mut lot, mut bytes) = (Vec::new(), 0);
    loop {
        let read = next();
        let ended = !matches!(read, Ok(Some(_)));
        if ended || bytes >= LOT_BYTES || lot.len() >= LOT_RECORDS {
            bytes = 0;
            if lots.send(std::mem::take(&mut lot)).is_err() {
                return Ok(());
            }
        }
        match read? {
            None => return Ok(()),
            Some(record) => {
                bytes += record.bytes.len();
                lot.push(record);
            }
        }
    }
}

fn parse(
    lots: &Receiver<Vec<Stored>>,
    parsed: &SyncSender<Vec<Ready>>,
) -> Result<(), SnapshotError> {
    for lot in lots {
        // Side by side, hashing takes a tenth of the time.
        let contents: Vec<&[u8]> = lot.iter().map(|it| it.bytes.as_slice()).collect();
        let digests = Digest::of_each(&contents);
        let ready: Result<Vec<Ready>, SnapshotError> = lot
            .iter()
            .zip(digests)
            .map(|(stored, digest)| parse_one(stored, digest))
            .collect();
        if parsed.send(ready?).is_err() {
            break;
        }
    }
    Ok(())
}

fn parse_one(stored: &Stored, found: Digest) -> Result<Ready, SnapshotError> {
    if let Some(expected) = stored.checksum
        && expected != found
    {
        return Err(SnapshotError::RecordDamaged {
            key: stored.key.to_string(),
            expected,
            found,
        });
    }
    let unreadable = |why: String| SnapshotError::RecordUnreadable {
        key: stored.key.to_string(),
        why,
    };
    let record = Record::from_bytes(stored.key.kind(), &stored.bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    if record.key() != stored.key {
        return Err(unreadable(format!("its own key is {}", record.key())));
    }
    Ok((record, found))
}

fn put_all<'scope>(
    scope: &'scope Scope<'scope, '_>,
    applied: u64,
    lots: Receiver<Vec<Ready>>,
) -> ScopedJoinHandle<'scope, State> {
    scope.spawn(move || {
        let mut state = State {
            applied,
            ..State::default()
        };
        for (record, digest) in lots.into_iter().flatten() {
            state.put_hashed(record, digest);
        }
        state
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

/// Records of a lot: enough that handing it on costs nothing.
const LOT_RECORDS: usize = 4_096;

/// Bytes of a lot.
const LOT_BYTES: usize = 4 << 20;

/// Lots between two threads.
const LOTS_WAITING_MAX: usize = 2;
