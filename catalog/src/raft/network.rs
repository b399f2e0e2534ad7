//! openraft's calls, carried by [`Peers`].
//!
//! A follower's answer does not reach openraft before this leader's own disk has what it is about:
//! see `ahead`.
//!
//! It does not give up an append when openraft's patience ends: openraft cancels a call after one
//! heartbeat, and over a slow line a large entry takes longer, for ever again. So a call goes on
//! beside, and when openraft asks for the same entries again, it gets the answer of that call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode, RaftNetwork, RaftNetworkFactory};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};

use crate::Error;
use crate::raft::clock::steady;
use crate::raft::currency::Stamp;
use crate::raft::log_store::LogStore;
use crate::raft::peers::{Peers, said};
use crate::raft::types::{LogId, TypeConfig, Vote};
use crate::raft::wire;

type CallError<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

/// Makes one [`Line`] for each member that is replicated to.
#[derive(Clone)]
pub(crate) struct Network {
    peers: Arc<Peers>,
    log: LogStore,
}

impl Network {
    pub(crate) fn new(peers: Arc<Peers>, log: LogStore) -> Self {
        Self { peers, log }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Line;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Line {
        Line {
            peers: Arc::clone(&self.peers),
            log: self.log.clone(),
            target,
            address: node.addr.clone(),
            going: None,
        }
    }
}

/// The line to one member.
pub(crate) struct Line {
    peers: Arc<Peers>,
    log: LogStore,
    target: u64,
    address: String,
    going: Option<Going>,
}

/// An append with entries that is under way.
struct Going {
    vote: Vote,
    previous: Option<LogId>,
    last: LogId,
    answer: JoinHandle<Result<AppendEntriesResponse<u64>, Status>>,
}

impl Drop for Going {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

impl Line {
    /// Sends an append; the task outlives the patience of the caller.
    fn send(
        &self,
        rpc: &AppendEntriesRequest<TypeConfig>,
    ) -> Result<JoinHandle<Result<AppendEntriesResponse<u64>, Status>>, Error> {
        let asked = self.peers.clock.now();
        let mut message = wire::append_to(rpc, asked)?;
        let (peers, target, vote) = (Arc::clone(&self.peers), self.target, rpc.vote);
        peers.published.leads(&vote, rpc.leader_commit);
        if let Some(proof) = peers.published.proof(peers.me, target) {
            message.proved_life = proof.stamp.life;
            message.proved_ms = proof.stamp.millis;
            message.proved_index = proof.index;
        }
        let (log, last) = (self.log.clone(), last_index(rpc));
        let mut client = peers.client(target, &self.address);
        let steadily = steady();
        Ok(tokio::spawn(async move {
            let call = client.append(Request::new(message));
            let reply = tokio::time::timeout(APPEND_TIME_MAX, call)
                .await
                .map_err(|_| Status::deadline_exceeded("no answer in time"))??
                .into_inner();
            peers.compare(target, asked, reply.answered_at_ms);
            let stamp = Stamp {
                life: reply.life,
                millis: reply.life_ms,
            };
            let answer =
                wire::appended_from(reply).map_err(|error| Status::data_loss(error.to_string()))?;
            if matches!(
                answer,
                AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_)
            ) {
                let stamp = Some(stamp).filter(|stamp| stamp.millis != 0);
                peers
                    .published
                    .heard_follower(&vote, target, steadily, stamp);
                let own = tokio::time::timeout(APPEND_TIME_MAX, log.synced(last)).await;
                own.map_err(|_| Status::deadline_exceeded("this disk is too slow"))?
                    .map_err(|error| Status::data_loss(error.to_string()))?;
            }
            Ok(answer)
        }))
    }
}

impl RaftNetwork<TypeConfig> for Line {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallError> {
        let Some(last) = rpc.entries.last().map(|entry| entry.log_id) else {
            let answer = self.send(&rpc).map_err(|error| broken(&error))?;
            let mut answer = Beating(answer);
            return joined((&mut answer.0).await);
        };
        let matches = self.going.as_ref().is_some_and(|going| {
            going.vote == rpc.vote && going.previous == rpc.prev_log_id && going.last <= last
        });
        if !matches {
            let answer = self.send(&rpc).map_err(|error| broken(&error))?;
            self.going = Some(Going {
                vote: rpc.vote,
                previous: rpc.prev_log_id,
                last,
                answer,
            });
        }
        let Some(going) = &mut self.going else {
            return Err(broken(&Error::malformed("append", "it has no entries")));
        };
        let answer = (&mut going.answer).await;
        let sent = going.last;
        self.going = None;
        match joined(answer)? {
            AppendEntriesResponse::Success if sent < last => {
                Ok(AppendEntriesResponse::PartialSuccess(Some(sent)))
            }
            other => Ok(other),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, CallError<InstallSnapshotError>> {
        let message = wire::piece_to(rpc).map_err(|error| broken(&error))?;
        let mut client = self.peers.client(self.target, &self.address);
        let call = client.install_snapshot(Request::new(message));
        let reply = match timely(option.hard_ttl(), call).await {
            Ok(reply) => reply,
            Err(status) if status.code() == Code::Aborted => {
                // The receiver lost its place: it says where it is, and openraft starts again.
                let mismatch = serde_json::from_str(status.message());
                let mismatch = mismatch.map_err(|_| unreachable_by(&status))?;
                let error = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
                return Err(RPCError::RemoteError(RemoteError::new(self.target, error)));
            }
            Err(status) => return Err(unreachable_by(&status)),
        };
        let vote = wire::vote_from(reply.vote).map_err(|error| broken(&error))?;
        Ok(InstallSnapshotResponse { vote })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, CallError> {
        let mut client = self.peers.client(self.target, &self.address);
        let call = client.request_vote(Request::new(wire::ballot_to(&rpc)));
        let reply = timely(option.hard_ttl(), call)
            .await
            .map_err(|status| unreachable_by(&status))?;
        wire::voted_from(reply).map_err(|error| broken(&error))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE))
    }
}

/// The last entry that an append says something about.
fn last_index(rpc: &AppendEntriesRequest<TypeConfig>) -> u64 {
    let last = rpc.entries.last().map(|entry| entry.log_id);
    last.or(rpc.prev_log_id).map_or(0, |id| id.index)
}

/// A heartbeat is not worth finishing when nobody waits for it.
struct Beating(JoinHandle<Result<AppendEntriesResponse<u64>, Status>>);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn timely<T>(
    time: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout(time, call)
        .await
        .map_err(|_| Status::deadline_exceeded("no answer in time"))?
        .map(Response::into_inner)
}

#[expect(
    clippy::result_large_err,
    reason = "the size is that of openraft's own error"
)]
fn joined(
    answer: Result<Result<AppendEntriesResponse<u64>, Status>, tokio::task::JoinError>,
) -> Result<AppendEntriesResponse<u64>, CallError> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => Err(unreachable_by(&status)),
        Err(error) => Err(RPCError::Network(NetworkError::new(&error))),
    }
}

fn unreachable_by<E: std::error::Error>(status: &Status) -> RPCError<u64, BasicNode, E> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(said(status))))
}

fn broken<E: std::error::Error>(error: &Error) -> RPCError<u64, BasicNode, E> {
    RPCError::Network(NetworkError::new(error))
}

/// The largest append over one megabit a second takes half of it.
const APPEND_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a member that cannot be reached is left alone.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(200);
