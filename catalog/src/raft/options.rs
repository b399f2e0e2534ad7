//! How the catalog runs on one node: numbers with their reasons, and what it is given to start.
//!
//! It does not read files or the environment; the program parses configuration and hands over
//! what is true.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crypto::tls::{ClientTls, ServerTls};
use crypto::{Digest, Signer};
use openraft::{Config, SnapshotPolicy};
use schemas::NodeId;
use tokio::net::TcpListener;

use crate::Error;
use crate::raft::clock::Clock;

/// Whom a node lets call it while its own catalog is still empty and names nobody.
///
/// From the first applied `Found` on, this rule is out of force: the transport key of a caller
/// must then belong to a registered node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bootstrap {
    /// Whoever holds a certificate of the federation's TLS authority (the handshake has checked
    /// it). Enough where that authority certifies nodes only.
    #[default]
    FederationRoot,
    /// Only holders of these transport keys (SM3 of the SubjectPublicKeyInfo), for an authority
    /// that certifies others too.
    TransportKeys(BTreeSet<Digest>),
}

/// Timing, limits and rules. The defaults suit voters within one country.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a leader shows itself. A tenth of a second costs nothing and keeps followers'
    /// views young.
    pub heartbeat: Duration,
    /// The shortest time without a leader after which a voter stands for election: five lost
    /// heartbeats.
    pub election_min: Duration,
    /// The longest such time; the spread keeps two voters from standing at once.
    pub election_max: Duration,
    /// How often the leader proposes a `Tick`. Clocks in the state fire with this grain.
    pub tick: Duration,
    /// After how many log entries a snapshot is written.
    pub snapshot_entries: u64,
    /// How many entries stay in the log behind a snapshot, so that a member that was away for a
    /// moment is brought up by entries.
    pub snapshot_entries_kept: u64,
    /// How many proposals one batch may hold, at most [`BATCH_COMMANDS_MAX`].
    pub batch_commands: usize,
    /// How many batches of this node are under way at once. What arrives meanwhile makes the next
    /// one larger. With two, a batch is signed and on its way while the one before is synced.
    pub batches_in_flight: usize,
    /// How many proposals wait on this node before it pushes back, at most
    /// [`PROPOSALS_QUEUED_MAX`].
    pub proposals_queued: usize,
    /// How long a proposal or a linearizable read waits for an answer.
    pub answer: Duration,
    /// How often applied records are written to the state store. The log is durable already, so
    /// this bounds only how much is applied again after a crash.
    pub store: Duration,
    /// How often this member compares its records with another's. One digest, unless they differ.
    pub compare: Duration,
    /// Whom an empty node trusts.
    pub bootstrap: Bootstrap,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1_000),
            tick: Duration::from_secs(1),
            snapshot_entries: 5_000,
            snapshot_entries_kept: 1_000,
            batch_commands: BATCH_COMMANDS_MAX,
            batches_in_flight: 2,
            proposals_queued: PROPOSALS_QUEUED_MAX,
            answer: Duration::from_secs(10),
            store: Duration::from_millis(500),
            compare: Duration::from_secs(10),
            bootstrap: Bootstrap::default(),
        }
    }
}

/// Most commands in one batch: one signature covers them, and at 1 KiB each they fit one message.
pub const BATCH_COMMANDS_MAX: usize = 512;

/// Most proposals that wait on one node. About half a second of work at the rate that a small
/// cluster sustains; whoever comes later learns at once that the node is busy.
pub const PROPOSALS_QUEUED_MAX: usize = 4_096;

/// Most bytes of proposals that wait on one node, so that 4,096 large records cannot fill memory.
pub const PROPOSALS_QUEUED_BYTES_MAX: usize = 64 << 20;

/// Everything that [`crate::Catalog::start`] needs.
pub struct StartOptions {
    /// The catalog's own directory; it is made when it is not there.
    pub dir: PathBuf,
    /// This node's identifier in the federation.
    pub node: NodeId,
    /// Its number in Raft, from 1; it never changes and is never used twice.
    pub raft_number: u64,
    /// The node's signing key, for its batches.
    pub signer: Arc<dyn Signer>,
    /// Where members call this node.
    pub listener: TcpListener,
    /// Mutual TLS for those who call; it must demand a certificate and speak `h2`.
    pub server_tls: ServerTls,
    /// Mutual TLS for calling others; it must offer a certificate and speak `h2`.
    pub client_tls: ClientTls,
    /// Timing, limits and rules.
    pub options: Options,
    /// Wall time.
    pub clock: Clock,
}

impl Options {
    /// Checks that the numbers have a meaning together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |option, why| Err(Error::Option { option, why });
        let spans = [self.heartbeat, self.tick, self.store, self.compare];
        if spans.iter().any(Duration::is_zero) {
            let option = "heartbeat, tick, store, compare";
            return refuse(option, "must be longer than nothing");
        }
        if self.election_min < self.heartbeat * 2 {
            return refuse("election_min", "must be at least two heartbeats");
        }
        if self.election_max <= self.election_min {
            return refuse("election_max", "must be longer than election_min");
        }
        if self.batch_commands == 0 || self.batch_commands > BATCH_COMMANDS_MAX {
            return refuse("batch_commands", "must be 1 to 512");
        }
        if self.batches_in_flight == 0 || self.batches_in_flight > BATCHES_IN_FLIGHT_MAX {
            return refuse("batches_in_flight", "must be 1 to 64");
        }
        if self.proposals_queued == 0 || self.proposals_queued > PROPOSALS_QUEUED_MAX {
            return refuse("proposals_queued", "must be 1 to 4096");
        }
        if self.snapshot_entries == 0 {
            return refuse("snapshot_entries", "must be at least 1");
        }
        Ok(())
    }

    /// The same numbers in openraft's words.
    pub(crate) fn raft_config(&self) -> Result<Config, Error> {
        let config = Config {
            cluster_name: "kouan".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_CHUNK_TIME_MAX),
            max_payload_entries: APPEND_ENTRIES_MAX,
            replication_lag_threshold: self
                .snapshot_entries
                .saturating_add(self.snapshot_entries_kept),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
            max_in_snapshot_log_to_keep: self.snapshot_entries_kept,
            purge_batch_size: PURGE_ENTRIES_MIN.min(self.snapshot_entries),
            ..Config::default()
        };
        config.validate().map_err(|_| Error::Option {
            option: "heartbeat, election_min, election_max",
            why: "must grow in this order",
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// More would only take memory: the queue in front holds what comes.
const BATCHES_IN_FLIGHT_MAX: usize = 64;

/// Sending or installing one piece of a snapshot; the last piece includes the installation of the
/// whole state.
const SNAPSHOT_CHUNK_TIME_MAX: Duration = Duration::from_secs(60);

/// One piece of a snapshot in bytes.
pub(crate) const SNAPSHOT_CHUNK_BYTES: u64 = 1 << 20;

/// Most entries in one append; bytes are limited apart from it.
const APPEND_ENTRIES_MAX: u64 = 256;

/// Entries are removed from the log in lots, so that a removal is not a sync of its own each time.
const PURGE_ENTRIES_MIN: u64 = 64;
