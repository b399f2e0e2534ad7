//! A node's own proposals: many in one batch, signed once, brought to whoever leads.
//!
//! It does not know what became of a command when the line broke; it proposes the same bytes
//! again, and the state answers a repeated identifier with the first outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crypto::Signer;
use schemas::NodeId;
use schemas::command::{Outcome, SignedProposal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::Error;
use crate::raft::clock::{elapsed, elapsed_ms, steady};
use crate::raft::codec::{BATCH_BYTES_AIM, encode_batch, proposal_len};
use crate::raft::leading::Leading;
use crate::raft::options::{Options, PROPOSALS_QUEUED_BYTES_MAX};
use crate::raft::peers::{CallFailure, Peers};
use crate::raft::types::Raft;
use crate::state::{Batch, EncodedProposal};

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The log index at which it was applied.
    pub index: u64,
    /// Its outcome, the same on every replica.
    pub outcome: Outcome,
}

/// Where proposals of this node wait.
pub(crate) struct Batcher {
    queue: mpsc::Sender<Waiting>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    room: Arc<Semaphore>,
}

struct Waiting {
    proposal: Arc<EncodedProposal>,
    len: usize,
    reply: oneshot::Sender<Result<Applied, Failure>>,
    _room: OwnedSemaphorePermit,
}

/// Why a whole batch came to nothing; each of its proposers is told.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    NoLeader { waited_ms: u64 },
    TimedOut { waited_ms: u64 },
    Rejected { node: NodeId, why: String },
    Stopped,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoLeader { waited_ms } => Self::NoLeader { waited_ms },
            Failure::TimedOut { waited_ms } => Self::TimedOut { waited_ms },
            Failure::Rejected { node, why } => Self::BatchRejected {
                node: node.to_string(),
                why,
            },
            Failure::Stopped => Self::Stopped {
                why: "it is shutting down".to_owned(),
            },
        }
    }
}

/// What bringing a batch to the leader needs.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) node: NodeId,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) raft: Raft,
    pub(crate) leading: Arc<Leading>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) answer: Duration,
}

impl Batcher {
    /// Starts the task that makes batches, until `stop`.
    pub(crate) fn run(
        sender: Sender,
        options: &Options,
        stop: watch::Receiver<bool>,
    ) -> (Self, JoinHandle<()>) {
        // The counter is the limit; the channel only has to be as long.
        let (queue, receiver) = mpsc::channel(options.proposals_queued);
        let waiting = Arc::new(AtomicUsize::new(0));
        let batcher = Self {
            queue,
            waiting: Arc::clone(&waiting),
            waiting_max: options.proposals_queued,
            room: Arc::new(Semaphore::new(PROPOSALS_QUEUED_BYTES_MAX)),
        };
        let limits = Limits {
            commands: options.batch_commands,
            in_flight: options.batches_in_flight,
        };
        (
            batcher,
            tokio::spawn(make_batches(sender, limits, receiver, waiting, stop)),
        )
    }

    /// Proposes a command and waits until it is applied or refused.
    pub(crate) async fn propose(&self, proposal: SignedProposal) -> Result<Applied, Error> {
        // What has no canonical form must not get into a batch with others.
        let proposal = Arc::new(EncodedProposal::new(proposal)?);
        let len = proposal_len(&proposal)?;
        let pushback = || Error::Pushback {
            waiting: self.waiting.load(Ordering::Relaxed),
            limit: self.waiting_max,
        };
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(u32::try_from(len).unwrap_or(u32::MAX))
            .map_err(|_| pushback())?;
        let (reply, answer) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.queue.try_send(Waiting {
            proposal,
            len,
            reply,
            _room: room,
        }) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                mpsc::error::TrySendError::Full(_) => pushback(),
                mpsc::error::TrySendError::Closed(_) => Failure::Stopped.into(),
            });
        }
        Ok(answer.await.unwrap_or(Err(Failure::Stopped))?)
    }
}

#[derive(Clone, Copy)]
struct Limits {
    commands: usize,
    in_flight: usize,
}

async fn make_batches(
    sender: Sender,
    limits: Limits,
    mut queue: mpsc::Receiver<Waiting>,
    waiting: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) {
    let in_flight = Arc::new(Semaphore::new(limits.in_flight));
    let mut held: Option<Waiting> = None;
    loop {
        // First the turn, then the batch: whatever arrives while all turns are taken makes the
        // next batch larger.
        let permit = tokio::select! {
            permit = Arc::clone(&in_flight).acquire_owned() => permit,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok(permit) = permit else { return };
        let first = match held.take() {
            Some(first) => first,
            None => tokio::select! {
                next = queue.recv() => match next {
                    Some(first) => first,
                    None => return,
                },
                _ = stop.wait_for(|stop| *stop) => return,
            },
        };
        let mut bytes = first.len;
        let mut batch = vec![first];
        while batch.len() < limits.commands
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.len;
            if bytes > BATCH_BYTES_AIM {
                held = Some(next);
                break;
            }
            batch.push(next);
        }
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        tokio::spawn(bring(sender.clone(), batch, permit));
    }
}

