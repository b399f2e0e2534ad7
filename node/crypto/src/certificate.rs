//! SM2 certificates (RFC 5280 with the algorithms of GM/T 0015) and a small authority.
//!
//! It does not build chains, and it does not know revocation: the catalog records which
//! certificates are in force, and a chain has one link here, from the federation's authority to
//! its member. The `tls` module has certificates of its own.

mod authority;
mod judge;

pub use authority::Authority;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::pem::{LineEnding, PemLabel as _, decode_vec};
use x509_cert::der::{Decode as _, Encode as _, EncodePem as _};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier};

use crate::Error;
use crate::digest::{Digest, KeyId};
use crate::sm2::PublicKey;
use crate::x509::{refused, time_ms};

/// The longest certificate that is read, in bytes of DER. A real one has about 600; ones with
/// many extensions stay below 4 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1_024;

/// From when until when a certificate is valid, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first valid instant, milliseconds since 1970-01-01 UTC. X.509 counts seconds, so the
    /// fraction is dropped.
    pub not_before_ms: i64,
    /// The last valid instant, milliseconds since 1970-01-01 UTC.
    pub not_after_ms: i64,
}

impl Validity {
    /// So many days of 86,400 seconds from an instant on.
    #[must_use]
    pub fn days(not_before_ms: i64, days: u32) -> Self {
        let span = i64::from(days).saturating_mul(86_400_000);
        Self {
            not_before_ms,
            not_after_ms: not_before_ms.saturating_add(span),
        }
    }
}

/// What the key of a certificate is for. A participant has separate certificates for signing
/// and encryption (GM/T 0015, and the double-certificate practice of GM/T 0034).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// Signatures.
    Sign,
    /// Wrapping keys to it.
    Encrypt,
    /// Issuing other certificates.
    Authority,
}

/// A parsed SM2 certificate. Being parsed says nothing about being valid:
/// [`Certificate::verify_issued_by`] does.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
    subject: String,
    public_key: PublicKey,
    usage: Usage,
    validity: Validity,
}

impl Certificate {
    /// Reads a certificate in DER, strictly: what was read must encode to the same bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::InvalidPublicKey`] when it is not an SM2
    /// certificate with a common name and a key usage; [`Error::LimitExceeded`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "certificate bytes",
                limit: crate::encoding::length(CERTIFICATE_BYTES_MAX),
                found: crate::encoding::length(der.len()),
            });
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| refused("not X.509"))?;
        Self::from_parsed(parsed).and_then(|certificate| {
            if certificate.der == der {
                Ok(certificate)
            } else {
                Err(refused("not DER"))
            }
        })
    }

    /// Reads one certificate in PEM.
    ///
    /// # Errors
    ///
    /// As [`Self::from_der`].
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        if pem.len() > CERTIFICATE_BYTES_MAX * 2 {
            return Err(refused("the PEM text is too long"));
        }
        match decode_vec(pem.as_bytes()) {
            // Not by the parser's own reader of PEM: it takes lengths that are not DER's, and the
            // certificate would then have other bytes than the text.
            Ok((x509_cert::Certificate::PEM_LABEL, der)) => Self::from_der(&der),
            _ => Err(refused("not a PEM certificate")),
        }
    }

    /// Writes PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen for a parsed certificate.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.parsed
            .to_pem(LineEnding::LF)
            .map_err(|_| refused("it cannot be written"))
    }

    /// The DER form.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The SM3 digest of the DER form, its name in records.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// The subject's common name.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The first valid instant, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn not_before_ms(&self) -> i64 {
        self.validity.not_before_ms
    }

    /// The last valid instant, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn not_after_ms(&self) -> i64 {
        self.validity.not_after_ms
    }

    /// The certified key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The name of the certified key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.public_key.key_id()
    }

    /// What the key is for.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// The serial number, lower-case hexadecimal; unique for its issuer.
    #[must_use]
    pub fn serial(&self) -> String {
        hex::encode(self.parsed.tbs_certificate().serial_number().as_bytes())
    }

    /// What the issuer signed, for messages that name certificates.
    pub(crate) fn tbs(&self) -> &TbsCertificate {
        self.parsed.tbs_certificate()
    }

    /// The value of its extension subjectKeyIdentifier (RFC 5280, 4.2.1.2), if it has one.
    pub(crate) fn subject_key_identifier(&self) -> Result<Option<Vec<u8>>, Error> {
        let extension = self.tbs().get_extension::<SubjectKeyIdentifier>();
        extension
            .map(|found| found.map(|(_, identifier)| identifier.0.as_bytes().to_vec()))
            .map_err(|_| refused("its subject key identifier cannot be read"))
    }

    fn from_parsed(parsed: x509_cert::Certificate) -> Result<Self, Error> {
        let der = parsed
            .to_der()
            .map_err(|_| refused("it cannot be written"))?;
        let tbs = parsed.tbs_certificate();
        let algorithm = parsed.signature_algorithm();
        if algorithm != tbs.signature() || algorithm.oid != SM2_WITH_SM3 {
            return Err(refused("its signature algorithm is not SM2 with SM3"));
        }
        let subject = tbs
            .subject()
            .common_name()
            .ok()
            .flatten()
            .map(|name| name.value().into_owned())
            .ok_or_else(|| refused("its subject has no common name"))?;
        let validity = Validity {
            not_before_ms: time_ms(tbs.validity().not_before)?,
            not_after_ms: time_ms(tbs.validity().not_after)?,
        };
        let (public_key, usage) = (certified_key(&parsed)?, certified_usage(&parsed)?);
        Ok(Self {
            der,
            subject,
            public_key,
            usage,
            validity,
            parsed,
        })
    }
}

