//! Everything that can go wrong in this crate.
//!
//! It does not carry key bytes, plaintext or the text of a foreign library: an error is written
//! to logs and sent to operators, so nothing secret may be reachable from one.

use std::path::PathBuf;

use crate::digest::KeyId;

/// Why a cryptographic operation did not give a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system gave no random bytes. Nothing may be generated or signed.
    #[error("the operating system gave no random bytes; no key or signature can be made")]
    Randomness,

    /// A text that should be hexadecimal is not, or has the wrong length.
    #[error("{what} must be {expected_digits} hexadecimal digits")]
    InvalidHex {
        /// Which value was read.
        what: &'static str,
        /// How many digits it has by definition.
        expected_digits: usize,
    },

    /// Bytes that should be a public key are not a point of the curve, or not in its one form.
    #[error("not an SM2 public key: {reason}")]
    InvalidPublicKey {
        /// What is wrong with it.
        reason: &'static str,
    },

    /// Bytes that should be a private key are not one. The bytes are not repeated here.
    #[error("not a usable private key: {reason}")]
    InvalidSecretKey {
        /// What is wrong with it.
        reason: &'static str,
    },

    /// Bytes that should be a signature are not the DER form of two scalars in range.
    #[error("not the DER form of an SM2 signature")]
    InvalidSignature,

    /// The signature is well formed, but it was not made by this key over these bytes.
    #[error("the signature was not made by this key over these bytes for this purpose")]
    SignatureRejected,

    /// Sealed, wrapped or authenticated bytes are not what was sealed: truncated, reordered,
    /// spliced, replayed or changed. Deliberately says no more, because the reason would help
    /// whoever is trying.
    #[error("the sealed bytes are not what the sender sealed")]
    Rejected,

    /// The key that would open a sealed stream or an envelope is not among its recipients.
    #[error("it is not sealed to key {key}; ask the sender to wrap it again for this key")]
    NotARecipient {
        /// The key that tried.
        key: KeyId,
    },

    /// Other bytes than the pinned ones were offered for a chunk. Sealing them would use one
    /// nonce twice, which gives away both plaintexts.
    #[error("chunk {index} was sealed before with other bytes; start a new stream")]
    PinnedBytesChanged {
        /// The chunk, counted from 0.
        index: u64,
    },

    /// A chunk was named that the stream does not have.
    #[error("the stream has {chunk_count} chunks, there is no chunk {index}")]
    NoSuchChunk {
        /// The chunk asked for, counted from 0.
        index: u64,
        /// How many there are.
        chunk_count: u64,
    },

    /// A chunk has another length than its place in the stream demands.
    #[error("chunk {index} must have {expected_bytes} bytes, it has {found_bytes}")]
    ChunkLength {
        /// The chunk, counted from 0.
        index: u64,
        /// Its length by its place, in bytes.
        expected_bytes: u64,
        /// The length that was offered, in bytes.
        found_bytes: u64,
    },

    /// A stream was finished before each chunk was sealed or opened.
    #[error("{missing} of {chunk_count} chunks are missing")]
    Unfinished {
        /// How many are missing.
        missing: u64,
        /// How many there are.
        chunk_count: u64,
    },

    /// A value is larger than this crate accepts.
    #[error("{what} is {found}, the limit is {limit}")]
    LimitExceeded {
        /// Which value, with its unit.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was offered.
        found: u64,
    },

    /// An argument has no meaning here.
    #[error("{what}: {reason}")]
    InvalidArgument {
        /// Which argument.
        what: &'static str,
        /// Why it cannot be used, and what can.
        reason: &'static str,
    },

    /// A stored or received encoding cannot be read.
    #[error("not a valid {what}: {reason}")]
    InvalidEncoding {
        /// What it should be.
        what: &'static str,
        /// The first thing that is wrong.
        reason: &'static str,
    },

    /// The pass phrase does not open the key file, or the file was changed.
    #[error("the pass phrase does not open this key file, or the file is damaged")]
    WrongPassphrase,

    /// The password is not the one that was hashed.
    #[error("wrong password")]
    WrongPassword,

    /// The one-time code belongs to no accepted time step.
    #[error("the one-time code is wrong or too old")]
    WrongCode,

    /// A file could not be read or written.
    #[error("{action} {}: {kind}", path.display())]
    File {
        /// What was attempted, in the present tense.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        kind: std::io::ErrorKind,
    },

    /// The library of a cryptographic device cannot be used at all.
    #[error("load the device library {}: {reason}", path.display())]
    DeviceLibrary {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The library of a cryptographic device lacks a function of GM/T 0018.
    #[error("the device library {} has no function {function}; ask the vendor", path.display())]
    DeviceFunction {
        /// The library.
        path: PathBuf,
        /// The function.
        function: &'static str,
    },

    /// A function of a cryptographic device gave an error code.
    #[error("{function} of the device failed with code {code:#010x}: {advice}")]
    Device {
        /// The function of GM/T 0018.
        function: &'static str,
        /// The code, by GM/T 0018-2012, appendix A, or the vendor's own.
        code: u32,
        /// What to do about it.
        advice: &'static str,
    },

    /// A cryptographic device did not answer in time, or all its sessions were taken for so long.
    #[error(
        "{function} of the device did not answer within {limit_ms} ms; check the device, \
         and restart the node if its calls hang"
    )]
    DeviceTimeout {
        /// The function of GM/T 0018.
        function: &'static str,
        /// How long was waited, in milliseconds.
        limit_ms: u64,
    },

    /// A cryptographic device gave an answer that cannot be true.
    #[error("{function} of the device answered wrongly: {reason}; do not use this device")]
    DeviceAnswer {
        /// The function of GM/T 0018.
        function: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The certificate was not yet valid at the instant it was judged at.
    #[error("the certificate of {subject} is valid only from {not_before_ms} ms")]
    NotYetValid {
        /// The subject's common name.
        subject: String,
        /// The first valid instant, milliseconds since 1970-01-01 UTC.
        not_before_ms: i64,
    },

    /// The certificate was no longer valid at the instant it was judged at.
    #[error("the certificate of {subject} expired after {not_after_ms} ms; enrol a new one")]
    Expired {
        /// The subject's common name.
        subject: String,
        /// The last valid instant, milliseconds since 1970-01-01 UTC.
        not_after_ms: i64,
    },

    /// The certificate names another issuer.
    #[error("the certificate of {subject} names an issuer other than {issuer}")]
    ForeignIssuer {
        /// The subject's common name.
        subject: String,
        /// The authority it was held against.
        issuer: String,
    },

    /// The certificate is not meant for this use.
    #[error("the certificate of {subject} may not be used {wanted}")]
    WrongUsage {
        /// The subject's common name.
        subject: String,
        /// What was wanted, such as "to sign".
        wanted: &'static str,
    },

    /// TLS could not be configured or a handshake failed.
    #[error("TLS: {reason}")]
    Tls {
        /// What failed. Never contains key material.
        reason: String,
    },

    /// A known answer came out wrong at start: the node must not run.
    #[error("self-test {test} failed; do not run this build on this machine")]
    SelfTest {
        /// Which test.
        test: &'static str,
    },
}

impl Error {
    /// An error of the operating system at a file.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: &std::io::Error,
    ) -> Self {
        Self::File {
            action,
            path: path.into(),
            kind: source.kind(),
        }
    }

    /// An error from the TLS library; its texts name alerts and certificates, never keys.
    pub(crate) fn tls(source: &dyn std::fmt::Display) -> Self {
        Self::Tls {
            reason: source.to_string(),
        }
    }
}
