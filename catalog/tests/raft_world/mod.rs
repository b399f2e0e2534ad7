//! A small federation for the tests of Raft: one authority, its TLS authority, and members with
//! real directories, real sockets on the loopback and real certificates.
//!
//! It does not wait for time to pass: whatever has to happen is asked for until it has, or a
//! deadline ends the test.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use catalog::{Applied, Catalog, Clock, Error, Options, StartOptions};
use crypto::tls::{ClientAuth, Family, TlsAuthority, TlsIdentity, client_config, server_config};
use crypto::{Digest, Label, SecretKey, SoftwareKey, Validity};
use schemas::command::{Author, Command, Outcome, PersonSignature, Proposal, SignedProposal};
use schemas::participant::{KeyCustody, Node, Participant, ParticipantKind, Person, Role};
use schemas::{
    CommandId, Jurisdiction, LocalText, NodeId, ParticipantId, PersonId, Timestamp, Visibility,
};
use tokio::net::TcpListener;

/// The longest that anything awaited may take; a slow machine needs it, a fast one never does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) tls: TlsAuthority,
}

/// Where a member lives: what outlasts a restart.
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) dir: PathBuf,
    pub(crate) address: String,
    pub(crate) identity: TlsIdentity,
    listener: Option<TcpListener>,
    /// How far this member's clock is ahead, in milliseconds.
    pub(crate) ahead_ms: Arc<AtomicI64>,
}

fn clock(ahead_ms: &Arc<AtomicI64>) -> Clock {
    let (system, ahead_ms) = (Clock::system(), Arc::clone(ahead_ms));
    Clock::new(move || system.now().plus_millis(ahead_ms.load(Ordering::Relaxed)))
}

/// The key of an owner, always the same: its scalar is a digest of the name.
pub(crate) fn secret(owner: &str) -> SecretKey {
    SecretKey::from_bytes(Digest::of(owner.as_bytes()).as_bytes()).unwrap()
}

pub(crate) fn now() -> Timestamp {
    Clock::system().now()
}

fn authority() -> ParticipantId {
    ParticipantId::parse("authority").unwrap()
}

pub(crate) fn node_id(number: u64) -> NodeId {
    NodeId::parse(format!("node-{number}")).unwrap()
}

