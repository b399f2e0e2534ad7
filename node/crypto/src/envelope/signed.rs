//! Content that somebody signed: SignedData of GM/T 0010-2012.
//!
//! It does not encrypt. [`super::detached`] has the same message without the content.

use std::fmt;

use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;

use super::der::{Fields, VERSION, content_info, context, frame, object_identifier, sequence};
use super::signature::{
    SignerInfo, certificates_to_der, digests_to_der, read_certificates, read_digests,
};
use super::{CONTENT_BYTES_MAX, DATA};
use crate::keys::Signer;
use crate::{Certificate, Error};

/// A content with signatures and the certificates of those who claim to have signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedData {
    content: Vec<u8>,
    certificates: Vec<Certificate>,
    signatures: Vec<SignerInfo>,
}

impl SignedData {
    /// Signs `content`; the certificate travels along.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] above [`CONTENT_BYTES_MAX`], [`Error::WrongUsage`] when the
    /// certificate is not for signatures, [`Error::InvalidArgument`] when it is for another key
    /// than the signer's, and when the signer cannot sign now.
    pub async fn sign(
        content: Vec<u8>,
        certificate: &Certificate,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        check_content(&content)?;
        let signature = SignerInfo::sign(&content, certificate, signer).await?;
        Ok(Self {
            content,
            certificates: vec![certificate.clone()],
            signatures: vec![signature],
        })
    }

    /// The content, if the key of `signer` signed it.
    ///
    /// The caller has judged that certificate: who issued it, whether it is valid and not
    /// revoked. Other signatures on the message are not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when it did not, [`Error::WrongUsage`] when its certificate is not for
    /// signatures.
    pub fn verified_content(&self, signer: &Certificate) -> Result<&[u8], Error> {
        SignerInfo::verify_one(&self.signatures, &self.content, signer)?;
        Ok(&self.content)
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
    /// [`Error::InvalidEncoding`] when it is not signed data with content, and
    /// [`Error::LimitExceeded`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let message = Message::read(der)?;
        let content = message.content.ok_or(Error::InvalidEncoding {
            what: "signed data",
            reason: "it has no content; its signature is a detached one",
        })?;
        Ok(Self {
            content: content.to_vec(),
            certificates: message.certificates,
            signatures: message.signatures,
        })
    }

    /// Writes the message in DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen below [`CONTENT_BYTES_MAX`].
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        write(Some(&self.content), &self.certificates, &self.signatures)
    }
}

impl fmt::Debug for SignedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedData")
            .field("content_bytes", &self.content.len())
            .field("certificates", &self.certificates)
            .field("signatures", &self.signatures.len())
            .finish()
    }
}

/// What is in the encoding of signed data, with or without content.
pub(super) struct Message<'a> {
    pub(super) content: Option<&'a [u8]>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signatures: Vec<SignerInfo>,
}

impl<'a> Message<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Error> {
        let mut data = Fields::of_content_info(der, SIGNED_DATA, "signed data")?;
        data.version()?;
        read_digests(&mut data)?;
        let mut inner = data.sequence()?;
        if inner.object_identifier()? != DATA {
            return Err(data.invalid("what it signs is not of the type data"));
        }
        let content = if inner.is_empty() {
            None
        } else {
            let mut explicit = inner.inside(context(0, true))?;
            inner.end()?;
            let content = explicit.value(Tag::OctetString)?;
            explicit.end()?;
            check_content(content)?;
            Some(content)
        };
        let certificates = read_certificates(&mut data)?;
        let signatures = SignerInfo::read_all(&mut data)?;
        data.end()?;
        Ok(Self {
            content,
            certificates,
            signatures,
        })
    }
}

/// Signed data in DER; without content, a detached signature.
pub(super) fn write(
    content: Option<&[u8]>,
    certificates: &[Certificate],
    signatures: &[SignerInfo],
) -> Result<Vec<u8>, Error> {
    let inner = match content {
        Some(content) => content_info(DATA, &frame(Tag::OctetString, &[content])?)?,
        None => sequence(&[&object_identifier(DATA)?])?,
    };
    let data = sequence(&[
        &VERSION,
        &digests_to_der()?,
        &inner,
        &certificates_to_der(certificates)?,
        &SignerInfo::all_to_der(signatures)?,
    ])?;
    content_info(SIGNED_DATA, &data)
}

/// Checks a content's length.
pub(super) const fn check_content(content: &[u8]) -> Result<(), Error> {
    if content.len() <= CONTENT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::LimitExceeded {
        what: "envelope content bytes",
        limit: CONTENT_BYTES_MAX as u64,
        found: content.len() as u64,
    })
}

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.6.1.4.2.2");
