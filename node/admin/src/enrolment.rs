//! A new node's way in: what it sends with its invitation, and what it gets.
//!
//! It does not certify anything and keeps nothing: whoever holds the transport authority does. An
//! enrolment gives a node a transport certificate and a number; it is a member only once the
//! authority's system administrator has signed its records into the catalog.

use schemas::participant::{Node, Participant, Person};
use schemas::{NodeId, ParticipantId, Timestamp};
use serde::{Deserialize, Serialize};

/// Most persons that come with a node.
pub const PERSONS_MAX: usize = 16;

/// What a new node sends: the records that it asks to be registered, and the requests for its
/// transport certificates, each signed with the key that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// For whom the node acts.
    pub participant: Participant,
    /// The node, with Raft number 0: the authority gives it one.
    pub node: Node,
    /// Who acts for the participant first; at most [`PERSONS_MAX`].
    pub persons: Vec<Person>,
    /// PKCS #10 requests in PEM, at most one a family of TLS.
    pub requests: Vec<String>,
}

/// An application with the invitation that allows it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Which invitation.
    pub invitation: String,
    /// Its secret: 64 hexadecimal digits.
    pub secret: String,
    /// What is asked for.
    pub application: Application,
}

/// What a new node gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// A certificate in PEM for each request, in their order.
    pub certificates: Vec<String>,
    /// The node's number in Raft.
    pub raft_number: u64,
    /// What both sides compare over another line before anybody is registered: four groups of
    /// four hexadecimal digits, the start of SM3 over the canonical application with that number.
    pub check: String,
    /// The clock of the node that answers.
    pub now: Timestamp,
}

/// An application that was answered, for who decides about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The invitation.
    pub id: String,
    /// The node that was invited.
    pub node: NodeId,
    /// For whom it acts.
    pub participant: ParticipantId,
    /// When it applied.
    pub applied_at: Timestamp,
    /// As in [`Welcome`].
    pub check: String,
    /// What was sent, with the number that the node was given.
    pub application: Application,
}

/// Why a node is not enrolled. A stranger learns no more than [`EnrolError::NotInvited`].
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such invitation, another secret, or too many tries.
    #[error("the invitation is not known or its secret is wrong; ask for a new one")]
    NotInvited,
    /// The invitation ended.
    #[error("the invitation ended at {until}; ask for a new one")]
    Expired {
        /// Its end.
        until: Timestamp,
    },
    /// Somebody applied with it already, for something else.
    #[error(
        "the invitation was used for another application; if that was not you, tell the authority"
    )]
    Used,
    /// The application is not what the invitation is for, or contradicts itself.
    #[error("{why}")]
    Unfit {
        /// What is wrong and what to do.
        why: String,
    },
    /// Something of this node failed.
    #[error("enrol a node: {why}")]
    Failed {
        /// What happened.
        why: String,
    },
}

/// Answers applications. It blocks: it reads and writes files.
pub trait Enrol: Send + Sync {
    /// Answers an application; the same one again gives the same answer. `numbers` are the Raft
    /// numbers that the catalog has records of.
    ///
    /// # Errors
    /// [`EnrolError`]; then nothing was certified.
    fn apply(
        &self,
        apply: &Apply,
        numbers: &std::collections::BTreeSet<u64>,
        now: Timestamp,
    ) -> Result<Welcome, EnrolError>;

    /// Applications that were answered.
    ///
    /// # Errors
    /// [`EnrolError::Failed`].
    fn answered(&self) -> Result<Vec<Enrolment>, EnrolError>;
}
