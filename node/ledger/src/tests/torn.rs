//! Crashes in the middle of a batch, sector by sector, and arbitrary bytes.
//!
//! It does not use power loss itself: it builds what power loss leaves, a file in which each
//! 512-byte sector is either from before or from after the batch.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::active::Resume;
use crate::append::Appender;
use crate::fsck::{self, DamageKind};
use crate::segment::Stream;
use crate::store::{list, path_of, read_file};
use crate::{Error, entry as entries};

const SECTOR_BYTES: usize = 512;

/// A closed ledger of `durable` entries, and its only segment's bytes before and after one batch
/// of `torn` entries more.
fn before_and_after(dir: &Path, durable: u64, torn: u64) -> (Vec<u8>, Vec<u8>) {
    let ledger = open(dir);
    runtime().block_on(async {
        for number in 0..durable {
            ledger.append(entry(number)).await.unwrap();
        }
        ledger.close().await;
    });
    let before = read_file(dir, Stream::Entries, 0).unwrap();
    let (_, digest) = crate::segment::SegmentHeader::decode(&before, Stream::Entries).unwrap();
    let scanned = crate::scan::scan(&before, 0, &digest);
    let at = Resume {
        first: 0,
        digest,
        tail: scanned.tail,
        next: scanned.next,
    };
    let mut appender = Appender::resume(dir, Stream::Entries, &identity(), &small(), &at).unwrap();
    let encoded: Vec<_> = (durable..durable + torn)
        .map(|n| entries::encode(&entry(n)).unwrap())
        .collect();
    let batch: Vec<_> = encoded
        .iter()
        .map(|e| (e.bytes.as_slice(), e.leaf))
        .collect();
    appender.append(&batch, crypto::Digest::ZERO).unwrap();
    (before, read_file(dir, Stream::Entries, 0).unwrap())
}

fn tail_of(file: &[u8]) -> usize {
    let (_, digest) = crate::segment::SegmentHeader::decode(file, Stream::Entries).unwrap();
    usize::try_from(crate::scan::scan(file, 0, &digest).tail).unwrap()
}

fn expected(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("trace-{number}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_torn_batch_costs_nothing_that_was_acknowledged(
        durable in 0_u64..6,
        torn in 1_u64..10,
        written in prop::collection::vec(any::<bool>(), 64),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, mut after) = before_and_after(dir.path(), durable, torn);
        // The mark behind a batch is written after its sync, so a torn batch has none.
        let tail = tail_of(&after);
        after[tail..tail + 76].fill(0);
        for (sector, from_after) in after.chunks(SECTOR_BYTES).zip(0..) {
            let at = from_after * SECTOR_BYTES;
            if written.get(from_after).copied().unwrap_or(false) {
                file[at..at + SECTOR_BYTES].copy_from_slice(sector);
            }
        }
        let path = path_of(dir.path(), Stream::Entries, 0);
        fs::write(&path, &file).unwrap();
        let ledger = open(dir.path());
        let size = ledger.size();
        prop_assert!((durable..=durable + torn).contains(&size), "{} of {}", size, durable);
        prop_assert_eq!(traces(&ledger), expected(size));
        // What was cleared cannot come back: the ledger goes on and is whole afterwards.
        runtime().block_on(async {
            ledger.append(entry(size)).await.unwrap();
            ledger.close().await;
        });
        let report = fsck::check(dir.path(), None).unwrap();
        prop_assert_eq!((report.entries, report.damage), (size + 1, None));
        prop_assert_eq!(traces(&open(dir.path())), expected(size + 1));
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_header_never_panic(
        bytes in prop::collection::vec(
            prop_oneof![Just(0_u8), Just(0xfe), Just(b'K'), Just(b'R'), Just(0xff), any::<u8>()],
            0..8_192,
        ),
        keep in 0_usize..1_200,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut file) = before_and_after(dir.path(), 2, 2);
        let at = 256 + keep;
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        fs::write(path_of(dir.path(), Stream::Entries, 0), &file).unwrap();
        fsck::check(dir.path(), None).unwrap();
        match Ledger::open(dir.path(), identity(), small()) {
            Ok(ledger) => prop_assert!(ledger.size() >= 2, "acknowledged entries were dropped"),
            Err(Error::Tampered { index, .. }) => prop_assert!(index <= 4),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn arbitrary_bytes_as_a_segment_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..8_192),
    ) {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        fs::write(path_of(dir.path(), Stream::Entries, 0), &bytes).unwrap();
        let damage = fsck::check(dir.path(), None).unwrap().damage.unwrap();
        prop_assert_eq!(damage.kind, DamageKind::Segment);
        let refused = Ledger::open(dir.path(), identity(), small()).err();
        let is_tampered = matches!(refused, Some(Error::Tampered { index: 0, .. }));
        prop_assert!(is_tampered, "{:?}", refused);
    }
}

