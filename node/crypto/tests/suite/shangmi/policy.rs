//! Policies of listeners and clients, over real sockets on the loopback.
//!
//! It does not look into handshakes; only at who was spoken to, and how.

use std::net::SocketAddr;
use std::time::Duration;

use crypto::tls::{
    ClientAuth, ClientOptions, ClientTls, Family, PeerTlsStream, Resumption, ServerOptions,
    ServerTls, Suites, TlsAuthority, TlsIdentity, TlsRoots, connect, incoming,
};
use crypto::{Digest, Error, Validity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::{identity, validity};
use crate::now_ms;

const ALPN: &[&[u8]] = &[b"h2"];

/// A federation with an authority of each family.
struct Federation {
    shangmi: TlsAuthority,
    standard: TlsAuthority,
    roots: TlsRoots,
}

impl Federation {
    fn new() -> Self {
        let shangmi = super::authority();
        let standard = TlsAuthority::create("P-256 TLS CA", validity()).unwrap();
        let both = [
            shangmi.certificate_pem().unwrap(),
            standard.certificate_pem().unwrap(),
        ];
        Self {
            roots: TlsRoots::from_pem(&both.concat()).unwrap(),
            shangmi,
            standard,
        }
    }

    fn node(&self, name: &str) -> Node {
        Node {
            shangmi: identity(&self.shangmi, name),
            standard: identity(&self.standard, name),
            roots: self.roots.clone(),
            resumption: Resumption::Never,
        }
    }
}

/// A node with an identity of each family.
struct Node {
    shangmi: TlsIdentity,
    standard: TlsIdentity,
    roots: TlsRoots,
    resumption: Resumption,
}

impl Node {
    fn server(&self, suites: Suites) -> ServerTls {
        let options = ServerOptions {
            suites,
            shangmi: Some(&self.shangmi),
            standard: Some(&self.standard),
            client_auth: ClientAuth::Required(&self.roots),
            resumption: self.resumption,
            alpn: ALPN,
        };
        ServerTls::new(options).unwrap()
    }

    fn client(&self, suites: Suites) -> ClientTls {
        let options = ClientOptions {
            suites,
            roots: &self.roots,
            shangmi: Some(&self.shangmi),
            standard: Some(&self.standard),
            resumption: self.resumption,
            alpn: ALPN,
        };
        ClientTls::new(options).unwrap()
    }

    const fn identity(&self, family: Family) -> &TlsIdentity {
        match family {
            Family::ShangMi => &self.shangmi,
            Family::Standard => &self.standard,
        }
    }
}

/// Serves on a free port: answers each stream with the digest of its peer's key.
async fn serve(tls: ServerTls) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut streams = incoming::accept(listener, tls);
    tokio::spawn(async move {
        while let Some(mut stream) = streams.next().await {
            let spki = stream.peer_spki().unwrap_or(Digest::ZERO);
            let _closed = stream.write_all(spki.as_bytes()).await;
            let _closed = stream.shutdown().await;
        }
    });
    address
}

/// What the server says about this client.
async fn ask(address: SocketAddr, tls: ClientTls) -> Result<(Digest, PeerTlsStream), Error> {
    let mut stream = connect(address, "localhost", tls).await?;
    let mut answer = [0; 32];
    // TLS 1.3 clients learn only now that a server refused their certificate.
    let read = stream.read_exact(&mut answer).await;
    read.map_err(|error| Error::Tls {
        reason: error.to_string(),
    })?;
    Ok((Digest::from_bytes(answer), stream))
}

#[tokio::test]
async fn each_pair_of_policies_speaks_what_both_allow() {
    let federation = Federation::new();
    let (server, client) = (federation.node("server"), federation.node("client"));
    let expected = |server, client| match (server, client) {
        (Suites::ShangMiOnly, Suites::Standard) | (Suites::Standard, Suites::ShangMiOnly) => None,
        (Suites::Standard, _) | (_, Suites::Standard) => Some(Family::Standard),
        _ => Some(Family::ShangMi),
    };
    for served in Suites::ALL {
        let address = serve(server.server(served)).await;
        for asked in Suites::ALL {
            let outcome = ask(address, client.client(asked)).await;
            let family = outcome.as_ref().ok().map(|(_, stream)| stream.family());
            assert_eq!(family, expected(served, asked), "{served} {asked}");
            // Each side knows the other by the key of the family that was spoken.
            if let (Some(family), Ok((seen, stream))) = (family, outcome) {
                assert_eq!(seen, client.identity(family).spki_digest());
                let known = server.identity(family).spki_digest();
                assert_eq!(stream.peer_spki(), Some(known));
                assert_eq!(stream.alpn_protocol(), Some(&b"h2"[..]));
            }
        }
    }
}

#[tokio::test]
async fn nobody_on_the_line_can_talk_two_nodes_out_of_shangmi() {
    let federation = Federation::new();
    let (server, client) = (federation.node("server"), federation.node("client"));
    let address = serve(server.server(Suites::ShangMiPreferred)).await;
    let line = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let on_the_line = line.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        // Answers the first hello with handshake_failure, and lets the second one through.
        let (mut first, _) = line.accept().await.unwrap();
        let mut hello = [0; 16];
        first.read_exact(&mut hello).await.unwrap();
        first.write_all(&[21, 3, 3, 0, 2, 2, 40]).await.unwrap();
        let (mut second, _) = line.accept().await.unwrap();
        let mut onward = TcpStream::connect(address).await.unwrap();
        let _closed = copy_bidirectional(&mut second, &mut onward).await;
    });
    let outcome = ask(on_the_line, client.client(Suites::ShangMiPreferred)).await;
    let refusal = outcome.unwrap_err().to_string();
    assert!(refusal.contains("InappropriateFallback"), "{refusal}");
    seen.await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_the_certificate_is_not_asked_again() {
    let federation = Federation::new();
    let (server, mut client) = (federation.node("server"), federation.node("client"));
    let elsewhere = TlsAuthority::create_shangmi("another CA", validity()).unwrap();
    client.shangmi = identity(&elsewhere, "client");
    let address = serve(server.server(Suites::ShangMiPreferred)).await;
    let outcome = ask(address, client.client(Suites::ShangMiPreferred)).await;
    assert!(outcome.unwrap_err().to_string().contains("UnknownCA"));
}

