//! Nodes: machines that act for participants.
//!
//! It does not change Raft's membership: the shell does, with the numbers from here.

use std::sync::Arc;

use schemas::participant::{Node, Role, TRANSPORT_KEYS_MAX};

use super::author::Acting;
use super::participant::{authority, check_key};
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::{KeyOwner, State};
use super::{Change, limits};

/// Registers or changes a node. By a system administrator of its operator or of the authority.
pub(crate) fn register(state: &State, acting: &Acting<'_>, it: &Node) -> Result<Change, Refusal> {
    let person = acting.person_with(&[Role::SystemAdministrator])?;
    let authority = authority(state)?;
    let before = state.nodes.get(&it.id);
    let operators = [Some(&it.operator), before.map(|before| &before.operator)];
    let is_operators = operators
        .into_iter()
        .flatten()
        .all(|it| *it == person.participant);
    if !is_operators && person.participant != *authority {
        return Err(Refusal::not_allowed(format!(
            "{} acts for {}; a system administrator of the operator {} or of {authority} \
             registers this node",
            person.id, person.participant, it.operator
        )));
    }
    check_form(it)?;
    if !state.participants.contains_key(&it.operator) {
        return Err(unknown("operator", it.operator.as_str()));
    }
    // Acting for a participant means proposing in its name, so only its own administrator or the
    // authority's says who does.
    for host in &it.hosts {
        if !state.participants.contains_key(host) {
            return Err(unknown("hosted participant", host.as_str()));
        }
        let is_new = before.is_none_or(|before| !before.hosts.contains(host));
        if is_new && *host != person.participant && person.participant != *authority {
            return Err(Refusal::not_allowed(format!(
                "a system administrator of {host} or of {authority} lets a node act for {host}"
            )));
        }
    }
    check_key(state, &it.signing, &KeyOwner::Node(it.id.clone()))?;
    check_unique(state, it)?;
    let revision = before.map_or(0, |before| before.revision);
    check_revision(it.id.as_str(), revision, it.revision)?;
    let record = Node {
        revision: revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        revision + 1,
        vec![Record::Node(Arc::new(record))],
    ))
}

/// What a node's record must be in itself.
pub(crate) fn check_form(it: &Node) -> Result<(), Refusal> {
    limits::check_count("hosts", it.hosts.len(), limits::PARTIES_MAX)?;
    limits::check_count(
        "transport_keys",
        it.transport_keys.len(),
        TRANSPORT_KEYS_MAX,
    )?;
    if it.transport_keys.is_empty() {
        return Err(Refusal::invalid(
            "transport_keys is empty; name the key of the certificate that the node shows",
        ));
    }
    let addresses = [
        ("raft_address", &it.raft_address),
        ("data_address", &it.data_address),
        ("api_address", &it.api_address),
    ];
    for (field, address) in addresses {
        limits::check_length(field, address, limits::ADDRESS_CHARS_MAX)?;
    }
    Ok(())
}

/// A transport key names one node to its TLS peers, and a Raft number one voter.
fn check_unique(state: &State, it: &Node) -> Result<(), Refusal> {
    let owners = it
        .transport_keys
        .iter()
        .filter_map(|key| state.transport_keys.get(key));
    if let Some(other) = owners.into_iter().find(|owner| **owner != it.id) {
        return Err(Refusal::conflict(format!(
            "a transport key is node {other}'s; give this node a certificate of its own"
        )));
    }
    if it.raft_number == 0 {
        return Ok(());
    }
    match state.raft_numbers.get(&it.raft_number) {
        Some(other) if *other != it.id => Err(Refusal::conflict(format!(
            "raft number {} is node {other}'s; choose another",
            it.raft_number
        ))),
        Some(_) | None => Ok(()),
    }
}

fn unknown(what: &str, id: &str) -> Refusal {
    Refusal::not_found(format!("there is no {what} {id}; register it first"))
}
