//! Whose certificates are accepted from peers, and which of them were taken back.
//!
//! It does not fetch anything: roots and revocation lists are files that an operator or the
//! federation brings.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

use super::config::client_verifier;
use super::{TlsIdentity, pem};
use crate::Error;

/// The authorities whose certificates are accepted from peers. Both families may stand in one:
/// each connection only verifies signatures of its own family.
#[derive(Clone)]
pub struct TlsRoots {
    store: Arc<RootCertStore>,
    revocations: Vec<CertificateRevocationListDer<'static>>,
}

impl TlsRoots {
    /// Reads one or several certificates in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] when there is none, [`Error::Tls`] when the TLS library does
    /// not take one as a root.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        Self::from_certificates(pem::certificates(text)?)
    }

    /// Adds the revocation lists of a PEM text.
    ///
    /// Once there is one list, a certificate is accepted only if its issuer has a list that is
    /// not overdue and does not name it: an authority whose list was forgotten must not count as
    /// one that took nothing back.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] when there is none or more than 256. Whether they can be read
    /// is said when a configuration is made with them.
    pub fn with_revocations(mut self, text: &str) -> Result<Self, Error> {
        let before = self.revocations.len();
        for list in CertificateRevocationListDer::pem_slice_iter(text.as_bytes()) {
            if self.revocations.len() == REVOCATION_LISTS_MAX {
                return Err(refused("more than 256 lists"));
            }
            self.revocations
                .push(list.map_err(|_| refused("not a PEM revocation list"))?);
        }
        if self.revocations.len() == before {
            return Err(refused("no revocation list in the PEM text"));
        }
        Ok(self)
    }

    /// Whether an identity would be accepted at `at_ms`, in milliseconds since 1970, by those who
    /// trust these roots.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] with what is wrong: an unknown issuer, a validity that does not include the
    /// instant, an entry in a revocation list.
    pub fn check(&self, identity: &TlsIdentity, at_ms: i64) -> Result<(), Error> {
        let verifier = client_verifier(identity.family(), self, true)?;
        let seconds = u64::try_from(at_ms.div_euclid(1_000)).unwrap_or(0);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match identity.chain() {
            [leaf, between @ ..] => verifier
                .verify_client_cert(leaf, between, at)
                .map(|_| ())
                .map_err(|source| Error::tls(&source)),
            [] => Err(refused("no certificate")),
        }
    }

    pub(super) fn from_certificates(
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
            revocations: Vec::new(),
        })
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }

    pub(super) fn revocations(&self) -> &[CertificateRevocationListDer<'static>] {
        &self.revocations
    }
}

/// The most revocation lists: as many as authorities are read.
const REVOCATION_LISTS_MAX: usize = 256;

const fn refused(reason: &'static str) -> Error {
    Error::InvalidEncoding {
        what: "revocation list",
        reason,
    }
}
