//! What a node shows of itself in TLS.
//!
//! It does not say who the node is in the federation's eyes: the catalog binds the digest of
//! this key to an SM2 identity.

use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};
use zeroize::Zeroizing;

use super::key::TlsKey;
use super::{Family, TlsAuthority, peer_spki_digest, pem};
use crate::Error;
use crate::certificate::Validity;
use crate::digest::Digest;
use crate::sm2::SecretKey;
use crate::x509::{Contents, builder, common_name, refused};

/// A TLS certificate chain with its private key, wiped on drop.
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key_pkcs8: Zeroizing<Vec<u8>>,
    family: Family,
    spki: Digest,
}

impl TlsIdentity {
    /// Makes a key of the authority's family and has it certified for these names: DNS names or
    /// addresses. `127.0.0.1` is always added, since a node talks to itself.
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
        let key = TlsKey::generate(authority.family())?;
        let contents = Contents {
            issuer: authority.parsed().tbs_certificate().subject().clone(),
            subject: common_name(name)?,
            key_usage: KeyUsage(KeyUsages::DigitalSignature.into()),
            authority: false,
            alternative_names: pem::general_names(alternative_names)?,
            extended_usage: Some(ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH])),
        };
        let unsigned = builder(contents, &validity, &key.spki_der()?)?;
        let certificate = authority.key().issue(unsigned)?;
        Self::from_parts(vec![CertificateDer::from(certificate)], key.to_pkcs8_der()?)
    }

    /// Reads a chain, own certificate first, and a PKCS#8 key from one PEM text. The key says
    /// which family the identity is of.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::InvalidSecretKey`] when either is not there.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        Self::from_parts(pem::certificates(text)?, pem::private_key(text)?)
    }

    /// Writes the chain and the key as one PEM text, for a file that only its owner reads.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`], which does not happen for an identity that was read.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        let mut text = Zeroizing::new(String::with_capacity(8 * 1_024));
        for certificate in &self.chain {
            text.push_str(&pem::encode("CERTIFICATE", certificate)?);
        }
        text.push_str(&pem::encode("PRIVATE KEY", &self.key_pkcs8)?);
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

    /// The family of its key, and so of every connection that shows it.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
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
        // What is not an SM2 key is left to rustls, which knows more kinds than we make.
        let family = match SecretKey::from_pkcs8_der(&key_pkcs8) {
            Ok(key) if spki == Digest::of(&key.public().to_spki_der()) => Family::ShangMi,
            Ok(_) => return Err(refused("its key is another one")),
            Err(_) => Family::Standard,
        };
        Ok(Self {
            chain,
            key_pkcs8,
            family,
            spki,
        })
    }
}

/// id-kp-serverAuth and id-kp-clientAuth, RFC 5280 section 4.2.1.12.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
