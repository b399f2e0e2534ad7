//! Authorities, identities and roots for TLS.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::builder::Builder as _;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier, OctetString};
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use zeroize::Zeroizing;

use super::peer_spki_digest;
use crate::Error;
use crate::certificate::Validity;
use crate::digest::Digest;
use crate::x509::{Contents, builder, common_name, refused};

/// An authority that issues TLS certificates: one P-256 key, one self-signed certificate.
pub struct TlsAuthority {
    certificate: CertificateDer<'static>,
    subject: Name,
    key: SigningKey,
}

impl TlsAuthority {
    /// Makes an authority with a new key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name or validity that X.509 cannot hold,
    /// [`Error::Randomness`].
    pub fn create(name: &str, validity: Validity) -> Result<Self, Error> {
        let key = new_key()?;
        let subject = common_name(name)?;
        let contents = Contents {
            issuer: subject.clone(),
            subject: subject.clone(),
            key_usage: KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            authority: true,
            alternative_names: GeneralNames::new(),
            extended_usage: None,
        };
        let certificate = sign(contents, &validity, &key, &key)?;
        Ok(Self {
            certificate,
            subject,
            key,
        })
    }

    /// Reads a certificate and its PKCS#8 key in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::InvalidSecretKey`] when either cannot be read or
    /// the two do not belong together.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| refused("not a PEM certificate"))?;
        let parsed = x509_cert::Certificate::from_der(&certificate)
            .map_err(|_| refused("not an X.509 certificate"))?;
        let key = SigningKey::from_pkcs8_pem(key_pem).map_err(|_| NOT_P256)?;
        let spki = parsed.tbs_certificate().subject_public_key_info();
        if spki.to_der().ok() != Some(spki_of(&key)?) {
            return Err(refused("its key is another one"));
        }
        let subject = parsed.tbs_certificate().subject().clone();
        Ok(Self {
            certificate,
            subject,
            key,
        })
    }

    /// The certificate in PEM, for everyone.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen for a certificate that was read.
    pub fn certificate_pem(&self) -> Result<String, Error> {
        pem("CERTIFICATE", &self.certificate).map(|text| text.to_string())
    }

    /// The key in PEM (PKCS#8, unencrypted), for a file that only its owner reads.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSecretKey`], which does not happen for a key that was read.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, Error> {
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| NOT_P256)
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`Error::File`], also when the file exists.
    pub fn write_new_key(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        crate::keys::write_private(path.as_ref(), self.key_pem()?.as_bytes())
    }

    /// The roots that trust this authority alone.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] when the TLS library does not take the certificate as a root.
    pub fn roots(&self) -> Result<TlsRoots, Error> {
        TlsRoots::from_certificates([self.certificate.clone()])
    }
}

/// A TLS certificate chain with its private key, wiped on drop.
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key_pkcs8: Zeroizing<Vec<u8>>,
    spki: Digest,
}

impl TlsIdentity {
    /// Makes a key and has it certified for these names: DNS names or addresses. `127.0.0.1`
    /// is always added, since a node talks to itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for names or a validity that X.509 cannot hold,
    /// [`Error::Randomness`].
    pub fn issue(
        authority: &TlsAuthority,
        name: &str,
        alternative_names: &[&str],
        validity: Validity,
    ) -> Result<Self, Error> {
        let key = new_key()?;
        let contents = Contents {
            issuer: authority.subject.clone(),
            subject: common_name(name)?,
            key_usage: KeyUsage(KeyUsages::DigitalSignature.into()),
            authority: false,
            alternative_names: general_names(alternative_names)?,
            extended_usage: Some(ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH])),
        };
        let certificate = sign(contents, &validity, &key, &authority.key)?;
        let key_pkcs8 = key.to_pkcs8_der().map_err(|_| NOT_P256)?;
        Self::from_parts(
            vec![certificate],
            Zeroizing::new(key_pkcs8.as_bytes().to_vec()),
        )
    }

    /// Reads a chain, own certificate first, and a PKCS#8 key from one PEM text.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::InvalidSecretKey`] when either is not there.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let chain = certificates(text)?;
        let PrivateKeyDer::Pkcs8(key) =
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| NOT_PKCS8)?
        else {
            return Err(NOT_PKCS8);
        };
        Self::from_parts(chain, Zeroizing::new(key.secret_pkcs8_der().to_vec()))
    }

    /// Writes the chain and the key as one PEM text, for a file that only its owner reads.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen for an identity that was read.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        let mut text = Zeroizing::new(String::with_capacity(8 * 1_024));
        for certificate in &self.chain {
            text.push_str(&pem("CERTIFICATE", certificate)?);
        }
        text.push_str(&pem("PRIVATE KEY", &self.key_pkcs8)?);
        Ok(text)
    }

    /// Writes [`Self::to_pem`] to a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`Error::File`], also when the file exists.
    pub fn write_new(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        crate::keys::write_private(path.as_ref(), self.to_pem()?.as_bytes())
    }

    /// The certificate chain, own certificate first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// SM3 of the DER `SubjectPublicKeyInfo`: what the catalog binds to the SM2 identity. The
    /// peer sees the same as [`super::PeerTlsStream::peer_spki`].
    #[must_use]
    pub const fn spki_digest(&self) -> Digest {
        self.spki
    }

    /// The private key in the form that rustls takes over.
    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_pkcs8.to_vec()))
    }

    fn from_parts(
        chain: Vec<CertificateDer<'static>>,
        key_pkcs8: Zeroizing<Vec<u8>>,
    ) -> Result<Self, Error> {
        let spki = peer_spki_digest(&chain).ok_or_else(|| refused("not X.509"))?;
        Ok(Self {
            chain,
            key_pkcs8,
            spki,
        })
    }
}

