//! The bytes of batches, log entries and messages, and how many there may be.
//!
//! It does not check signatures. Whatever it reads may come from a peer, so every length is
//! checked before it is believed, and nothing is reserved on a peer's word.
//!
//! ```text
//!   batch   02 | len16 node | key (32) | len16 signature (DER) | count32 { proposal }
//!   proposal   len32 canonical JSON | 00
//!                                   | 01 key (32) len16 signature (DER)   a person's
//!   entry   01 | term64 node64 index64 | 00                              blank
//!                                      | 01 count32 { len32 batch }      commands
//!                                      | 02 membership (JSON)            membership
//! ```

use std::sync::Arc;

use bytes::{Buf, Bytes};
use crypto::{Digest, KeyId, Signature};
use openraft::{CommittedLeaderId, EntryPayload};
use schemas::NodeId;
use schemas::canonical::CANONICAL_BYTES_MAX;
use schemas::command::PersonSignature;

use crate::Error;
use crate::raft::options::BATCH_COMMANDS_MAX;
use crate::raft::types::{Entry, LogId, Payload};
use crate::state::{Batch, EncodedProposal};

/// Most bytes of one proposal: the largest record with room for its frame and signature.
pub(crate) const PROPOSAL_BYTES_MAX: usize = CANONICAL_BYTES_MAX + (64 << 10);

/// Most bytes of one batch: the largest proposal always fits, and 512 commands of 1 KiB do.
pub(crate) const BATCH_BYTES_MAX: usize = 2 << 20;

/// A batch is closed above this; only a single large proposal makes a larger one. A quarter of a
/// megabyte crosses 20 Mbit/s in a tenth of a second, so that heartbeats behind it are not late.
pub(crate) const BATCH_BYTES_AIM: usize = 768 << 10;

/// Batches are put into one entry up to this; one batch always fits.
pub(crate) const ENTRY_BYTES_AIM: usize = 1 << 20;

/// Most batches in one entry.
pub(crate) const ENTRY_BATCHES_MAX: usize = 64;

/// Entries are put into one append up to this; one entry always fits.
pub(crate) const APPEND_BYTES_AIM: usize = 2 << 20;

/// Most bytes of one message: the largest append (its aim and one more entry), with room for
/// frames. gRPC refuses what is larger before it is buffered.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// A person's key and signature, and the lengths around them.
const SIGNATURE_BYTES: usize = 128;

const BATCH_VERSION: u8 = 2;
const NODE_ALONE: u8 = 0;
const PERSON: u8 = 1;
const VERSION: u8 = 1;
const ENTRY_BLANK: u8 = 0;
const ENTRY_COMMANDS: u8 = 1;
const ENTRY_MEMBERSHIP: u8 = 2;

