//! One running member: its parts, and what it does for its own program and for other members.
//!
//! It does not speak gRPC; `server.rs` and `peers.rs` do.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use schemas::CommandId;
use schemas::NodeId;
use schemas::Timestamp;
use schemas::command::{Author, Command, Proposal, SignedProposal};
use tokio::sync::{Semaphore, watch};

use crate::raft::accord::Accord;
use crate::raft::batcher::{Sender, followed_by_another, leader};
use crate::raft::clock::{elapsed, elapsed_ms, steady};
use crate::raft::directory::Directory;
use crate::raft::leading::{Leading, read_index};
use crate::raft::log_store::LogStore;
use crate::raft::peers::{Admission, CallFailure, Peers};
use crate::raft::published::Published;
use crate::raft::types::Raft;
use crate::state::EncodedProposal;
use crate::{Error, View};

/// The parts of a member that its program, its server and its tasks share.
pub(crate) struct Member {
    pub(crate) node: NodeId,
    pub(crate) me: u64,
    pub(crate) raft: Raft,
    pub(crate) log: LogStore,
    pub(crate) published: Arc<Published>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) leading: Arc<Leading>,
    pub(crate) sender: Sender,
    pub(crate) answer: Duration,
    /// Whether this member may take part; see [`Member::admit`].
    pub(crate) admitted: watch::Sender<bool>,
    /// What comparing states with other members has shown.
    pub(crate) accord: Accord,
    /// Who may write a backup now.
    pub(crate) backups: Arc<Semaphore>,
}

impl Member {
    /// Whether this member leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.raft.server_metrics().borrow().state == ServerState::Leader
    }

    /// Lets this member take part from now on, and says whether it had promised nothing before.
    ///
    /// A member whose disk was lost must not answer as the one it was: it could give its vote a
    /// second time, or acknowledge again what it has lost. So one without log and vote stays
    /// silent until a leader has taken it out of the membership and admits it anew.
    pub(crate) fn admit(&self, admission: Admission) -> Result<bool, Error> {
        let fresh = self.log.is_fresh()?;
        if admission == Admission::Grant && !*self.admitted.borrow() {
            self.log.set_admitted()?;
            self.admitted.send_replace(true);
        }
        Ok(fresh)
    }

    /// Waits until this replica has applied up to `index`.
    pub(crate) async fn applied(&self, index: u64, time: Duration) -> Result<Arc<View>, Error> {
        let mut changed = self.published.changed();
        let waited = tokio::time::timeout(time, changed.wait_for(|applied| *applied >= index));
        match waited.await {
            Ok(Ok(_)) => Ok(self.published.view()),
            Ok(Err(_)) => Err(Error::Stopped {
                why: "it is shutting down".to_owned(),
            }),
            Err(_) => Err(Error::TimedOut {
                waited_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// As the leader: up to where a read must have applied. Asks a majority whether this member
    /// still leads.
    pub(crate) async fn read_index(&self) -> Result<u64, CallFailure> {
        read_index(&self.raft).await
    }

    /// A view that includes everything that was acknowledged anywhere before this call.
    pub(crate) async fn linearizable(&self) -> Result<Arc<View>, Error> {
        let began = steady();
        loop {
            let left = self.answer.saturating_sub(elapsed(began));
            if left.is_zero() {
                return Err(Error::NoLeader {
                    waited_ms: elapsed_ms(began),
                });
            }
            let asked = steady();
            let index = match leader(&self.raft) {
                None => Err(CallFailure::NotLeader),
                Some((leader, _)) if leader == self.me => {
                    let read = tokio::time::timeout(left, self.read_index()).await;
                    read.unwrap_or(Err(CallFailure::NotLeader))
                }
                Some((leader, address)) => {
                    let read = self.peers.read_index(leader, &address, left);
                    tokio::select! {
                        biased;
                        read = read => read,
                        () = followed_by_another(&self.raft, leader) => Err(CallFailure::NotLeader),
                    }
                }
            };
            match index {
                Ok(index) => {
                    let view = self.applied(index, left).await?;
                    self.published.proved(asked);
                    return Ok(view);
                }
                Err(CallFailure::Refused(why)) => {
                    return Err(Error::Membership { why });
                }
                Err(CallFailure::NotLeader | CallFailure::Busy | CallFailure::Unknown(_)) => {
                    self.pause(left).await;
                }
            }
        }
    }

    /// Milliseconds since this replica last knew that its view was current; the largest number
    /// when it never did.
    pub(crate) fn staleness_ms(&self) -> u64 {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        if metrics.state == ServerState::Leader {
            self.published.leads(&metrics.vote, metrics.last_applied);
            self.published.led(self.me);
        }
        drop(metrics);
        self.published.staleness_ms()
    }

    /// Waits until something about the leader changes, but not for long.
    pub(crate) async fn pause(&self, left: Duration) {
        let mut metrics = self.raft.server_metrics();
        let _changed_or_not = tokio::time::timeout(PAUSE.min(left), metrics.changed()).await;
        tokio::time::sleep(PAUSE_MIN.min(left)).await;
    }

    /// As the leader: proposes the time.
    pub(crate) async fn tick(&self, now: Timestamp) {
        let id = CommandId::parse(format!("tick-{}-{}", self.me, now.millis()));
        let Ok(id) = id else { return };
        let proposal = SignedProposal::by_node(Proposal {
            id,
            author: Author::Node(self.node.clone()),
            at: now,
            command: Command::Tick { now },
        });
        let signed = match EncodedProposal::new(proposal) {
            Ok(proposal) => self.sender.sign(vec![Arc::new(proposal)]).await,
            Err(error) => Err(error.into()),
        };
        let ticked = match signed {
            Ok(batch) => self
                .leading
                .propose(batch, None)
                .await
                .map_err(|why| why.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = ticked {
            tracing::debug!(why, "a tick was not proposed");
        }
    }
}

const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MIN: Duration = Duration::from_millis(5);
