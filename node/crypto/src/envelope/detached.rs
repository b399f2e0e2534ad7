//! A signature that travels beside its content: SignedData of GM/T 0010-2012 without one.
//!
//! It does not hold the content, so the file beside it stays what it was for those who do not
//! check. Whoever checks hands in both.

use std::fmt;

use super::signature::SignerInfo;
use super::signed::{Message, check_content, write};
use crate::keys::Signer;
use crate::{Certificate, Error};

/// Signatures over a content that is kept elsewhere, and the certificates of those who claim to
/// have signed.
///
/// It is a type apart from [`super::SignedData`], so that nobody takes a message without content
/// for one whose content is empty.
#[derive(Clone, PartialEq, Eq)]
pub struct DetachedSignature {
    certificates: Vec<Certificate>,
    signatures: Vec<SignerInfo>,
}

impl DetachedSignature {
    /// Signs `content`, which stays with the caller; the certificate travels along.
    ///
    /// # Errors
    ///
    /// As [`super::SignedData::sign`].
    pub async fn sign(
        content: &[u8],
        certificate: &Certificate,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        check_content(content)?;
        let signature = SignerInfo::sign(content, certificate, signer).await?;
        Ok(Self {
            certificates: vec![certificate.clone()],
            signatures: vec![signature],
        })
    }

    /// Checks that the key of `signer` signed `content`.
    ///
    /// The caller has judged that certificate: who issued it, whether it is valid and not
    /// revoked. Other signatures on the message are not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when it did not, [`Error::WrongUsage`] when its certificate is not for
    /// signatures, [`Error::LimitExceeded`] for a content above [`super::CONTENT_BYTES_MAX`].
    pub fn verify(&self, content: &[u8], signer: &Certificate) -> Result<(), Error> {
        check_content(content)?;
        SignerInfo::verify_one(&self.signatures, content, signer)
    }

    /// The certificates that travel along, as far as they are SM2 certificates that can be read.
    /// Anybody may have put them there.
    #[must_use]
    pub fn unverified_certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Reads the encoded message.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] when it is not signed data without content, and
    /// [`Error::LimitExceeded`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let message = Message::read(der)?;
        if message.content.is_some() {
            return Err(Error::InvalidEncoding {
                what: "detached signature",
                reason: "it has a content of its own",
            });
        }
        Ok(Self {
            certificates: message.certificates,
            signatures: message.signatures,
        })
    }

    /// Writes the message in DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen for what [`Self::sign`] made.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        write(None, &self.certificates, &self.signatures)
    }
}

impl fmt::Debug for DetachedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachedSignature")
            .field("certificates", &self.certificates)
            .field("signatures", &self.signatures.len())
            .finish()
    }
}
