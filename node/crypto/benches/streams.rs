//! How fast a whole stream is, in the clear, over TLS_SM4_GCM_SM3 and over AES-128-GCM of ring, in
//! one run: `cargo bench -p crypto --bench streams`.
//!
//! It does not leave the machine: a thread sends and a thread receives, over a TCP connection on
//! the loopback. "plain" are bytes as they are, "http2" are messages with a length before them in
//! DATA frames, as gRPC has them: a buffer is filled for each message, and one is put together at
//! the other end. The number behind it is the longest frame in KiB that the receiver asked for;
//! 16 is the default of HTTP/2.
//!
//! Arguments choose lines by a part of their name.
//!
//! The three stand in turn in each round and the middle round counts, since a machine that does
//! other work does not do the same all the time. Beside the rate by the clock stands what a core
//! was busy for, by the kernel's account of each thread.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that only measures"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use crypto::Validity;
use crypto::tls::{
    ClientAuth, ClientConfig, Family, ServerConfig, TlsAuthority, TlsIdentity, client_config,
    connect, incoming, server_config,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

fn main() {
    let lines = [
        Line::Plain { bytes: 16 << 10 },
        Line::Plain { bytes: 1 << 20 },
        Line::Http2 { frame_kib: 16 },
        Line::Http2 { frame_kib: 256 },
    ];
    println!("| stream | line | GB/s | of plaintext | of AES | sender GB/s | receiver GB/s |");
    println!("|---|---|---|---|---|---|---|");
    let ways = [
        Way::InTheClear,
        Way::of(Family::Standard),
        Way::of(Family::ShangMi),
    ];
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let is_wanted = |line: &Line| {
        let name = line.to_string();
        wanted.is_empty() || wanted.iter().any(|it| name.contains(it.as_str()))
    };
    for line in lines.into_iter().filter(is_wanted) {
        let mut rounds: Vec<[Figures; 3]> = (0..ROUNDS)
            .map(|_| [0, 1, 2].map(|way| line.measure(&ways[way])))
            .collect();
        let middle = |of: &dyn Fn(&[Figures; 3]) -> f64, rounds: &mut Vec<[Figures; 3]>| {
            rounds.sort_by(|a, b| of(a).total_cmp(&of(b)));
            of(&rounds[ROUNDS / 2])
        };
        for (way, name) in ["in the clear", "AES-128-GCM", "SM4-GCM"]
            .iter()
            .enumerate()
        {
            let mut of = |of: &dyn Fn(&[Figures; 3]) -> f64| middle(of, &mut rounds);
            println!(
                "| {line} | {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                of(&|round| round[way].rate),
                of(&|round| round[way].rate / round[0].rate),
                of(&|round| round[way].rate / round[1].rate),
                of(&|round| round[way].sender),
                of(&|round| round[way].receiver),
            );
        }
    }
}

/// GB/s by the clock, and for each second that the thread of an end was busy.
#[derive(Clone, Copy)]
struct Figures {
    rate: f64,
    sender: f64,
    receiver: f64,
}

#[derive(Clone, Copy)]
enum Line {
    /// Writes of that many bytes.
    Plain { bytes: usize },
    /// Messages of 1 MiB in frames of at most that size.
    Http2 { frame_kib: u32 },
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain { bytes } => write!(f, "plain, writes of {} KiB", bytes >> 10),
            Self::Http2 { frame_kib } => write!(f, "http2, frames of {frame_kib} KiB"),
        }
    }
}

impl Line {
    fn measure(self, way: &Way) -> Figures {
        let (address, serving) = std::sync::mpsc::channel();
        let server = way.clone();
        let sender = std::thread::spawn(move || {
            runtime().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                address.send(listener.local_addr().unwrap()).unwrap();
                let stream = server.accept(listener).await;
                let busy = busy();
                let bytes = match self {
                    Self::Plain { bytes } => send(stream, bytes).await,
                    Self::Http2 { .. } => send_messages(stream).await,
                };
                bytes / (self::busy() - busy)
            })
        });
        let (rate, receiver) = runtime().block_on(async {
            let stream = way.connect(serving.recv().unwrap()).await;
            let (busy, started) = (busy(), Instant::now());
            let bytes = match self {
                Self::Plain { .. } => receive(stream).await,
                Self::Http2 { frame_kib } => receive_messages(stream, frame_kib << 10).await,
            };
            let rate = bytes / started.elapsed().as_secs_f64();
            (rate, bytes / (self::busy() - busy))
        });
        let sender = sender.join().unwrap();
        Figures {
            rate: rate / 1e9,
            sender: sender / 1e9,
            receiver: receiver / 1e9,
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The seconds that this thread was on a core so far, by `schedstat` of proc(5).
fn busy() -> f64 {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = figures.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// A connection, of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn send(mut stream: Box<dyn Stream>, bytes: usize) -> f64 {
    let content = vec![0x5a; bytes];
    let (started, mut sent) = (Instant::now(), 0.0);
    while started.elapsed() < MEASURED {
        stream.write_all(&content).await.unwrap();
        sent += bytes as f64;
    }
    stream.shutdown().await.unwrap();
    sent
}

async fn receive(mut stream: Box<dyn Stream>) -> f64 {
    let mut buffer = vec![0; 256 << 10];
    let mut received = 0.0;
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return received,
            length => received += length as f64,
        }
    }
}