/// Timing that a busy machine keeps up with.
pub(crate) fn options() -> Options {
    Options {
        heartbeat: Duration::from_millis(150),
        election_min: Duration::from_millis(900),
        election_max: Duration::from_millis(1_800),
        tick: Duration::from_millis(300),
        store: Duration::from_millis(50),
        // A test machine can be busy with other tests for a while; time fails nothing.
        answer: DEADLINE,
        ..Options::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Family::Standard)
    }

    /// Members that speak the suites of a family.
    pub(crate) fn of(family: Family) -> Self {
        let validity = Validity::days(now().millis() - 60_000, 2);
        let tls = TlsAuthority::create_of(family, "test federation TLS", validity).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            tls,
        }
    }

    pub(crate) async fn place(&self, number: u64) -> Place {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let validity = Validity::days(now().millis() - 60_000, 2);
        let identity =
            TlsIdentity::issue(&self.tls, &format!("node-{number}"), &[], validity).unwrap();
        Place {
            number,
            dir: self.dir.path().join(format!("node-{number}")),
            address,
            identity,
            listener: Some(listener),
            ahead_ms: Arc::default(),
        }
    }

    pub(crate) async fn start(&self, place: &mut Place, options: &Options) -> Catalog {
        self.try_start(place, options).await.unwrap()
    }

    /// Starts a member; after a restart its stores and its port may take a moment to be free.
    pub(crate) async fn try_start(
        &self,
        place: &mut Place,
        options: &Options,
    ) -> Result<Catalog, Error> {
        let roots = self.tls.roots().unwrap();
        let client_tls = client_config(&roots, Some(&place.identity), &[b"h2"]).unwrap();
        let server_tls =
            server_config(&place.identity, ClientAuth::Required(&roots), &[b"h2"]).unwrap();
        let until = tokio::time::Instant::now() + DEADLINE;
        loop {
            let listener = match place.listener.take() {
                Some(listener) => listener,
                None => match TcpListener::bind(&place.address).await {
                    Ok(listener) => listener,
                    Err(_) if tokio::time::Instant::now() < until => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                    Err(error) => panic!("bind {}: {error}", place.address),
                },
            };
            let started = Catalog::start(StartOptions {
                dir: place.dir.clone(),
                node: node_id(place.number),
                raft_number: place.number,
                signer: Arc::new(SoftwareKey::new(secret(&format!("node-{}", place.number)))),
                listener,
                server_tls: server_tls.clone().into(),
                client_tls: client_tls.clone().into(),
                options: options.clone(),
                clock: clock(&place.ahead_ms),
            })
            .await;
            match started {
                // The log of the member's last life is not closed yet.
                Err(Error::Store { .. }) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    }
}

/// Asks until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let until = tokio::time::Instant::now() + DEADLINE;
    while !ask().await {
        if tokio::time::Instant::now() >= until {
            panic!("{what} did not happen within {DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn node(place: &Place) -> Node {
    Node {
        id: node_id(place.number),
        operator: authority(),
        hosts: BTreeSet::from([authority()]),
        raft_number: place.number,
        raft_address: place.address.clone(),
        data_address: "127.0.0.1:1".to_owned(),
        api_address: "127.0.0.1:2".to_owned(),
        transport_keys: [place.identity.spki_digest()].into(),
        signing: secret(&format!("node-{}", place.number)).public().clone(),
        revision: 0,
    }
}

pub(crate) fn participant(id: &str) -> Participant {
    Participant {
        id: ParticipantId::parse(id).unwrap(),
        name: LocalText::new("单位", id),
        uscc: None,
        kind: ParticipantKind::StateOrgan,
        jurisdiction: Jurisdiction::MAINLAND,
        seat: Some("440100".to_owned()),
        ciio: false,
        department_approval: None,
        signing: secret(id).public().clone(),
        encryption: secret(&format!("{id}-encryption")).public().clone(),
        ledger_incarnation: 1,
        revision: 0,
    }
}

fn person(id: &str, role: Role) -> Person {
    Person {
        id: PersonId::parse(id).unwrap(),
        participant: authority(),
        roles: BTreeSet::from([role]),
        signing: secret(id).public().clone(),
        custody: KeyCustody::Person,
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::MAX,
        visibility: Visibility::Parties(BTreeSet::from([authority()])),
        revision: 0,
    }
}

/// A command of the authority's system administrator, signed by her.
pub(crate) fn by_admin(id: &str, command: Command) -> SignedProposal {
    by("admin", id, command)
}

/// A command of a person of the authority, signed by her.
pub(crate) fn by(name: &str, id: &str, command: Command) -> SignedProposal {
    signed_by(&secret(name), name, id, command)
}

/// The same with a key that is there already: making one takes longer than signing.
pub(crate) fn signed_by(key: &SecretKey, name: &str, id: &str, command: Command) -> SignedProposal {
    let proposal = Proposal {
        id: CommandId::parse(id).unwrap(),
        author: Author::Person {
            participant: authority(),
            person: PersonId::parse(name).unwrap(),
        },
        at: now(),
        command,
    };
    let bytes = SignedProposal::signed_bytes(&proposal).unwrap();
    let signature = key.sign(Label::Command, &bytes).unwrap();
    let signature = Some(PersonSignature {
        key: key.public().key_id(),
        signature,
    });
    SignedProposal {
        proposal,
        signature,
    }
}

pub(crate) fn founding(first: &Place) -> SignedProposal {
    let persons = vec![
        person("admin", Role::SystemAdministrator),
        person("officer", Role::SecurityOfficer),
        person("steward", Role::DataSteward),
    ];
    let command = Command::Found {
        authority: Box::new(participant("authority")),
        node: Box::new(node(first)),
        persons,
    };
    by_admin("found", command)
}

/// Registers a participant: the write that the tests count with.
pub(crate) fn register(id: &str) -> SignedProposal {
    let participant = Box::new(participant(id));
    by_admin(
        &format!("register-{id}"),
        Command::RegisterParticipant { participant },
    )
}

pub(crate) fn has(view: &catalog::View, id: &str) -> bool {
    view.participant(&ParticipantId::parse(id).unwrap())
        .is_some()
}

pub(crate) fn assert_applied(applied: &Applied) {
    assert!(
        matches!(applied.outcome, Outcome::Applied { .. }),
        "{applied:?}"
    );
}

/// Starts and founds one member.
pub(crate) async fn found_one(world: &World, options: &Options) -> (Place, Catalog) {
    let mut place = world.place(1).await;
    let catalog = world.start(&mut place, options).await;
    assert_applied(&catalog.found(founding(&place)).await.unwrap());
    (place, catalog)
}

/// Starts three members and makes them voters.
pub(crate) async fn found_three(
    world: &World,
    options: &Options,
) -> (Vec<Place>, Vec<Option<Catalog>>) {
    let (first, catalog) = found_one(world, options).await;
    let (mut places, mut members) = (vec![first], vec![Some(catalog)]);
    for number in [2, 3] {
        let mut place = world.place(number).await;
        let started = world.start(&mut place, options).await;
        // The last one to come up asks for the next, so that the request is forwarded.
        let asked = members.last().unwrap().as_ref().unwrap();
        let command = Command::RegisterNode {
            node: Box::new(node(&place)),
        };
        let proposal = by_admin(&format!("register-node-{number}"), command);
        assert_applied(&asked.propose(proposal).await.unwrap());
        asked.add_voter(number, &place.address).await.unwrap();
        places.push(place);
        members.push(Some(started));
    }
    for member in members.iter().flatten() {
        eventually("three voters", || async {
            member.status().voters == [1, 2, 3]
        })
        .await;
    }
    (places, members)
}

/// Waits until two members have the same records.
pub(crate) async fn same_records(one: &Catalog, other: &Catalog) {
    eventually("equal digests", || async {
        let (one, other) = (one.view(), other.view());
        one.digest() == other.digest()
    })
    .await;
}
