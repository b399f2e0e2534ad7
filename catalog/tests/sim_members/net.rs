//! Lines between members that lose, delay, repeat, reorder and cut calls, as the seed says.
//!
//! It does not change what a call says, nor does it tell openraft anything that a broken line
//! would not. A call that nobody waits for any more may still arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use openraft::raft::AppendEntriesResponse;
use prost::Message as _;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::Service as _;

use super::oracle::Oracle;
use super::plan::{Bug, Weather};
use super::seeded::Random;
use super::world::transport_key;
use crate::raft::peers::{Broken, Carrier, Connect};
use crate::raft::server::{Service, TransportKey};
use crate::raft::types::Vote;
use crate::raft::wire::proto::raft_server::RaftServer;
use crate::raft::wire::{self, proto};

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// All lines of a simulation.
pub(super) struct Net {
    inner: Mutex<Inner>,
    /// Moves whenever a line is cut or healed.
    changed: watch::Sender<u64>,
    oracle: Arc<Oracle>,
}

struct Inner {
    seed: u64,
    /// Each way of each line has its own chance, so that one call more elsewhere changes nothing.
    chances: BTreeMap<(u64, u64), Random>,
    cut: BTreeSet<(u64, u64)>,
    weather: Weather,
    ends: BTreeMap<u64, End>,
    learners: BTreeSet<u64>,
    bug: Option<Bug>,
}

/// What answers for a member.
#[derive(Clone)]
struct End {
    service: RaftServer<Service>,
    power: Arc<AtomicBool>,
}

/// What happens to one call.
#[derive(Clone, Copy)]
struct Fate {
    there: Duration,
    back: Duration,
    lost_there: bool,
    lost_back: bool,
    again_after: Option<Duration>,
    silence: Duration,
}

