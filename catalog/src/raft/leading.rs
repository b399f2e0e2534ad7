//! The leader's side of proposing: verifies batches and puts what arrives together into entries.
//!
//! It does not sign; each batch comes signed by its node. It does not wait with a batch either:
//! an entry takes what is there when one of the few entries under way has ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::ServerState;
use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use schemas::NodeId;
use schemas::command::Outcome;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::raft::blocking::blocking;
use crate::raft::codec::{BATCH_BYTES_MAX, ENTRY_BATCHES_MAX, ENTRY_BYTES_AIM, decode_batch};
use crate::raft::peers::CallFailure;
use crate::raft::published::Published;
use crate::raft::types::{CarriedBatch, Payload, Raft};
use crate::raft::verify::VerifiedBatch;

/// Where verified batches wait for their entry.
pub(crate) struct Leading {
    raft: Raft,
    published: Arc<Published>,
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    verifiers: Arc<Semaphore>,
}

struct Waiting {
    batch: CarriedBatch,
    reply: oneshot::Sender<Result<(u64, Vec<Outcome>), CallFailure>>,
    _room: OwnedSemaphorePermit,
}

impl Leading {
    /// Starts the task that makes entries, until `stop`.
    pub(crate) fn run(
        raft: Raft,
        published: Arc<Published>,
        stop: watch::Receiver<bool>,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(BATCHES_WAITING_MAX);
        let leading = Arc::new(Self {
            raft: raft.clone(),
            published,
            queue,
            room: Arc::new(Semaphore::new(BYTES_WAITING_MAX)),
            verifiers: Arc::new(Semaphore::new(VERIFIERS_MAX)),
        });
        (leading, tokio::spawn(make_entries(raft, waiting, stop)))
    }

    /// Verifies a batch and has it committed and applied. `from` must be the node that signed it,
    /// where it is known who calls.
    ///
    /// # Errors
    /// [`CallFailure`]; only `Unknown` leaves open whether it was done.
    pub(crate) async fn propose(
        &self,
        bytes: Bytes,
        from: Option<&NodeId>,
    ) -> Result<(u64, Vec<Outcome>), CallFailure> {
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(CallFailure::Refused(format!(
                "the batch has {} bytes, the limit is {BATCH_BYTES_MAX}",
                bytes.len()
            )));
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(len)
            .map_err(|_| CallFailure::Busy)?;
        let mut verified = self.verify(&bytes, from).await?;
        if verified.all_rejected().is_some() {
            // Only a leader that has applied everything can say that a key is nobody's.
            self.catch_up().await?;
            verified = self.verify(&bytes, from).await?;
            if let Some(outcomes) = verified.all_rejected() {
                return Ok((self.published.view().index(), outcomes));
            }
        }
        let batch = CarriedBatch {
            bytes,
            verified: Some(Arc::new(verified)),
        };
        let (reply, answer) = oneshot::channel();
        self.queue
            .try_send(Waiting {
                batch,
                reply,
                _room: room,
            })
            .map_err(|_| CallFailure::Busy)?;
        answer
            .await
            .unwrap_or_else(|_| Err(CallFailure::Unknown("the node stopped".to_owned())))
    }

    /// Waits until this member has applied whatever was acknowledged anywhere before this call.
    async fn catch_up(&self) -> Result<(), CallFailure> {
        let caught_up = async {
            let index = read_index(&self.raft).await?;
            let mut applied = self.published.changed();
            let waited = applied.wait_for(|applied| *applied >= index).await;
            waited.map(drop).map_err(|_| CallFailure::Busy)
        };
        tokio::time::timeout(CATCH_UP_TIME_MAX, caught_up)
            .await
            .unwrap_or(Err(CallFailure::Busy))
    }

    async fn verify(
        &self,
        bytes: &Bytes,
        from: Option<&NodeId>,
    ) -> Result<VerifiedBatch, CallFailure> {
        let stopped = || CallFailure::Unknown("the node stopped".to_owned());
        let _turn = self.verifiers.acquire().await.map_err(|_| stopped())?;
        let (bytes, from) = (bytes.clone(), from.cloned());
        let moment = self.published.moment();
        let checked = blocking("verify a batch", move || {
            let batch =
                decode_batch(&bytes).map_err(|error| CallFailure::Refused(error.to_string()))?;
            if let Some(from) = from.filter(|from| *from != batch.node) {
                return Err(CallFailure::Refused(format!(
                    "node {from} forwards a batch of node {}; each forwards its own",
                    batch.node
                )));
            }
            Ok(VerifiedBatch::check(
                moment.view.state(),
                moment.keys_epoch,
                &batch,
            ))
        });
        checked.await.map_err(|_| stopped())?
    }
}

