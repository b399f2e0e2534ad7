//! The records of the peer: found in what was read, opened where they lie.
//!
//! It does not read from a socket and hands out nothing that did not authenticate.

use std::ops::Range;

use rustls::AlertDescription;

use super::messages::{Message, Messages};
use super::{
    ALERT, APPLICATION_DATA, BUSY_BYTES_MIN, CONTENT_BYTES_MAX, HANDSHAKE, HEADER_BYTES,
    Protection, QUIET_MAX, READ_BYTES_MAX, RecordFault, SEALED_BYTES_MAX, VERSION,
};
use crate::sm4gcm::TAG_BYTES;

/// What the next record turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// There is content to take.
    Content,
    /// The next record is not there in full.
    Incomplete,
    /// The peer said that this was all.
    Closed,
    /// A message for those who keep the keys.
    Message(Message),
}

/// The direction from the peer.
pub(super) struct Inbound {
    protection: Protection,
    /// What was read: records that were taken, the content that is being taken, and what is
    /// still sealed.
    buffer: Vec<u8>,
    /// The content that was opened and not taken.
    content: Range<usize>,
    /// Where the next record begins.
    next: usize,
    messages: Messages,
    /// How many messages came since there was content.
    quiet: usize,
    is_closed: bool,
    is_busy: bool,
}

impl Inbound {
    /// `early` is what came behind the handshake.
    pub(super) const fn new(protection: Protection, early: Vec<u8>) -> Self {
        Self {
            protection,
            buffer: early,
            content: 0..0,
            next: 0,
            messages: Messages::new(),
            quiet: 0,
            is_closed: false,
            is_busy: false,
        }
    }

    /// The key of the records that come after a key update.
    pub(super) fn replace_key(&mut self, protection: Protection) {
        self.protection = protection;
    }

    /// Content that was opened.
    pub(super) fn content(&self) -> &[u8] {
        &self.buffer[self.content.clone()]
    }

    /// Forgets content that was taken.
    pub(super) fn take(&mut self, length: usize) {
        self.content.start += length;
    }

    /// Where more is read to, with room for a record and more. To be called when the next record
    /// is incomplete, and content and messages were taken.
    pub(super) fn space(&mut self) -> &mut Vec<u8> {
        // What is left is less than one record.
        self.buffer.drain(..self.next);
        self.content = 0..0;
        self.next = 0;
        if self.buffer.capacity() < READ_BYTES_MAX {
            self.buffer
                .reserve_exact(READ_BYTES_MAX - self.buffer.len());
        }
        &mut self.buffer
    }

    /// Notes how much was read, none when there is nothing yet: a connection that got little at
    /// its last read gives its memory back while it waits.
    pub(super) fn was_read(&mut self, length: Option<usize>) {
        match length {
            Some(length) => self.is_busy = length >= BUSY_BYTES_MIN,
            None if !self.is_busy && self.buffer.is_empty() => self.buffer = Vec::new(),
            None => {}
        }
    }

    /// Opens the next record. To be called when all content was taken.
    pub(super) fn open_next(&mut self) -> Result<Event, RecordFault> {
        loop {
            if self.is_closed {
                return Ok(Event::Closed);
            }
            if let Some(message) = self.messages.next()? {
                self.count_quiet()?;
                return Ok(Event::Message(message));
            }
            let Some(record) = self.find()? else {
                return Ok(Event::Incomplete);
            };
            let (kind, text) = self.open(record)?;
            if kind != HANDSHAKE && !self.messages.is_empty() {
                return Err(RecordFault::Interleaved);
            }
            match kind {
                APPLICATION_DATA if text.is_empty() => self.count_quiet()?,
                APPLICATION_DATA => {
                    self.quiet = 0;
                    self.content = text;
                    return Ok(Event::Content);
                }
                HANDSHAKE => self.messages.extend(&self.buffer[text])?,
                ALERT => self.hear(text)?,
                found => return Err(RecordFault::UnexpectedRecord { found }),
            }
        }
    }

    /// Where the sealed part of the next record is, once it is there in full. What cannot be a
    /// record is refused as soon as its header is there.
    fn find(&self) -> Result<Option<Range<usize>>, RecordFault> {
        let waiting = &self.buffer[self.next..];
        let Some(&[kind, a, b, c, d]) = waiting.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        if kind != APPLICATION_DATA {
            return Err(RecordFault::UnexpectedRecord { found: kind });
        }
        if [a, b] != VERSION {
            let found = u16::from_be_bytes([a, b]);
            return Err(RecordFault::OtherVersion { found });
        }
        let length = usize::from(u16::from_be_bytes([c, d]));
        if length > SEALED_BYTES_MAX {
            return Err(RecordFault::RecordTooLong { found: length });
        }
        let start = self.next + HEADER_BYTES;
        let is_whole = waiting.len() >= HEADER_BYTES + length;
        Ok(is_whole.then_some(start..start + length))
    }

    /// Opens a record and says what kind it is of, and where its content lies.
    fn open(&mut self, record: Range<usize>) -> Result<(u8, Range<usize>), RecordFault> {
        let (start, end) = (record.start, record.end);
        self.next = end;
        let (before, rest) = self.buffer.split_at_mut(start);
        let header = *before.last_chunk().ok_or(RecordFault::NotOpened)?;
        let (text, tag) = rest[..end - start]
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(RecordFault::NotOpened)?;
        self.protection.open(header, text, tag)?;
        if text.len() > CONTENT_BYTES_MAX + 1 {
            return Err(RecordFault::RecordTooLong { found: text.len() });
        }
        // The type is the last byte that is not padding (RFC 8446 section 5.4).
        let length = text.iter().rposition(|byte| *byte != 0);
        let length = length.ok_or(RecordFault::UnexpectedRecord { found: 0 })?;
        Ok((text[length], start..start + length))
    }

    /// An alert. All but two end the connection, whatever level they say (RFC 8446 section 6).
    fn hear(&mut self, text: Range<usize>) -> Result<(), RecordFault> {
        let &[_, description] = &self.buffer[text] else {
            return Err(RecordFault::Malformed { what: "alert" });
        };
        match AlertDescription::from(description) {
            AlertDescription::CloseNotify => self.is_closed = true,
            AlertDescription::UserCanceled => self.count_quiet()?,
            other => return Err(RecordFault::Alert(other)),
        }
        Ok(())
    }

    const fn count_quiet(&mut self) -> Result<(), RecordFault> {
        self.quiet += 1;
        if self.quiet > QUIET_MAX {
            return Err(RecordFault::TooQuiet);
        }
        Ok(())
    }
}
