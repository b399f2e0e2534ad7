//! Signatures of TLS 1.3 handshakes with SM2 (RFC 8998, section 3.2.1).
//!
//! It does not build what is signed: the TLS library does, with the context strings of RFC 8446,
//! section 4.4.3. A [`HandshakeSignature`] is a type of its own, made and checked with
//! [`HandshakeIdentifier`] only, so that it cannot stand where a labelled signature or one on a
//! certificate is wanted, nor they for it.

use std::fmt;

use super::identity::Identity;
use super::{HandshakeIdentifier, PublicKey, SecretKey, Signature};
use crate::Error;

/// A signature in the CertificateVerify message.
#[derive(Clone, PartialEq, Eq)]
pub struct HandshakeSignature(Signature);

impl HandshakeSignature {
    /// Reads a signature as strictly as [`Signature::from_der`] does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`] for anything that is not in the one form.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        Signature::from_der(bytes).map(Self)
    }

    /// The DER form.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        self.0.as_der()
    }
}

impl fmt::Debug for HandshakeSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandshakeSignature({})", self.0)
    }
}

impl SecretKey {
    /// Signs the content of a CertificateVerify message.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when the operating system has no random bytes.
    pub fn sign_handshake(&self, content: &[u8]) -> Result<HandshakeSignature, Error> {
        let identity = Identity::<HandshakeIdentifier>::of(self.public().coordinates());
        self.sign_digest(&identity.message(&[content]))
            .map(HandshakeSignature)
    }
}

impl PublicKey {
    /// Checks the signature of a CertificateVerify message over its content.
    ///
    /// # Errors
    ///
    /// [`Error::SignatureRejected`] when this key did not make it for a handshake.
    pub fn verify_handshake(
        &self,
        content: &[u8],
        signature: &HandshakeSignature,
    ) -> Result<(), Error> {
        let identity = Identity::<HandshakeIdentifier>::of(self.coordinates());
        self.verify_digest(&identity.message(&[content]), &signature.0)
    }
}
