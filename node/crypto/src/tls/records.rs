//! The records of TLS 1.3 (RFC 8446 section 5) over SM4, after a handshake of rustls.
//!
//! rustls shakes hands, judges certificates, derives keys and keeps tickets; what it is left out
//! of are the records of a connection that is open. It copies content once on the way out and
//! twice on the way in, and allocates for each record; here each byte is copied once each way,
//! into a buffer of several records that is used again. It does not know sockets ([`stream`]
//! does), does no handshake (`handshake`), and is not there for the standard suites.
//!
//! Peers are not trusted: what they send is bounded by the constants below, and the first record
//! that is not as it must be ends the connection with an alert ([`RecordFault`]).

mod fault;
mod inbound;
mod keys;
mod messages;
mod outbound;
mod protection;
pub(super) mod stream;

pub use fault::RecordFault;
use inbound::{Event, Inbound};
pub(super) use keys::Established;
use keys::{Keys, Parts};
use messages::Message;
use outbound::Outbound;
use protection::Protection;
use tokio::io::ReadBuf;

use crate::sm4gcm::TAG_BYTES;

/// An open connection without its socket.
pub(super) struct Records {
    keys: Keys,
    inbound: Inbound,
    outbound: Outbound,
    /// Why nothing goes any more.
    fault: Option<RecordFault>,
    has_said_all: bool,
}

/// How a read went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Bytes were handed out.
    Content,
    /// More must come from the peer first.
    Incomplete,
    /// The peer said that this was all.
    Closed,
}

impl Records {
    /// Takes over from rustls. `early` is what was read behind the handshake.
    ///
    /// # Errors
    ///
    /// rustls' own, when its handshake is not done or its suite none of RFC 8998.
    pub(super) fn new(end: impl Established, early: Vec<u8>) -> Result<Self, rustls::Error> {
        let Parts {
            keys,
            sending,
            receiving,
        } = end.into_parts()?;
        Ok(Self {
            keys,
            inbound: Inbound::new(receiving, early),
            outbound: Outbound::new(sending),
            fault: None,
            has_said_all: false,
        })
    }

    /// Copies content to `target`, which is not full, as much as there is of it.
    ///
    /// # Errors
    ///
    /// What is wrong with a record, now and at each later call. An alert waits in
    /// [`Self::unsent`] then.
    pub(super) fn read(&mut self, target: &mut ReadBuf<'_>) -> Result<Read, RecordFault> {
        let before = target.filled().len();
        while target.remaining() > 0 {
            let content = self.inbound.content();
            if !content.is_empty() {
                let length = content.len().min(target.remaining());
                target.put_slice(&content[..length]);
                self.inbound.take(length);
                continue;
            }
            match self.receive() {
                Ok(Event::Content | Event::Message(_)) => {}
                // What came before goes first.
                _ if target.filled().len() > before => break,
                Ok(Event::Incomplete) => return Ok(Read::Incomplete),
                Ok(Event::Closed) => return Ok(Read::Closed),
                Err(fault) => return Err(fault),
            }
        }
        Ok(Read::Content)
    }

    /// Where bytes of the peer are read to, after [`Read::Incomplete`].
    pub(super) fn space(&mut self) -> &mut Vec<u8> {
        self.inbound.space()
    }

    /// Notes how many bytes were read to [`Self::space`]; none when there are none yet.
    pub(super) fn was_read(&mut self, length: Option<usize>) {
        self.inbound.was_read(length);
    }

    /// The peer is gone. It should have said so before.
    pub(super) fn cut_off(&mut self) -> RecordFault {
        self.fail(RecordFault::Truncated)
    }

