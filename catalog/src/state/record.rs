//! The records that the state is made of, what each is called, and its one byte form.
//!
//! It does not say who may write a record; the file of each noun does.

use std::sync::Arc;

use crypto::Digest;
use schemas::command::{Author, Outcome};
use schemas::dataset::{Dataset, DatasetVersion};
use schemas::export::Instrument;
use schemas::ledger_entry::{CheckpointUpdate, Cosignature};
use schemas::participant::{Node, Participant, Person};
use schemas::policy_set::PolicySet;
use schemas::request::{AccessRequest, Approval, Contract, Grant, Supervision};
use schemas::rule_pack::AdoptedRulePack;
use schemas::standard::DataStandard;
use schemas::transfer::Transfer;
use schemas::{
    CommandId, DatasetId, ParticipantId, PersonId, Signed, StandardEdition, Timestamp, canonical,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What kind of record; the first half of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// The founding: which participant is the authority.
    Federation,
    /// Leader time.
    Clock,
    /// Participants.
    Participant,
    /// Nodes.
    Node,
    /// Persons.
    Person,
    /// Editions of data standards.
    Standard,
    /// Dataset cards.
    Dataset,
    /// Who submitted a dataset card to the authority.
    Submission,
    /// Versions of datasets.
    Version,
    /// Requests for shared data.
    Request,
    /// Contracts.
    Contract,
    /// Grants.
    Grant,
    /// Transfers.
    Transfer,
    /// Policy sets.
    PolicySet,
    /// Adopted rule packs.
    RulePack,
    /// Export instruments.
    Instrument,
    /// Who agreed to requests that need two persons.
    Approval,
    /// Clocks of requests that ran out.
    Supervision,
    /// The newest checkpoint of each ledger with its cosignatures.
    Checkpoint,
    /// The idempotency window.
    Command,
}

impl RecordKind {
    /// Every kind, in the order in which snapshots list them.
    pub const ALL: [Self; 20] = [
        Self::Federation,
        Self::Clock,
        Self::Participant,
        Self::Node,
        Self::Person,
        Self::Standard,
        Self::Dataset,
        Self::Submission,
        Self::Version,
        Self::Request,
        Self::Contract,
        Self::Grant,
        Self::Transfer,
        Self::PolicySet,
        Self::RulePack,
        Self::Instrument,
        Self::Approval,
        Self::Supervision,
        Self::Checkpoint,
        Self::Command,
    ];

    /// The stable text that begins every key of the kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Federation => "federation",
            Self::Clock => "clock",
            Self::Participant => "participant",
            Self::Node => "node",
            Self::Person => "person",
            Self::Standard => "standard",
            Self::Dataset => "dataset",
            Self::Submission => "submission",
            Self::Version => "version",
            Self::Request => "request",
            Self::Contract => "contract",
            Self::Grant => "grant",
            Self::Transfer => "transfer",
            Self::PolicySet => "policy-set",
            Self::RulePack => "rule-pack",
            Self::Instrument => "instrument",
            Self::Approval => "approval",
            Self::Supervision => "supervision",
            Self::Checkpoint => "checkpoint",
            Self::Command => "command",
        }
    }
}

/// The name of one record in stores, snapshots and the state digest: `kind/id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    kind: RecordKind,
    text: Arc<str>,
}

impl RecordKey {
    pub(crate) fn new(kind: RecordKind, id: impl std::fmt::Display) -> Self {
        Self {
            kind,
            text: format!("{}/{id}", kind.as_str()).into(),
        }
    }

    /// The text form, `kind/id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The identifier within the kind. Versions are `dataset/number` and editions
    /// `standard/number`, with the number in 20 and 10 digits, so that text order is number order.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text
            .get(self.kind.as_str().len() + 1..)
            .unwrap_or_default()
    }

    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        let kind = RecordKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)?;
        Some(Self::new(kind, id))
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The founding of the federation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// The supervising authority.
    pub authority: ParticipantId,
    /// When it was founded, by the founder's clock.
    pub founded_at: Timestamp,
}

