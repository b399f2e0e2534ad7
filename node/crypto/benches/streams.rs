//! How fast a whole stream is, in the clear, over TLS_SM4_GCM_SM3 and over AES-128-GCM of ring, in
//! one run: `cargo bench -p crypto --bench streams`.
//!
//! It does not leave the machine: the ends of a TCP connection on the loopback. First both are
//! tasks of one thread, and the figure is for the time that it was on a core by the kernel's
//! account: the work of both ends and of the kernel between them, whatever else the machine does.
//! Then each has a thread, and the figure is by the clock, which wants two cores that do nothing
//! else. "plain" are bytes as they are, "http2" are messages with a length before them in DATA
//! frames, as gRPC has them: a buffer is filled for each message, and one is put together at the
//! other end. The number behind it is the longest frame in KiB that the receiver asked for; 16 is
//! the default of HTTP/2.
//!
//! Arguments choose lines by a part of their name, such as `"http2, frames of 16 KiB, SM4"`.
//!
//! The three stand in turn in each round, and the best of each counts.

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

/// How fast a stream of one kind is.
type Rate = fn(Line, &Way) -> f64;

fn main() {
    let lines = [
        Line::Plain { bytes: 16 << 10 },
        Line::Plain { bytes: 1 << 20 },
        Line::Http2 { frame_kib: 16 },
        Line::Http2 { frame_kib: 256 },
    ];
    println!("| stream | line | ends | GB/s | of plaintext | of AES |");
    println!("|---|---|---|---|---|---|");
    let ways = [
        Way::InTheClear,
        Way::of(Family::Standard),
        Way::of(Family::ShangMi),
    ];
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let is_wanted = |line: Line, name: &str| {
        let name = format!("{line}, {name}");
        wanted.is_empty() || wanted.iter().any(|it| name.contains(it.as_str()))
    };
    let kinds: [(&str, Rate); 2] = [
        ("on one core", Line::of_work),
        ("on two, by the clock", Line::by_the_clock),
    ];
    for line in lines {
        for (ends, measure) in kinds {
            let mut best = [0.0_f64; 3];
            for _ in 0..ROUNDS {
                for (best, (way, name)) in best.iter_mut().zip(ways.iter().zip(NAMES)) {
                    if is_wanted(line, name) {
                        *best = best.max(measure(line, way));
                    }
                }
            }
            for (rate, name) in best.iter().zip(NAMES).filter(|(rate, _)| **rate > 0.0) {
                let [plain, aes] = [rate / best[0], rate / best[1]];
                println!("| {line} | {name} | {ends} | {rate:.2} | {plain:.2} | {aes:.2} |");
            }
        }
    }
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
    /// GB for each second that both ends were busy.
    fn of_work(self, way: &Way) -> f64 {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (server, client) = tokio::join!(way.accept(listener), way.connect(address));
            let before = busy();
            let ((), bytes) = tokio::join!(self.send(server), self.receive(client));
            bytes / (busy() - before) / 1e9
        })
    }

    /// GB a second with an end in each thread.
    fn by_the_clock(self, way: &Way) -> f64 {
        let (address, listening) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                runtime().block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    address.send(listener.local_addr().unwrap()).unwrap();
                    self.send(way.accept(listener).await).await;
                });
            });
            runtime().block_on(async {
                let stream = way.connect(listening.recv().unwrap()).await;
                let started = Instant::now();
                self.receive(stream).await / started.elapsed().as_secs_f64() / 1e9
            })
        })
    }

    async fn send(self, stream: Box<dyn Stream>) {
        match self {
            Self::Plain { bytes } => send(stream, bytes).await,
            Self::Http2 { .. } => send_messages(stream).await,
        }
    }

    async fn receive(self, stream: Box<dyn Stream>) -> f64 {
        match self {
            Self::Plain { .. } => receive(stream).await,
            Self::Http2 { frame_kib } => receive_messages(stream, frame_kib << 10).await,
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

async fn send(mut stream: Box<dyn Stream>, bytes: usize) {
    let content = vec![0x5a; bytes];
    for _ in 0..MEASURED_BYTES / bytes {
        stream.write_all(&content).await.unwrap();
    }
    stream.shutdown().await.unwrap();
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

async fn send_messages(stream: Box<dyn Stream>) {
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
        for _ in 0..MEASURED_BYTES / MESSAGE_BYTES {
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
        }
        body.send_data(Bytes::new(), true).unwrap();
    };
    tokio::join!(serving, sending);
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

const NAMES: [&str; 3] = ["in the clear", "AES-128-GCM", "SM4-GCM"];

const ROUNDS: usize = 5;

const MEASURED_BYTES: usize = 128 << 20;

/// What our transfers put into a message.
const MESSAGE_BYTES: usize = 1 << 20;
