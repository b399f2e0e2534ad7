//! Streams over sockets whose records this crate makes, against rustls at the other end.
//!
//! It does not look into records: `tls::records` has tests of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crypto::tls::{ClientConfig, PeerTlsStream, RecordFault, ServerConfig, connect, incoming};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::pair::{client_of, server_of};
use super::{Members, members};

/// The same configurations without leave to take the keys, so that rustls makes the records.
fn stock(members: &Members) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let mut client = Arc::unwrap_or_clone(client_of(members));
    client.enable_secret_extraction = false;
    let mut server = Arc::unwrap_or_clone(server_of(members));
    server.enable_secret_extraction = false;
    (Arc::new(client), Arc::new(server))
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Our server, and a client of rustls alone.
async fn our_server(members: &Members) -> (PeerTlsStream, TlsStream<TcpStream>) {
    let (listener, address) = listen().await;
    let mut streams = incoming::accept(listener, server_of(members));
    let connector = TlsConnector::from(stock(members).0);
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let client = connector.connect(name, tcp).await.unwrap();
    (streams.next().await.unwrap(), TlsStream::Client(client))
}

/// Our client, and a server of rustls alone.
async fn our_client(members: &Members) -> (PeerTlsStream, TlsStream<TcpStream>) {
    let (listener, address) = listen().await;
    let acceptor = TlsAcceptor::from(stock(members).1);
    let accepting = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let connecting = connect(address, "localhost", client_of(members));
    let (server, client) = tokio::join!(accepting, connecting);
    (client.unwrap(), TlsStream::Server(server.unwrap()))
}

/// Both of the above, one after the other.
async fn both(members: &Members) -> [(PeerTlsStream, TlsStream<TcpStream>); 2] {
    [our_server(members).await, our_client(members).await]
}

fn content(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// Sends in pieces and gives what the other end had to say until its end, both at once.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite,
    bytes: &[u8],
    piece: usize,
) -> std::io::Result<Vec<u8>> {
    let (mut reader, mut writer) = split(stream);
    let mut heard = Vec::new();
    let sending = async {
        for piece in bytes.chunks(piece) {
            writer.write_all(piece).await?;
        }
        writer.shutdown().await
    };
    let (sent, read) = tokio::join!(sending, reader.read_to_end(&mut heard));
    sent?;
    read.map(|_| heard)
}

#[tokio::test]
async fn both_ends_speak_at_once_and_hear_all() {
    let members = members();
    for (piece, other) in [(1_000, 70_000), (16_384, 700), (1 << 20, 300_000)] {
        for (ours, peer) in both(&members).await {
            let (up, down) = (content(3_000_001), content(2_000_003));
            let (peer_heard, we_heard) =
                tokio::join!(exchange(peer, &down, other), exchange(ours, &up, piece));
            assert!(peer_heard.unwrap() == up);
            assert!(we_heard.unwrap() == down);
        }
    }
}

#[tokio::test]
async fn tasks_that_read_and_write_wake_each_other() {
    let members = members();
    for (ours, peer) in both(&members).await {
        let bytes = content(8 << 20);
        let (mut hears, mut says) = split(ours);
        let (mut peer_hears, mut peer_says) = split(peer);
        let echo = tokio::spawn(async move {
            tokio::io::copy(&mut peer_hears, &mut peer_says)
                .await
                .unwrap();
            peer_says.shutdown().await.unwrap();
        });
        let said = bytes.clone();
        let saying = tokio::spawn(async move {
            says.write_all(&said).await.unwrap();
            says.shutdown().await.unwrap();
            says
        });
        let mut heard = Vec::new();
        hears.read_to_end(&mut heard).await.unwrap();
        assert!(heard == bytes);
        echo.await.unwrap();
        saying.await.unwrap();
    }
}

#[tokio::test]
async fn bytes_go_out_before_their_writer_waits_for_an_answer() {
    for (ours, peer) in both(&members()).await {
        let (mut asks, mut answers) = (ours, peer);
        let asking = async {
            let mut answer = [0; 6];
            asks.write_all(b"question").await.unwrap();
            asks.read_exact(&mut answer).await.unwrap();
            answer
        };
        let answering = async {
            let mut question = [0; 8];
            answers.read_exact(&mut question).await.unwrap();
            answers.write_all(b"answer").await.unwrap();
            answers.flush().await.unwrap();
            question
        };
        let (answer, question) = tokio::join!(asking, answering);
        assert_eq!((&answer, &question), (b"answer", b"question"));
    }
}

