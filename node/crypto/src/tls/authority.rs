//! Authorities that issue and revoke TLS certificates.
//!
//! It does not know who may have a certificate: whoever calls has decided that.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::builder::CrlBuilder;
use x509_cert::crl::RevokedCert;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{CrlNumber, ExtendedKeyUsage, KeyUsage, KeyUsages};
use zeroize::Zeroizing;

use super::key::TlsKey;
use super::{Family, TlsApplicant, TlsRoots, pem};
use crate::Error;
use crate::certificate::Validity;
use crate::x509::{Contents, builder, common_name, refused, time};

/// An authority that issues TLS certificates of one family: one key, one self-signed
/// certificate. What it issues is of its own family.
pub struct TlsAuthority {
    certificate: CertificateDer<'static>,
    parsed: Certificate,
    key: TlsKey,
}

impl TlsAuthority {
    /// Makes an authority with a new P-256 key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name or validity that X.509 cannot hold,
    /// [`Error::Randomness`].
    pub fn create(name: &str, validity: Validity) -> Result<Self, Error> {
        Self::create_of(Family::Standard, name, validity)
    }

    /// Makes an authority with a new SM2 key, for RFC 8998.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_shangmi(name: &str, validity: Validity) -> Result<Self, Error> {
        Self::create_of(Family::ShangMi, name, validity)
    }

    /// Makes an authority of a family.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_of(family: Family, name: &str, validity: Validity) -> Result<Self, Error> {
        let key = TlsKey::generate(family)?;
        let subject = common_name(name)?;
        let contents = Contents {
            issuer: subject.clone(),
            subject,
            key_usage: KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            authority: true,
            alternative_names: GeneralNames::new(),
            extended_usage: None,
        };
        let der = key.issue(builder(contents, &validity, &key.spki_der()?)?)?;
        Self::from_parts(CertificateDer::from(der), key)
    }

    /// Reads a certificate and its PKCS#8 key in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::InvalidSecretKey`] when either cannot be read or
    /// the two do not belong together.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let certificate = pem::certificates(certificate_pem)?.swap_remove(0);
        let key = TlsKey::from_pkcs8_der(&pem::private_key(key_pem)?)?;
        Self::from_parts(certificate, key)
    }

    /// The certificate in PEM, for everyone.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen for a certificate that was read.
    pub fn certificate_pem(&self) -> Result<String, Error> {
        pem::encode("CERTIFICATE", &self.certificate).map(|text| text.to_string())
    }

    /// The key in PEM (PKCS#8, unencrypted), for a file that only its owner reads.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSecretKey`], which does not happen for a key that was read.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, Error> {
        pem::encode("PRIVATE KEY", &self.key.to_pkcs8_der()?)
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`Error::File`], also when the file exists.
    pub fn write_new_key(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        crate::keys::write_private(path.as_ref(), self.key_pem()?.as_bytes())
    }

    /// The family of its key and of what it issues.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.key.family()
    }

    /// The roots that trust this authority alone.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] when the TLS library does not take the certificate as a root.
    pub fn roots(&self) -> Result<TlsRoots, Error> {
        TlsRoots::from_certificates([self.certificate.clone()])
    }

    /// Those of some certificates that this authority issued, by the issuer that they name.
    #[must_use]
    pub fn issued(&self, certificates: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
        let own = self.parsed.tbs_certificate().subject();
        let is_own = |it: &&CertificateDer<'static>| {
            Certificate::from_der(it).is_ok_and(|it| it.tbs_certificate().issuer() == own)
        };
        certificates.iter().filter(is_own).cloned().collect()
    }

    /// Signs the list of all certificates that it takes back, in PEM, for
    /// [`TlsRoots::with_revocations`]. `number` grows from list to list; `validity` says when the
    /// list was made and until when the next one comes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] for what is not a certificate, [`Error::InvalidArgument`] for a
    /// validity that X.509 cannot hold, [`Error::Randomness`].
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[CertificateDer<'_>],
        validity: Validity,
    ) -> Result<String, Error> {
        let made = time(validity.not_before_ms)?;
        let mut entries: Vec<RevokedCert> = Vec::with_capacity(revoked.len());
        for certificate in revoked {
            let parsed = Certificate::from_der(certificate).map_err(|_| refused("not X.509"))?;
            entries.push(RevokedCert {
                serial_number: parsed.tbs_certificate().serial_number().clone(),
                revocation_date: made,
                crl_entry_extensions: None,
            });
        }
        let number = CrlNumber::try_from(number).map_err(|_| LIST)?;
        let mut list = CrlBuilder::new_with_this_update(&self.parsed, number, made)
            .map_err(|_| LIST)?
            .with_next_update(Some(time(validity.not_after_ms)?));
        if !entries.is_empty() {
            // RFC 5280 section 5.1.2.6: without entries the field must be absent.
            list = list.with_certificates(entries.into_iter());
        }
        pem::encode("X509 CRL", &self.key.issue(list)?).map(|text| text.to_string())
    }

    /// Certifies the key of a request, for the names that it asks for. Whoever calls has looked at
    /// them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a key of the other family, or for names or a validity that
    /// X.509 cannot hold; [`Error::Randomness`].
    pub fn certify(&self, applicant: &TlsApplicant, validity: Validity) -> Result<String, Error> {
        if applicant.family() != self.family() {
            return Err(Error::InvalidArgument {
                what: "certificate request",
                reason: "its key is of the other family",
            });
        }
        let names: Vec<&str> = applicant
            .alternative_names()
            .iter()
            .map(String::as_str)
            .collect();
        let certificate =
            self.certify_key(applicant.spki_der(), applicant.name(), &names, validity)?;
        pem::encode("CERTIFICATE", &certificate).map(|text| text.to_string())
    }

    pub(super) fn certify_key(
        &self,
        spki_der: &[u8],
        name: &str,
        alternative_names: &[&str],
        validity: Validity,
    ) -> Result<CertificateDer<'static>, Error> {
        let contents = Contents {
            issuer: self.parsed.tbs_certificate().subject().clone(),
            subject: common_name(name)?,
            key_usage: KeyUsage(KeyUsages::DigitalSignature.into()),
            authority: false,
            alternative_names: pem::general_names(alternative_names)?,
            extended_usage: Some(ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH])),
        };
        let unsigned = builder(contents, &validity, spki_der)?;
        Ok(CertificateDer::from(self.key.issue(unsigned)?))
    }

    fn from_parts(certificate: CertificateDer<'static>, key: TlsKey) -> Result<Self, Error> {
        let parsed =
            Certificate::from_der(&certificate).map_err(|_| refused("not an X.509 certificate"))?;
        let spki = parsed.tbs_certificate().subject_public_key_info();
        if spki.to_der().ok() != Some(key.spki_der()?) {
            return Err(refused("its key is another one"));
        }
        Ok(Self {
            certificate,
            parsed,
            key,
        })
    }
}

/// id-kp-serverAuth and id-kp-clientAuth, RFC 5280 section 4.2.1.12.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

const LIST: Error = Error::InvalidEncoding {
    what: "revocation list",
    reason: "its contents",
};
