//! What can be wrong with the records of a peer, and what the peer is told.
//!
//! It does not recover: each of these ends the connection.

use std::io;

use rustls::AlertDescription;

use super::{CONTENT_BYTES_MAX, MESSAGE_BYTES_MAX, QUIET_MAX, SEALED_BYTES_MAX};

/// Why a connection ended. It stands in the [`io::Error`] of the call that found it, and of every
/// later one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// A record does not authenticate: it was changed, repeated, left out or made by others.
    #[error("a record does not open under the peer's key")]
    NotOpened,
    /// A record is longer than RFC 8446 section 5.2 allows.
    #[error(
        "a record has {found} bytes; at most {CONTENT_BYTES_MAX} of content and \
         {SEALED_BYTES_MAX} sealed are allowed"
    )]
    RecordTooLong {
        /// Its length in bytes, sealed or, with its type, opened.
        found: usize,
    },
    /// A record has another version than the one that TLS 1.3 writes.
    #[error("a record has the version {found:#06x} instead of 0x0303")]
    OtherVersion {
        /// The version that it has.
        found: u16,
    },
    /// A record has a type that has no place after a handshake, or none at all.
    #[error("a record of the type {found} came after the handshake")]
    UnexpectedRecord {
        /// The type, 0 for a record that has none.
        found: u8,
    },
    /// A handshake message came that has no place after a handshake.
    #[error("a handshake message of the type {found} came after the handshake")]
    UnexpectedMessage {
        /// The type of the message.
        found: u8,
    },
    /// A handshake message is longer than any that belongs here.
    #[error("a handshake message has {found} bytes, at most {MESSAGE_BYTES_MAX} are allowed")]
    MessageTooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A record that must have content has none.
    #[error("a record of handshake messages is empty")]
    EmptyFragment,
    /// A record of another kind came in the middle of a handshake message.
    #[error("a record came in the middle of a handshake message")]
    Interleaved,
    /// A key update does not end its record, although what follows has another key.
    #[error("bytes follow a key update in its record")]
    KeyUpdateNotLast,
    /// A key update, an alert or a ticket is not written as RFC 8446 has it.
    #[error("a message of the peer is malformed: {what}")]
    Malformed {
        /// Which message.
        what: &'static str,
    },
    /// A peer sends, and sends nothing.
    #[error("more than {QUIET_MAX} messages without content came in a row")]
    TooQuiet,
    /// A key was used as often as there are numbers for records.
    #[error("there is no number for another record")]
    NoNumberLeft,
    /// The peer ended the connection with an alert.
    #[error("the peer sent the alert {0:?}")]
    Alert(AlertDescription),
    /// The connection ended without the peer's word that it had said all.
    #[error("the connection was cut off before the peer closed it")]
    Truncated,
    /// rustls did not go along; no bytes of a peer lead here.
    #[error("the keys of the connection failed: {0}")]
    Keys(rustls::Error),
}

impl RecordFault {
    /// The alert that tells the peer (RFC 8446 sections 5 and 6.2); none where the peer is gone
    /// or said so itself.
    pub(super) const fn alert(&self) -> Option<AlertDescription> {
        Some(match self {
            Self::NotOpened => AlertDescription::BadRecordMac,
            Self::RecordTooLong { .. } => AlertDescription::RecordOverflow,
            Self::OtherVersion { .. } | Self::MessageTooLong { .. } | Self::Malformed { .. } => {
                AlertDescription::DecodeError
            }
            Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment
            | Self::Interleaved
            | Self::KeyUpdateNotLast
            | Self::TooQuiet => AlertDescription::UnexpectedMessage,
            Self::NoNumberLeft | Self::Keys(_) => AlertDescription::InternalError,
            Self::Alert(_) | Self::Truncated => return None,
        })
    }
}

impl From<RecordFault> for io::Error {
    fn from(fault: RecordFault) -> Self {
        let kind = match fault {
            RecordFault::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}