/// The leader's clock as of the last `Tick`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Never goes back.
    pub leader_time: Timestamp,
}

/// Who submitted a dataset card: when the authority is itself the provider, the same person may
/// not approve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The dataset.
    pub dataset: DatasetId,
    /// Who submitted it last.
    pub by: PersonId,
}

/// A ledger's newest checkpoint in the catalog and the members who saw it extend the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessedCheckpoint {
    /// The checkpoint with its proof.
    pub update: CheckpointUpdate,
    /// One of each witness, in the order in which they arrived.
    pub cosignatures: Vec<Cosignature>,
}

/// What became of a command, kept so that a retry gets the same answer and is applied once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RememberedCommand {
    /// Who proposed it. The window is kept by author, so that nobody can use up the identifier
    /// of somebody else's command.
    pub author: Author,
    /// Its identifier.
    pub id: CommandId,
    /// SM3 of the proposal's canonical bytes: another proposal under the same identifier is not
    /// a retry.
    pub digest: Digest,
    /// What became of it.
    pub outcome: Outcome,
    /// Its place in the window, counted from 1; the lowest leaves first.
    pub sequence: u64,
}

/// One record of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Federation(Arc<Federation>),
    Clock(Arc<Clock>),
    Participant(Arc<Participant>),
    Node(Arc<Node>),
    Person(Arc<Person>),
    Standard(Arc<DataStandard>),
    Dataset(Arc<Dataset>),
    Submission(Arc<Submission>),
    Version(Arc<Signed<DatasetVersion>>),
    Request(Arc<AccessRequest>),
    Contract(Arc<Contract>),
    Grant(Arc<Grant>),
    Transfer(Arc<Transfer>),
    PolicySet(Arc<PolicySet>),
    RulePack(Arc<AdoptedRulePack>),
    Instrument(Arc<Instrument>),
    Approval(Arc<Approval>),
    Supervision(Arc<Supervision>),
    Checkpoint(Arc<WitnessedCheckpoint>),
    Command(Arc<RememberedCommand>),
}

