//! From a peer's certificate or a signed-in person to the principal of a decision.
//!
//! It does not authenticate: TLS checked the certificate, and [`crate::sessions`] checked the
//! signature. It says for whom the authenticated party may speak.

use std::collections::BTreeSet;

use catalog::View;
use crypto::Digest;
use schemas::decision::Principal;
use schemas::participant::Node;
use schemas::{NodeId, ParticipantId, PersonId};

use crate::Error;

/// The principal of a TLS peer that speaks for `participant`: the digest of its certificate's
/// public key names a node of the catalog, and that node must host the participant.
///
/// # Errors
/// [`Error::UnknownPeer`], [`Error::NotHosted`], [`Error::UnknownParticipant`].
pub fn of_peer(
    view: &View,
    transport_key: &Digest,
    participant: &ParticipantId,
) -> Result<Principal, Error> {
    let node = view
        .node_by_transport_key(transport_key)
        .ok_or(Error::UnknownPeer)?;
    speaking_for(view, node, participant)
}

/// What a TLS peer claims: that it speaks for `participant`. Unlike [`of_peer`] it does not check
/// whether the node hosts the participant, so that the gate refuses a false claim (its facts say
/// that the principal is not valid) and the refusal stands in the ledger.
///
/// # Errors
/// [`Error::UnknownPeer`], [`Error::UnknownParticipant`].
pub fn claimed_by_peer(
    view: &View,
    transport_key: &Digest,
    participant: &ParticipantId,
) -> Result<Principal, Error> {
    let node = view
        .node_by_transport_key(transport_key)
        .ok_or(Error::UnknownPeer)?;
    speaking(view, node, participant)
}

/// The principal of a node of the catalog that speaks for `participant`, for work that a node does
/// on its own.
///
/// # Errors
/// As [`of_peer`].
pub fn of_node(
    view: &View,
    node: &NodeId,
    participant: &ParticipantId,
) -> Result<Principal, Error> {
    let node = view.node(node).ok_or(Error::UnknownPeer)?;
    speaking_for(view, node, participant)
}

/// The principal of a person of the catalog, with her present roles.
///
/// # Errors
/// [`Error::UnknownPerson`], [`Error::UnknownParticipant`].
pub fn of_person(view: &View, person: &PersonId) -> Result<Principal, Error> {
    let person = view
        .person(person)
        .ok_or_else(|| Error::UnknownPerson(person.clone()))?;
    let participant = view
        .participant(&person.participant)
        .ok_or_else(|| Error::UnknownParticipant(person.participant.clone()))?;
    Ok(Principal {
        participant: participant.id.clone(),
        kind: participant.kind,
        jurisdiction: participant.jurisdiction,
        person: Some(person.id.clone()),
        node: None,
        roles: person.roles.clone(),
    })
}

fn speaking_for(view: &View, node: &Node, participant: &ParticipantId) -> Result<Principal, Error> {
    if !node.hosts.contains(participant) {
        return Err(Error::NotHosted {
            node: node.id.clone(),
            participant: participant.clone(),
        });
    }
    speaking(view, node, participant)
}

fn speaking(view: &View, node: &Node, participant: &ParticipantId) -> Result<Principal, Error> {
    let participant = view
        .participant(participant)
        .ok_or_else(|| Error::UnknownParticipant(participant.clone()))?;
    Ok(Principal {
        participant: participant.id.clone(),
        kind: participant.kind,
        jurisdiction: participant.jurisdiction,
        person: None,
        node: Some(node.id.clone()),
        // Roles are persons'. What a node may do without one, the policy text says of nodes.
        roles: BTreeSet::new(),
    })
}