/// Signs a batch, brings it to the leader and tells each proposer what became of it.
async fn bring(sender: Sender, batch: Vec<Waiting>, _permit: OwnedSemaphorePermit) {
    let (proposals, replies): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.proposal, waiting.reply))
        .unzip();
    let brought = match sender.sign(proposals).await {
        Ok(bytes) => sender.bring(bytes).await,
        Err(error) => Err(Failure::Rejected {
            node: sender.node.clone(),
            why: error.to_string(),
        }),
    };
    match brought {
        Ok((index, outcomes)) => {
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // Whoever gave up can ask again with the same identifier.
                let _gone = reply.send(Ok(Applied { index, outcome }));
            }
        }
        Err(failure) => {
            for reply in replies {
                let _gone = reply.send(Err(failure.clone()));
            }
        }
    }
}

impl Sender {
    /// Signs proposals of this node as one batch.
    pub(crate) async fn sign(&self, proposals: Vec<Arc<EncodedProposal>>) -> Result<Bytes, Error> {
        let batch = Batch::sign(self.node.clone(), proposals, &*self.signer).await?;
        encode_batch(&batch)
    }

    /// Brings a signed batch to whoever leads, again and again until it is answered or the time
    /// is up.
    async fn bring(&self, bytes: Bytes) -> Result<(u64, Vec<Outcome>), Failure> {
        let began = steady();
        let mut maybe_done = false;
        loop {
            let left = self.answer.saturating_sub(elapsed(began));
            if left.is_zero() {
                return Err(timed_out(began, maybe_done));
            }
            match self.try_once(bytes.clone(), left).await {
                Some(Ok(done)) => return Ok(done),
                Some(Err(CallFailure::Refused(why))) => {
                    return Err(Failure::Rejected {
                        node: self.node.clone(),
                        why,
                    });
                }
                Some(Err(CallFailure::Unknown(why))) => {
                    tracing::debug!(why, "a batch is brought to the leader again");
                    maybe_done = true;
                }
                Some(Err(CallFailure::NotLeader)) => maybe_done = true,
                Some(Err(CallFailure::Busy)) | None => {}
            }
            self.pause(left).await;
        }
    }

    /// One try; none when no leader is known.
    async fn try_once(
        &self,
        bytes: Bytes,
        left: Duration,
    ) -> Option<Result<(u64, Vec<Outcome>), CallFailure>> {
        let (leader, address) = leader(&self.raft)?;
        let asked = async {
            if leader == self.peers.me {
                let proposed = tokio::time::timeout(left, self.leading.propose(bytes, None));
                return proposed.await.unwrap_or_else(|_| {
                    Err(CallFailure::Unknown(
                        "no majority answered in time".to_owned(),
                    ))
                });
            }
            self.peers.propose(leader, &address, bytes, left).await
        };
        tokio::select! {
            biased;
            answer = asked => Some(answer),
            // One that leads no more may never know what became of it; the next one does.
            () = followed_by_another(&self.raft, leader) => Some(Err(CallFailure::Unknown(
                "another member leads by now".to_owned(),
            ))),
        }
    }

    /// Waits until something about the leader changes, but not for long: what failed may also
    /// have been the line.
    async fn pause(&self, left: Duration) {
        let mut metrics = self.raft.server_metrics();
        let _changed_or_not = tokio::time::timeout(RETRY_PAUSE.min(left), metrics.changed()).await;
        tokio::time::sleep(RETRY_PAUSE_MIN.min(left)).await;
    }
}

fn timed_out(began: Instant, maybe_done: bool) -> Failure {
    let waited_ms = elapsed_ms(began);
    if maybe_done {
        Failure::TimedOut { waited_ms }
    } else {
        Failure::NoLeader { waited_ms }
    }
}

/// Who leads, as far as this node knows, and its address.
pub(crate) fn leader(raft: &Raft) -> Option<(u64, String)> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow();
    let leader = metrics.current_leader?;
    let node = metrics.membership_config.membership().get_node(&leader)?;
    Some((leader, node.addr.clone()))
}

/// Ends when this node knows of another leader than `leader`.
pub(crate) async fn followed_by_another(raft: &Raft, leader: u64) {
    let mut metrics = raft.server_metrics();
    let other = metrics.wait_for(|it| it.current_leader.is_some_and(|now| now != leader));
    if other.await.is_err() {
        // Raft stops, and the call ends by itself.
        std::future::pending::<()>().await;
    }
}

const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);