#[tokio::test]
async fn a_session_is_resumed_once_and_the_peers_are_still_known() {
    let federation = Federation::new();
    let (mut server, mut client) = (federation.node("server"), federation.node("client"));
    server.resumption = Resumption::Rechecked;
    client.resumption = Resumption::Rechecked;
    for suites in Suites::ALL {
        let address = serve(server.server(suites)).await;
        let tls = client.client(suites);
        for turn in 0..4 {
            let (seen, stream) = ask(address, tls.clone()).await.unwrap();
            assert_eq!(stream.is_resumed(), turn > 0, "{suites} {turn}");
            let identity = client.identity(stream.family());
            assert_eq!(seen, identity.spki_digest());
            let known = server.identity(stream.family()).spki_digest();
            assert_eq!(stream.peer_spki(), Some(known));
        }
    }
}

#[tokio::test]
async fn a_certificate_that_expired_since_resumes_nothing() {
    let federation = Federation::new();
    let (mut server, mut client) = (federation.node("server"), federation.node("client"));
    server.resumption = Resumption::Rechecked;
    client.resumption = Resumption::Rechecked;
    let short = Validity {
        not_before_ms: now_ms() - 60_000,
        not_after_ms: now_ms() + 2_000,
    };
    client.shangmi = TlsIdentity::issue(&federation.shangmi, "client", &[], short).unwrap();
    let address = serve(server.server(Suites::ShangMiOnly)).await;
    let tls = client.client(Suites::ShangMiOnly);
    ask(address, tls.clone()).await.unwrap();
    let (_, resumed) = ask(address, tls.clone()).await.unwrap();
    assert!(resumed.is_resumed());
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    assert!(ask(address, tls).await.is_err());
}

#[tokio::test]
async fn connections_without_resumption_are_full_handshakes() {
    let federation = Federation::new();
    let (server, client) = (federation.node("server"), federation.node("client"));
    let address = serve(server.server(Suites::ShangMiOnly)).await;
    let tls = client.client(Suites::ShangMiOnly);
    for _ in 0..3 {
        let (_, stream) = ask(address, tls.clone()).await.unwrap();
        assert!(!stream.is_resumed());
    }
}

#[test]
fn a_policy_without_its_identity_is_refused() {
    let federation = Federation::new();
    let node = federation.node("server");
    let make = |suites, shangmi, standard| {
        let options = ServerOptions {
            suites,
            shangmi,
            standard,
            client_auth: ClientAuth::None,
            resumption: Resumption::Never,
            alpn: ALPN,
        };
        ServerTls::new(options).is_ok()
    };
    let (shangmi, standard) = (Some(&node.shangmi), Some(&node.standard));
    assert!(make(Suites::ShangMiOnly, shangmi, None));
    assert!(make(Suites::Standard, None, standard));
    assert!(make(Suites::ShangMiPreferred, shangmi, standard));
    for (suites, shangmi, standard) in [
        (Suites::ShangMiOnly, None, standard),
        (Suites::Standard, shangmi, None),
        (Suites::ShangMiPreferred, shangmi, None),
        (Suites::ShangMiPreferred, None, standard),
        (Suites::ShangMiOnly, standard, None),
        (Suites::Standard, None, shangmi),
    ] {
        assert!(!make(suites, shangmi, standard), "{suites}");
    }
}

#[test]
fn policies_have_one_spelling() {
    for policy in Suites::ALL {
        assert_eq!(policy.as_str().parse(), Ok(policy));
        let quoted = format!("\"{policy}\"");
        assert_eq!(serde_json::to_string(&policy).unwrap(), quoted);
        assert_eq!(serde_json::from_str::<Suites>(&quoted).unwrap(), policy);
    }
    assert!("ShangMi".parse::<Suites>().is_err());
}

#[test]
fn sm2_authorities_and_identities_survive_pem() {
    let home = super::authority();
    let issued = identity(&home, "server");
    assert_eq!(
        (home.family(), issued.family()),
        (Family::ShangMi, Family::ShangMi)
    );
    let read = TlsIdentity::from_pem(&issued.to_pem().unwrap()).unwrap();
    assert_eq!(
        (read.chain(), read.spki_digest(), read.family()),
        (issued.chain(), issued.spki_digest(), Family::ShangMi)
    );
    let certificate = home.certificate_pem().unwrap();
    let opened = TlsAuthority::from_pem(&certificate, &home.key_pem().unwrap()).unwrap();
    assert_eq!(opened.certificate_pem(), Ok(certificate.clone()));
    let other = super::authority();
    assert!(TlsAuthority::from_pem(&certificate, &other.key_pem().unwrap()).is_err());
    let mixed = [certificate.as_str(), &other.key_pem().unwrap()].concat();
    assert!(TlsIdentity::from_pem(&mixed).is_err(), "another key");
}
