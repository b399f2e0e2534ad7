//! Several nodes of one federation in one process, on loopback, with their own directories, keys,
//! TLS and ledgers: what the demonstration and the conformance tests start.
//!
//! It does not take short cuts between nodes: they meet only through their sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crypto::tls::Suites;
use enforcement::{Clock as _, SystemClock};
use schemas::command::{Command, Outcome, SignedProposal};
use schemas::participant::{ParticipantKind, Role};
use schemas::{Jurisdiction, LocalText, Timestamp};

use crate::config::{Config, Span};
use crate::init::{self, NewPerson, Plan, Prepared, TransportAuthorities};
use crate::{Error, Listen, Listeners, Node, Settings};

/// Longest wait for a node to see what another one wrote, in seconds.
const CATCH_UP_SECONDS_MAX: u64 = 30;

/// Oldest view of a member that counts as settled, in milliseconds: some heartbeats.
const SETTLED_AGE_MS_MAX: u64 = 5_000;

/// Who joins.
#[derive(Clone, Debug)]
pub struct MemberPlan {
    /// Short name: the node's identifier and directory.
    pub node: &'static str,
    /// The participant.
    pub participant: &'static str,
    /// Its name.
    pub name: LocalText,
    /// What it is in law.
    pub kind: ParticipantKind,
}

/// A running member.
pub struct Member {
    /// Keys, persons and directory.
    pub prepared: Prepared,
    /// The node; none while it is stopped.
    pub node: Option<Node>,
}

impl Member {
    /// The person who has `role`.
    ///
    /// # Errors
    /// [`Error::File`] when nobody has it.
    pub fn person(&self, role: Role) -> Result<&NewPerson, Error> {
        self.prepared.person(role).ok_or_else(|| Error::File {
            what: "persons",
            path: self.prepared.dir.join("persons"),
            why: format!("nobody is {role}"),
        })
    }

    /// The running node.
    ///
    /// # Errors
    /// [`Error::CatalogRefused`] when it is stopped.
    pub fn running(&self) -> Result<&Node, Error> {
        self.node.as_ref().ok_or(Error::CatalogRefused {
            what: "use a node",
            detail: format!("{} is stopped", self.prepared.node.id),
        })
    }

    /// Starts the node again from its directory, on the same ports.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        let settings = resolve(&self.prepared.config).await?;
        let listeners = Listeners::bind(&settings.listen).await?;
        self.node = Some(Box::pin(Node::start(settings, listeners)).await?);
        Ok(())
    }
}

/// A federation on loopback. The first member is its authority.
pub struct Federation {
    /// The members, the authority first.
    pub members: Vec<Member>,
    /// Certify transport keys.
    pub authorities: TransportAuthorities,
    /// PEM file of their certificates, for clients.
    pub roots: PathBuf,
}

impl Federation {
    /// Starts `plans` under `dir`: the first founds, the others are registered by its system
    /// administrator and join as voters.
    ///
    /// # Errors
    /// The first step that fails.
    pub async fn start(dir: &Path, plans: &[MemberPlan]) -> Result<Self, Error> {
        let authority_dir = dir.join("authority");
        let authorities = TransportAuthorities::create(&authority_dir, now())?;
        let mut federation = Self {
            members: Vec::new(),
            authorities,
            roots: authority_dir.join(init::ROOTS),
        };
        for (number, plan) in (1..).zip(plans) {
            let member = federation.start_member(dir, number, plan).await?;
            if number == 1 {
                let founding = init::founding(&member.prepared, now())?;
                member.running()?.found_once(founding).await?;
            } else {
                federation.admit(&member).await?;
            }
            federation.members.push(member);
        }
        federation.settle().await?;
        Ok(federation)
    }

