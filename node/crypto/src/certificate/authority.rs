//! A small certification authority for a federation.

use x509_cert::builder::Builder as _;
use x509_cert::der::asn1::BitString;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};
use x509_cert::name::Name;

use super::{Certificate, Usage, Validity};
use crate::Error;
use crate::sm2::{PublicKey, SecretKey};
use crate::x509::{Contents, builder, common_name, refused};

/// The federation's own authority: one key, one self-signed certificate.
///
/// A federation that uses an outside authority has no need of it. The key leaves it only into a
/// key file.
pub struct Authority {
    certificate: Certificate,
    key: SecretKey,
}

impl Authority {
    /// Makes an authority with a self-signed certificate.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name or validity that X.509 cannot hold,
    /// [`Error::Randomness`].
    pub fn create(name: &str, validity: Validity, key: SecretKey) -> Result<Self, Error> {
        let subject = common_name(name)?;
        let public = key.public().clone();
        let certificate = sign(
            &key,
            subject.clone(),
            subject,
            &public,
            Usage::Authority,
            &validity,
        )?;
        Ok(Self { certificate, key })
    }

    /// Puts a stored certificate and its key together again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the key is not the certified one, [`Error::WrongUsage`]
    /// when the certificate is not an authority's.
    pub fn open(certificate: Certificate, key: SecretKey) -> Result<Self, Error> {
        certificate.check_usage(Usage::Authority)?;
        if certificate.public_key() != key.public() {
            return Err(Error::InvalidArgument {
                what: "authority key",
                reason: "the certificate is for another key",
            });
        }
        Ok(Self { certificate, key })
    }

    /// The authority's own certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key, for writing it to a key file.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Issues a certificate. Whoever calls has checked that `subject` holds the key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name or validity that X.509 cannot hold,
    /// [`Error::Randomness`].
    pub fn issue(
        &self,
        subject: &str,
        public: &PublicKey,
        usage: Usage,
        validity: Validity,
    ) -> Result<Certificate, Error> {
        let issuer = self.certificate.parsed.tbs_certificate().subject().clone();
        sign(
            &self.key,
            issuer,
            common_name(subject)?,
            public,
            usage,
            &validity,
        )
    }
}

fn sign(
    key: &SecretKey,
    issuer: Name,
    subject: Name,
    public: &PublicKey,
    usage: Usage,
    validity: &Validity,
) -> Result<Certificate, Error> {
    if validity.not_after_ms < validity.not_before_ms {
        return Err(Error::InvalidArgument {
            what: "validity",
            reason: "it ends before it begins",
        });
    }
    let contents = Contents {
        issuer,
        subject,
        key_usage: KeyUsage(match usage {
            Usage::Sign => KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
            Usage::Encrypt => {
                KeyUsages::KeyEncipherment | KeyUsages::DataEncipherment | KeyUsages::KeyAgreement
            }
            Usage::Authority => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        }),
        authority: usage == Usage::Authority,
        alternative_names: GeneralNames::new(),
        extended_usage: None,
    };
    let mut builder = builder(contents, validity, &public.to_spki_der())?;
    let signed = builder
        .finalize(key.signing_key())
        .map_err(|_| refused("its contents"))?;
    // The library would write r || s into the bit string; X.509 wants DER (GM/T 0009, 7.3).
    let signature = key.sign_unlabelled(&signed)?;
    let bits = BitString::from_bytes(signature.as_der()).map_err(|_| refused("its signature"))?;
    let parsed = builder
        .assemble(bits, key.signing_key())
        .map_err(|_| refused("its contents"))?;
    Certificate::from_parsed(parsed)
}
