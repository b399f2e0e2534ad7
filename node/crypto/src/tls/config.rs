//! TLS configurations for both sides.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig};
use x509_cert::der::{Decode as _, Encode as _};

use super::{TlsIdentity, TlsRoots};
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

/// A server's configuration: TLS 1.3 only, no session resumption.
///
/// A resumed session would skip the client's certificate, which may have expired or been revoked
/// since; a full handshake costs a millisecond.
///
/// # Errors
///
/// [`Error::Tls`] when the chain and the key do not belong together or there are no roots.
pub fn server_config(
    identity: &TlsIdentity,
    client_auth: ClientAuth<'_>,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    let versions = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| Error::tls(&source))?;
    let verifier =
        |roots: &TlsRoots| WebPkiClientVerifier::builder_with_provider(roots.store(), provider());
    let authenticated = match client_auth {
        ClientAuth::None => versions.with_no_client_auth(),
        ClientAuth::Optional(roots) => versions.with_client_cert_verifier(
            verifier(roots)
                .allow_unauthenticated()
                .build()
                .map_err(|source| Error::tls(&source))?,
        ),
        ClientAuth::Required(roots) => versions.with_client_cert_verifier(
            verifier(roots)
                .build()
                .map_err(|source| Error::tls(&source))?,
        ),
    };
    let mut config = authenticated
        .with_single_cert(identity.chain().to_vec(), identity.private_key())
        .map_err(|source| Error::tls(&source))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}

/// A client's configuration: TLS 1.3 only, no session resumption, the server's certificate
/// always checked against `roots`.
///
/// # Errors
///
/// [`Error::Tls`] when the chain and the key do not belong together.
pub fn client_config(
    roots: &TlsRoots,
    identity: Option<&TlsIdentity>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, Error> {
    let verified = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| Error::tls(&source))?
        .with_root_certificates(roots.store());
    let mut config = match identity {
        None => verified.with_no_client_auth(),
        Some(identity) => verified
            .with_client_auth_cert(identity.chain().to_vec(), identity.private_key())
            .map_err(|source| Error::tls(&source))?,
    };
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
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

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn protocols(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.to_vec()).collect()
}
