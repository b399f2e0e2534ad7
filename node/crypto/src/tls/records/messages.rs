//! The handshake messages that come after a handshake (RFC 8446 section 4.6), put together from
//! records.
//!
//! It does not act on them.

use super::{MESSAGE_BYTES_MAX, RecordFault};

/// RFC 8446 section 4: the type of a session ticket.
pub(super) const NEW_SESSION_TICKET: u8 = 4;

/// RFC 8446 section 4: the type of a key update.
pub(super) const KEY_UPDATE: u8 = 24;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The body of a session ticket.
    Ticket(Vec<u8>),
    /// The peer's next record has a new key.
    KeyUpdate {
        /// Whether the peer wants the same of us.
        is_requested: bool,
    },
}

/// Messages that are not read yet, the last one perhaps in part.
#[derive(Debug)]
pub(super) struct Messages {
    bytes: Vec<u8>,
}

impl Messages {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the content of a record. What waited before was read, so there is less than one
    /// message, and no more than that and one record is ever held.
    pub(super) fn extend(&mut self, fragment: &[u8]) -> Result<(), RecordFault> {
        if fragment.is_empty() {
            return Err(RecordFault::EmptyFragment);
        }
        self.bytes.extend_from_slice(fragment);
        Ok(())
    }

    /// The next message; none when there is none that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Message>, RecordFault> {
        let Some((&[kind, a, b, c], body)) = self.bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > MESSAGE_BYTES_MAX {
            return Err(RecordFault::MessageTooLong { found: length });
        }
        let Some((body, rest)) = body.split_at_checked(length) else {
            return Ok(None);
        };
        let message = match (kind, body) {
            (NEW_SESSION_TICKET, body) => Message::Ticket(body.to_vec()),
            (KEY_UPDATE, &[asked @ (0 | 1)]) => {
                if !rest.is_empty() {
                    return Err(RecordFault::KeyUpdateNotLast);
                }
                let is_requested = asked == 1;
                Message::KeyUpdate { is_requested }
            }
            (KEY_UPDATE, _) => return Err(RecordFault::Malformed { what: "key update" }),
            (found, _) => return Err(RecordFault::UnexpectedMessage { found }),
        };
        self.bytes.drain(..4 + length);
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        Ok(Some(message))
    }
}