    async fn start_member(
        &self,
        dir: &Path,
        raft_number: u64,
        plan: &MemberPlan,
    ) -> Result<Member, Error> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let free = Listen {
            catalog: any,
            data: any,
            admin: any,
            operations: any,
        };
        let listeners = Listeners::bind(&free).await?;
        let bound = listeners.addresses()?;
        let listen = Listen {
            catalog: bound.catalog,
            data: bound.data,
            admin: bound.admin,
            operations: bound.operations,
        };
        let plan = Plan {
            node: plan.node.to_owned(),
            raft_number,
            participant: plan.participant.to_owned(),
            name: plan.name.clone(),
            kind: plan.kind,
            jurisdiction: Jurisdiction::MAINLAND,
            listen,
            hosts: vec!["localhost".to_owned()],
            suites: Suites::ShangMiOnly,
            staff: init::Staff::OneEach,
            now: now(),
        };
        let prepared = init::prepare(&dir.join(&plan.node), &plan, &self.authorities)?;
        let settings = resolve(&prepared.config).await?;
        let node = Box::pin(Node::start(settings, listeners)).await?;
        Ok(Member {
            prepared,
            node: Some(node),
        })
    }

    /// Registers a member by the authority's system administrator, and gives it a vote.
    async fn admit(&self, member: &Member) -> Result<(), Error> {
        let first = self.authority_member()?;
        let administrator = first.person(Role::SystemAdministrator)?;
        let prepared = &member.prepared;
        let mut commands = vec![
            Command::RegisterParticipant {
                participant: Box::new(prepared.participant.clone()),
            },
            Command::RegisterNode {
                node: Box::new(prepared.node.clone()),
            },
        ];
        commands.extend(prepared.persons.iter().map(|it| Command::BindPerson {
            person: Box::new(it.record.clone()),
        }));
        for command in commands {
            let signed = init::sign(&administrator.record, &administrator.key, command, now())?;
            propose(first.running()?, "register a member", signed).await?;
        }
        let node = &prepared.node;
        first
            .running()?
            .catalog()
            .add_voter(node.raft_number, &node.raft_address)
            .await?;
        Ok(())
    }

    fn authority_member(&self) -> Result<&Member, Error> {
        self.members.first().ok_or(Error::CatalogRefused {
            what: "register a member",
            detail: "the federation has no authority yet".to_owned(),
        })
    }

    /// Waits until every running member has applied what any of them has, and knows that it has.
    ///
    /// # Errors
    /// [`Error::CatalogRefused`] when one does not catch up.
    pub async fn settle(&self) -> Result<(), Error> {
        let running: Vec<&Node> = self
            .members
            .iter()
            .filter_map(|it| it.node.as_ref())
            .collect();
        let target = running
            .iter()
            .map(|it| it.catalog().view().index())
            .max()
            .unwrap_or(0);
        let begun = Instant::now();
        while running.iter().any(|it| {
            let catalog = it.catalog();
            // A member that just started may have read all of it from its own disk, and still not
            // know that it is current.
            catalog.view().index() < target || catalog.staleness_ms() > SETTLED_AGE_MS_MAX
        }) {
            if begun.elapsed() > Duration::from_secs(CATCH_UP_SECONDS_MAX) {
                return Err(Error::CatalogRefused {
                    what: "wait for the members",
                    detail: format!("not all reached index {target}"),
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops every node that runs.
    pub async fn stop(self) {
        for member in self.members {
            if let Some(node) = member.node {
                node.stop().await;
            }
        }
    }
}

/// Proposes through one node, and turns a refusal into an error.
///
/// # Errors
/// [`Error::Catalog`], [`Error::CatalogRefused`].
pub async fn propose(
    node: &Node,
    what: &'static str,
    signed: SignedProposal,
) -> Result<u64, Error> {
    match node.catalog().propose(signed).await?.outcome {
        Outcome::Applied { revision } => Ok(revision),
        Outcome::Refused { detail, .. } => Err(Error::CatalogRefused { what, detail }),
    }
}

/// Settings of a directory, with checkpoints often enough to be seen.
async fn resolve(path: &Path) -> Result<Settings, Error> {
    let mut config = Config::read(path)?;
    config.ledger.checkpoint_every = Span(2_000);
    Settings::resolve(path, config).await
}

/// The time that members sign with.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock::new().now()
}
