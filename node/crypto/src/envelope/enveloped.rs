//! Content that is encrypted and nothing more: EnvelopedData of GM/T 0010-2012.
//!
//! It does not say who wrote it, nor that it was not changed; see the module above.

use std::fmt;

use subtle::ConstantTimeEq as _;
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::content::EncryptedContent;
use super::der::{Fields, VERSION, content_info, sequence};
use crate::keys::Unwrapper;
use crate::{Certificate, Error};

/// A content that is encrypted for some recipients, by anybody.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvelopedData(EncryptedContent);

impl EnvelopedData {
    /// Encrypts `content` under a fresh key for `recipients`.
    ///
    /// Put signed data into it ([`super::SignedData::to_der`]), or sign what it encodes to, unless
    /// the recipient has another way to know who wrote it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for no recipient, [`Error::LimitExceeded`] for more than
    /// [`super::RECIPIENTS_MAX`] or more bytes than [`super::CONTENT_BYTES_MAX`],
    /// [`Error::WrongUsage`] for a certificate that is not for encryption, [`Error::Randomness`].
    pub fn seal(content: &[u8], recipients: &[Certificate]) -> Result<Self, Error> {
        EncryptedContent::seal(content, recipients).map(Self)
    }

    /// Decrypts the content, of which nothing is known but that some key was wrapped to the
    /// recipient. Do not tell the sender whether it opened before the content was authenticated
    /// by other means.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when it does not open, whatever the cause; [`Error::NotARecipient`],
    /// [`Error::InvalidArgument`] when the certificate is for another key, and when the key
    /// cannot be used now.
    pub async fn open_unauthenticated(
        &self,
        certificate: &Certificate,
        key: &dyn Unwrapper,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let decrypted = self.0.open(certificate, key).await?;
        if bool::from(decrypted.padded.ct_eq(&1.into())) {
            Ok(decrypted.plain)
        } else {
            Err(Error::Rejected)
        }
    }

    /// Reads the encoded message.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] when it is not enveloped data with SM2 and SM4-CBC, and
    /// [`Error::LimitExceeded`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let mut data = Fields::of_content_info(der, ENVELOPED_DATA, "enveloped data")?;
        data.version()?;
        let recipients = EncryptedContent::read_recipients(&mut data)?;
        let content = EncryptedContent::read(recipients, &mut data)?;
        data.end()?;
        Ok(Self(content))
    }

    /// Writes the message in DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen below [`super::CONTENT_BYTES_MAX`].
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let recipients = self.0.recipients_to_der()?;
        let data = sequence(&[&VERSION, &recipients, &self.0.content_to_der()?])?;
        content_info(ENVELOPED_DATA, &data)
    }
}

impl fmt::Debug for EnvelopedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvelopedData")
    }
}

const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.6.1.4.2.3");
