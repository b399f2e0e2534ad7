//! Calls to other members: one connection each, over mutual TLS, made when needed and made again
//! after it broke.
//!
//! It does not trust an address: whoever answers there must hold the transport key of the member
//! that was called.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crypto::Digest;
use crypto::tls::ClientTls;
use hyper_util::rt::TokioIo;
use schemas::Timestamp;
use schemas::command::Outcome;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::{Endpoint, Uri};
use tonic::{Code, Request, Response, Status};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::Error;
use crate::raft::accord::{self, Answer, Ask};
use crate::raft::clock::Clock;
use crate::raft::codec::MESSAGE_BYTES_MAX;
use crate::raft::directory::{Directory, MEMBERS_LISTED_MAX, VOUCHED_MAX};
use crate::raft::membership::Change;
use crate::raft::published::Published;
use crate::raft::wire::proto;
use crate::raft::wire::proto::raft_client::RaftClient;

/// The other members, as this node calls them.
pub(crate) struct Peers {
    pub(crate) me: u64,
    pub(crate) clock: Clock,
    /// Tells this life of the node from those before and after: when it began.
    pub(crate) life: i64,
    pub(crate) published: Arc<Published>,
    directory: Arc<Directory>,
    connect: Connect,
    open: Mutex<BTreeMap<u64, (String, RaftClient<Carrier>)>>,
}

/// Carries calls to one member: HTTP/2 over mutual TLS in every program, nothing but memory in a
/// simulation.
pub(crate) type Carrier = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Broken>;

/// A call did not get through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The line.
    #[error(transparent)]
    Line(#[from] tonic::transport::Error),
    /// The simulated one.
    #[cfg(test)]
    #[error("{0}")]
    Simulated(String),
}

/// Makes a carrier to the member of that Raft number at an address.
pub(crate) type Connect = Box<dyn Fn(u64, &str) -> Carrier + Send + Sync>;

/// Why a forwarded call gave nothing.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// That member does not lead, or is not ready; nothing was done.
    NotLeader,
    /// It has too much to do; nothing was done.
    Busy,
    /// It refused; nothing was done, and asking again will not help.
    Refused(String),
    /// The line broke or the answer did not come; it may have been done.
    Unknown(String),
}

/// What a member is told about taking part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing; it only says whether it is fresh.
    Ask,
    /// It may take part from now on.
    Grant,
}

impl Peers {
    pub(crate) fn new(
        me: u64,
        clock: Clock,
        published: Arc<Published>,
        directory: Arc<Directory>,
        connect: Connect,
    ) -> Self {
        Self {
            me,
            life: clock.now().millis(),
            clock,
            published,
            directory,
            connect,
            open: Mutex::default(),
        }
    }

    /// The connection to a member at an address; it is made with the first call.
    pub(crate) fn client(&self, raft_number: u64, address: &str) -> RaftClient<Carrier> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = open.get(&raft_number)
            && known == address
        {
            return client.clone();
        }
        let client = RaftClient::new((self.connect)(raft_number, address))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        if open.len() >= MEMBERS_LISTED_MAX {
            open.clear();
        }
        open.insert(raft_number, (address.to_owned(), client.clone()));
        client
    }

    /// Forwards a batch to the leader.
    pub(crate) async fn propose(
        &self,
        leader: u64,
        address: &str,
        batch: Bytes,
        time: Duration,
    ) -> Result<(u64, Vec<Outcome>), CallFailure> {
        let mut client = self.client(leader, address);
        let answer = answered(
            time,
            client.propose(Request::new(proto::ProposeRequest { batch })),
        )
        .await?;
        let outcomes = serde_json::from_slice(&answer.outcomes)
            .map_err(|source| CallFailure::Unknown(source.to_string()))?;
        Ok((answer.index, outcomes))
    }

    /// Asks the leader up to where a linearizable read must have applied.
    pub(crate) async fn read_index(
        &self,
        leader: u64,
        address: &str,
        time: Duration,
    ) -> Result<u64, CallFailure> {
        let mut client = self.client(leader, address);
        let call = client.read_index(Request::new(proto::ReadIndexRequest {}));
        Ok(answered(time, call).await?.index)
    }

    /// Asks the leader to change who takes part.
    pub(crate) async fn change(
        &self,
        (leader, address): (u64, &str),
        change: &Change,
        time: Duration,
    ) -> Result<(), CallFailure> {
        let mut client = self.client(leader, address);
        match change {
            Change::Add {
                raft_number,
                address,
            } => {
                let message = proto::AddVoterRequest {
                    raft_number: *raft_number,
                    address: address.clone(),
                };
                answered(time, client.add_voter(Request::new(message))).await?;
            }
            Change::Remove { raft_number } => {
                let message = proto::RemoveMemberRequest {
                    raft_number: *raft_number,
                };
                answered(time, client.remove_member(Request::new(message))).await?;
            }
        }
        Ok(())
    }

    /// As the leader: asks a voter to lead from now on.
    pub(crate) async fn take_over(
        &self,
        raft_number: u64,
        address: &str,
    ) -> Result<(), CallFailure> {
        let mut client = self.client(raft_number, address);
        let message = proto::TakeOverRequest { leader: self.me };
        answered(TAKE_OVER_TIME_MAX, client.take_over(Request::new(message))).await?;
        Ok(())
    }

    /// Asks a member whether it is fresh, or tells it that it may take part.
    pub(crate) async fn admit(
        &self,
        raft_number: u64,
        address: &str,
        admission: Admission,
    ) -> Result<bool, Error> {
        let mut client = self.client(raft_number, address);
        let ask_only = admission == Admission::Ask;
        let call = client.admit(Request::new(proto::AdmitRequest {
            raft_number,
            ask_only,
        }));
        match answered(ADMIT_TIME_MAX, call).await {
            Ok(reply) => Ok(reply.fresh),
            Err(failure) => Err(Error::Peer {
                raft_number,
                address: address.to_owned(),
                why: failure.to_string(),
            }),
        }
    }

    /// Asks a member about its records.
    pub(crate) async fn compare_states(
        &self,
        raft_number: u64,
        address: &str,
        ask: &Ask,
    ) -> Result<Answer, CallFailure> {
        let mut client = self.client(raft_number, address);
        let call = client.compare(Request::new(accord::ask_to(ask)));
        Ok(accord::answer_from(
            ask,
            answered(COMPARE_TIME_MAX, call).await?,
        ))
    }

    /// Asks every known member whose keys it knows, because a stranger called.
    pub(crate) async fn refresh_directory(&self) {
        for (raft_number, _, address) in self.directory.members() {
            if raft_number == self.me {
                continue;
            }
            let mut client = self.client(raft_number, &address);
            let call = client.directory(Request::new(proto::DirectoryRequest {}));
            let Ok(reply) = answered(CONNECT_TIME_MAX, call).await else {
                continue;
            };
            let entries = reply.entries.into_iter().take(VOUCHED_MAX);
            self.directory.vouch(entries.filter_map(|entry| {
                let key = <[u8; Digest::BYTES]>::try_from(entry.transport_key.as_ref()).ok()?;
                Some((Digest::from_bytes(key), entry.raft_number))
            }));
        }
    }

    /// Compares clocks over one exchange: the other clock was read between the two instants, so
    /// the middle of them is the best guess for its counterpart here.
    pub(crate) fn compare(&self, raft_number: u64, asked: Timestamp, theirs_ms: i64) {
        let now = self.clock.now();
        let middle = asked.plus_millis(now.millis_since(asked) / 2);
        self.published
            .compare_clocks(raft_number, Timestamp::from_millis(theirs_ms), middle);
    }
}