    /// Takes content to be sent, and says how much; when it is less than all, [`Self::unsent`]
    /// must be sent first.
    ///
    /// # Errors
    ///
    /// Why the connection ended, when it did.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, RecordFault> {
        self.living()?;
        let taken = self.outbound.fill(&mut self.keys, bytes);
        taken.map_err(|fault| self.fail(fault))
    }

    /// Makes all that was taken ready to be sent.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub(super) fn finish(&mut self) -> Result<(), RecordFault> {
        self.living()?;
        self.outbound.finish().map_err(|fault| self.fail(fault))
    }

    /// Says that no more content comes from here; the peer may go on.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub(super) fn close(&mut self) -> Result<(), RecordFault> {
        self.living()?;
        if std::mem::replace(&mut self.has_said_all, true) {
            return Ok(());
        }
        self.outbound.close().map_err(|fault| self.fail(fault))
    }

    /// Whether [`Self::close`] was called.
    pub(super) const fn has_said_all(&self) -> bool {
        self.has_said_all
    }

    /// Replaces the key of what is sent; otherwise that happens when it has sealed its limit.
    #[cfg(test)]
    pub(super) fn update_key(&mut self) -> Result<(), RecordFault> {
        self.outbound.update_key(&mut self.keys)
    }

    /// Sealed records that were not sent.
    pub(super) fn unsent(&self) -> &[u8] {
        self.outbound.unsent()
    }

    /// Notes how much of [`Self::unsent`] was sent.
    pub(super) fn was_sent(&mut self, length: usize) {
        self.outbound.was_sent(length);
    }

    /// Opens the next record, and does what a message of the peer asks for.
    fn receive(&mut self) -> Result<Event, RecordFault> {
        self.living()?;
        let received = self.inbound.open_next();
        let received = received.and_then(|event| self.obey(event));
        received.map_err(|fault| self.fail(fault))
    }

    fn obey(&mut self, event: Event) -> Result<Event, RecordFault> {
        match &event {
            Event::Message(Message::Ticket(ticket)) => self.keys.remember(ticket)?,
            Event::Message(Message::KeyUpdate { is_requested }) => {
                self.inbound.replace_key(self.keys.next_receiving()?);
                if *is_requested {
                    self.outbound.owe_update();
                }
            }
            Event::Content | Event::Incomplete | Event::Closed => {}
        }
        Ok(event)
    }

    fn living(&self) -> Result<(), RecordFault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Ends the connection, and says why to whoever is there to hear it.
    fn fail(&mut self, fault: RecordFault) -> RecordFault {
        self.fault = Some(fault.clone());
        if let Some(alert) = fault.alert().filter(|_| !self.has_said_all) {
            // A key that cannot seal an alert leaves nothing to say it with.
            let _unsaid = self.outbound.abort(alert);
        }
        fault
    }
}

/// The length in bytes of what is before a record: type, version, length.
const HEADER_BYTES: usize = 5;

/// What TLS 1.3 writes for a version (RFC 8446 section 5.2).
const VERSION: [u8; 2] = [3, 3];

/// The most bytes of content in a record (RFC 8446 section 5.1).
const CONTENT_BYTES_MAX: usize = 1 << 14;

/// The most bytes of a sealed record behind its header (RFC 8446 section 5.2).
const SEALED_BYTES_MAX: usize = CONTENT_BYTES_MAX + 256;

/// The most bytes of a record that we make: without padding.
const RECORD_BYTES_MAX: usize = HEADER_BYTES + CONTENT_BYTES_MAX + 1 + TAG_BYTES;

/// The most bytes that wait to be sent, eight records: enough that a call of the system costs
/// little beside them, few enough to stay near the core between being sealed and being sent. With
/// four a stream is an eighth slower, with sixteen no faster.
const WRITE_BYTES_MAX: usize = 8 * RECORD_BYTES_MAX;

/// The most bytes that are read at once, and the memory that a busy connection has for them: what
/// a sender writes at once, and half as much again.
const READ_BYTES_MAX: usize = 192 << 10;

/// A connection that moved less at its last turn gives its memory back while it waits.
const BUSY_BYTES_MIN: usize = 4 << 10;

/// The most bytes of a message after the handshake, without its head. A ticket holds 2^16 bytes
/// and a little more by its syntax; ours name a session and have a hundred.
const MESSAGE_BYTES_MAX: usize = 1 << 16;

/// How many messages or empty records may come between content: somebody who sends them only
/// keeps us busy. rustls allows as many.
const QUIET_MAX: usize = 32;

/// The types of records (RFC 8446 section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