impl Record {
    pub(crate) fn key(&self) -> RecordKey {
        match self {
            Self::Federation(_) => RecordKey::new(RecordKind::Federation, FEDERATION_ID),
            Self::Clock(_) => RecordKey::new(RecordKind::Clock, CLOCK_ID),
            Self::Participant(it) => RecordKey::new(RecordKind::Participant, &it.id),
            Self::Node(it) => RecordKey::new(RecordKind::Node, &it.id),
            Self::Person(it) => RecordKey::new(RecordKind::Person, &it.id),
            Self::Standard(it) => RecordKey::new(RecordKind::Standard, edition_id(&it.edition)),
            Self::Dataset(it) => RecordKey::new(RecordKind::Dataset, &it.id),
            Self::Submission(it) => RecordKey::new(RecordKind::Submission, &it.dataset),
            Self::Version(it) => RecordKey::new(
                RecordKind::Version,
                format_args!("{}/{:020}", it.body.dataset, it.body.number),
            ),
            Self::Request(it) => RecordKey::new(RecordKind::Request, &it.id),
            Self::Contract(it) => RecordKey::new(RecordKind::Contract, &it.id),
            Self::Grant(it) => RecordKey::new(RecordKind::Grant, &it.id),
            Self::Transfer(it) => RecordKey::new(RecordKind::Transfer, &it.id),
            Self::PolicySet(it) => {
                RecordKey::new(RecordKind::PolicySet, format_args!("{:020}", it.number))
            }
            Self::RulePack(it) => RecordKey::new(
                RecordKind::RulePack,
                format!("{}/{:020}", it.pack.series, it.pack.number),
            ),
            Self::Instrument(it) => RecordKey::new(RecordKind::Instrument, it.id.as_str()),
            Self::Approval(it) => RecordKey::new(RecordKind::Approval, it.request.as_str()),
            Self::Supervision(it) => RecordKey::new(
                RecordKind::Supervision,
                format!("{}/{}", it.request, it.clock),
            ),
            Self::Checkpoint(it) => RecordKey::new(
                RecordKind::Checkpoint,
                &it.update.checkpoint.body.ledger.participant,
            ),
            Self::Command(it) => command_key(&it.author, &it.id),
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, schemas::Error> {
        match self {
            Self::Federation(it) => canonical::to_bytes(&**it),
            Self::Clock(it) => canonical::to_bytes(&**it),
            Self::Participant(it) => canonical::to_bytes(&**it),
            Self::Node(it) => canonical::to_bytes(&**it),
            Self::Person(it) => canonical::to_bytes(&**it),
            Self::Standard(it) => canonical::to_bytes(&**it),
            Self::Dataset(it) => canonical::to_bytes(&**it),
            Self::Submission(it) => canonical::to_bytes(&**it),
            Self::Version(it) => canonical::to_bytes(&**it),
            Self::Request(it) => canonical::to_bytes(&**it),
            Self::Contract(it) => canonical::to_bytes(&**it),
            Self::Grant(it) => canonical::to_bytes(&**it),
            Self::Transfer(it) => canonical::to_bytes(&**it),
            Self::PolicySet(it) => canonical::to_bytes(&**it),
            Self::RulePack(it) => canonical::to_bytes(&**it),
            Self::Instrument(it) => canonical::to_bytes(&**it),
            Self::Approval(it) => canonical::to_bytes(&**it),
            Self::Supervision(it) => canonical::to_bytes(&**it),
            Self::Checkpoint(it) => canonical::to_bytes(&**it),
            Self::Command(it) => canonical::to_bytes(&**it),
        }
    }

    pub(crate) fn from_bytes(kind: RecordKind, bytes: &[u8]) -> Result<Self, schemas::Error> {
        fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Arc<T>, schemas::Error> {
            canonical::from_bytes(bytes).map(Arc::new)
        }
        Ok(match kind {
            RecordKind::Federation => Self::Federation(read(bytes)?),
            RecordKind::Clock => Self::Clock(read(bytes)?),
            RecordKind::Participant => Self::Participant(read(bytes)?),
            RecordKind::Node => Self::Node(read(bytes)?),
            RecordKind::Person => Self::Person(read(bytes)?),
            RecordKind::Standard => Self::Standard(read(bytes)?),
            RecordKind::Dataset => Self::Dataset(read(bytes)?),
            RecordKind::Submission => Self::Submission(read(bytes)?),
            RecordKind::Version => Self::Version(read(bytes)?),
            RecordKind::Request => Self::Request(read(bytes)?),
            RecordKind::Contract => Self::Contract(read(bytes)?),
            RecordKind::Grant => Self::Grant(read(bytes)?),
            RecordKind::Transfer => Self::Transfer(read(bytes)?),
            RecordKind::PolicySet => Self::PolicySet(read(bytes)?),
            RecordKind::RulePack => Self::RulePack(read(bytes)?),
            RecordKind::Instrument => Self::Instrument(read(bytes)?),
            RecordKind::Approval => Self::Approval(read(bytes)?),
            RecordKind::Supervision => Self::Supervision(read(bytes)?),
            RecordKind::Checkpoint => Self::Checkpoint(read(bytes)?),
            RecordKind::Command => Self::Command(read(bytes)?),
        })
    }
}

/// The identifier of an edition's record.
fn edition_id(edition: &StandardEdition) -> String {
    format!("{}/{:010}", edition.standard, edition.edition)
}

/// The key of a remembered command's record.
pub(crate) fn command_key(author: &Author, id: &CommandId) -> RecordKey {
    match author {
        Author::Person {
            participant,
            person,
        } => RecordKey::new(
            RecordKind::Command,
            format_args!("person/{participant}/{person}/{id}"),
        ),
        Author::Node(node) => RecordKey::new(RecordKind::Command, format_args!("node/{node}/{id}")),
    }
}

const FEDERATION_ID: &str = "founding";
const CLOCK_ID: &str = "leader";
