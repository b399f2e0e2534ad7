//! The federation of a simulation: one authority, its administrator, and a node for each member.
//!
//! It does not have certificates: the simulated network says who calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

use crypto::{Digest, Label, SecretKey};
use schemas::command::{Author, Command, PersonSignature, Proposal, SignedProposal};
use schemas::participant::{KeyCustody, Node, Participant, ParticipantKind, Person, Role};
use schemas::{
    CommandId, Jurisdiction, LocalText, NodeId, ParticipantId, PersonId, Timestamp, Visibility,
};

use super::linear::Register;
use crate::View;

/// When a simulation begins: 2026-11-24T08:00:00Z.
pub(super) fn start() -> Timestamp {
    Timestamp::from_millis(1_795_507_200_000)
}

/// The key of an owner, always the same: its scalar is a digest of the name.
pub(super) fn secret(owner: &str) -> SecretKey {
    SecretKey::from_bytes(Digest::of(owner.as_bytes()).as_bytes()).unwrap()
}

/// The same, made once: each costs a multiplication.
fn known(owner: &str) -> &'static SecretKey {
    static KEYS: OnceLock<Mutex<BTreeMap<String, &'static SecretKey>>> = OnceLock::new();
    let mut keys = KEYS.get_or_init(Mutex::default).lock().unwrap();
    keys.entry(owner.to_owned())
        .or_insert_with(|| Box::leak(Box::new(secret(owner))))
}

pub(super) fn node_id(number: u64) -> NodeId {
    NodeId::parse(format!("node-{number}")).unwrap()
}

pub(super) fn address(number: u64) -> String {
    format!("member-{number}:7001")
}

pub(super) fn transport_key(number: u64) -> Digest {
    Digest::of(format!("transport key of {number}").as_bytes())
}

fn authority() -> ParticipantId {
    ParticipantId::parse("authority").unwrap()
}

pub(super) fn node(number: u64) -> Node {
    Node {
        id: node_id(number),
        operator: authority(),
        hosts: BTreeSet::from([authority()]),
        raft_number: number,
        raft_address: address(number),
        data_address: "member:1".to_owned(),
        api_address: "member:2".to_owned(),
        transport_keys: [transport_key(number)].into(),
        signing: known(&format!("node-{number}")).public().clone(),
        revision: 0,
    }
}

fn participant(id: &str, register: Register) -> Participant {
    Participant {
        id: ParticipantId::parse(id).unwrap(),
        name: LocalText::new("单位", format!("v{}", register.value)),
        uscc: None,
        kind: ParticipantKind::StateOrgan,
        jurisdiction: Jurisdiction::MAINLAND,
        seat: Some("440100".to_owned()),
        ciio: false,
        department_approval: None,
        signing: known(id).public().clone(),
        encryption: known(&format!("{id}-encryption")).public().clone(),
        ledger_incarnation: 1,
        revision: register.revision,
    }
}

fn person(id: &str, role: Role) -> Person {
    Person {
        id: PersonId::parse(id).unwrap(),
        participant: authority(),
        roles: BTreeSet::from([role]),
        signing: known(id).public().clone(),
        custody: KeyCustody::Person,
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::MAX,
        visibility: Visibility::Parties(BTreeSet::from([authority()])),
        revision: 0,
    }
}

/// A command of the administrator, signed by her.
fn by_admin(id: &str, at: Timestamp, command: Command) -> SignedProposal {
    let proposal = Proposal {
        id: CommandId::parse(id).unwrap(),
        author: Author::Person {
            participant: authority(),
            person: PersonId::parse("admin").unwrap(),
        },
        at,
        command,
    };
    let key = known("admin");
    let bytes = SignedProposal::signed_bytes(&proposal).unwrap();
    let signature = key.sign(Label::Command, &bytes).unwrap();
    SignedProposal {
        proposal,
        signature: Some(PersonSignature {
            key: key.public().key_id(),
            signature,
        }),
    }
}

pub(super) fn founding() -> SignedProposal {
    let command = Command::Found {
        authority: Box::new(participant("authority", Register::default())),
        node: Box::new(node(1)),
        persons: vec![
            person("admin", Role::SystemAdministrator),
            person("officer", Role::SecurityOfficer),
        ],
    };
    by_admin("found", start(), command)
}

pub(super) fn registering(number: u64, at: Timestamp) -> SignedProposal {
    let node = Box::new(node(number));
    by_admin(
        &format!("register-node-{number}"),
        at,
        Command::RegisterNode { node },
    )
}

fn key_name(key: u64) -> String {
    format!("register-{key}")
}

/// Writes a register: changes a participant's record if its revision is `seen`.
pub(super) fn writing(id: &str, at: Timestamp, key: u64, seen: u64, value: u64) -> SignedProposal {
    let register = Register {
        revision: seen,
        value,
    };
    let participant = Box::new(participant(&key_name(key), register));
    by_admin(id, at, Command::RegisterParticipant { participant })
}

/// What a view says that a register holds.
pub(super) fn held(view: &View, key: u64) -> Register {
    let id = ParticipantId::parse(key_name(key)).unwrap();
    view.participant(&id)
        .map_or_else(Register::default, |it| Register {
            revision: it.revision,
            value: it.name.en.trim_start_matches('v').parse().unwrap(),
        })
}
