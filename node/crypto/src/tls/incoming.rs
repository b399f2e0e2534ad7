//! The accept loop: takes connections, does handshakes beside each other, and hands over the
//! streams that succeeded.
//!
//! It does not let a slow or hostile client hold up others: handshakes run in tasks of their
//! own, with a time-out and a limit on their number, and what is done waits in a bounded queue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::{HANDSHAKE_SECONDS_MAX, HANDSHAKES_MAX, PeerTlsStream, READY_STREAMS_MAX, ServerTls};

/// Streams whose handshake succeeded. Dropping it ends the accept loop and closes the port.
///
/// For tonic, make a stream of it with `futures::stream::poll_fn(|cx| incoming.poll_next(cx))`
/// or a receiver stream of [`Self::into_receiver`].
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<PeerTlsStream>,
}

/// Starts the accept loop. Must be called within a tokio runtime.
#[must_use]
pub fn accept(listener: TcpListener, tls: impl Into<ServerTls>) -> Incoming {
    let (sender, ready) = mpsc::channel(READY_STREAMS_MAX);
    tokio::spawn(run(listener, tls.into(), sender));
    Incoming { ready }
}

impl Incoming {
    /// The next stream; none when the accept loop ended.
    pub async fn next(&mut self) -> Option<PeerTlsStream> {
        self.ready.recv().await
    }

    /// As [`Self::next`], for those who write streams by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<PeerTlsStream>> {
        self.ready.poll_recv(cx)
    }

    /// The channel itself.
    #[must_use]
    pub fn into_receiver(self) -> mpsc::Receiver<PeerTlsStream> {
        self.ready
    }
}

async fn run(listener: TcpListener, tls: ServerTls, ready: mpsc::Sender<PeerTlsStream>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&handshakes).acquire_owned() => permit,
            () = ready.closed() => return,
        };
        // The semaphore is never closed; if it were, there would be nothing left to do.
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        match accepted {
            Ok((tcp, peer)) => {
                tokio::spawn(handshake(tls.clone(), tcp, peer, ready.clone(), permit));
            }
            Err(error) => {
                // Usually out of file descriptors: without a pause this would spin.
                tracing::warn!(%error, "failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Holds its permit until the stream is handed over, so that a server that takes no streams
/// stops the accept loop instead of piling them up.
async fn handshake(
    tls: ServerTls,
    tcp: TcpStream,
    peer: SocketAddr,
    ready: mpsc::Sender<PeerTlsStream>,
    _permit: OwnedSemaphorePermit,
) {
    let limit = Duration::from_secs(HANDSHAKE_SECONDS_MAX);
    let outcome = timeout(limit, async {
        tcp.set_nodelay(true)?;
        tls.accept(tcp).await
    })
    .await;
    match outcome {
        Ok(Ok(connection)) => {
            let stream = PeerTlsStream::new(connection, peer);
            // The receiver is gone only when the server stops.
            let _stopped = ready.send(stream).await;
        }
        Ok(Err(error)) => tracing::info!(%peer, %error, "TLS handshake refused"),
        Err(_) => tracing::info!(%peer, "TLS handshake timed out"),
    }
}

/// How long the loop rests after an error of the listener.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