/// Connections over mutual TLS to whoever holds the transport key of the member that is called.
pub(crate) fn over_tls(tls: ClientTls, directory: Arc<Directory>) -> Connect {
    Box::new(move |raft_number, address| {
        let (tls, directory) = (tls.clone(), Arc::clone(&directory));
        let address = address.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let (tls, directory, address) = (tls.clone(), Arc::clone(&directory), address.clone());
            async move {
                let host = address
                    .rsplit_once(':')
                    .map_or(address.as_str(), |(host, _)| host);
                let host = host
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned();
                let stream = crypto::tls::connect(address, &host, tls).await?;
                let caller = stream.peer_spki().and_then(|key| directory.judge(&key));
                if !caller.is_some_and(|caller| caller.is_member(raft_number)) {
                    return Err(crypto::Error::Tls {
                        reason: format!("whoever answers is not member {raft_number}"),
                    });
                }
                Ok(TokioIo::new(stream))
            }
        });
        // The address is the connector's; this one only names the scheme.
        let channel = Endpoint::from_static("http://member.kouan")
            .connect_timeout(CONNECT_TIME_MAX)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .connect_with_connector_lazy(connector);
        Carrier::new(channel.map_err(Broken::from))
    })
}

impl std::fmt::Display for CallFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotLeader => f.write_str("it does not lead"),
            Self::Busy => f.write_str("it has too much to do"),
            Self::Refused(why) | Self::Unknown(why) => f.write_str(why),
        }
    }
}

/// Waits for an answer no longer than `time`.
async fn answered<T>(
    time: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallFailure> {
    match tokio::time::timeout(time, call).await {
        Err(_) => Err(CallFailure::Unknown("no answer in time".to_owned())),
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(match status.code() {
            Code::FailedPrecondition => CallFailure::NotLeader,
            Code::ResourceExhausted => CallFailure::Busy,
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::OutOfRange
            | Code::Unauthenticated => CallFailure::Refused(status.message().to_owned()),
            _ => CallFailure::Unknown(said(&status)),
        }),
    }
}

/// A status with what lies below it: tonic's own text is only "transport error".
pub(crate) fn said(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut below = std::error::Error::source(status);
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}

/// Connecting and the handshake; a member that is away must not hold up replication to others.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// A line that is silent for twice this long is closed and made anew.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Enough for one whole message on a long line.
const WINDOW_BYTES: u32 = 8 << 20;

/// Taking over is one message; the election comes after the answer.
const TAKE_OVER_TIME_MAX: Duration = Duration::from_millis(500);

/// A part of a million records takes seconds to be gathered.
const COMPARE_TIME_MAX: Duration = Duration::from_secs(30);

/// Being admitted is one small write on the other side.
const ADMIT_TIME_MAX: Duration = Duration::from_secs(5);
