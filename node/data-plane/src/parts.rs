//! What the data plane is made of, handed in by the program.
//!
//! It does not make any of it: keys, catalog, jobs and gates are opened before the first port is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::Catalog;
use crypto::tls::ClientTls;
use crypto::{Signer, Unwrapper};
use enforcement::{Clock, EnforcementPoint, Sessions};
use jobs::Jobs;
use schemas::{NodeId, ParticipantId};

/// A participant for whom this node acts.
pub struct Hosted {
    /// Whose keys and gate these are.
    pub participant: ParticipantId,
    /// Its gate on this node.
    pub point: Arc<EnforcementPoint>,
    /// Its signing key: versions, receipts.
    pub signer: Arc<dyn Signer>,
    /// Its encryption key: what is sealed to it.
    pub unwrapper: Arc<dyn Unwrapper>,
}

/// Everything that the data plane uses.
pub struct Parts {
    /// This node.
    pub node: NodeId,
    /// Its data folder.
    pub dir: PathBuf,
    /// Its catalog replica.
    pub catalog: Catalog,
    /// Its list of local work.
    pub jobs: Jobs,
    /// The participants for whom it acts.
    pub hosted: BTreeMap<ParticipantId, Arc<Hosted>>,
    /// Signed-in persons.
    pub sessions: Arc<Sessions>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// How it calls other nodes.
    pub client_tls: ClientTls,
    /// Limits.
    pub options: Options,
}

/// Limits of the data plane, and what it counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Jobs that run at one time. Two: a publish already uses two cores.
    pub jobs_running: usize,
    /// Workers of one publish.
    pub publish_workers: usize,
    /// Largest upload in bytes. 8 GiB unless configured: ten times the largest file that we
    /// measured, and small enough that a mistake does not fill the disk.
    pub upload_bytes_max: u64,
    /// How fast this node sends to others.
    pub send_rate: SendRate,
    /// What it has moved.
    pub moved: Moved,
}

/// What the data plane has moved since the node started, for whoever watches the node. Clones
/// share it; it is no evidence, the ledger is.
#[derive(Clone, Debug, Default)]
pub struct Moved(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    rows_published: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

impl Moved {
    /// Rows of published versions.
    #[must_use]
    pub fn rows_published(&self) -> u64 {
        self.0.rows_published.load(Ordering::Relaxed)
    }

    /// Bytes of the chunks sent to other nodes; a sealed chunk is a little longer than its rows.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.0.bytes_sent.load(Ordering::Relaxed)
    }

    /// Bytes that arrived from other nodes, once their seal is off.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.0.bytes_received.load(Ordering::Relaxed)
    }

    pub(crate) fn published(&self, rows: u64) {
        self.0.rows_published.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.0.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.0.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Bytes per second of each stream to another node, adjustable while the node runs: a narrow line
/// is shared with other work, and an operator slows transfers down without stopping them.
#[derive(Clone, Debug)]
pub struct SendRate(Arc<AtomicU64>);

impl Default for SendRate {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl SendRate {
    /// Sets the rate in bytes per second; 0 is taken as 1, `u64::MAX` is no limit.
    pub fn set(&self, bytes_per_second: u64) {
        self.0.store(bytes_per_second.max(1), Ordering::Relaxed);
    }

    /// How long to wait after `bytes`, so that the rate is kept.
    pub(crate) fn pause(&self, bytes: u64) -> Duration {
        let rate = self.0.load(Ordering::Relaxed);
        Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs_running: 2,
            publish_workers: 2,
            upload_bytes_max: 8 << 30,
            send_rate: SendRate::default(),
            moved: Moved::default(),
        }
    }
}

/// Most connections at one time. Each costs buffers of some hundred kilobytes.
pub(crate) const CONNECTIONS_MAX: usize = 512;
