//! Intent instead of accident: records that are replaced together with their checks.

use std::fs;

use crypto::merkle::leaf_digest;
use crypto::{Digest, SoftwareKey};

use super::*;
use crate::fsck::{self, DamageKind};
use crate::segment::{HeaderFault, Kind, RecordHeader, SegmentHeader, Stream};
use crate::store::{path_of, read_file};
use crate::{Error, scan::scan};

/// Replaces one byte of an entry's trace and makes its record intact again.
fn forge(dir: &Path, segment: u64, index: u64) {
    let mut file = read_file(dir, Stream::Entries, segment).unwrap();
    let (_, digest) = SegmentHeader::decode(&file, Stream::Entries).unwrap();
    let scanned = scan(&file, segment, &digest);
    let found = *scanned
        .found
        .iter()
        .find(|found| found.index == index)
        .unwrap();
    let text = String::from_utf8(found.payload(&file).to_vec()).unwrap();
    let forged = text.replace("trace-", "TRACE-").into_bytes();
    assert_ne!(text.as_bytes(), forged);
    let start = usize::try_from(found.offset).unwrap();
    let header = RecordHeader {
        kind: Kind::Payload,
        length: found.length,
        index,
        durable: index,
        leaf: leaf_digest(&forged),
    };
    file[start..start + 76].copy_from_slice(&header.encode(&digest));
    file[start + 76..start + 76 + forged.len()].copy_from_slice(&forged);
    fs::write(path_of(dir, Stream::Entries, segment), &file).unwrap();
}

#[test]
fn a_header_with_bytes_where_zeros_belong_is_damaged() {
    let header = SegmentHeader {
        ledger: identity(),
        first: 0,
        prior_root: Digest::ZERO,
    };
    let (intact, _) = header.encode(Stream::Entries);
    assert_eq!(
        SegmentHeader::decode(&intact, Stream::Entries).map(|(read, _)| read),
        Ok(header)
    );
    for at in [57 + 10, 152, 153, 223] {
        let mut forged = intact;
        forged[at] = 1;
        let digest = Digest::of(&forged[..224]);
        forged[224..].copy_from_slice(digest.as_bytes());
        let read = SegmentHeader::decode(&forged, Stream::Entries);
        assert!(matches!(read, Err(HeaderFault::Damaged(_))), "byte {at}");
    }
}

fn ledger_of_four(dir: &Path, segment_bytes: u64, with_checkpoint: bool) {
    let options = Options {
        segment_bytes,
        ..small()
    };
    let ledger = Ledger::open(dir, identity(), options).unwrap();
    runtime().block_on(async {
        for number in 0..4 {
            ledger.append(entry(number)).await.unwrap();
        }
        if with_checkpoint {
            let key = SoftwareKey::generate().unwrap();
            ledger
                .checkpoint(&key, Timestamp::from_millis(1))
                .await
                .unwrap();
        }
        ledger.close().await;
    });
}

#[test]
fn a_rewritten_entry_is_found_by_the_next_segment_or_by_the_checkpoint() {
    let by_segment = (1, false, 1, DamageKind::Content);
    let by_checkpoint = (1 << 20, true, 0, DamageKind::Checkpoint);
    for (segment_bytes, with_checkpoint, segment, kind) in [by_segment, by_checkpoint] {
        let dir = tempfile::tempdir().unwrap();
        ledger_of_four(dir.path(), segment_bytes, with_checkpoint);
        forge(dir.path(), segment, 1);
        let damage = fsck::check(dir.path(), None).unwrap().damage.unwrap();
        assert_eq!(damage.kind, kind, "{damage:?}");
        let refused = Ledger::open(dir.path(), identity(), small()).err();
        assert!(
            matches!(refused, Some(Error::Tampered { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn an_entry_that_is_rewritten_while_the_ledger_is_open_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    runtime().block_on(async {
        for number in 0..3 {
            ledger.append(entry(number)).await.unwrap();
        }
    });
    forge(dir.path(), 0, 1);
    let read = |index| ledger.read(schemas::ledger_entry::LedgerIndex(index));
    assert_eq!(read(0).unwrap(), entry(0));
    assert!(matches!(read(1), Err(Error::Tampered { index: 1, .. })));
    assert_eq!(read(2).unwrap(), entry(2));
}