#[test]
fn damage_of_the_last_batch_is_told_from_a_crash_by_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = before_and_after(dir.path(), 3, 1);
    let path = path_of(dir.path(), Stream::Entries, 0);
    let (_, digest) = crate::segment::SegmentHeader::decode(&file, Stream::Entries).unwrap();
    let scanned = crate::scan::scan(&file, 0, &digest);
    let last = *scanned.found.last().unwrap();
    let payload = usize::try_from(last.offset).unwrap() + 80;
    let tail = tail_of(&file);

    // With the mark the entry is known to have been synced; nothing else knows of it.
    let mut damaged = file;
    damaged[payload] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let refused = Ledger::open(dir.path(), identity(), small());
    assert!(
        matches!(refused, Err(Error::Tampered { index: 3, .. })),
        "{refused:?}"
    );

    // Without the mark it may as well never have been synced.
    damaged[tail..tail + 76].fill(0);
    fs::write(&path, &damaged).unwrap();
    let report = fsck::check(dir.path(), None).unwrap().damage.unwrap();
    assert_eq!((report.kind, report.index), (DamageKind::TornTail, 3));
    assert_eq!(open(dir.path()).size(), 3);
}

#[test]
fn a_rotation_that_a_crash_interrupted_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1,
        ..small()
    };
    let ledger = Ledger::open(dir.path(), identity(), options.clone()).unwrap();
    let kept = runtime().block_on(async {
        ledger.append(entry(0)).await.unwrap();
        ledger.append(entry(1)).await.unwrap();
        let unsealed = read_file(dir.path(), Stream::Entries, 1).unwrap();
        ledger.append(entry(2)).await.unwrap();
        ledger.close().await;
        unsealed
    });
    assert_eq!(list(dir.path(), Stream::Entries).unwrap(), [0, 1, 2]);
    // The newest segment as it was created, and the one before it as it was before its seal.
    let newest = path_of(dir.path(), Stream::Entries, 2);
    let mut empty = fs::read(&newest).unwrap();
    let (_, digest) = crate::segment::SegmentHeader::decode(&empty, Stream::Entries).unwrap();
    empty[256..].fill(0);
    let mark = crate::segment::RecordHeader::bare(crate::segment::Kind::Mark, 2).encode(&digest);
    empty[256..256 + mark.len()].copy_from_slice(&mark);
    fs::write(&newest, &empty).unwrap();
    fs::write(path_of(dir.path(), Stream::Entries, 1), &kept).unwrap();
    fs::remove_dir_all(dir.path().join("index")).unwrap();

    let ledger = Ledger::open(dir.path(), identity(), options).unwrap();
    assert_eq!(traces(&ledger), expected(2));
    runtime().block_on(async {
        ledger.append(entry(2)).await.unwrap();
        ledger.close().await;
    });
    let report = fsck::check(dir.path(), None).unwrap();
    assert_eq!((report.entries, report.damage), (3, None));
    assert_eq!(
        report.segments.iter().map(|s| s.sealed).collect::<Vec<_>>(),
        [true, true, false]
    );
}
