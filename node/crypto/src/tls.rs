//! Mutual TLS 1.3 (RFC 8446) on rustls, with P-256 certificates of an authority of its own.
//!
//! It does not do RFC 8998 (TLS with SM2 and SM4) yet, and it never uses a provider that a
//! process installed: every configuration names `ring`. Who the peer is in the federation's
//! eyes is decided elsewhere: the catalog binds the digest of the peer's TLS key
//! ([`PeerTlsStream::peer_spki`]) to its SM2 identity.

mod authority;
mod config;
mod identity;
pub mod incoming;
mod key;
mod pem;
mod roots;
pub mod shangmi;
mod stream;
mod suites;

pub use authority::TlsAuthority;
pub use config::{ClientAuth, client_config, peer_spki_digest, server_config};
pub use identity::TlsIdentity;
pub use roots::TlsRoots;
pub use stream::{PeerTlsStream, connect};
pub use suites::{Family, Suites};

pub use rustls::pki_types::CertificateDer;
pub use rustls::{ClientConfig, ServerConfig};

/// How long a handshake may take, in seconds: several round trips to the far side of the world
/// on a bad line; whoever takes longer holds a place that others need.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;

/// How many handshakes run at once. Each costs about a millisecond of one core and some tens of
/// kilobytes; beyond this, connections wait in the listener's queue.
pub const HANDSHAKES_MAX: usize = 256;

/// How many accepted streams wait for the server to take them.
pub const READY_STREAMS_MAX: usize = 64;
