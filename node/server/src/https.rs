//! REST over TLS, as a program of this crate calls another node's.
//!
//! It does not retry and follows no redirects.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// An agent that trusts these authorities and nobody else. It speaks standard TLS, as people's
/// programs do.
pub(crate) fn agent(roots_pem: &[u8]) -> Agent {
    let roots: Vec<Certificate<'static>> = parse_pem(roots_pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(10)))
        .build()
        .new_agent()
}
