//! How fast handshakes and records are, ShangMi beside what ring does, in one run.
//!
//! It does not measure a network: both ends are in one thread, and a figure for handshakes is
//! for both of them. A figure is the best of many passes, each of one handshake or of 64 KiB,
//! which is what a stream of ours encrypts before it writes, since everything that disturbs a pass
//! makes it longer. Run it with `cargo bench -p crypto --bench tls`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that only measures"
)]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::Validity;
use crypto::tls::{
    ClientAuth, ClientConfig, Family, ServerConfig, TlsAuthority, TlsIdentity, client_config,
    server_config,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CipherSuite, ClientConnection, RootCertStore, ServerConnection};

fn main() {
    println!("| family | suite | mutual handshakes/s | send GB/s | receive GB/s |");
    println!("|---|---|---|---|---|");
    for family in [Family::ShangMi, Family::Standard] {
        let ends = Ends::new(family);
        let handshakes = ends.handshakes_per_second();
        let (suite, send, receive) = ends.records();
        println!("| {family} | {suite:?} | {handshakes:.0} | {send:.2} | {receive:.2} |");
    }
}

struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Ends {
    fn new(family: Family) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = i64::try_from(now.unwrap().as_millis()).unwrap();
        let validity = Validity::days(now_ms - 3_600_000, 2);
        let authority = TlsAuthority::create_of(family, "bench CA", validity).unwrap();
        let issue = |name| TlsIdentity::issue(&authority, name, &["localhost"], validity).unwrap();
        let roots = authority.roots().unwrap();
        let clients = ClientAuth::Required(&roots);
        let server = server_config(&issue("server"), clients, &[b"h2"]).unwrap();
        let client = match family {
            Family::ShangMi => client_config(&roots, Some(&issue("client")), &[b"h2"]).unwrap(),
            Family::Standard => only_aes_128(&authority, &issue("client")),
        };
        Self { client, server }
    }

    fn connected(&self) -> (ClientConnection, ServerConnection) {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            feed(&mut wire, |bytes| {
                server.read_tls(bytes).unwrap();
                server.process_new_packets().unwrap();
            });
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            feed(&mut wire, |bytes| {
                client.read_tls(bytes).unwrap();
                client.process_new_packets().unwrap();
            });
        }
        (client, server)
    }

    fn handshakes_per_second(&self) -> f64 {
        let (all, mut best) = (Instant::now(), Duration::MAX);
        while all.elapsed() < MEASURED {
            let started = Instant::now();
            self.connected();
            best = best.min(started.elapsed());
        }
        1.0 / best.as_secs_f64()
    }

    /// The suite, and how fast one core encrypts into records and decrypts from them.
    fn records(&self) -> (CipherSuite, f64, f64) {
        let (mut client, mut server) = self.connected();
        let suite = client.negotiated_cipher_suite().unwrap().suite();
        let plain = vec![0x5a_u8; CHUNK_BYTES];
        let mut wire = Vec::with_capacity(CHUNK_BYTES * 2);
        let mut sink = vec![0_u8; CHUNK_BYTES];
        let (mut sending, mut receiving) = (Duration::MAX, Duration::MAX);
        let all = Instant::now();
        while all.elapsed() < MEASURED {
            let started = Instant::now();
            client.writer().write_all(&plain).unwrap();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            sending = sending.min(started.elapsed());
            let started = Instant::now();
            let mut rest = CHUNK_BYTES;
            feed(&mut wire, |bytes| {
                server.read_tls(bytes).unwrap();
                server.process_new_packets().unwrap();
                while let Ok(length @ 1..) = server.reader().read(&mut sink) {
                    rest -= length;
                }
            });
            assert_eq!(rest, 0);
            receiving = receiving.min(started.elapsed());
        }
        let rate = |time: Duration| CHUNK_BYTES as f64 / time.as_secs_f64() / 1e9;
        (suite, rate(sending), rate(receiving))
    }
}

/// Gives all bytes to an end, and leaves the buffer empty.
fn feed(wire: &mut Vec<u8>, mut take: impl FnMut(&mut &[u8])) {
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        take(&mut rest);
    }
    wire.clear();
}

/// A client of the suite with the same block and key length as SM4.
fn only_aes_128(authority: &TlsAuthority, identity: &TlsIdentity) -> Arc<ClientConfig> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let mut roots = RootCertStore::empty();
    let root = authority.certificate_pem().unwrap();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.to_pem().unwrap().as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain().to_vec(), key)
        .unwrap();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

const MEASURED: Duration = Duration::from_secs(3);

/// Four records.
const CHUNK_BYTES: usize = 4 * 16_384;
