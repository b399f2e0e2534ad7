//! By what a certificate is named in a message.
//!
//! It does not say that the certificate is genuine.

use sha1::{Digest as _, Sha1};
use x509_cert::der::{Encode as _, Tag};

use super::der::{Fields, context};
use crate::{Certificate, Error};

/// A name of a certificate in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identifier {
    /// IssuerAndSerialNumber, the encoded SEQUENCE.
    IssuerAndSerial(Vec<u8>),
    /// The value of a subject key identifier.
    SubjectKey(Vec<u8>),
}

impl Identifier {
    /// The name under which a certificate is written.
    pub(super) fn of(certificate: &Certificate) -> Result<Self, Error> {
        let tbs = certificate.tbs();
        let unreadable = |_| crate::x509::refused("it cannot be written");
        let issuer = tbs.issuer().to_der().map_err(unreadable)?;
        let serial = tbs.serial_number().to_der().map_err(unreadable)?;
        super::der::sequence(&[&issuer, &serial]).map(Self::IssuerAndSerial)
    }

    /// Reads the next field: IssuerAndSerialNumber, or `[0]` with a subject key identifier.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        if let Some(key) = fields.optional(context(0, false))? {
            return Ok(Self::SubjectKey(key.value().to_vec()));
        }
        let value = fields.value(Tag::Sequence)?;
        super::der::sequence(&[value]).map(Self::IssuerAndSerial)
    }

    /// Whether it names this certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> Result<bool, Error> {
        match self {
            Self::IssuerAndSerial(_) => Ok(*self == Self::of(certificate)?),
            Self::SubjectKey(key) => {
                // Method (1) of RFC 5280 section 4.2.1.2 stands in where there is no extension.
                let extension = certificate.subject_key_identifier()?;
                let computed = || {
                    Sha1::digest(certificate.public_key().to_sec1())
                        .as_slice()
                        .to_vec()
                };
                Ok(*key == extension.unwrap_or_else(computed))
            }
        }
    }

    /// The encoded field.
    pub(super) fn to_der(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::IssuerAndSerial(encoded) => Ok(encoded.clone()),
            Self::SubjectKey(key) => super::der::frame(context(0, false), &[key]),
        }
    }
}
