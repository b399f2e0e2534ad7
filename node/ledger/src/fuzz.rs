//! What must hold for whatever bytes stand in a segment file.
//!
//! It does not choose the bytes: `tests::fuzz` does. A random change never
//! has the digests of a header and of a record's header, so they are put right here first; what
//! lies behind them would not be reached otherwise.

use crypto::{Digest, merkle};

use crate::scan::{End, scan};
use crate::segment::{
    HEADER_BYTES, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader, Stream, starts_record,
};

/// Where a segment's header has its digest, and a record's header its check.
const HEADER_DIGEST_AT: usize = HEADER_BYTES - Digest::BYTES;
const CHECK_AT: usize = RECORD_HEADER_BYTES - 16;

/// A segment file: each header has one form, and reading finds intact records, one behind the
/// other, up to a place from which on it claims nothing. Says whether all of the file was read.
pub fn ledger_segment(bytes: &[u8]) -> bool {
    let mut file = bytes.to_vec();
    let Some(header) = file.first_chunk_mut::<HEADER_BYTES>() else {
        assert!(SegmentHeader::decode(bytes, Stream::Entries).is_err());
        return false;
    };
    let digest = Digest::of(&header[..HEADER_DIGEST_AT]);
    header[HEADER_DIGEST_AT..].copy_from_slice(digest.as_bytes());
    let mut first = 0;
    for stream in [Stream::Entries, Stream::Checkpoints] {
        if let Ok((read, found)) = SegmentHeader::decode(&file, stream) {
            assert_eq!(found, digest);
            let (encoded, again) = read.encode(stream);
            assert_eq!((&encoded[..], again), (&file[..HEADER_BYTES], digest));
            // No ledger has so many entries that the next index has no number.
            first = read.first.min(u64::MAX >> 1);
        }
    }
    check_records(&file, first, &digest);
    put_checks_right(&mut file, &digest);
    check_records(&file, first, &digest)
}

fn put_checks_right(file: &mut [u8], segment: &Digest) {
    for at in HEADER_BYTES..file.len() {
        let Some(header) = file.get_mut(at..at + RECORD_HEADER_BYTES) else {
            return;
        };
        if starts_record(header) {
            let signed = [&segment.as_bytes()[..], &header[..CHECK_AT]].concat();
            header[CHECK_AT..].copy_from_slice(&Digest::of(&signed).as_bytes()[..16]);
        }
    }
}

fn check_records(file: &[u8], first: u64, segment: &Digest) -> bool {
    let read = scan(file, first, segment);
    let mut at = HEADER_BYTES as u64;
    for (found, index) in read.found.iter().zip(first..) {
        assert_eq!((found.index, found.offset), (index, at));
        let payload = found.payload(file);
        assert_eq!(payload.len() as u64, u64::from(found.length));
        assert_eq!(merkle::leaf_digest(payload), found.leaf);
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let header = RecordHeader::decode(&file[start..], segment);
        let encoded = header.map(|it| it.encode(segment));
        assert_eq!(
            encoded.as_ref().map(|it| &it[..]),
            file.get(start..start + 76)
        );
        at += (RECORD_HEADER_BYTES + payload.len()) as u64;
    }
    assert_eq!(
        (read.tail, read.next),
        (at, first + read.found.len() as u64)
    );
    matches!(read.end, End::Open | End::Sealed)
}
