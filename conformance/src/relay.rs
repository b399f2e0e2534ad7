//! A relay between two nodes that holds the keys of both: what no TLS can catch any more, the seal
//! and the signed offer must.
//!
//! It does not understand what it passes on, beyond the frames of HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crypto::tls::{
    ClientAuth, PeerTlsStream, TlsIdentity, TlsRoots, client_config, connect, incoming,
    server_config,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A frame of data so long holds a piece of a chunk, not an answer to a small question.
const CHUNK_FRAME_BYTES_MIN: usize = 8 << 10;

/// HTTP/2: a frame's head, and the type of those that carry data.
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;

/// Passes connections on for as long as the runtime runs that it was started in.
pub struct Relay {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    armed: AtomicBool,
    flipped: AtomicU64,
}

impl Relay {
    /// Listens on `at` as the provider and calls `to` as the consumer.
    ///
    /// # Panics
    /// When the port or an identity cannot be used.
    pub async fn start(
        (at, provider): (SocketAddr, &TlsIdentity),
        (to, consumer): (SocketAddr, &TlsIdentity),
        roots: &TlsRoots,
    ) -> Self {
        let listener = TcpListener::bind(at).await.expect("the port");
        let h2: &[&[u8]] = &[b"h2"];
        let server = server_config(provider, ClientAuth::Required(roots), h2);
        let client = client_config(roots, Some(consumer), h2).expect("a TLS configuration");
        let mut accepted = incoming::accept(listener, server.expect("a TLS configuration"));
        let state = Arc::new(State::default());
        let passing = Arc::clone(&state);
        tokio::spawn(async move {
            while let Some(stream) = accepted.next().await {
                let (client, state) = (Arc::clone(&client), Arc::clone(&passing));
                tokio::spawn(async move {
                    if let Ok(other) = connect(to, "localhost", client).await {
                        pass(stream, other, &state).await;
                    }
                });
            }
        });
        Self { state }
    }

    /// Changes one bit of the next chunk that passes.
    pub fn arm(&self) {
        self.state.armed.store(true, Ordering::SeqCst);
    }

    /// How many bits it has changed.
    #[must_use]
    pub fn flipped(&self) -> u64 {
        self.state.flipped.load(Ordering::SeqCst)
    }
}

/// Passes both directions on until one ends.
async fn pass(consumer: PeerTlsStream, provider: PeerTlsStream, state: &State) {
    let (mut asks, mut hears) = tokio::io::split(consumer);
    let (mut answers, mut told) = tokio::io::split(provider);
    let back = async {
        let mut head = [0_u8; HEAD_BYTES];
        loop {
            answers.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
            answers.read_exact(&mut payload).await?;
            let is_chunk = head[3] == DATA && payload.len() >= CHUNK_FRAME_BYTES_MIN;
            if is_chunk && state.armed.swap(false, Ordering::SeqCst) {
                let middle = payload.len() / 2;
                payload[middle] ^= 0x10;
                state.flipped.fetch_add(1, Ordering::SeqCst);
            }
            hears.write_all(&head).await?;
            hears.write_all(&payload).await?;
            hears.flush().await?;
        }
    };
    let forth = tokio::io::copy(&mut asks, &mut told);
    // Either end may hang up; the other is dropped with this.
    let _ended: std::io::Result<()> = tokio::select! {
        ended = back => ended,
        ended = forth => ended.map(drop),
    };
}