async fn send_messages(stream: Box<dyn Stream>) -> f64 {
    let content = vec![0x5a; MESSAGE_BYTES];
    let mut connection = h2::server::Builder::new()
        .max_send_buffer_size(400 << 10)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let (_, mut respond) = connection.accept().await.unwrap().unwrap();
    let serving = async move { while connection.accept().await.is_some() {} };
    let sending = async move {
        let mut body = respond
            .send_response(http::Response::new(()), false)
            .unwrap();
        let (started, mut sent) = (Instant::now(), 0.0);
        while started.elapsed() < MEASURED {
            let mut message = BytesMut::with_capacity(5 + MESSAGE_BYTES);
            message.put_u8(0);
            message.put_u32(u32::try_from(MESSAGE_BYTES).unwrap());
            message.put_slice(&content);
            let mut message = message.freeze();
            while !message.is_empty() {
                body.reserve_capacity(message.len());
                let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
                let room = room.unwrap().unwrap().min(message.len());
                body.send_data(message.split_to(room), false).unwrap();
            }
            sent += MESSAGE_BYTES as f64;
        }
        body.send_data(Bytes::new(), true).unwrap();
        sent
    };
    tokio::join!(serving, sending).1
}

async fn receive_messages(stream: Box<dyn Stream>, frame_bytes: u32) -> f64 {
    let (mut client, connection) = h2::client::Builder::new()
        .initial_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_frame_size(frame_bytes)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let receiving = async move {
        let request = http::Request::get("https://localhost/").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut received = 0.0;
        let mut message = BytesMut::with_capacity(5 + MESSAGE_BYTES);
        while let Some(data) = body.data().await {
            let mut data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            while data.has_remaining() {
                let take = data.len().min(5 + MESSAGE_BYTES - message.len());
                message.put(data.split_to(take));
                if message.len() == 5 + MESSAGE_BYTES {
                    received += MESSAGE_BYTES as f64;
                    message = BytesMut::with_capacity(5 + MESSAGE_BYTES);
                }
            }
        }
        received
    };
    let driving = async move {
        // The sender hangs up.
        let _ended = connection.await;
    };
    tokio::join!(driving, receiving).1
}

/// What is between the ends.
#[derive(Clone)]
enum Way {
    InTheClear,
    Tls {
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
    },
}

impl Way {
    /// Mutual TLS; the standard family with the suite whose blocks and keys are as long as SM4's.
    fn of(family: Family) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = i64::try_from(now.unwrap().as_millis()).unwrap();
        let validity = Validity::days(now_ms - 3_600_000, 2);
        let authority = TlsAuthority::create_of(family, "bench CA", validity).unwrap();
        let issue = |name| TlsIdentity::issue(&authority, name, &["localhost"], validity).unwrap();
        let roots = authority.roots().unwrap();
        let server = server_config(&issue("server"), ClientAuth::Required(&roots), &[b"h2"]);
        let client = match family {
            Family::ShangMi => client_config(&roots, Some(&issue("client")), &[b"h2"]).unwrap(),
            Family::Standard => only_aes_128(&authority, &issue("client")),
        };
        let server = server.unwrap();
        Self::Tls { client, server }
    }

    async fn accept(&self, listener: TcpListener) -> Box<dyn Stream> {
        match self {
            Self::InTheClear => {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
            Self::Tls { server, .. } => {
                let mut incoming = incoming::accept(listener, Arc::clone(server));
                Box::new(incoming.next().await.unwrap())
            }
        }
    }

    async fn connect(&self, address: SocketAddr) -> Box<dyn Stream> {
        match self {
            Self::InTheClear => {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
            Self::Tls { client, .. } => {
                let stream = connect(address, "localhost", Arc::clone(client)).await;
                Box::new(stream.unwrap())
            }
        }
    }
}

fn only_aes_128(authority: &TlsAuthority, identity: &TlsIdentity) -> Arc<ClientConfig> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let mut roots = rustls::RootCertStore::empty();
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
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

const ROUNDS: usize = 5;

const MEASURED: Duration = Duration::from_millis(700);

/// What our transfers put into a message.
const MESSAGE_BYTES: usize = 1 << 20;
