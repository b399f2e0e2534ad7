//! What can go wrong at the gate. A refusal is not among it: that is an answer, see
//! [`crate::Refusal`].

use schemas::command::RefusalCode;
use schemas::{NodeId, ParticipantId, PersonId};

/// Why the gate could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No node of the catalog has this transport key.
    #[error("no node of the federation has the peer's transport key; register the node first")]
    UnknownPeer,

    /// A node speaks for a participant that it does not host.
    #[error("node {node} does not host participant {participant}")]
    NotHosted {
        /// The node.
        node: NodeId,
        /// For whom it wanted to speak.
        participant: ParticipantId,
    },

    /// The catalog does not know the participant.
    #[error("participant {0} is not in the catalog")]
    UnknownParticipant(ParticipantId),

    /// The catalog does not know the person.
    #[error("person {0} is not in the catalog")]
    UnknownPerson(PersonId),

    /// The policy set in force cannot be used.
    #[error("compile policy set {number}")]
    Policy {
        /// Its number.
        number: u64,
        /// What the decision point said.
        #[source]
        source: policies::Error,
    },

    /// The ledger did not do what was asked.
    #[error("use the ledger")]
    Ledger(#[from] ledger::Error),

    /// The counter home did not do what was asked.
    #[error("use the counter home")]
    Counters(#[from] crate::counters::Fault),

    /// The catalog did not do what was asked.
    #[error("use the catalog")]
    Catalog(#[from] catalog::Error),

    /// A key could not be used, or there are no random bytes.
    #[error("use a key")]
    Crypto(#[from] crypto::Error),

    /// A record has no canonical form.
    #[error("write a record")]
    Record(#[from] schemas::Error),

    /// The catalog refused what this node proposed.
    #[error("the catalog refused it ({code}): {detail}")]
    ProposalRefused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        detail: String,
    },

    /// The file of sign-in accounts cannot be used.
    #[error("{action} the account file: {why}")]
    Accounts {
        /// What was tried.
        action: &'static str,
        /// What stood in the way.
        why: String,
    },
}

impl Error {
    /// What the caller asked of the ledger that cannot be answered as it was asked; none when
    /// something else went wrong.
    #[must_use]
    pub fn question(&self) -> Option<String> {
        match self {
            Self::Ledger(error @ ledger::Error::Question { .. }) => Some(error.to_string()),
            _ => None,
        }
    }
}
