//! The gRPC service that other members call.
//!
//! It does not believe what a caller says it is: each call is judged by the transport key of its
//! connection, and a member can only speak as itself.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use crypto::Digest;
use crypto::tls::{PeerTlsStream, ServerTls};
use openraft::error::{InstallSnapshotError, RaftError};
use schemas::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::raft::accord;
use crate::raft::blocking::blocking;
use crate::raft::codec::MESSAGE_BYTES_MAX;
use crate::raft::directory::Caller;
use crate::raft::member::Member;
use crate::raft::membership::{Change, Halt};
use crate::raft::peers::{Admission, CallFailure};
use crate::raft::wire;
use crate::raft::wire::proto;
use crate::raft::wire::proto::raft_server::{Raft, RaftServer};

/// Serves members on `listener` until `stop`.
pub(crate) fn serve(
    listener: TcpListener,
    tls: ServerTls,
    member: Arc<Member>,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let mut incoming = crypto::tls::incoming::accept(listener, tls);
    let streams = futures::stream::poll_fn(move |cx| {
        incoming
            .poll_next(cx)
            .map(|next| next.map(|stream| Ok::<_, std::io::Error>(Line(stream))))
    });
    let server = Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_LINE_MAX)
        .max_concurrent_streams(CALLS_PER_LINE_STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_service(service(member));
    tokio::spawn(async move {
        let stopped = async move {
            // An error means that the member is gone, which is as good as stopping.
            let _gone = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = server.serve_with_incoming_shutdown(streams, stopped).await {
            tracing::error!(%error, "the member's server ended");
        }
    })
}

/// What a member answers, whatever carries the calls; each needs a [`TransportKey`].
pub(crate) fn service(member: Arc<Member>) -> RaftServer<Service> {
    RaftServer::new(Service { member })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// One connection, which knows the key of its peer.
struct Line(PeerTlsStream);

/// The transport key of the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransportKey(pub(crate) Option<Digest>);

impl Connected for Line {
    type ConnectInfo = TransportKey;

    fn connect_info(&self) -> TransportKey {
        TransportKey(self.0.peer_spki())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// The calls that a member answers.
pub(crate) struct Service {
    member: Arc<Member>,
}

impl Service {
    /// Who calls, or a refusal.
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let key = request
            .extensions()
            .get::<TransportKey>()
            .and_then(|key| key.0);
        let key = key.ok_or_else(|| Status::unauthenticated("no certificate was shown"))?;
        self.member.directory.judge(&key).ok_or_else(|| {
            Status::permission_denied(format!(
                "transport key {key} belongs to no node of the catalog"
            ))
        })
    }

    /// Whoever calls must be that member, and this one must take part.
    fn peer<T>(&self, request: &Request<T>, raft_number: u64) -> Result<(), Status> {
        if !self.caller(request)?.is_member(raft_number) {
            return Err(Status::permission_denied(format!(
                "the caller's transport key is not that of member {raft_number}"
            )));
        }
        if !*self.member.admitted.borrow() {
            return Err(Status::unavailable(
                "this member is fresh and waits until a leader adds it",
            ));
        }
        Ok(())
    }

    /// Whoever calls must be some member.
    fn any_member<T>(&self, request: &Request<T>) -> Result<Option<NodeId>, Status> {
        match self.caller(request)? {
            Caller::Node { raft_number: 0, .. } => {
                Err(Status::permission_denied("the caller has no part in Raft"))
            }
            Caller::Node { id, .. } => Ok(id),
            Caller::Unnamed => Ok(None),
        }
    }
}

impl Service {
    /// As the leader: changes who takes part.
    async fn change(&self, change: Change) -> Result<(), Status> {
        if !self.member.leads() {
            return Err(refused(CallFailure::NotLeader));
        }
        match self.member.change_here(&change).await {
            Ok(()) => Ok(()),
            Err(Halt::NotLeader) => Err(refused(CallFailure::NotLeader)),
            Err(Halt::Failed(error)) => Err(Status::invalid_argument(error.to_string())),
        }
    }
}

#[tonic::async_trait]
impl Raft for Service {
    async fn append(
        &self,
        request: Request<proto::AppendRequest>,
    ) -> Result<Response<proto::AppendReply>, Status> {
        let leader = request.get_ref().vote.map_or(0, |vote| vote.node);
        self.peer(&request, leader)?;
        let member = &self.member;
        let message = request.into_inner();
        let (proved_life, proved_ms) = (message.proved_life, message.proved_ms);
        let proved_index = message.proved_index;
        let (asked, now) = (message.sent_at_ms, member.peers.clock.now());
        let rpc = wire::append_from(message).map_err(|error| invalid(&error))?;
        let led = rpc.vote.is_committed();
        let answer = member
            .raft
            .append_entries(rpc)
            .await
            .map_err(|error| stopped(&error))?;
        use openraft::raft::AppendEntriesResponse::{PartialSuccess, Success};
        if led && matches!(answer, Success | PartialSuccess(_)) {
            let theirs = schemas::Timestamp::from_millis(asked);
            member.published.compare_clocks(leader, theirs, now);
            if proved_life == member.peers.life && proved_ms != 0 {
                member.published.heard_leader(proved_ms, proved_index);
            }
        }
        let mut reply = wire::appended_to(&answer, member.peers.clock.now());
        reply.life = member.peers.life;
        reply.life_ms = member.published.millis();
        Ok(Response::new(reply))
    }

    async fn request_vote(
        &self,
        request: Request<proto::BallotRequest>,
    ) -> Result<Response<proto::BallotReply>, Status> {
        let candidate = request.get_ref().vote.map_or(0, |vote| vote.node);
        self.peer(&request, candidate)?;
        let rpc = wire::ballot_from(request.into_inner()).map_err(|error| invalid(&error))?;
        let answer = self
            .member
            .raft
            .vote(rpc)
            .await
            .map_err(|error| stopped(&error))?;
        Ok(Response::new(wire::voted_to(&answer)))
    }

    async fn install_snapshot(
        &self,
        request: Request<proto::SnapshotRequest>,
    ) -> Result<Response<proto::SnapshotReply>, Status> {
        let leader = request.get_ref().vote.map_or(0, |vote| vote.node);
        self.peer(&request, leader)?;
        let rpc = wire::piece_from(request.into_inner()).map_err(|error| invalid(&error))?;
        match self.member.raft.install_snapshot(rpc).await {
            Ok(answer) => {
                let vote = Some(wire::vote_to(&answer.vote));
                Ok(Response::new(proto::SnapshotReply { vote }))
            }
            Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
                let mismatch = serde_json::to_string(&mismatch);
                Err(Status::aborted(mismatch.unwrap_or_default()))
            }
            Err(RaftError::Fatal(error)) => Err(stopped(&error)),
        }
    }

    async fn propose(
        &self,
        request: Request<proto::ProposeRequest>,
    ) -> Result<Response<proto::ProposeReply>, Status> {
        let from = self.any_member(&request)?;
        let batch = request.into_inner().batch;
        let proposed = self.member.leading.propose(batch, from.as_ref()).await;
        let (index, outcomes) = proposed.map_err(refused)?;
        let outcomes =
            serde_json::to_vec(&outcomes).map_err(|source| Status::internal(source.to_string()))?;
        Ok(Response::new(proto::ProposeReply {
            index,
            outcomes: Bytes::from(outcomes),
        }))
    }

    async fn read_index(
        &self,
        request: Request<proto::ReadIndexRequest>,
    ) -> Result<Response<proto::ReadIndexReply>, Status> {
        self.any_member(&request)?;
        let index = self.member.read_index().await.map_err(refused)?;
        Ok(Response::new(proto::ReadIndexReply { index }))
    }

    async fn admit(
        &self,
        request: Request<proto::AdmitRequest>,
    ) -> Result<Response<proto::AdmitReply>, Status> {
        self.any_member(&request)?;
        let message = request.into_inner();
        if message.raft_number != self.member.me {
            return Err(Status::permission_denied(format!(
                "this is member {}, not {}",
                self.member.me, message.raft_number
            )));
        }
        let admission = if message.ask_only {
            Admission::Ask
        } else {
            Admission::Grant
        };
        let member = Arc::clone(&self.member);
        let admitted = blocking("admit a member", move || member.admit(admission)).await;
        let fresh = admitted
            .flatten()
            .map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(proto::AdmitReply { fresh }))
    }

    async fn add_voter(
        &self,
        request: Request<proto::AddVoterRequest>,
    ) -> Result<Response<proto::AddVoterReply>, Status> {
        self.any_member(&request)?;
        let message = request.into_inner();
        if message.address.len() > ADDRESS_BYTES_MAX {
            return Err(Status::invalid_argument(
                "the address has more than 256 bytes",
            ));
        }
        self.change(Change::Add {
            raft_number: message.raft_number,
            address: message.address,
        })
        .await?;
        Ok(Response::new(proto::AddVoterReply {}))
    }

    async fn remove_member(
        &self,
        request: Request<proto::RemoveMemberRequest>,
    ) -> Result<Response<proto::RemoveMemberReply>, Status> {
        self.any_member(&request)?;
        let raft_number = request.into_inner().raft_number;
        self.change(Change::Remove { raft_number }).await?;
        Ok(Response::new(proto::RemoveMemberReply {}))
    }

    async fn take_over(
        &self,
        request: Request<proto::TakeOverRequest>,
    ) -> Result<Response<proto::TakeOverReply>, Status> {
        let leader = request.get_ref().leader;
        self.peer(&request, leader)?;
        self.member.take_over(leader).await.map_err(refused)?;
        Ok(Response::new(proto::TakeOverReply {}))
    }

    async fn compare(
        &self,
        request: Request<proto::CompareRequest>,
    ) -> Result<Response<proto::CompareReply>, Status> {
        self.any_member(&request)?;
        let published = Arc::clone(&self.member.published);
        let reply = accord::answer_message(published, request.into_inner()).await;
        reply.map(Response::new).map_err(|error| invalid(&error))
    }

    async fn directory(
        &self,
        request: Request<proto::DirectoryRequest>,
    ) -> Result<Response<proto::DirectoryReply>, Status> {
        self.any_member(&request)?;
        let entries =
            self.member
                .directory
                .members()
                .into_iter()
                .flat_map(|(raft_number, keys, _)| {
                    keys.into_iter()
                        .map(move |key| proto::directory_reply::Entry {
                            raft_number,
                            transport_key: Bytes::copy_from_slice(key.as_bytes()),
                        })
                });
        let index = self.member.published.view().index();
        Ok(Response::new(proto::DirectoryReply {
            entries: entries.collect(),
            index,
        }))
    }
}

fn refused(failure: CallFailure) -> Status {
    match failure {
        CallFailure::NotLeader => Status::failed_precondition("this member does not lead"),
        CallFailure::Busy => Status::resource_exhausted("too much waits here; try again later"),
        CallFailure::Refused(why) => Status::invalid_argument(why),
        CallFailure::Unknown(why) => Status::unavailable(why),
    }
}

fn invalid(error: &Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: &impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}

/// Calls of one member that are worked on at once: replication, batches, reads. With the limit of
/// one message it bounds what a member can make this node hold.
const CALLS_PER_LINE_MAX: usize = 128;

/// More streams than this are refused by HTTP/2 itself.
const CALLS_PER_LINE_STREAMS_MAX: u32 = 256;

/// Enough for one whole message on a long line.
const WINDOW_BYTES: u32 = 8 << 20;

const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A DNS name of full length and a port.
const ADDRESS_BYTES_MAX: usize = 256;
