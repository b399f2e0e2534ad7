//! Who acts: the author of a proposal as the catalog knows them at this log index.
//!
//! It does not check signature bytes; it checks that the key which signed is the author's now.

use schemas::command::Author;
use schemas::participant::{Node, Person, Role};
use schemas::{ParticipantId, Timestamp};

use super::refusal::Refusal;
use super::signature::{Signer, VerifiedProposal};
use super::store::State;

/// The author, with a key that is theirs and, for a person, within her validity.
#[derive(Debug)]
pub(crate) enum Acting<'a> {
    Person(&'a Person),
    Node(&'a Node),
}

/// Finds the author and refuses a key that is not theirs.
pub(crate) fn resolve<'a>(
    state: &'a State,
    it: &'a VerifiedProposal,
) -> Result<Acting<'a>, Refusal> {
    match (&it.proposal().author, it.signer()) {
        (
            Author::Person {
                participant,
                person,
            },
            Signer::Person(key),
        ) => {
            let known = state
                .persons
                .get(person)
                .filter(|known| known.participant == *participant && known.key_id() == *key);
            let person = known.ok_or_else(|| {
                Refusal::signature(format!(
                    "the key that signed is not {person}'s of {participant} at this index; \
                     sign with the bound key"
                ))
            })?;
            check_validity(person, state.leader_time())?;
            Ok(Acting::Person(person))
        }
        (
            Author::Node(node),
            Signer::Node {
                node: signed_by,
                key,
            },
        ) if node == signed_by => {
            let known = state
                .nodes
                .get(node)
                .filter(|known| known.signing.key_id() == *key);
            known.map(|node| Acting::Node(node)).ok_or_else(|| {
                Refusal::signature(format!(
                    "the key that signed the batch is not node {node}'s at this index; \
                     register it first"
                ))
            })
        }
        (Author::Person { .. } | Author::Node(_), signer) => {
            Err(Refusal::signature(match signer {
                Signer::Rejected { why } => why.clone(),
                Signer::Person(_) | Signer::Node { .. } => {
                    "another than the author signed; authors sign for themselves".to_owned()
                }
            }))
        }
    }
}

fn check_validity(person: &Person, now: Timestamp) -> Result<(), Refusal> {
    if person.not_before <= now && now < person.not_after {
        return Ok(());
    }
    Err(Refusal::not_allowed(format!(
        "{} may act from {} until {}, leader time is {now}; have her bound anew",
        person.id, person.not_before, person.not_after
    )))
}

impl<'a> Acting<'a> {
    /// A person who has one of `roles` and acts for `participant`.
    pub(crate) fn person_of(
        &self,
        participant: &ParticipantId,
        roles: &[Role],
    ) -> Result<&'a Person, Refusal> {
        let person = self.person_with(roles)?;
        if person.participant == *participant {
            return Ok(person);
        }
        Err(Refusal::not_allowed(format!(
            "{} acts for {}; this is for {participant} to do",
            person.id, person.participant
        )))
    }

    /// A person who has one of `roles`, whomever she acts for.
    pub(crate) fn person_with(&self, roles: &[Role]) -> Result<&'a Person, Refusal> {
        let wanted = || {
            let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            names.join(" or ")
        };
        match self {
            Self::Person(person) if roles.iter().any(|role| person.roles.contains(role)) => {
                Ok(person)
            }
            Self::Person(person) => Err(Refusal::not_allowed(format!(
                "{} lacks the role {}; ask one who has it, or have it bound",
                person.id,
                wanted()
            ))),
            Self::Node(node) => Err(Refusal::not_allowed(format!(
                "node {} cannot do this for a person; a {} signs it",
                node.id,
                wanted()
            ))),
        }
    }

    /// A node.
    pub(crate) fn node(&self) -> Result<&'a Node, Refusal> {
        match self {
            Self::Node(node) => Ok(node),
            Self::Person(person) => Err(Refusal::not_allowed(format!(
                "{} is a person; a node proposes this, in its batch",
                person.id
            ))),
        }
    }

    /// A node that acts for `participant`.
    pub(crate) fn node_of(&self, participant: &ParticipantId) -> Result<&'a Node, Refusal> {
        let node = self.node()?;
        if node.hosts.contains(participant) {
            return Ok(node);
        }
        Err(Refusal::not_allowed(format!(
            "node {} does not act for {participant}; a node that hosts it proposes this",
            node.id
        )))
    }
}