#[tokio::test]
async fn slices_of_several_buffers_are_one_stream() {
    for (ours, mut peer) in both(&members()).await {
        let bytes = content(500_000);
        let (head, rest) = bytes.split_at(9);
        let (body, tail) = rest.split_at(300_000);
        let sending = async move {
            let mut ours = ours;
            assert!(ours.is_write_vectored());
            let mut slices = [head, &[], body, tail].map(std::io::IoSlice::new);
            let mut slices = &mut slices[..];
            while !slices.is_empty() {
                let taken = ours.write_vectored(slices).await.unwrap();
                std::io::IoSlice::advance_slices(&mut slices, taken);
            }
            ours.shutdown().await.unwrap();
            assert!(ours.write(b"more").await.is_err());
            ours
        };
        let mut heard = Vec::new();
        let (_ours, read) = tokio::join!(sending, peer.read_to_end(&mut heard));
        read.unwrap();
        assert!(heard == bytes);
    }
}

#[tokio::test]
async fn an_end_without_a_word_is_an_error() {
    for (mut ours, mut peer) in both(&members()).await {
        peer.write_all(b"not all").await.unwrap();
        peer.flush().await.unwrap();
        drop(bare(peer));
        let mut heard = Vec::new();
        let error = ours.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(heard, b"not all");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(fault(&error), Some(&RecordFault::Truncated));
    }
}

/// The socket of rustls' end, bare.
fn bare(peer: TlsStream<TcpStream>) -> TcpStream {
    match peer {
        TlsStream::Client(stream) => stream.into_inner().0,
        TlsStream::Server(stream) => stream.into_inner().0,
    }
}

fn fault(error: &std::io::Error) -> Option<&RecordFault> {
    error.get_ref()?.downcast_ref()
}

#[tokio::test]
async fn a_changed_bit_ends_both_ends() {
    for (mut ours, peer) in both(&members()).await {
        // Behind rustls' back: what is written there is no record of it.
        let mut tcp = bare(peer);
        let record = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
        tcp.write_all(&record).await.unwrap();
        for _ in 0..2 {
            let error = ours.read(&mut [0; 9]).await.unwrap_err();
            assert_eq!(fault(&error), Some(&RecordFault::NotOpened));
        }
        let error = ours.write(b"more").await.unwrap_err();
        assert_eq!(fault(&error), Some(&RecordFault::NotOpened));
        ours.shutdown().await.unwrap();
        // An alert of two bytes, its type and a tag.
        let mut alert = Vec::new();
        tcp.read_to_end(&mut alert).await.unwrap();
        assert_eq!((alert.len(), &alert[..5]), (24, &[23, 3, 3, 0, 19][..]));
    }
}

#[tokio::test]
async fn a_key_update_of_rustls_is_followed_and_answered() {
    for (mut ours, mut peer) in both(&members()).await {
        for _ in 0..5 {
            match &mut peer {
                TlsStream::Client(stream) => stream.get_mut().1.refresh_traffic_keys(),
                TlsStream::Server(stream) => stream.get_mut().1.refresh_traffic_keys(),
            }
            .unwrap();
            let bytes = content(70_000);
            peer.write_all(&bytes).await.unwrap();
            peer.flush().await.unwrap();
            let mut heard = vec![0; bytes.len()];
            ours.read_exact(&mut heard).await.unwrap();
            assert!(heard == bytes);
            ours.write_all(&bytes).await.unwrap();
            ours.flush().await.unwrap();
            peer.read_exact(&mut heard).await.unwrap();
            assert!(heard == bytes);
        }
    }
}

#[tokio::test]
async fn a_session_of_rustls_is_resumed_by_our_client() {
    let members = members();
    let mut server = Arc::unwrap_or_clone(stock(&members).1);
    server.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    server.send_tls13_tickets = 2;
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let mut client = Arc::unwrap_or_clone(client_of(&members));
    client.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let client = Arc::new(client);
    let (listener, address) = listen().await;
    for turn in 0..4 {
        let accepting = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(tcp).await.unwrap();
            stream.write_all(b"content").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let connecting = connect(address, "localhost", Arc::clone(&client));
        let ((), stream) = tokio::join!(accepting, connecting);
        let mut stream = stream.unwrap();
        let mut heard = Vec::new();
        // The tickets come before the content.
        stream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(
            (stream.is_resumed(), &heard[..]),
            (turn > 0, &b"content"[..])
        );
    }
}

#[tokio::test]
async fn a_peer_that_stays_silent_is_not_waited_for_by_a_close() {
    for (mut ours, _peer) in both(&members()).await {
        let closing = timeout(Duration::from_secs(60), ours.shutdown());
        closing.await.unwrap().unwrap();
    }
}
