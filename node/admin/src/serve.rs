//! Serves a router over TLS: the loop that accepts, and an end that waits for calls in flight.
//!
//! It does not know what is served.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use crypto::tls::incoming::Incoming;
use crypto::tls::{PeerTlsStream, ServerTls, incoming};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Error, Parts, openapi};

/// Longest wait for calls in flight when a server stops, in seconds.
const DRAIN_SECONDS_MAX: u64 = 10;

/// A TLS listener in the form that axum serves from.
pub struct TlsListener {
    incoming: Incoming,
    address: SocketAddr,
}

impl TlsListener {
    /// Wraps a bound listener.
    ///
    /// # Errors
    /// [`Error::Serve`] when the listener has no address.
    pub fn new(listener: TcpListener, tls: impl Into<ServerTls>) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(|e| Error::Serve {
            why: format!("address: {e}"),
        })?;
        Ok(Self {
            incoming: incoming::accept(listener, tls),
            address,
        })
    }
}

impl Listener for TlsListener {
    type Io = PeerTlsStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.incoming.next().await {
            Some(stream) => {
                let peer = stream.peer_address();
                (stream, peer)
            }
            // The accept loop is gone, which only happens while the process ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// A running server; stopping it waits for calls in flight.
pub struct AdminServer {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl AdminServer {
    /// Serves any router over TLS.
    ///
    /// # Errors
    /// [`Error::Serve`] when the listener cannot be used.
    pub fn start(
        router: Router,
        listener: TcpListener,
        tls: impl Into<ServerTls>,
    ) -> Result<Self, Error> {
        let listener = TlsListener::new(listener, tls)?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async {
                    // A dropped sender means the same as a sent word.
                    let _ = stopped.await;
                })
                .await
        });
        Ok(Self {
            stop: Some(stop),
            task,
        })
    }

    /// Stops accepting, lets calls in flight finish for at most ten seconds, and ends.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let limit = std::time::Duration::from_secs(DRAIN_SECONDS_MAX);
        if tokio::time::timeout(limit, &mut self.task).await.is_err() {
            tracing::warn!("calls were still running after {DRAIN_SECONDS_MAX} s; ending them");
            self.task.abort();
        }
    }
}

/// Serves the REST interface.
///
/// # Errors
/// [`Error::Serve`] when the listener cannot be used.
pub fn serve(
    parts: Parts,
    listener: TcpListener,
    tls: impl Into<ServerTls>,
) -> Result<AdminServer, Error> {
    AdminServer::start(openapi::router(Arc::new(parts)), listener, tls)
}
