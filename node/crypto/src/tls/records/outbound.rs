//! The records to the peer: filled from the caller's bytes, sealed where they lie, several to a
//! write of the socket.
//!
//! It does not write to a socket. Bytes of the caller are copied once, to the place from which
//! they are sent. A record stays open until it is full or [`Outbound::finish`] is called, so
//! that a head of nine bytes and its body travel in one record.

use rustls::AlertDescription;

use super::keys::Keys;
use super::messages::KEY_UPDATE;
use super::{
    ALERT, APPLICATION_DATA, BUSY_BYTES_MIN, CONTENT_BYTES_MAX, HANDSHAKE, HEADER_BYTES,
    Protection, RECORD_BYTES_MAX, RecordFault, VERSION, WRITE_BYTES_MAX,
};
use crate::sm4gcm::TAG_BYTES;

/// The direction to the peer.
pub(super) struct Outbound {
    protection: Protection,
    /// Sealed records, and perhaps one that is open.
    buffer: Vec<u8>,
    /// Where the open record begins.
    open: Option<usize>,
    /// How many bytes of the buffer were sent.
    sent: usize,
    /// Whether the peer asked for a new key, which it gets before the next content.
    owes_update: bool,
}

impl Outbound {
    pub(super) const fn new(protection: Protection) -> Self {
        Self {
            protection,
            buffer: Vec::new(),
            open: None,
            sent: 0,
            owes_update: false,
        }
    }

    /// Notes that the peer wants a new key. Several wishes are one.
    pub(super) const fn owe_update(&mut self) {
        self.owes_update = true;
    }

    /// Takes what there is room for, and says how much that is. It is less than all only when
    /// what is sealed must be sent first.
    pub(super) fn fill(&mut self, keys: &mut Keys, bytes: &[u8]) -> Result<usize, RecordFault> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let start = match self.open {
                Some(start) => start,
                None if self.buffer.len() + RECORD_BYTES_MAX > WRITE_BYTES_MAX => break,
                None => self.begin(keys, rest.len())?,
            };
            let room = start + HEADER_BYTES + CONTENT_BYTES_MAX - self.buffer.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if now.len() == room {
                self.finish()?;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Seals the open record.
    pub(super) fn finish(&mut self) -> Result<(), RecordFault> {
        match self.open.take() {
            Some(start) => self.seal(start, APPLICATION_DATA),
            None => Ok(()),
        }
    }

    /// Replaces the key, and tells the peer so with the last record of the old one.
    pub(super) fn update_key(&mut self, keys: &mut Keys) -> Result<(), RecordFault> {
        self.finish()?;
        // The last byte would ask the peer to do the same; its key has limits of its own.
        self.append(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0])?;
        self.protection = keys.next_sending()?;
        self.owes_update = false;
        Ok(())
    }

    /// Another key, for an end that misbehaves.
    #[cfg(test)]
    pub(super) fn replace_key(&mut self, protection: Protection) {
        self.protection = protection;
    }

    /// Says that there is nothing more to come.
    pub(super) fn close(&mut self) -> Result<(), RecordFault> {
        self.finish()?;
        self.append(ALERT, &[WARNING, AlertDescription::CloseNotify.into()])
    }

    /// Says why the connection ends. What was not sealed is forgotten.
    pub(super) fn abort(&mut self, alert: AlertDescription) -> Result<(), RecordFault> {
        if let Some(start) = self.open.take() {
            self.buffer.truncate(start);
        }
        self.append(ALERT, &[FATAL, alert.into()])
    }

    /// Sealed records that were not sent.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.buffer[self.sent..self.open.unwrap_or(self.buffer.len())]
    }

    /// Forgets what was sent. A connection that had little to say gives its memory back.
    pub(super) fn was_sent(&mut self, length: usize) {
        self.sent += length;
        if self.sent < self.buffer.len() {
            return;
        }
        if self.sent < BUSY_BYTES_MIN && self.buffer.capacity() > BUSY_BYTES_MIN {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        self.sent = 0;
    }

    /// Begins a record of content, of about that length, and a key before it when one is due.
    fn begin(&mut self, keys: &mut Keys, length: usize) -> Result<usize, RecordFault> {
        let is_last = self.protection.number().saturating_add(1) >= keys.records_max();
        if is_last || self.owes_update {
            self.update_key(keys)?;
        }
        let overhead = RECORD_BYTES_MAX - CONTENT_BYTES_MAX;
        let records = length.div_ceil(CONTENT_BYTES_MAX) * overhead;
        let wanted = (length + records).min(WRITE_BYTES_MAX - self.buffer.len());
        self.buffer.reserve(wanted);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEADER_BYTES]);
        self.open = Some(start);
        Ok(start)
    }

    /// Makes a whole record.
    pub(super) fn append(&mut self, kind: u8, body: &[u8]) -> Result<(), RecordFault> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEADER_BYTES]);
        self.buffer.extend_from_slice(body);
        self.seal(start, kind)
    }

    /// Seals what was written behind a header that is not filled in yet.
    fn seal(&mut self, start: usize, kind: u8) -> Result<(), RecordFault> {
        self.buffer.push(kind);
        let (before, text) = self.buffer.split_at_mut(start + HEADER_BYTES);
        // At most 2^14 + 17, by `fill`.
        let length = u16::try_from(text.len() + TAG_BYTES).unwrap_or(u16::MAX);
        let [a, b] = length.to_be_bytes();
        let header = [APPLICATION_DATA, VERSION[0], VERSION[1], a, b];
        before[start..].copy_from_slice(&header);
        let tag = self.protection.seal(header, text)?;
        self.buffer.extend_from_slice(&tag);
        Ok(())
    }
}

/// RFC 8446 section 6: the level of an alert that is no error, and of one that is.
const WARNING: u8 = 1;
const FATAL: u8 = 2;
