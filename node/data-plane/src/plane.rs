//! The running data plane: one listener for persons and for nodes, and the workers behind it.
//!
//! It does not decide which route a caller may use: a person shows a session, a node a certificate
//! that the catalog binds to it, and the gate does the rest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crypto::tls::{PeerTlsStream, ServerTls};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::parts::CONNECTIONS_MAX;
use crate::transfer::{self, Peer, TransferService};
use crate::{Error, Parts, rows, runner};

/// How long requests that run may take to end when the node stops.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Requests of one connection at one time.
const STREAMS_MAX: u32 = 64;

/// How long a client may take for the head of a request.
const HEAD_MAX: Duration = Duration::from_secs(15);

/// Uploads, previews, transfers and the jobs behind them, until it is shut down.
pub struct DataPlane {
    stop: watch::Sender<bool>,
    transfers: Arc<TransferService>,
    listener: JoinHandle<()>,
    workers: JoinHandle<()>,
}

impl std::fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataPlane")
    }
}

impl DataPlane {
    /// Opens the listener and starts the workers. What an earlier run left behind is put right
    /// first: running jobs are queued again, staged files without a job are removed.
    ///
    /// # Errors
    /// [`Error::Io`] when the data folder cannot be used, [`Error::Record`] when the list of jobs
    /// cannot be read.
    pub async fn start(
        parts: Arc<Parts>,
        listener: TcpListener,
        server_tls: impl Into<ServerTls>,
    ) -> Result<Self, Error> {
        for folder in ["tables", "staging", "quarantine", "artefacts", "received"] {
            std::fs::create_dir_all(parts.dir.join(folder))
                .map_err(Error::io("create the data folders"))?;
        }
        let recovered = parts
            .jobs
            .recover(parts.clock.now())
            .map_err(|source| Error::Record {
                what: "recover the jobs",
                why: source.to_string(),
            })?;
        tracing::info!(?recovered, "recover the jobs");
        let participants: BTreeSet<_> = parts.hosted.keys().cloned().collect();
        rows::sweep(&parts.dir, &parts.jobs, &participants)?;
        let transfers = transfer::service(Arc::clone(&parts))?;
        let router = rows::router(Arc::clone(&parts)).merge(transfers.routes().into_axum_router());
        let (stop, stopped) = watch::channel(false);
        let incoming = crypto::tls::incoming::accept(listener, server_tls);
        let listener = tokio::spawn(serve(incoming, router, stopped.clone()));
        let workers = tokio::spawn(runner::run(parts, stopped));
        Ok(Self {
            stop,
            transfers,
            listener,
            workers,
        })
    }

    /// Takes no new work, lets what runs come to its end, and ends every release. A job that does
    /// not end in time is run again after the next start.
    pub async fn shutdown(self) {
        // Nobody listening means that everything has ended already.
        let _ended = self.stop.send(true);
        self.transfers.close().await;
        for task in [self.listener, self.workers] {
            let abort = task.abort_handle();
            if tokio::time::timeout(SHUTDOWN_MAX, task).await.is_err() {
                abort.abort();
            }
        }
        // What a call opened while the others were being ended.
        self.transfers.close().await;
    }
}

async fn serve(
    mut incoming: crypto::tls::incoming::Incoming,
    router: axum::Router,
    mut stop: watch::Receiver<bool>,
) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            // A full house stops the accept loop, not the connections that are served.
            let seat = Arc::clone(&seats).acquire_owned().await.ok()?;
            incoming.next().await.map(|stream| (stream, seat))
        };
        let (stream, seat) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => break,
            },
            () = stopped(&mut stop) => break,
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let _seat = seat;
            connection(stream, router, stop).await;
        });
    }
    drop(incoming);
    while connections.join_next().await.is_some() {}
}

/// Ends when the node stops, and also when nobody can say so any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _said = stop.wait_for(|stop| *stop).await;
}

async fn connection(stream: PeerTlsStream, router: axum::Router, mut stop: watch::Receiver<bool>) {
    let peer = Peer(stream.peer_spki());
    let address = stream.peer_address();
    let service = router.layer(axum::Extension(peer));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Some(HEAD_MAX));
    let io = TokioIo::new(stream);
    let served = server.serve_connection(io, TowerToHyperService::new(service));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            match tokio::time::timeout(SHUTDOWN_MAX, served).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection ended");
    }
}
