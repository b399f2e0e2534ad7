//! The handle by which the rest of the node uses the catalog.
//!
//! It does not hold a state of its own: readers get views, writers propose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crypto::{Digest, Signer};
use openraft::BasicNode;
use openraft::error::{InitializeError, RaftError};
use openraft::storage::RaftStateMachine;
use schemas::NodeId;
use schemas::command::{Command, Outcome, SignedProposal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::raft::accord::{self, Accord, Divergence};
use crate::raft::backup::BACKUPS_AT_ONCE_MAX;
use crate::raft::batcher::{Applied, Batcher, Sender};
use crate::raft::clock::{Clock, steady};
use crate::raft::directory::Directory;
use crate::raft::flusher::Flusher;
use crate::raft::leading::Leading;
use crate::raft::log_store::LogStore;
use crate::raft::member::Member;
use crate::raft::membership::Change;
use crate::raft::network::Network;
use crate::raft::opening::{Opened, open};
use crate::raft::options::{Options, StartOptions};
use crate::raft::peers::{Admission, Connect, Peers, over_tls};
use crate::raft::published::Published;
use crate::raft::server::serve;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::{Raft, TypeConfig};
use crate::search::{Found, Query, Searcher};
use crate::state::{Batch, EncodedProposal, State};
use crate::{Error, View};

/// The catalog on this node. Cloning shares it; the last clone that goes away stops it.
#[derive(Clone)]
pub struct Catalog {
    running: Arc<Running>,
}

struct Running {
    member: Arc<Member>,
    batcher: Batcher,
    flusher: Arc<Flusher>,
    searcher: Searcher,
    damage: Option<String>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// How this member stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// Its number in Raft.
    pub raft_number: u64,
    /// Who leads, as far as this member knows.
    pub leader: Option<u64>,
    /// The current term.
    pub term: u64,
    /// The log index up to which this replica has applied.
    pub applied: u64,
    /// The voters, ascending.
    pub voters: Vec<u64>,
    /// Members without a vote, ascending.
    pub learners: Vec<u64>,
    /// The digest of the applied state.
    pub state_digest: Digest,
    /// The newest log index at which another member was seen to have the same records; none before
    /// the first comparison.
    pub agreed: Option<u64>,
    /// Another member that has applied the same entries and does not have the same records. An
    /// operator is needed.
    pub divergence: Option<Divergence>,
    /// Whether this member may take part: it founded the catalog or was added by a leader.
    pub admitted: bool,
    /// Milliseconds since this replica last knew that it was current; the largest number when it
    /// never did.
    pub staleness_ms: u64,
    /// How far this node's clock is ahead of the other members', in milliseconds; none when no
    /// other was heard in the last ten seconds.
    pub clock_skew_ms: Option<i64>,
    /// The state store was damaged when the node started: what was wrong and where it is now. The
    /// state was written anew from snapshot and log.
    pub damage: Option<String>,
    /// The state store failed while running: nothing is written to it until the node starts
    /// again. The log still holds everything.
    pub store_failure: Option<String>,
}

impl Catalog {
    /// Opens what is on disk and takes part from then on. A fresh member waits until it founds
    /// the catalog or a leader adds it.
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::AnotherMember`], [`Error::CannotRebuild`],
    /// [`Error::Option`], and what the disk says.
    pub async fn start(start: StartOptions) -> Result<Self, Error> {
        start.options.check()?;
        if start.raft_number == 0 {
            return Err(Error::Option {
                option: "raft_number",
                why: "must be at least 1",
            });
        }
        let (dir, number, now) = (start.dir.clone(), start.raft_number, start.clock.now());
        let opened = blocking(move || open(&dir, number, now)).await?;
        let damage = opened.damage.clone();
        let flusher = Arc::new(Flusher::new());
        let (stop, stopping) = watch::channel(false);
        let assembled = assemble(start, opened, &flusher, &stopping);
        let (member, batcher, tasks) = Box::pin(assembled).await?;
        let running = Running {
            member,
            batcher,
            flusher,
            searcher: Searcher::default(),
            damage,
            stop,
            tasks: Mutex::new(tasks),
        };
        let catalog = Self {
            running: Arc::new(running),
        };
        catalog.index_ahead();
        Ok(catalog)
    }

    /// Founds the federation: initialises Raft with this member as its only voter and applies the
    /// command. Calling it again gives the first answer.
    ///
    /// # Errors
    /// [`Error::FoundingRefused`] when the command would be refused, before anything is written;
    /// [`Error::Membership`] when this member belongs to a catalog already; otherwise as
    /// [`Self::propose`].
    pub async fn found(&self, proposal: SignedProposal) -> Result<Applied, Error> {
        let member = &self.running.member;
        let Command::Found { node, .. } = &proposal.proposal.command else {
            return Err(Error::malformed("founding", "the command is not Found"));
        };
        let address = node.raft_address.clone();
        if member.published.view().authority().is_none() {
            self.rehearse(proposal.clone()).await?;
            member.admit(Admission::Grant)?;
            let me = BTreeMap::from([(member.me, BasicNode::new(address))]);
            match member.raft.initialize(me).await {
                // Initialised before, and stopped before the command was applied.
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(error) => {
                    return Err(Error::Membership {
                        why: error.to_string(),
                    });
                }
            }
        }
        self.propose(proposal).await
    }

    /// Applies the founding to an empty state of its own, so that a mistake in it does not leave a
    /// cluster behind that nobody can found.
    async fn rehearse(&self, proposal: SignedProposal) -> Result<(), Error> {
        let sender = &self.running.member.sender;
        let proposals = vec![Arc::new(EncodedProposal::new(proposal)?)];
        let batch = Batch::sign(sender.node.clone(), proposals, &*sender.signer).await?;
        let outcomes = blocking(move || {
            let mut state = State::new();
            Ok(state.apply_batch(1, &batch).outcomes)
        })
        .await?;
        match outcomes.into_iter().next() {
            Some(Outcome::Refused { code, detail }) => Err(Error::FoundingRefused { code, detail }),
            Some(Outcome::Applied { .. }) | None => Ok(()),
        }
    }

    /// Makes a node of the catalog a voter: a learner first, promoted when it has caught up. Runs
    /// on the leader, or is forwarded to it. A node that lost its disk is added in the same way,
    /// under its old number.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] before its node record is applied, [`Error::Peer`] when it cannot
    /// be reached, [`Error::Membership`] when another change is under way, [`Error::TimedOut`].
    pub async fn add_voter(&self, raft_number: u64, address: &str) -> Result<(), Error> {
        let address = address.to_owned();
        let change = Change::Add {
            raft_number,
            address,
        };
        self.running.member.change(&change).await
    }

    /// Takes a member out of the catalog's Raft, whether or not it runs; its records stay. Runs on
    /// the leader, or is forwarded to it; the leader itself can be taken out, and another one is
    /// elected then. A dead node is replaced by adding the new one first.
    ///
    /// # Errors
    /// [`Error::Membership`] when it is the only voter or another change is under way,
    /// [`Error::TimedOut`].
    pub async fn remove_member(&self, raft_number: u64) -> Result<(), Error> {
        let change = Change::Remove { raft_number };
        self.running.member.change(&change).await
    }

    /// Proposes a command and waits until it is applied or refused, by whichever member leads.
    /// Proposing it again with the same identifier gives the first outcome.
    ///
    /// # Errors
    /// [`Error::Pushback`], [`Error::TooLarge`], [`Error::Record`], [`Error::NoLeader`] and
    /// [`Error::BatchRejected`]: nothing was applied. [`Error::TimedOut`]: unknown.
    pub async fn propose(&self, proposal: SignedProposal) -> Result<Applied, Error> {
        self.running.batcher.propose(proposal).await
    }

    /// The newest view on this node, at once.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.running.member.published.view()
    }

    /// A view with everything in it that was acknowledged anywhere before this call. Asks the
    /// leader, and a majority through it.
    ///
    /// # Errors
    /// [`Error::NoLeader`], [`Error::TimedOut`], [`Error::Membership`].
    pub async fn linearizable(&self) -> Result<Arc<View>, Error> {
        self.running.member.linearizable().await
    }

    /// Finds datasets in the newest view on this node. The first search after a start indexes all
    /// of them, unless that was done meanwhile; later ones index what has changed.
    #[must_use]
    pub fn search(&self, query: &Query<'_>) -> Found {
        self.running.searcher.search(&self.view(), query)
    }

    /// Indexes what was opened before anybody searches, on a thread of its own.
    fn index_ahead(&self) {
        let ahead = Arc::downgrade(&self.running);
        tokio::task::spawn_blocking(move || {
            if let Some(running) = ahead.upgrade() {
                running.searcher.follow(&running.member.published.view());
            }
        });
    }

    /// Milliseconds since this replica last knew that its view was current; the largest number
    /// when it never did.
    #[must_use]
    pub fn staleness_ms(&self) -> u64 {
        self.running.member.staleness_ms()
    }

    /// How far this node's clock is ahead of the other members', in milliseconds; none when no
    /// other was heard in the last ten seconds.
    #[must_use]
    pub fn clock_skew_ms(&self) -> Option<i64> {
        self.running.member.published.clock_skew_ms()
    }

    /// Tells the applied log index whenever it moves.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.running.member.published.changed()
    }

    /// How this member stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let staleness_ms = self.staleness_ms();
        let member = &self.running.member;
        let view = member.published.view();
        let metrics = member.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        Status {
            node: member.node.clone(),
            raft_number: member.me,
            leader: metrics.current_leader,
            term: metrics.current_term,
            applied: view.index(),
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            state_digest: view.digest(),
            agreed: member.accord.agreed(),
            divergence: member.accord.divergence(),
            admitted: *member.admitted.borrow(),
            staleness_ms,
            clock_skew_ms: self.clock_skew_ms(),
            damage: self.running.damage.clone(),
            store_failure: self.running.flusher.failure(),
        }
    }

    pub(crate) fn member(&self) -> &Member {
        &self.running.member
    }

    #[cfg(test)]
    pub(crate) fn log(&self) -> &LogStore {
        &self.running.member.log
    }

    /// Hands over if this member leads, stops taking part, writes what waits and closes the stores.
    /// Proposals under way end with [`Error::Stopped`] or [`Error::TimedOut`].
    pub async fn shutdown(&self) {
        let member = &self.running.member;
        member.hand_over().await;
        if let Err(error) = member.raft.shutdown().await {
            tracing::error!(%error, "Raft did not stop in order");
        }
        self.running.stop.send_replace(true);
        let tasks = std::mem::take(
            &mut *self
                .running
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let until = steady() + SHUTDOWN_TIME_MAX;
        for mut task in tasks {
            let left = until.saturating_duration_since(steady());
            if tokio::time::timeout(left, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Puts the parts of a member together and starts their tasks.
async fn assemble(
    start: StartOptions,
    opened: Opened,
    flusher: &Arc<Flusher>,
    stopping: &watch::Receiver<bool>,
) -> Result<(Arc<Member>, Batcher, Vec<JoinHandle<()>>), Error> {
    let position = &opened.position;
    opened
        .log
        .stood(start.raft_number, &position.membership, position.last)?;
    if opened.is_newer {
        flusher.replace(position.clone());
    }
    let published = Arc::new(Published::new(position.state.clone()));
    let bootstrap = start.options.bootstrap.clone();
    let directory = Arc::new(Directory::new(Arc::clone(&published), bootstrap));
    let machine = StateMachine::new(
        opened.position,
        Arc::clone(&published),
        Arc::clone(flusher),
        opened.snapshots,
    );
    let parts = Parts {
        node: start.node,
        me: start.raft_number,
        signer: start.signer,
        clock: start.clock,
        log: opened.log.clone(),
        published,
        connect: over_tls(start.client_tls, Arc::clone(&directory)),
        directory,
    };
    let (member, batcher, mut tasks) = join(parts, machine, &start.options, stopping).await?;
    let every = start.options.store;
    tasks.push(flusher.run(opened.store, opened.log, every, stopping.clone()));
    let compared = accord::run(Arc::clone(&member), start.options.compare, stopping.clone());
    tasks.push(tokio::spawn(compared));
    let served = Arc::clone(&member);
    tasks.push(serve(
        start.listener,
        start.server_tls,
        served,
        stopping.clone(),
    ));
    Ok((member, batcher, tasks))
}

/// What a member is made of, apart from its state machine and whatever carries calls to it.
pub(crate) struct Parts {
    pub(crate) node: NodeId,
    pub(crate) me: u64,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) clock: Clock,
    pub(crate) log: LogStore,
    pub(crate) published: Arc<Published>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) connect: Connect,
}

/// Starts Raft over `machine`, and the tasks of a member that call others.
pub(crate) async fn join(
    parts: Parts,
    machine: impl RaftStateMachine<TypeConfig>,
    options: &Options,
    stopping: &watch::Receiver<bool>,
) -> Result<(Arc<Member>, Batcher, Vec<JoinHandle<()>>), Error> {
    let Parts { me, log, .. } = parts;
    let (admitted, _) = watch::channel(log.is_admitted()? || !log.is_fresh()?);
    let peers = Arc::new(Peers::new(
        me,
        parts.clock,
        Arc::clone(&parts.published),
        Arc::clone(&parts.directory),
        parts.connect,
    ));
    let config = Arc::new(options.raft_config()?);
    let network = Network::new(Arc::clone(&peers), log.clone());
    let raft = Raft::new(me, config, network, log.clone(), machine)
        .await
        .map_err(|error| Error::store("start Raft", error))?;
    log.follow(raft.server_metrics());
    let (leading, leading_task) =
        Leading::run(raft.clone(), Arc::clone(&parts.published), stopping.clone());
    let sender = Sender {
        node: parts.node.clone(),
        signer: parts.signer,
        raft: raft.clone(),
        leading: Arc::clone(&leading),
        peers: Arc::clone(&peers),
        answer: options.answer,
    };
    let (batcher, batcher_task) = Batcher::run(sender.clone(), options, stopping.clone());
    let member = Arc::new(Member {
        node: parts.node,
        me,
        raft,
        log,
        published: parts.published,
        directory: parts.directory,
        peers,
        leading,
        sender,
        answer: options.answer,
        admitted,
        accord: Accord::default(),
        backups: Arc::new(Semaphore::new(BACKUPS_AT_ONCE_MAX)),
    });
    let ticks = tick(Arc::clone(&member), options.tick, stopping.clone());
    let refreshes = refresh(Arc::clone(&member), stopping.clone());
    let tasks = vec![
        leading_task,
        batcher_task,
        tokio::spawn(ticks),
        tokio::spawn(refreshes),
    ];
    Ok((member, batcher, tasks))
}

impl Drop for Running {
    /// openraft's tasks hold each other and would go on without anybody to ask them.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let raft = self.member.raft.clone();
            runtime.spawn(async move {
                if let Err(error) = raft.shutdown().await {
                    tracing::error!(%error, "Raft did not stop in order");
                }
            });
        }
    }
}

/// While this member leads, proposes the time, so that clocks in the state fire.
async fn tick(member: Arc<Member>, every: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if member.leads() && member.published.view().authority().is_some() {
            let voters: Vec<u64> = {
                let metrics = member.raft.server_metrics();
                let metrics = metrics.borrow();
                metrics.membership_config.membership().voter_ids().collect()
            };
            let own = member.peers.clock.now();
            let Some(now) = member.published.time_to_tick(own, member.me, &voters) else {
                continue;
            };
            // A tick that finds no majority is of no use later.
            let _late = tokio::time::timeout(every * TICK_PATIENCE, member.tick(now)).await;
        }
    }
}

/// Asks known members about keys that this node does not know, but not for each stranger's call.
async fn refresh(member: Arc<Member>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = member.directory.unknown.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        member.peers.refresh_directory().await;
        tokio::select! {
            () = tokio::time::sleep(REFRESH_PAUSE) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::Stopped {
            why: source.to_string(),
        })?
}

/// Connections and stores get this long to end in order.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(3);

/// A tick is given up after this many of its intervals.
const TICK_PATIENCE: u32 = 5;

/// A stranger must not make this node ask all others more often than this.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);
