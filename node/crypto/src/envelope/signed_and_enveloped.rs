//! Content that is signed and encrypted: SignedAndEnvelopedData of GM/T 0010-2012.
//!
//! It does not bind the recipients: one of them can encrypt the signed content for somebody else.
//! A content that must not be passed on in the signer's name says whom it is for.

use std::fmt;

use subtle::{Choice, ConstantTimeEq as _};
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::content::EncryptedContent;
use super::der::{Fields, VERSION, content_info, sequence};
use super::signature::{
    SignerInfo, certificates_to_der, digests_to_der, read_certificates, read_digests,
};
use crate::keys::{Signer, Unwrapper};
use crate::{Certificate, Error};

/// A content that is encrypted for some recipients and signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedAndEnvelopedData {
    content: EncryptedContent,
    certificates: Vec<Certificate>,
    signatures: Vec<SignerInfo>,
}

impl SignedAndEnvelopedData {
    /// Signs `content` and encrypts it under a fresh key for `recipients`.
    ///
    /// # Errors
    ///
    /// As [`super::EnvelopedData::seal`] and [`super::SignedData::sign`].
    pub async fn seal(
        content: &[u8],
        recipients: &[Certificate],
        certificate: &Certificate,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        let encrypted = EncryptedContent::seal(content, recipients)?;
        let signature = SignerInfo::sign(content, certificate, signer).await?;
        Ok(Self {
            content: encrypted,
            certificates: vec![certificate.clone()],
            signatures: vec![signature],
        })
    }

    /// The content, if it opens and the key of `signer` signed it. The caller has judged that
    /// certificate, as for [`super::SignedData::verified_content`].
    ///
    /// The signature is checked whether there is a padding or not, so that neither the error
    /// nor the time tells which of the two was wrong.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when it does not open or was not signed so, whatever the cause;
    /// [`Error::NotARecipient`], [`Error::WrongUsage`] when the signer's certificate is not for
    /// signatures, [`Error::InvalidArgument`] when the recipient's is for another key, and when the
    /// key cannot be used now.
    pub async fn open(
        &self,
        certificate: &Certificate,
        key: &dyn Unwrapper,
        signer: &Certificate,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        signer.check_usage(crate::Usage::Sign)?;
        let decrypted = self.content.open(certificate, key).await?;
        let verified = SignerInfo::verify_one(&self.signatures, &decrypted.plain, signer);
        let good = decrypted.padded & Choice::from(u8::from(verified.is_ok()));
        if bool::from(good.ct_eq(&1.into())) {
            Ok(decrypted.plain)
        } else {
            Err(Error::Rejected)
        }
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
    /// [`Error::InvalidEncoding`] when it is not such a message, and [`Error::LimitExceeded`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let what = "signed and enveloped data";
        let mut data = Fields::of_content_info(der, SIGNED_AND_ENVELOPED_DATA, what)?;
        data.version()?;
        let recipients = EncryptedContent::read_recipients(&mut data)?;
        read_digests(&mut data)?;
        let content = EncryptedContent::read(recipients, &mut data)?;
        let certificates = read_certificates(&mut data)?;
        let signatures = SignerInfo::read_all(&mut data)?;
        data.end()?;
        Ok(Self {
            content,
            certificates,
            signatures,
        })
    }

    /// Writes the message in DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen below [`super::CONTENT_BYTES_MAX`].
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let data = sequence(&[
            &VERSION,
            &self.content.recipients_to_der()?,
            &digests_to_der()?,
            &self.content.content_to_der()?,
            &certificates_to_der(&self.certificates)?,
            &SignerInfo::all_to_der(&self.signatures)?,
        ])?;
        content_info(SIGNED_AND_ENVELOPED_DATA, &data)
    }
}

impl fmt::Debug for SignedAndEnvelopedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedAndEnvelopedData")
            .field("certificates", &self.certificates)
            .field("signatures", &self.signatures.len())
            .finish()
    }
}

const SIGNED_AND_ENVELOPED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.156.10197.6.1.4.2.4");