impl Net {
    pub(super) fn new(seed: u64, oracle: Arc<Oracle>, bug: Option<Bug>) -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        Arc::new(Self {
            inner: Mutex::new(Inner {
                seed,
                chances: BTreeMap::new(),
                cut: BTreeSet::new(),
                weather: Weather::CALM,
                ends: BTreeMap::new(),
                learners: BTreeSet::new(),
                bug,
            }),
            changed,
            oracle,
        })
    }

    /// From now on this answers for member `number`, while it has `power`.
    pub(super) fn attach(&self, number: u64, service: RaftServer<Service>, power: Arc<AtomicBool>) {
        self.inner().ends.insert(number, End { service, power });
    }

    pub(super) fn set_learner(&self, number: u64) {
        self.inner().learners.insert(number);
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        self.inner().weather = weather;
    }

    /// Cuts these ways, from the first to the second of each, and heals all others.
    pub(super) fn cut(&self, ways: BTreeSet<(u64, u64)>) {
        self.inner().cut = ways;
        self.changed.send_modify(|count| *count += 1);
    }

    /// What carries the calls of member `from` while it has `power`.
    pub(super) fn connect(self: &Arc<Self>, from: u64, power: &Arc<AtomicBool>) -> Connect {
        let (net, power) = (Arc::clone(self), Arc::clone(power));
        Box::new(move |to, _| {
            let (net, power) = (Arc::clone(&net), Arc::clone(&power));
            Carrier::new(tower::service_fn(move |request: Request| {
                let (net, power) = (Arc::clone(&net), Arc::clone(&power));
                async move {
                    if !power.load(Ordering::Relaxed) {
                        return Err(broken("the caller has no power"));
                    }
                    // Whoever gives up does not call back what is on its way.
                    tokio::spawn(async move { net.carry(from, to, request).await })
                        .await
                        .map_err(broken)?
                }
            }))
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn fate(&self, from: u64, to: u64) -> Fate {
        let mut inner = self.inner();
        let (weather, seed) = (inner.weather, inner.seed);
        let random = inner
            .chances
            .entry((from, to))
            .or_insert_with(|| Random::new(seed ^ (from << 32) ^ (to << 40)));
        let delay = |random: &mut Random| Duration::from_millis(1 + random.below(weather.delay_ms));
        Fate {
            there: delay(random),
            back: delay(random),
            lost_there: random.percent(weather.lost),
            lost_back: random.percent(weather.lost),
            again_after: random
                .percent(weather.twice)
                .then(|| delay(random) + delay(random)),
            // A line that says nothing is given up by its keep-alive.
            silence: Duration::from_millis(1 + random.below(KEEP_ALIVE_MS)),
        }
    }

    fn is_cut(&self, from: u64, to: u64) -> bool {
        self.inner().cut.contains(&(from, to))
    }

    /// Waits while a way is cut, as long as the line is not given up.
    async fn pass(&self, from: u64, to: u64) -> Result<(), Broken> {
        let mut changed = self.changed.subscribe();
        let healed = async {
            while self.is_cut(from, to) {
                let _closed = changed.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_millis(KEEP_ALIVE_MS), healed)
            .await
            .map_err(|_| broken("the line is cut"))
    }

    async fn carry(
        self: Arc<Self>,
        from: u64,
        to: u64,
        request: Request,
    ) -> Result<Response, Broken> {
        let fate = self.fate(from, to);
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        let call = Call {
            path: parts.uri.path().to_owned(),
            parts,
            bytes,
        };
        if let Some(after) = fate.again_after {
            let (net, again) = (Arc::clone(&self), call.clone());
            tokio::spawn(async move {
                tokio::time::sleep(fate.there + after).await;
                if net.pass(from, to).await.is_ok() {
                    let _nobody_waits = net.deliver(from, to, again).await;
                }
            });
        }
        if fate.lost_there {
            tokio::time::sleep(fate.silence).await;
            return Err(broken("the call was lost"));
        }
        tokio::time::sleep(fate.there).await;
        let to_learner = self.learner_instead(from, to, &call);
        if to_learner.is_none() {
            self.pass(from, to).await?;
        }
        let response = self.deliver(from, to_learner.unwrap_or(to), call).await?;
        if fate.lost_back {
            tokio::time::sleep(fate.silence).await;
            return Err(broken("the answer was lost"));
        }
        tokio::time::sleep(fate.back).await;
        if to_learner.is_none() {
            self.pass(to, from).await?;
        }
        Ok(response)
    }

    /// With [`Bug::LearnerCounted`]: the learner whose answer is taken for that of a voter that
    /// cannot be reached.
    fn learner_instead(&self, from: u64, to: u64, call: &Call) -> Option<u64> {
        let inner = self.inner();
        let learner = *inner.learners.first()?;
        let counted = inner.bug == Some(Bug::LearnerCounted)
            && call.path.ends_with("/Append")
            && to != learner
            && from != learner
            && (inner.cut.contains(&(from, to)) || inner.cut.contains(&(to, from)));
        counted.then_some(learner)
    }

    /// Has the member answer, and tells the oracle what it promised by that.
    async fn deliver(&self, from: u64, to: u64, call: Call) -> Result<Response, Broken> {
        let end = self.inner().ends.get(&to).cloned();
        let mut end = end.ok_or_else(|| broken("nobody listens"))?;
        if !end.power.load(Ordering::Relaxed) {
            return Err(broken("nobody listens"));
        }
        let asked = call.vote();
        let kind = call.kind();
        let mut request = call.request();
        let key = TransportKey(Some(transport_key(from)));
        request.extensions_mut().insert(key);
        let response = end.service.call(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.map_err(broken)?;
        if !end.power.load(Ordering::Relaxed) {
            return Err(broken("the line broke"));
        }
        let trailers = collected.trailers().cloned();
        let bytes = collected.to_bytes();
        if let Some(vote) = asked
            && kind.promises(&bytes)
        {
            self.oracle.promised(to, vote);
        }
        let body = Full::new(bytes).with_trailers(async move { trailers.map(Ok) });
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

fn broken(why: impl ToString) -> Broken {
    Broken::Simulated(why.to_string())
}

/// A call as it travels.
#[derive(Clone)]
struct Call {
    path: String,
    parts: http::request::Parts,
    bytes: Bytes,
}

/// Which call it is, as far as it promises something.
#[derive(Clone, Copy)]
enum Kind {
    Append,
    Ballot,
    Other,
}

impl Kind {
    /// Whether the answer keeps the member from listening to an older leader or candidate.
    fn promises(self, answer: &Bytes) -> bool {
        let Some(message) = answer.get(FRAME_BYTES..) else {
            return false;
        };
        match self {
            Self::Append => proto::AppendReply::decode(message)
                .ok()
                .and_then(|reply| wire::appended_from(reply).ok())
                .is_some_and(|reply| {
                    matches!(
                        reply,
                        AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_)
                    )
                }),
            Self::Ballot => proto::BallotReply::decode(message).is_ok_and(|reply| reply.granted),
            Self::Other => false,
        }
    }
}

impl Call {
    fn kind(&self) -> Kind {
        match self.path.rsplit('/').next() {
            Some("Append") => Kind::Append,
            Some("RequestVote") => Kind::Ballot,
            _ => Kind::Other,
        }
    }

    /// In whose name the call is made.
    fn vote(&self) -> Option<Vote> {
        let message = self.bytes.get(FRAME_BYTES..)?;
        let vote = match self.kind() {
            Kind::Append => proto::AppendRequest::decode(message).ok()?.vote,
            Kind::Ballot => proto::BallotRequest::decode(message).ok()?.vote,
            Kind::Other => return None,
        };
        wire::vote_from(vote).ok()
    }

    fn request(self) -> Request {
        let mut request = http::Request::new(Body::new(Full::new(self.bytes)));
        *request.method_mut() = self.parts.method;
        *request.uri_mut() = self.parts.uri;
        *request.version_mut() = self.parts.version;
        *request.headers_mut() = self.parts.headers;
        request
    }
}

/// gRPC puts a flag and a length in front of each message.
const FRAME_BYTES: usize = 5;

/// As in `raft/peers.rs`: a silent line is closed after twice the interval.
const KEEP_ALIVE_MS: u64 = 10_000;
