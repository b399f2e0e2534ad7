//! SM2 keys, signatures with a purpose, and key wraps (GB/T 32918.2, .4 and .5; GM/T 0009).
//!
//! It does not do the SM2 key exchange, and it does not offer a signature without a purpose:
//! every signature is made for one [`Label`], which is part of the signed bytes, so that one can
//! never stand for another. Signatures are computed by our own arithmetic, since verifying them
//! bounds what the catalog can write; the decision record of 2026-11-27 says how it is kept
//! sound. Key wraps, key parsing and scalars are RustCrypto's, whose types are kept inside:
//! `DecryptingKey` prints its private scalar with `Debug`, and neither it nor `SigningKey` wipes
//! itself.

mod batch;
mod curve;
mod handshake;
mod identity;
mod nonce;
mod prepared;
mod public;
mod secret;
mod sign;
mod signature;

#[cfg(test)]
mod tests;

pub use batch::verify_batch;
pub use handshake::HandshakeSignature;
pub use public::PublicKey;
pub use secret::SecretKey;
pub(crate) use secret::SystemRandom;
pub use signature::Signature;

/// What a signature is for. Its prefix is signed before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// A person's binding command to the catalog.
    Command,
    /// A node's batch of commands.
    Batch,
    /// The ledger's signed tree head.
    Checkpoint,
    /// A witness's statement about somebody else's checkpoint.
    Cosignature,
    /// A consumer's receipt for what it got.
    Receipt,
    /// The header of a sealed stream.
    SealHeader,
    /// The key wraps of a sealed stream.
    SealWraps,
    /// The end of a sealed stream.
    SealTrailer,
    /// The answer to a sign-in challenge.
    Challenge,
    /// The state digest of a snapshot.
    Snapshot,
    /// An evidence pack handed to an outsider.
    Evidence,
    /// A request for a certificate.
    Enrolment,
}

impl Label {
    /// All labels, for tests and documentation.
    pub const ALL: [Self; 12] = [
        Self::Command,
        Self::Batch,
        Self::Checkpoint,
        Self::Cosignature,
        Self::Receipt,
        Self::SealHeader,
        Self::SealWraps,
        Self::SealTrailer,
        Self::Challenge,
        Self::Snapshot,
        Self::Evidence,
        Self::Enrolment,
    ];

    /// The bytes that are signed before the message. No prefix is the start of another, because
    /// each ends with the only line feed in it; and none starts a DER structure, so that a
    /// signature on a certificate (made without a label, as X.509 demands) cannot stand for one.
    #[must_use]
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Command => b"kouan/v1/command\n",
            Self::Batch => b"kouan/v1/batch\n",
            Self::Checkpoint => b"kouan/v1/checkpoint\n",
            Self::Cosignature => b"kouan/v1/cosignature\n",
            Self::Receipt => b"kouan/v1/receipt\n",
            Self::SealHeader => b"kouan/v1/seal-header\n",
            Self::SealWraps => b"kouan/v1/seal-wraps\n",
            Self::SealTrailer => b"kouan/v1/seal-trailer\n",
            Self::Challenge => b"kouan/v1/challenge\n",
            Self::Snapshot => b"kouan/v1/snapshot\n",
            Self::Evidence => b"kouan/v1/evidence\n",
            Self::Enrolment => b"kouan/v1/enrolment\n",
        }
    }
}

/// The identifier that goes into every SM2 signature outside a TLS handshake (GM/T 0009-2012,
/// section 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateIdentifier;

impl CertificateIdentifier {
    /// The identifier's text.
    pub const TEXT: &'static str = "1234567812345678";
}

/// The identifier of the CertificateVerify message of a TLS 1.3 handshake with SM2 (RFC 8998,
/// section 3.2.1). Made with [`CertificateIdentifier`] instead, it is refused by every peer;
/// that is why the two are types and not strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeIdentifier;

impl HandshakeIdentifier {
    /// The identifier's text.
    pub const TEXT: &'static str = "TLSv1.3+GM+Cipher+Suite";
}

/// The largest secret that [`PublicKey::wrap`] takes, in bytes. It is meant for keys; whatever
/// is longer belongs into a sealed stream.
pub const WRAP_SECRET_BYTES_MAX: usize = 1_024;

/// The largest wrap that [`SecretKey::unwrap`] reads, in bytes: the largest secret, a point, a
/// digest and their DER frames.
pub const WRAPPED_BYTES_MAX: usize = WRAP_SECRET_BYTES_MAX + 128;
