//! The byte layout of a segment file: one header, then records. All numbers are big-endian.
//!
//! It does not read or write files.
//!
//! ```text
//! header, 256 bytes                          record, 76 bytes + payload
//!   0  magic, by stream            8           0  magic fe 'K' 'R' ff                4
//!   8  format version              4           4  kind: 1 payload, 2 mark, 3 seal    1
//!  12  index of first record       8           5  zero                               3
//!  20  incarnation                 4           8  length of the payload              4
//!  24  tree root before it        32          12  index (mark, seal: of what follows) 8
//!  56  length of participant       1          20  entries durable when written       8
//!  57  participant                96          28  leaf digest of the payload        32
//! 153  zero                       71          60  check: SM3, cut to 16 bytes, over  16
//! 224  SM3 of the 224 bytes       32              header's SM3 and the 60 bytes
//! ```
//!
//! The check is SM3 and not CRC-32C, because the payload's SM3 is computed for the tree anyway, so
//! that the check costs two more blocks, and because a check that also covers the segment's own
//! header tells a record of another segment from one of this. It has no key: it finds accidents.
//! Intent is found by the tree and the signed checkpoints.

use crypto::{Digest, Hasher};
use schemas::ParticipantId;
use schemas::ledger_entry::LedgerIdentity;

/// Space is allocated in multiples of this, so a file of any other length was cut.
pub(crate) const ALIGN_BYTES: u64 = 4_096;
pub(crate) const HEADER_BYTES: usize = 256;
pub(crate) const RECORD_HEADER_BYTES: usize = 76;
pub(crate) const FORMAT_VERSION: u32 = 1;

/// What the records of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Entries,
    Checkpoints,
}

impl Stream {
    /// The directory under the ledger's.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Checkpoints => "checkpoints",
        }
    }

    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Entries => b"kouan\x01en",
            Self::Checkpoints => b"kouan\x01cp",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) ledger: LedgerIdentity,
    pub(crate) first: u64,
    /// Root over all entries before `first`; zero in the stream of checkpoints.
    pub(crate) prior_root: Digest,
}

/// Why a header is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Version(u32),
    Damaged(&'static str),
}

impl SegmentHeader {
    /// The bytes, and the digest that goes into each record's check.
    pub(crate) fn encode(&self, stream: Stream) -> ([u8; HEADER_BYTES], Digest) {
        let mut bytes = [0_u8; HEADER_BYTES];
        let name = self.ledger.participant.as_str().as_bytes();
        bytes[..8].copy_from_slice(stream.magic());
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.first.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.ledger.incarnation.to_be_bytes());
        bytes[24..56].copy_from_slice(self.prior_root.as_bytes());
        // An identifier has at most 96 bytes, which is the room there is.
        bytes[56] = u8::try_from(name.len()).unwrap_or(u8::MAX);
        bytes[57..57 + name.len()].copy_from_slice(name);
        let digest = Digest::of(&bytes[..HEADER_DIGEST_AT]);
        bytes[HEADER_DIGEST_AT..].copy_from_slice(digest.as_bytes());
        (bytes, digest)
    }

    pub(crate) fn decode(bytes: &[u8], stream: Stream) -> Result<(Self, Digest), HeaderFault> {
        let damaged = HeaderFault::Damaged;
        let header = bytes
            .first_chunk::<HEADER_BYTES>()
            .ok_or_else(|| damaged("the header is cut"))?;
        let digest = Digest::of(&header[..HEADER_DIGEST_AT]);
        if header[HEADER_DIGEST_AT..] != digest.as_bytes()[..] {
            return Err(damaged("the header does not have its digest"));
        }
        if header[..8] != stream.magic()[..] {
            return Err(damaged("the header is of another kind of file"));
        }
        let version = u32::from_be_bytes(array(header, 8));
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        let name_end = PARTICIPANT_AT + usize::from(header[56]);
        let participant = header
            .get(PARTICIPANT_AT..name_end)
            .and_then(|name| std::str::from_utf8(name).ok())
            .and_then(|name| ParticipantId::parse(name).ok())
            .ok_or_else(|| damaged("the header names no participant"))?;
        let ledger = LedgerIdentity {
            participant,
            incarnation: u32::from_be_bytes(array(header, 20)),
        };
        let read = Self {
            ledger,
            first: u64::from_be_bytes(array(header, 12)),
            prior_root: Digest::from_bytes(array(header, 24)),
        };
        // The digest has no key, so it does not keep anyone from writing where zeros belong.
        if read.encode(stream).0 != *header {
            return Err(damaged("the header has bytes where zeros belong"));
        }
        Ok((read, digest))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An entry or a checkpoint.
    Payload,
    /// All before it is durable. Overwritten by what comes next.
    Mark,
    /// All before it is durable and this segment is complete.
    Seal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    pub(crate) length: u32,
    pub(crate) index: u64,
    pub(crate) durable: u64,
    pub(crate) leaf: Digest,
}

impl RecordHeader {
    /// A mark or seal before which `count` records are durable.
    pub(crate) fn bare(kind: Kind, count: u64) -> Self {
        Self {
            kind,
            length: 0,
            index: count,
            durable: count,
            leaf: Digest::ZERO,
        }
    }

    pub(crate) fn encode(&self, segment: &Digest) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0_u8; RECORD_HEADER_BYTES];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4] = match self.kind {
            Kind::Payload => 1,
            Kind::Mark => 2,
            Kind::Seal => 3,
        };
        bytes[8..12].copy_from_slice(&self.length.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.index.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.durable.to_be_bytes());
        bytes[28..60].copy_from_slice(self.leaf.as_bytes());
        let check = check(segment, &bytes[..CHECK_AT]);
        bytes[CHECK_AT..].copy_from_slice(&check);
        bytes
    }

    /// The header at the start of `bytes`, if an intact one of this segment stands there.
    pub(crate) fn decode(bytes: &[u8], segment: &Digest) -> Option<Self> {
        let header = bytes.first_chunk::<RECORD_HEADER_BYTES>()?;
        if !starts_record(bytes) || header[CHECK_AT..] != check(segment, &header[..CHECK_AT]) {
            return None;
        }
        let kind = match (header[4], &header[5..8]) {
            (1, [0, 0, 0]) => Kind::Payload,
            (2, [0, 0, 0]) => Kind::Mark,
            (3, [0, 0, 0]) => Kind::Seal,
            _ => return None,
        };
        Some(Self {
            kind,
            length: u32::from_be_bytes(array(header, 8)),
            index: u64::from_be_bytes(array(header, 12)),
            durable: u64::from_be_bytes(array(header, 20)),
            leaf: Digest::from_bytes(array(header, 28)),
        })
    }
}

/// Whether `bytes` could start a record; cheap, and never true inside JSON, which is UTF-8.
pub(crate) fn starts_record(bytes: &[u8]) -> bool {
    bytes.starts_with(&RECORD_MAGIC)
}

fn check(segment: &Digest, header: &[u8]) -> [u8; 16] {
    let mut hasher = Hasher::new();
    hasher.update(segment.as_bytes());
    hasher.update(header);
    array(hasher.finish().as_bytes(), 0)
}

/// `N` bytes at a constant place within a fixed layout.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0_u8; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

pub(crate) const RECORD_MAGIC_FIRST_BYTE: u8 = 0xfe;
const RECORD_MAGIC: [u8; 4] = [RECORD_MAGIC_FIRST_BYTE, b'K', b'R', 0xff];
const HEADER_DIGEST_AT: usize = 224;
const PARTICIPANT_AT: usize = 57;
const CHECK_AT: usize = 60;
