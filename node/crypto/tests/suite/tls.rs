//! TLS over real sockets on the loopback.

#![expect(clippy::unwrap_used, reason = "set-up of tests")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use crypto::tls::{
    ClientAuth, PeerTlsStream, TlsAuthority, TlsIdentity, TlsRoots, client_config, connect,
    incoming, server_config,
};
use crypto::{Digest, Error, Validity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::now_ms;

fn validity() -> Validity {
    Validity::days(now_ms() - 3_600_000, 2)
}

fn authority(name: &str) -> TlsAuthority {
    TlsAuthority::create(name, validity()).unwrap()
}

fn identity(authority: &TlsAuthority, name: &str) -> TlsIdentity {
    TlsIdentity::issue(authority, name, &["localhost", "::1"], validity()).unwrap()
}

/// Serves on a free port: answers each stream with the digest of its peer's key, or zeros.
async fn serve(identity: &TlsIdentity, client_auth: ClientAuth<'_>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = server_config(identity, client_auth, &[b"h2"]).unwrap();
    let mut streams = incoming::accept(listener, config);
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
async fn ask(
    address: SocketAddr,
    name: &str,
    roots: &TlsRoots,
    identity: Option<&TlsIdentity>,
) -> Result<(Digest, PeerTlsStream), Error> {
    let config = client_config(roots, identity, &[b"h2"])?;
    let mut stream = connect(address, name, config).await?;
    let mut answer = [0; 32];
    // TLS 1.3 clients learn only now that a server refused their certificate.
    stream
        .read_exact(&mut answer)
        .await
        .map_err(|error| Error::Tls {
            reason: error.to_string(),
        })?;
    Ok((Digest::from_bytes(answer), stream))
}

#[tokio::test]
async fn both_sides_of_mutual_tls_know_the_others_key() {
    let authority = authority("TLS CA");
    let (server, client) = (
        identity(&authority, "server"),
        identity(&authority, "client"),
    );
    let roots = authority.roots().unwrap();
    let address = serve(&server, ClientAuth::Required(&roots)).await;
    for name in ["127.0.0.1", "localhost", "::1"] {
        let (seen, stream) = ask(address, name, &roots, Some(&client)).await.unwrap();
        assert_eq!(seen, client.spki_digest());
        assert_eq!(stream.peer_spki(), Some(server.spki_digest()));
        assert_eq!(stream.peer_certificates(), server.chain());
        assert_eq!(stream.alpn_protocol(), Some(&b"h2"[..]));
    }
    assert!(
        ask(address, "example.com", &roots, Some(&client))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_server_that_requires_a_certificate_serves_nobody_without_one() {
    let home = authority("TLS CA");
    let elsewhere = authority("other CA");
    let server = identity(&home, "server");
    let roots = home.roots().unwrap();
    let address = serve(&server, ClientAuth::Required(&roots)).await;
    assert!(ask(address, "127.0.0.1", &roots, None).await.is_err());
    let stranger = identity(&elsewhere, "client");
    assert!(
        ask(address, "127.0.0.1", &roots, Some(&stranger))
            .await
            .is_err()
    );
    let known = identity(&home, "client");
    assert!(
        ask(address, "127.0.0.1", &roots, Some(&known))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let home = authority("TLS CA");
    let elsewhere = authority("other CA");
    let roots = home.roots().unwrap();
    let address = serve(&identity(&home, "server"), ClientAuth::Optional(&roots)).await;
    let (seen, _) = ask(address, "127.0.0.1", &roots, None).await.unwrap();
    assert_eq!(seen, Digest::ZERO);
    let stranger = identity(&elsewhere, "client");
    assert!(
        ask(address, "127.0.0.1", &roots, Some(&stranger))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_client_refuses_a_server_of_another_authority() {
    let home = authority("TLS CA");
    let elsewhere = authority("other CA");
    let address = serve(&identity(&elsewhere, "server"), ClientAuth::None).await;
    assert!(
        ask(address, "127.0.0.1", &home.roots().unwrap(), None)
            .await
            .is_err()
    );
    assert!(
        ask(address, "127.0.0.1", &elsewhere.roots().unwrap(), None)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let home = authority("TLS CA");
    let past = Validity::days(now_ms() - 10 * 86_400_000, 1);
    let expired = TlsIdentity::issue(&home, "server", &[], past).unwrap();
    let address = serve(&expired, ClientAuth::None).await;
    assert!(
        ask(address, "127.0.0.1", &home.roots().unwrap(), None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn silent_connections_do_not_hold_up_others() {
    let home = authority("TLS CA");
    let address = serve(&identity(&home, "server"), ClientAuth::None).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    assert!(
        ask(address, "127.0.0.1", &home.roots().unwrap(), None)
            .await
            .is_ok()
    );
    assert_eq!(silent.len(), 50);
}

#[tokio::test]
async fn dropping_the_streams_closes_the_port() {
    let home = authority("TLS CA");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = server_config(&identity(&home, "server"), ClientAuth::None, &[]).unwrap();
    drop(incoming::accept(listener, config));
    // The loop ends at its next turn; until then a connection may still be taken and dropped.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn identities_and_authorities_survive_pem() {
    let home = authority("TLS CA");
    let issued = identity(&home, "server");
    let read = TlsIdentity::from_pem(&issued.to_pem().unwrap()).unwrap();
    assert_eq!(
        (read.chain(), read.spki_digest()),
        (issued.chain(), issued.spki_digest())
    );
    let certificate = home.certificate_pem().unwrap();
    let opened = TlsAuthority::from_pem(&certificate, &home.key_pem().unwrap()).unwrap();
    assert_eq!(opened.certificate_pem(), Ok(certificate.clone()));
    let other = authority("other CA");
    assert!(TlsAuthority::from_pem(&certificate, &other.key_pem().unwrap()).is_err());
    assert!(
        TlsIdentity::from_pem(&certificate).is_err(),
        "a certificate without key"
    );
    assert!(TlsRoots::from_pem("nothing").is_err());
}

#[test]
fn private_keys_are_written_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let home = authority("TLS CA");
    let (own, key) = (folder.path().join("tls.pem"), folder.path().join("ca.key"));
    identity(&home, "server").write_new(&own).unwrap();
    home.write_new_key(&key).unwrap();
    for path in [own, key] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