/// Reads the key: id-ecPublicKey with the SM2 curve, or the older practice of naming the curve
/// as the algorithm.
fn certified_key(parsed: &x509_cert::Certificate) -> Result<PublicKey, Error> {
    let spki = parsed.tbs_certificate().subject_public_key_info();
    let curve = if spki.algorithm.oid == EC_PUBLIC_KEY {
        spki.algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok())
    } else {
        Some(spki.algorithm.oid)
    };
    if curve != Some(SM2_CURVE) {
        return Err(refused("its key is not an SM2 key"));
    }
    let bytes = spki
        .subject_public_key
        .as_bytes()
        .ok_or_else(|| refused("its key"))?;
    PublicKey::from_sec1(bytes)
}

fn certified_usage(parsed: &x509_cert::Certificate) -> Result<Usage, Error> {
    let tbs = parsed.tbs_certificate();
    let bits = tbs
        .get_extension::<KeyUsage>()
        .map_err(|_| refused("its key usage cannot be read"))?
        .map(|(_, usage)| usage.0)
        .ok_or_else(|| refused("it has no key usage"))?;
    let is_authority = tbs
        .get_extension::<BasicConstraints>()
        .map_err(|_| refused("its basic constraints cannot be read"))?
        .is_some_and(|(_, constraints)| constraints.ca);
    let has = |usage: KeyUsages| bits.into_iter().any(|bit| bit == usage);
    if has(KeyUsages::KeyCertSign) {
        // RFC 5280 section 4.2.1.9: signing certificates takes both marks.
        return if is_authority {
            Ok(Usage::Authority)
        } else {
            Err(refused("it would sign certificates but is no authority"))
        };
    }
    if has(KeyUsages::DigitalSignature) {
        return Ok(Usage::Sign);
    }
    let encrypts = has(KeyUsages::KeyEncipherment) || has(KeyUsages::DataEncipherment);
    if encrypts {
        Ok(Usage::Encrypt)
    } else {
        Err(refused("its key is for nothing we do"))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("serial", &self.serial())
            .field("usage", &self.usage)
            .field("validity", &self.validity)
            .field("key", &self.key_id())
            .finish()
    }
}

impl FromStr for Certificate {
    type Err = Error;

    /// Reads lower-case hexadecimal of the DER form, as in records.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_der(&crate::encoding::hex_vec(
            text,
            "certificate",
            CERTIFICATE_BYTES_MAX,
        )?)
    }
}

impl Serialize for Certificate {
    /// As lower-case hexadecimal of the DER form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.der))
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::encoding::deserialize_from_str(deserializer)
    }
}

/// id-ecPublicKey, RFC 5480 section 2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The SM2 curve, GM/T 0006.
const SM2_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");

/// SM2 signature with SM3, GM/T 0006.
const SM2_WITH_SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.501");
