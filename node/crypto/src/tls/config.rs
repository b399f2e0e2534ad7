//! TLS configurations of one family, for both sides.
//!
//! It does not choose a family: the identity's key is of one, and the rest follows from it. rustls
//! lets the keys of the ShangMi family go, to [`super::records`], and no others.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig};
use x509_cert::der::{Decode as _, Encode as _};

use super::shangmi::{self, SigningLeaf};
use super::{Family, Resumption, SESSIONS_MAX, TlsIdentity, TlsRoots};
use crate::Error;
use crate::digest::Digest;

/// Whether a server asks clients for certificates.
#[derive(Clone, Copy)]
pub enum ClientAuth<'a> {
    /// It does not: the console, where people sign in otherwise.
    None,
    /// It asks, and checks one that is given.
    Optional(&'a TlsRoots),
    /// It serves nobody without one: node to node.
    Required(&'a TlsRoots),
}

/// A server's configuration of the identity's family: TLS 1.3 only, no session resumption.
///
/// # Errors
///
/// [`Error::Tls`] when the chain and the key do not belong together or there are no roots.
pub fn server_config(
    identity: &TlsIdentity,
    client_auth: ClientAuth<'_>,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    server_side(identity, client_auth, Resumption::Never, alpn).map(|side| side.config)
}

/// A client's configuration of the identity's family, or the standard one without an identity:
/// TLS 1.3 only, no session resumption, the server's certificate always checked against `roots`.
///
/// # Errors
///
/// [`Error::Tls`] when the chain and the key do not belong together.
pub fn client_config(
    roots: &TlsRoots,
    identity: Option<&TlsIdentity>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, Error> {
    let family = identity.map_or(Family::Standard, TlsIdentity::family);
    client_side(family, roots, identity, Resumption::Never, alpn).map(|side| side.config)
}

/// SM3 of the DER `SubjectPublicKeyInfo` of the first certificate, which is the peer's own.
///
/// Of a peer's chain it means something only after a handshake that verified it.
#[must_use]
pub fn peer_spki_digest(chain: &[CertificateDer<'_>]) -> Option<Digest> {
    let parsed = x509_cert::Certificate::from_der(chain.first()?).ok()?;
    let spki = parsed
        .tbs_certificate()
        .subject_public_key_info()
        .to_der()
        .ok()?;
    Some(Digest::of(&spki))
}

/// A server's configuration, with what verifies its clients when it resumes their sessions.
#[derive(Clone)]
pub(super) struct ServerSide {
    pub(super) config: Arc<ServerConfig>,
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
}

pub(super) fn server_side(
    identity: &TlsIdentity,
    client_auth: ClientAuth<'_>,
    resumption: Resumption,
    alpn: &[&[u8]],
) -> Result<ServerSide, Error> {
    let provider = provider(identity.family());
    let verifier = match client_auth {
        ClientAuth::None => None,
        ClientAuth::Optional(roots) | ClientAuth::Required(roots) => {
            let mandatory = matches!(client_auth, ClientAuth::Required(_));
            Some(client_verifier(identity.family(), roots, mandatory)?)
        }
    };
    let versions = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| Error::tls(&source))?;
    let authenticated = match &verifier {
        None => versions.with_no_client_auth(),
        Some(verifier) => versions.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = authenticated
        .with_single_cert(identity.chain().to_vec(), identity.private_key())
        .map_err(|source| Error::tls(&source))?;
    match resumption {
        Resumption::Never => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Resumption::Rechecked => {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
            config.send_tls13_tickets = 1;
        }
    }
    config.alpn_protocols = protocols(alpn);
    config.enable_secret_extraction = identity.family() == Family::ShangMi;
    Ok(ServerSide {
        config: Arc::new(config),
        verifier,
    })
}

/// A client's configuration, with what verifies a server when its session is resumed.
#[derive(Clone)]
pub(super) struct ClientSide {
    pub(super) config: Arc<ClientConfig>,
    pub(super) verifier: Option<Arc<dyn ServerCertVerifier>>,
}

pub(super) fn client_side(
    family: Family,
    roots: &TlsRoots,
    identity: Option<&TlsIdentity>,
    resumption: Resumption,
    alpn: &[&[u8]],
) -> Result<ClientSide, Error> {
    let verifier = server_verifier(family, roots)?;
    let verified = ClientConfig::builder_with_provider(provider(family))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| Error::tls(&source))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier));
    let mut config = match identity {
        None => verified.with_no_client_auth(),
        Some(identity) => verified
            .with_client_auth_cert(identity.chain().to_vec(), identity.private_key())
            .map_err(|source| Error::tls(&source))?,
    };
    config.resumption = match resumption {
        Resumption::Never => rustls::client::Resumption::disabled(),
        Resumption::Rechecked => rustls::client::Resumption::in_memory_sessions(SESSIONS_MAX),
    };
    config.alpn_protocols = protocols(alpn);
    config.enable_secret_extraction = family == Family::ShangMi;
    Ok(ClientSide {
        config: Arc::new(config),
        verifier: Some(verifier),
    })
}

pub(super) fn client_verifier(
    family: Family,
    roots: &TlsRoots,
    mandatory: bool,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots.store(), provider(family));
    if !roots.revocations().is_empty() {
        builder = builder
            .with_crls(roots.revocations().iter().cloned())
            .enforce_revocation_expiration();
    }
    if !mandatory {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|source| Error::tls(&source))?;
    Ok(match family {
        Family::ShangMi => Arc::new(SigningLeaf(verifier)),
        Family::Standard => verifier,
    })
}

fn server_verifier(family: Family, roots: &TlsRoots) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let mut builder = WebPkiServerVerifier::builder_with_provider(roots.store(), provider(family));
    if !roots.revocations().is_empty() {
        builder = builder
            .with_crls(roots.revocations().iter().cloned())
            .enforce_revocation_expiration();
    }
    let verifier: Arc<dyn ServerCertVerifier> =
        builder.build().map_err(|source| Error::tls(&source))?;
    Ok(match family {
        Family::ShangMi => Arc::new(SigningLeaf(verifier)),
        Family::Standard => verifier,
    })
}

fn provider(family: Family) -> Arc<CryptoProvider> {
    match family {
        Family::ShangMi => shangmi::provider(),
        Family::Standard => Arc::new(ring::default_provider()),
    }
}

fn protocols(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.to_vec()).collect()
}