/// As the leader: up to where a read must have applied. Asks a majority whether this member still
/// leads.
pub(crate) async fn read_index(raft: &Raft) -> Result<u64, CallFailure> {
    match raft.get_read_log_id().await {
        Ok((read, _)) => Ok(read.map_or(0, |id| id.index)),
        Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_))) => {
            Err(CallFailure::NotLeader)
        }
        // Some heartbeats were late: the next try may reach a majority.
        Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => Err(CallFailure::Busy),
        Err(RaftError::Fatal(error)) => Err(CallFailure::Unknown(error.to_string())),
    }
}

async fn make_entries(
    raft: Raft,
    mut waiting: mpsc::Receiver<Waiting>,
    mut stop: watch::Receiver<bool>,
) {
    let under_way = Arc::new(Semaphore::new(ENTRIES_UNDER_WAY));
    let mut held: Option<Waiting> = None;
    loop {
        let first = match held.take() {
            Some(first) => first,
            None => tokio::select! {
                next = waiting.recv() => match next {
                    Some(first) => first,
                    None => return,
                },
                _ = stop.wait_for(|stop| *stop) => return,
            },
        };
        let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else {
            return;
        };
        let mut bytes = first.batch.bytes.len();
        let mut entry = vec![first];
        while entry.len() < ENTRY_BATCHES_MAX
            && let Ok(next) = waiting.try_recv()
        {
            bytes += next.batch.bytes.len();
            if bytes > ENTRY_BYTES_AIM {
                held = Some(next);
                break;
            }
            entry.push(next);
        }
        tokio::spawn(commit(raft.clone(), entry, permit));
    }
}

async fn commit(raft: Raft, entry: Vec<Waiting>, _permit: OwnedSemaphorePermit) {
    let batches = entry.iter().map(|waiting| waiting.batch.clone()).collect();
    let written = tokio::select! {
        biased;
        written = raft.client_write(Payload { batches }) => written,
        // openraft does not answer what waits when the leader was taken out of the members.
        () = deposed(&raft) => {
            for waiting in entry {
                let why = "this member does not lead any more".to_owned();
                let _gone = waiting.reply.send(Err(CallFailure::Unknown(why)));
            }
            return;
        }
    };
    match written {
        Ok(written) => {
            let index = written.log_id.index;
            for (waiting, outcomes) in entry.into_iter().zip(written.data.batches) {
                // Whoever gave up asks again with the same identifiers.
                let _gone = waiting.reply.send(Ok((index, outcomes)));
            }
        }
        Err(error) => {
            for waiting in entry {
                let _gone = waiting.reply.send(Err(failure(&error)));
            }
        }
    }
}

/// Ends some time after this member has stopped leading.
async fn deposed(raft: &Raft) {
    let mut metrics = raft.server_metrics();
    let follows = metrics.wait_for(|it| it.state != ServerState::Leader).await;
    drop(follows);
    tokio::time::sleep(DEPOSED_TIME_MAX).await;
}

fn failure(error: &RaftError<u64, ClientWriteError<u64, openraft::BasicNode>>) -> CallFailure {
    match error {
        // openraft says this both for what it never took and for what it had appended when it
        // lost the lead; so it may have been done.
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => CallFailure::NotLeader,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            CallFailure::Refused(error.to_string())
        }
        RaftError::Fatal(error) => CallFailure::Unknown(error.to_string()),
    }
}

/// What a deposed leader had appended is answered within this time or not at all.
const DEPOSED_TIME_MAX: Duration = Duration::from_secs(1);

/// A leader that needs longer to apply what its log holds has too much to do.
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(5);

/// While one entry is synced, all that comes is gathered into the next. More of them at once would
/// be smaller ones: each costs a sync on every voter and an exchange with every follower.
const ENTRIES_UNDER_WAY: usize = 1;

/// Batches of all nodes that wait for an entry.
const BATCHES_WAITING_MAX: usize = 1_024;

/// Bytes of all batches that are verified or wait.
const BYTES_WAITING_MAX: usize = 64 << 20;

/// Batches that are verified at once; each spreads its signatures over the cores by itself.
const VERIFIERS_MAX: usize = 4;
