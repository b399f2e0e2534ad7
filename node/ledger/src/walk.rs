//! Reading a whole stream, segment by segment, and finding its first damage. Opening and
//! [`crate::fsck`] both read this way, so that they cannot disagree.
//!
//! It does not judge what records say: a [`Visitor`] does.

use std::path::Path;

use schemas::ledger_entry::LedgerIdentity;

use crate::active::Resume;
use crate::scan::{End, Found, Scan, scan};
use crate::segment::{FORMAT_VERSION, HeaderFault, SegmentHeader, Stream};
use crate::store;
use crate::{Error, fsck::Damage, fsck::DamageKind};

/// What is done with the parts of a stream. An answer is a reason to stop: damage of that kind.
pub(crate) trait Visitor {
    /// Begins a segment.
    fn segment(&mut self, header: &SegmentHeader) -> Option<String>;
    /// Takes a record.
    fn record(&mut self, segment: u64, found: &Found, payload: &[u8]) -> Option<String>;
}

/// What is said of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) first: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) sealed: bool,
}

/// What a stream holds up to its first damage.
pub(crate) struct Walk {
    pub(crate) segments: Vec<Summary>,
    /// Index after the last intact record.
    pub(crate) next: u64,
    /// Where writing goes on; none when there is no usable newest segment.
    pub(crate) resume: Option<Resume>,
    /// The segment before, when a rotation was interrupted before it was sealed.
    pub(crate) unsealed: Option<Resume>,
    /// The first damage, or a torn tail.
    pub(crate) damage: Option<Damage>,
}

/// Reads all segments of a stream. Damage is part of the answer.
///
/// # Errors
/// When files cannot be read, are of another format, or belong to another ledger.
pub(crate) fn walk(
    dir: &Path,
    stream: Stream,
    expected: Option<&LedgerIdentity>,
    visitor: &mut dyn Visitor,
) -> Result<Walk, Error> {
    let mut walk = Walk {
        segments: Vec::new(),
        next: 0,
        resume: None,
        unsealed: None,
        damage: None,
    };
    let mut expected = expected.cloned();
    let firsts = store::list(dir, stream)?;
    for (position, first) in firsts.iter().copied().enumerate() {
        let is_last = position + 1 == firsts.len();
        let file = match store::read_file(dir, stream, first) {
            Err(Error::Tampered { offset, why, .. }) => {
                walk.stop(stream, first, offset, DamageKind::Segment, why);
                return Ok(walk);
            }
            read => read?,
        };
        let (header, digest) = match SegmentHeader::decode(&file, stream) {
            Ok(read) => read,
            Err(HeaderFault::Version(found)) => {
                let segment = store::name_of(stream, first);
                return Err(Error::FormatVersion {
                    segment,
                    found,
                    known: FORMAT_VERSION,
                });
            }
            Err(HeaderFault::Damaged(why)) => {
                walk.stop(stream, first, 0, DamageKind::Segment, why.to_owned());
                return Ok(walk);
            }
        };
        let expected = expected.get_or_insert_with(|| header.ledger.clone());
        if header.ledger != *expected {
            return Err(Error::ForeignLedger {
                found: Box::new(header.ledger),
                expected: Box::new(expected.clone()),
            });
        }
        if let Some((kind, why)) = walk.misplaced(&header, first) {
            walk.stop(stream, first, 0, kind, why);
            return Ok(walk);
        }
        if let Some(why) = visitor.segment(&header) {
            walk.stop(stream, first, 0, DamageKind::Content, why);
            return Ok(walk);
        }
        let scanned = scan(&file, first, &digest);
        if !walk.take(stream, first, &file, &scanned, visitor) {
            return Ok(walk);
        }
        // An interrupted rotation leaves the newest segment empty; anything else behind an
        // unsealed segment is damage of the unsealed one.
        if !walk.follows(stream, is_last, &scanned, digest, first) {
            return Ok(walk);
        }
    }
    Ok(walk)
}

impl Walk {
    fn misplaced(&self, header: &SegmentHeader, first: u64) -> Option<(DamageKind, String)> {
        if header.first != first {
            let why = format!(
                "the file is named {first} and its header says {}",
                header.first
            );
            return Some((DamageKind::Segment, why));
        }
        (first != self.next).then(|| {
            let why = format!("{} were read before it, this begins at {first}", self.next);
            (DamageKind::Missing, why)
        })
    }

    /// Hands the records to the visitor; false when it stopped.
    fn take(
        &mut self,
        stream: Stream,
        first: u64,
        file: &[u8],
        scanned: &Scan,
        visitor: &mut dyn Visitor,
    ) -> bool {
        self.segments.push(Summary {
            first,
            records: scanned.next - first,
            bytes: u64::try_from(file.len()).unwrap_or(u64::MAX),
            sealed: scanned.end == End::Sealed,
        });
        for found in &scanned.found {
            if let Some(why) = visitor.record(first, found, found.payload(file)) {
                self.next = found.index;
                self.stop(stream, first, found.offset, DamageKind::Content, why);
                return false;
            }
        }
        self.next = scanned.next;
        true
    }

    /// Judges a segment's end against its place; false when reading stops there.
    fn follows(
        &mut self,
        stream: Stream,
        is_last: bool,
        scanned: &Scan,
        digest: crypto::Digest,
        first: u64,
    ) -> bool {
        let here = Resume {
            first,
            digest,
            tail: scanned.tail,
            next: scanned.next,
        };
        if let Some(before) = self.resume.take() {
            // The segment before was not sealed.
            if is_last && scanned.found.is_empty() && scanned.end != End::Sealed {
                self.unsealed = Some(before);
                self.damage = None;
            } else {
                self.next = before.next;
                let why = "it is not sealed, and a later segment holds records".to_owned();
                self.stop(stream, before.first, before.tail, DamageKind::Record, why);
                return false;
            }
        }
        match &scanned.end {
            End::Sealed if is_last => {
                let why = format!(
                    "it is sealed, and the segment from {} on is missing",
                    self.next
                );
                self.stop(stream, first, scanned.tail, DamageKind::Missing, why);
                false
            }
            End::Sealed => true,
            End::Open => {
                self.resume = Some(here);
                true
            }
            End::Torn(why) => {
                self.stop(
                    stream,
                    first,
                    scanned.tail,
                    DamageKind::TornTail,
                    (*why).to_owned(),
                );
                self.resume = Some(here);
                true
            }
            End::Damaged(why) => {
                self.stop(
                    stream,
                    first,
                    scanned.tail,
                    DamageKind::Record,
                    (*why).to_owned(),
                );
                false
            }
        }
    }

    fn stop(&mut self, stream: Stream, first: u64, offset: u64, kind: DamageKind, why: String) {
        let segment = store::name_of(stream, first);
        self.damage = Some(Damage {
            kind,
            segment,
            offset,
            index: self.next,
            why,
        });
    }
}
