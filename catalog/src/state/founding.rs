//! The founding: the authority, its first node and its first persons, in one command.
//!
//! It does not need a state: there is none before it, and the keys that sign it are inside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crypto::KeyId;
use schemas::command::Author;
use schemas::participant::{Node, Participant, Person, Role};

use super::record::{Clock, Federation, Record};
use super::refusal::Refusal;
use super::signature::{FOUNDING_PERSONS_MAX, Signer, VerifiedProposal};
use super::store::State;
use super::{Change, limits, node, participant, person};

/// Founds the federation. Leader time starts at the proposal's time, so that the first commands
/// find a clock before the first tick.
pub(crate) fn found(
    it: &VerifiedProposal,
    authority: &Participant,
    first_node: &Node,
    persons: &[Person],
) -> Result<Change, Refusal> {
    let proposal = it.proposal();
    check_founder(it, persons)?;
    limits::check_count("persons", persons.len(), FOUNDING_PERSONS_MAX)?;
    // An empty state refuses nothing for being known already; what the records must be in
    // themselves is checked as for later ones.
    let nothing = State::new();
    participant::check(&nothing, authority)?;
    node::check_form(first_node)?;
    if first_node.operator != authority.id || !first_node.hosts.contains(&authority.id) {
        return Err(Refusal::invalid(format!(
            "the first node must be operated by {} and act for it",
            authority.id
        )));
    }
    if first_node.hosts.len() != 1 {
        return Err(Refusal::invalid(
            "the first node acts for the authority alone; register others, then the node anew",
        ));
    }
    if first_node.raft_number == 0 {
        return Err(Refusal::invalid(
            "the first node has raft number 0 and no vote, so leader time could not move; \
             give it a number from 1",
        ));
    }
    check_persons(&nothing, authority, persons)?;
    check_distinct(authority, first_node, persons)?;
    let mut records = vec![
        Record::Federation(Arc::new(Federation {
            authority: authority.id.clone(),
            founded_at: proposal.at,
        })),
        Record::Clock(Arc::new(Clock {
            leader_time: proposal.at,
        })),
        Record::Participant(Arc::new(Participant {
            revision: 1,
            ..authority.clone()
        })),
        Record::Node(Arc::new(Node {
            revision: 1,
            ..first_node.clone()
        })),
    ];
    records.extend(persons.iter().map(|person| {
        Record::Person(Arc::new(Person {
            revision: 1,
            ..person.clone()
        }))
    }));
    Ok(Change::new(1, records))
}

/// The founder is one of the persons, with a role that will be able to go on.
fn check_founder(it: &VerifiedProposal, persons: &[Person]) -> Result<(), Refusal> {
    let (
        Author::Person {
            participant,
            person,
        },
        Signer::Person(key),
    ) = (&it.proposal().author, it.signer())
    else {
        return Err(Refusal::not_allowed(
            "a person founds the federation; sign with the key of one of its persons",
        ));
    };
    let founder = persons
        .iter()
        .find(|known| known.id == *person && known.participant == *participant)
        .filter(|known| known.key_id() == *key)
        .ok_or_else(|| {
            Refusal::signature(format!(
                "{person} is not among the persons, with the key that signed"
            ))
        })?;
    let may = [Role::SystemAdministrator, Role::SecurityOfficer];
    if may.iter().any(|role| founder.roles.contains(role)) {
        return Ok(());
    }
    Err(Refusal::not_allowed(format!(
        "{person} must be system administrator or security officer to found the federation"
    )))
}

fn check_persons(
    nothing: &State,
    authority: &Participant,
    persons: &[Person],
) -> Result<(), Refusal> {
    let mut identifiers = BTreeSet::new();
    for it in persons {
        person::check_form(nothing, it)?;
        if it.participant != authority.id {
            return Err(Refusal::invalid(format!(
                "{} must act for the authority {}; bind others afterwards",
                it.id, authority.id
            )));
        }
        if !identifiers.insert(&it.id) {
            return Err(Refusal::conflict(format!(
                "{} occurs twice among the persons",
                it.id
            )));
        }
    }
    for role in [Role::SystemAdministrator, Role::SecurityOfficer] {
        if !persons.iter().any(|person| person.roles.contains(&role)) {
            return Err(Refusal::invalid(format!(
                "no person is {role}; without one the federation could not be administered"
            )));
        }
    }
    Ok(())
}

/// Keys name their owners, so no two may share one.
fn check_distinct(authority: &Participant, node: &Node, persons: &[Person]) -> Result<(), Refusal> {
    let mut keys: BTreeSet<KeyId> = BTreeSet::new();
    let own = [&authority.signing, &authority.encryption, &node.signing];
    for key in own
        .into_iter()
        .chain(persons.iter().map(|person| &person.signing))
    {
        if !keys.insert(key.key_id()) {
            return Err(Refusal::conflict(format!(
                "key {} occurs twice; participant, node and persons have keys of their own",
                key.key_id()
            )));
        }
    }
    Ok(())
}
