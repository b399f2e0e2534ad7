//! Reading one segment from its first to its last record, and judging how it ends.
//!
//! It does not know about other segments, checkpoints or the index; those can still turn a torn
//! tail into damage (see the crate's first page).

use crypto::{Digest, merkle};

use crate::entry::ENTRY_BYTES_MAX;
use crate::segment::{
    ALIGN_BYTES, HEADER_BYTES, Kind, RECORD_HEADER_BYTES, RECORD_MAGIC_FIRST_BYTE, RecordHeader,
    starts_record,
};

/// An intact record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: u64,
    /// Of its header, from the file's start.
    pub(crate) offset: u64,
    /// Of its payload, in bytes.
    pub(crate) length: u32,
    pub(crate) leaf: Digest,
}

impl Found {
    /// Its payload within the file.
    pub(crate) fn payload<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let start = start.saturating_add(RECORD_HEADER_BYTES);
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        file.get(start..start.saturating_add(length))
            .unwrap_or_default()
    }
}

/// How a segment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Zeros, or a mark and zeros: more can be appended.
    Open,
    /// A seal: complete.
    Sealed,
    /// Bytes that, as far as this file tells, were never synced.
    Torn(&'static str),
    /// Bytes that are not what was synced.
    Damaged(&'static str),
}

/// What one segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) found: Vec<Found>,
    /// Index after the last intact record.
    pub(crate) next: u64,
    /// Offset after the last intact record.
    pub(crate) tail: u64,
    pub(crate) end: End,
}

/// Reads the records of a whole segment file whose header is intact.
pub(crate) fn scan(file: &[u8], first: u64, segment: &Digest) -> Scan {
    let mut found = Vec::new();
    let mut index = first;
    let mut at = HEADER_BYTES.min(file.len());
    let end = loop {
        let rest = &file[at..];
        match step(rest, index, segment) {
            Step::Payload(header) => {
                found.push(Found {
                    index,
                    offset: offset(at),
                    length: header.length,
                    leaf: header.leaf,
                });
                at += record_bytes(&header);
                index += 1;
            }
            Step::End(end) => break end,
        }
    };
    let cut = !offset(file.len()).is_multiple_of(ALIGN_BYTES);
    let end = match end {
        End::Open | End::Sealed | End::Torn(_) if cut => {
            End::Damaged("the file is shorter than the space that was allocated for it")
        }
        end => end,
    };
    Scan {
        found,
        next: index,
        tail: offset(at),
        end,
    }
}

enum Step {
    Payload(RecordHeader),
    End(End),
}

fn step(rest: &[u8], index: u64, segment: &Digest) -> Step {
    if !starts_record(rest) {
        return Step::End(if is_zero(rest) {
            End::Open
        } else {
            broken("bytes where a record should begin", rest, index, segment)
        });
    }
    let Some(header) = RecordHeader::decode(rest, segment) else {
        return Step::End(broken(
            "a record header without its check",
            rest,
            index,
            segment,
        ));
    };
    if header.index != index || header.durable > index {
        return Step::End(End::Damaged("an intact record in another record's place"));
    }
    let size = record_bytes(&header);
    let Some(after) = rest.get(size..) else {
        return Step::End(End::Damaged("the file ends within a record"));
    };
    match header.kind {
        Kind::Payload => {
            let payload = &rest[RECORD_HEADER_BYTES..size];
            if payload.len() > ENTRY_BYTES_MAX {
                return Step::End(End::Damaged("a record is larger than any entry may be"));
            }
            if merkle::leaf_digest(payload) != header.leaf {
                return Step::End(broken("an entry without its digest", rest, index, segment));
            }
            Step::Payload(header)
        }
        Kind::Mark | Kind::Seal if header.length != 0 || header.durable != index => {
            Step::End(End::Damaged("a mark or seal that no writer makes"))
        }
        Kind::Mark if is_zero(after) => Step::End(End::Open),
        Kind::Mark => Step::End(broken("bytes behind the last mark", after, index, segment)),
        Kind::Seal if is_zero(after) => Step::End(End::Sealed),
        Kind::Seal => Step::End(End::Damaged("bytes behind the seal")),
    }
}

/// Rule 1 of the crate's first page, for one file: damage, if anything intact further on was
/// written when entry `index` was durable already; else a torn tail.
///
/// Only headers are checked here, so the work is bounded by two SM3 blocks for each byte that
/// could begin a record, whatever the bytes are.
fn broken(why: &'static str, rest: &[u8], index: u64, segment: &Digest) -> End {
    let mut from = 0;
    while let Some(skip) = rest
        .get(from..)
        .and_then(|tail| tail.iter().position(|b| *b == RECORD_MAGIC_FIRST_BYTE))
    {
        let candidate = &rest[from + skip..];
        if RecordHeader::decode(candidate, segment).is_some_and(|later| later.durable > index) {
            return End::Damaged(why);
        }
        from += skip + 1;
    }
    End::Torn(why)
}

fn record_bytes(header: &RecordHeader) -> usize {
    usize::try_from(header.length)
        .unwrap_or(usize::MAX)
        .saturating_add(RECORD_HEADER_BYTES)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn offset(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}