/// The authorities whose certificates are accepted from peers.
#[derive(Clone)]
pub struct TlsRoots {
    store: Arc<RootCertStore>,
}

impl TlsRoots {
    /// Reads one or several certificates in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] when there is none, [`Error::Tls`] when the TLS library does
    /// not take one as a root.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        Self::from_certificates(certificates(text)?)
    }

    fn from_certificates(
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store
                .add(certificate)
                .map_err(|source| Error::tls(&source))?;
        }
        Ok(Self {
            store: Arc::new(store),
        })
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }
}

/// The most certificates read from one PEM text: a federation's roots, or a chain.
const PEM_CERTIFICATES_MAX: usize = 256;

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        if found.len() == PEM_CERTIFICATES_MAX {
            return Err(refused("more than 256 certificates in one PEM text"));
        }
        found.push(certificate.map_err(|_| refused("not a PEM certificate"))?);
    }
    if found.is_empty() {
        Err(refused("no certificate in the PEM text"))
    } else {
        Ok(found)
    }
}

fn new_key() -> Result<SigningKey, Error> {
    use p256::elliptic_curve::Generate as _;
    SigningKey::try_generate_from_rng(&mut crate::sm2::SystemRandom).map_err(|_| Error::Randomness)
}

fn spki_of(key: &SigningKey) -> Result<Vec<u8>, Error> {
    let document = key
        .verifying_key()
        .to_public_key_der()
        .map_err(|_| NOT_P256)?;
    Ok(document.as_bytes().to_vec())
}

fn sign(
    contents: Contents,
    validity: &Validity,
    key: &SigningKey,
    issuer: &SigningKey,
) -> Result<CertificateDer<'static>, Error> {
    let certificate = builder(contents, validity, &spki_of(key)?)?
        .build::<_, DerSignature>(issuer)
        .map_err(|_| refused("its contents"))?;
    certificate
        .to_der()
        .map(CertificateDer::from)
        .map_err(|_| refused("its contents"))
}

fn general_names(names: &[&str]) -> Result<GeneralNames, Error> {
    let mut found = vec![address(IpAddr::V4(Ipv4Addr::LOCALHOST))?];
    for name in names {
        let general = match name.parse::<IpAddr>() {
            Ok(ip) => address(ip)?,
            Err(_) => dns(name)?,
        };
        if !found.contains(&general) {
            found.push(general);
        }
    }
    Ok(found)
}

fn address(ip: IpAddr) -> Result<GeneralName, Error> {
    let octets = match ip {
        IpAddr::V4(v4) => OctetString::new(v4.octets()),
        IpAddr::V6(v6) => OctetString::new(v6.octets()),
    };
    octets.map(GeneralName::IpAddress).map_err(|_| NOT_A_NAME)
}

fn dns(name: &str) -> Result<GeneralName, Error> {
    let checked = DnsName::try_from(name).map_err(|_| NOT_A_NAME)?;
    Ia5String::new(checked.as_ref())
        .map(GeneralName::DnsName)
        .map_err(|_| NOT_A_NAME)
}

fn pem(label: &str, der: &[u8]) -> Result<Zeroizing<String>, Error> {
    encode_string(label, LineEnding::LF, der)
        .map(Zeroizing::new)
        .map_err(|_| refused("it cannot be written as PEM"))
}

const NOT_P256: Error = Error::InvalidSecretKey {
    reason: "not a PKCS#8 P-256 key",
};
const NOT_PKCS8: Error = Error::InvalidSecretKey {
    reason: "the PEM text has no PKCS#8 key (BEGIN PRIVATE KEY)",
};
const NOT_A_NAME: Error = Error::InvalidArgument {
    what: "alternative name",
    reason: "no DNS name and no address",
};

/// id-kp-serverAuth and id-kp-clientAuth, RFC 5280 section 4.2.1.12.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