/// How many bytes a proposal takes in a batch, about.
///
/// # Errors
/// [`Error::TooLarge`] above [`PROPOSAL_BYTES_MAX`].
pub(crate) fn proposal_len(proposal: &EncodedProposal) -> Result<usize, Error> {
    let bytes = proposal.bytes().len() + SIGNATURE_BYTES;
    if bytes > PROPOSAL_BYTES_MAX {
        return Err(Error::TooLarge {
            what: "proposal",
            bytes,
            limit: PROPOSAL_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// The bytes of a batch.
///
/// # Errors
/// [`Error::TooLarge`] above [`BATCH_BYTES_MAX`] and [`BATCH_COMMANDS_MAX`].
pub(crate) fn encode_batch(batch: &Batch) -> Result<Bytes, Error> {
    let bodies: usize = batch.proposals.iter().map(|it| it.bytes().len()).sum();
    let mut bytes = Vec::with_capacity(bodies + batch.proposals.len() * SIGNATURE_BYTES + 256);
    bytes.push(BATCH_VERSION);
    put_short(
        &mut bytes,
        "node identifier",
        batch.node.as_str().as_bytes(),
    )?;
    bytes.extend_from_slice(batch.key.as_bytes());
    put_short(&mut bytes, "signature", batch.signature.as_der())?;
    put_count(&mut bytes, batch.proposals.len())?;
    for proposal in &batch.proposals {
        put_long(&mut bytes, proposal.bytes())?;
        match proposal.signature() {
            None => bytes.push(NODE_ALONE),
            Some(person) => {
                bytes.push(PERSON);
                bytes.extend_from_slice(person.key.as_bytes());
                put_short(&mut bytes, "signature", person.signature.as_der())?;
            }
        }
    }
    if bytes.len() > BATCH_BYTES_MAX || batch.proposals.len() > BATCH_COMMANDS_MAX {
        return Err(Error::TooLarge {
            what: "batch",
            bytes: bytes.len(),
            limit: BATCH_BYTES_MAX,
        });
    }
    Ok(Bytes::from(bytes))
}

/// Reads a batch.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Malformed`]: the bytes are not a batch.
pub(crate) fn decode_batch(bytes: &Bytes) -> Result<Batch, Error> {
    const WHAT: &str = "batch";
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(Error::TooLarge {
            what: WHAT,
            bytes: bytes.len(),
            limit: BATCH_BYTES_MAX,
        });
    }
    let mut rest = Reader {
        what: WHAT,
        bytes: bytes.clone(),
    };
    rest.version(BATCH_VERSION)?;
    let node = rest.short()?;
    let node = std::str::from_utf8(&node).map_err(|source| Error::malformed(WHAT, source))?;
    let node = NodeId::parse(node).map_err(|source| Error::malformed(WHAT, source))?;
    let key = rest.key()?;
    let signature = rest.signature()?;
    let count = rest.count(BATCH_COMMANDS_MAX)?;
    let mut read = Vec::new();
    for _ in 0..count {
        let bytes = rest.long()?;
        let signature = match rest.byte()? {
            NODE_ALONE => None,
            PERSON => Some(PersonSignature {
                key: rest.key()?,
                signature: rest.signature()?,
            }),
            other => return Err(Error::malformed(WHAT, format!("mark {other} is not known"))),
        };
        read.push((bytes, signature));
    }
    rest.end()?;
    let proposals = EncodedProposal::from_each(read)
        .map_err(|source| Error::malformed(WHAT, source))?
        .into_iter()
        .map(Arc::new)
        .collect();
    Ok(Batch {
        node,
        proposals,
        key,
        signature,
    })
}

/// The bytes of a log entry, on disk and on the line.
///
/// # Errors
/// [`Error::TooLarge`] for more than 4 GiB, which the limits above exclude.
pub(crate) fn encode_entry(entry: &Entry) -> Result<Bytes, Error> {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(VERSION);
    put_log_id(&mut bytes, &entry.log_id);
    match &entry.payload {
        EntryPayload::Blank => bytes.push(ENTRY_BLANK),
        EntryPayload::Normal(payload) => {
            bytes.reserve(payload.len_bytes() + payload.batches.len() * 4 + 8);
            bytes.push(ENTRY_COMMANDS);
            put_count(&mut bytes, payload.batches.len())?;
            for batch in &payload.batches {
                put_long(&mut bytes, &batch.bytes)?;
            }
        }
        EntryPayload::Membership(membership) => {
            bytes.push(ENTRY_MEMBERSHIP);
            serde_json::to_writer(&mut bytes, membership)
                .map_err(|source| Error::malformed("membership", source))?;
        }
    }
    Ok(Bytes::from(bytes))
}

/// Reads a log entry; batches share the memory of `bytes`.
///
/// # Errors
/// [`Error::Malformed`]: the bytes are not an entry.
pub(crate) fn decode_entry(bytes: Bytes) -> Result<Entry, Error> {
    const WHAT: &str = "log entry";
    let mut rest = Reader { what: WHAT, bytes };
    rest.version(VERSION)?;
    let log_id = rest.log_id()?;
    let payload = match rest.byte()? {
        ENTRY_BLANK => {
            rest.end()?;
            EntryPayload::Blank
        }
        ENTRY_COMMANDS => {
            let count = rest.count(ENTRY_BATCHES_MAX)?;
            let mut batches = Vec::new();
            for _ in 0..count {
                batches.push(rest.long()?.into());
            }
            rest.end()?;
            EntryPayload::Normal(Payload { batches })
        }
        ENTRY_MEMBERSHIP => EntryPayload::Membership(
            serde_json::from_slice(&rest.bytes).map_err(|source| Error::malformed(WHAT, source))?,
        ),
        other => return Err(Error::malformed(WHAT, format!("kind {other} is not known"))),
    };
    Ok(Entry { log_id, payload })
}

fn put_log_id(bytes: &mut Vec<u8>, id: &LogId) {
    bytes.extend_from_slice(&id.leader_id.term.to_be_bytes());
    bytes.extend_from_slice(&id.leader_id.node_id.to_be_bytes());
    bytes.extend_from_slice(&id.index.to_be_bytes());
}

fn put_count(bytes: &mut Vec<u8>, count: usize) -> Result<(), Error> {
    let count = u32::try_from(count).map_err(|_| too_long("list", count))?;
    bytes.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

fn put_long(bytes: &mut Vec<u8>, part: &[u8]) -> Result<(), Error> {
    put_count(bytes, part.len())?;
    bytes.extend_from_slice(part);
    Ok(())
}

fn put_short(bytes: &mut Vec<u8>, what: &'static str, part: &[u8]) -> Result<(), Error> {
    let len = u16::try_from(part.len()).map_err(|_| too_long(what, part.len()))?;
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(part);
    Ok(())
}

fn too_long(what: &'static str, bytes: usize) -> Error {
    Error::TooLarge {
        what,
        bytes,
        limit: usize::from(u16::MAX),
    }
}

/// Takes parts off the front and never looks behind the end.
struct Reader {
    what: &'static str,
    bytes: Bytes,
}

impl Reader {
    fn need(&self, len: usize) -> Result<(), Error> {
        if self.bytes.len() < len {
            return Err(Error::malformed(
                self.what,
                format!("it ends {len} bytes too early"),
            ));
        }
        Ok(())
    }

    fn version(&mut self, known: u8) -> Result<(), Error> {
        let version = self.byte()?;
        if version == known {
            return Ok(());
        }
        Err(Error::malformed(
            self.what,
            format!("version {version} is not known"),
        ))
    }

    fn key(&mut self) -> Result<KeyId, Error> {
        Ok(KeyId::from_digest(Digest::from_bytes(self.digest()?)))
    }

    fn signature(&mut self) -> Result<Signature, Error> {
        let signature = self.short()?;
        Signature::from_der(&signature).map_err(|source| Error::malformed(self.what, source))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.need(1)?;
        Ok(self.bytes.get_u8())
    }

    fn digest(&mut self) -> Result<[u8; Digest::BYTES], Error> {
        self.need(Digest::BYTES)?;
        let mut digest = [0; Digest::BYTES];
        self.bytes.copy_to_slice(&mut digest);
        Ok(digest)
    }

    fn log_id(&mut self) -> Result<LogId, Error> {
        self.need(24)?;
        let (term, node) = (self.bytes.get_u64(), self.bytes.get_u64());
        Ok(LogId::new(
            CommittedLeaderId::new(term, node),
            self.bytes.get_u64(),
        ))
    }

    fn count(&mut self, max: usize) -> Result<usize, Error> {
        let count = self.number()?;
        if count > max {
            return Err(Error::malformed(
                self.what,
                format!("{count} parts, the limit is {max}"),
            ));
        }
        Ok(count)
    }

    fn number(&mut self) -> Result<usize, Error> {
        self.need(4)?;
        usize::try_from(self.bytes.get_u32()).map_err(|_| too_long(self.what, usize::MAX))
    }

    fn long(&mut self) -> Result<Bytes, Error> {
        let len = self.number()?;
        self.need(len)?;
        Ok(self.bytes.split_to(len))
    }

    fn short(&mut self) -> Result<Bytes, Error> {
        self.need(2)?;
        let len = usize::from(self.bytes.get_u16());
        self.need(len)?;
        Ok(self.bytes.split_to(len))
    }

    fn end(&self) -> Result<(), Error> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        Err(Error::malformed(
            self.what,
            format!("{} bytes follow it", self.bytes.len()),
        ))
    }
}
