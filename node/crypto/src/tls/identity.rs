//! What a node shows of itself in TLS.
//!
//! It does not say who the node is in the federation's eyes: the catalog binds the digest of
//! this key to an SM2 identity.

use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use zeroize::Zeroizing;

use super::key::TlsKey;
use super::{Family, TlsAuthority, peer_spki_digest, pem};
use crate::Error;
use crate::certificate::Validity;
use crate::digest::Digest;
use crate::sm2::SecretKey;
use crate::x509::{refused, time_ms};

/// A TLS certificate chain with its private key, wiped on drop.
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key_pkcs8: Zeroizing<Vec<u8>>,
    family: Family,
    spki: Digest,
    not_after_ms: i64,
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
        let certificate =
            authority.certify_key(&key.spki_der()?, name, alternative_names, validity)?;
        Self::from_parts(vec![certificate], key.to_pkcs8_der()?)
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

    /// The last instant at which its own certificate is valid, in milliseconds since 1970.
    #[must_use]
    pub const fn not_after_ms(&self) -> i64 {
        self.not_after_ms
    }

    /// The private key in the form that rustls takes over.
    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_pkcs8.to_vec()))
    }

    pub(super) fn from_parts(
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
        let own = chain.first().ok_or_else(|| refused("not X.509"))?;
        let own = Certificate::from_der(own).map_err(|_| refused("not X.509"))?;
        let not_after_ms = time_ms(own.tbs_certificate().validity().not_after)?;
        Ok(Self {
            chain,
            key_pkcs8,
            family,
            spki,
            not_after_ms,
        })
    }
}
