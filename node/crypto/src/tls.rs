//! Mutual TLS 1.3 (RFC 8446) on rustls: with the ShangMi suites of RFC 8998, or with the usual
//! ones and P-256 certificates, by a policy for each listener and each peer.
//!
//! It does not do TLCP (GB/T 38636), whose two certificates rustls has no place for; a gateway
//! can. It never uses a provider that a process installed: every configuration names its own.
//! Who the peer is in the federation's eyes is decided elsewhere: the catalog binds the digest of
//! the peer's TLS key ([`PeerTlsStream::peer_spki`]) to its SM2 identity, for keys of both
//! families alike.
//!
//! | wanted | made with |
//! |---|---|
//! | an authority of the federation | [`TlsAuthority::create_shangmi`], [`TlsAuthority::create`] |
//! | a node's certificate, of its authority's family | [`TlsIdentity::issue`] |
//! | the same, the key made elsewhere | [`TlsRequest`], [`TlsApplicant`], [`TlsIdentity::join`] |
//! | a listener under a policy | [`ServerTls::new`], then [`incoming::accept`] |
//! | a client under a policy | [`ClientTls::new`], then [`connect`] |
//! | one family, the identity's, as rustls has it | [`server_config`], [`client_config`] |

mod ahead;
mod authority;
mod client;
mod config;
mod handshake;
mod identity;
pub mod incoming;
mod key;
mod pem;
mod policy;
mod records;
mod request;
mod roots;
mod server;
pub mod shangmi;
mod stream;
mod suites;

pub use authority::TlsAuthority;
pub use client::{ClientOptions, ClientTls};
pub use config::{ClientAuth, client_config, peer_spki_digest, server_config};
pub use identity::TlsIdentity;
pub use pem::certificates as certificates_of;
pub use policy::Resumption;
pub use records::RecordFault;
pub use request::{REQUEST_BYTES_MAX, REQUEST_NAMES_MAX, TlsApplicant, TlsRequest};
pub use roots::TlsRoots;
pub use server::{ServerOptions, ServerTls};
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

/// How many sessions a configuration remembers for [`Resumption::Rechecked`]; each is about two
/// kilobytes, most of it the peer's chain.
pub const SESSIONS_MAX: usize = 1_024;

/// The application protocol that marks a client's second attempt: see [`ClientTls`].
pub const FALLBACK_PROTOCOL: &[u8] = b"kouan/shangmi-fallback";
