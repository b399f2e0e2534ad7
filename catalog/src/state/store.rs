//! The maps that hold the records, the indexes over them and the digest, all moved by one
//! function, so that none can fall behind another.
//!
//! It does not decide anything.

use std::sync::Arc;

use crypto::merkle::map::MerkleMap;
use crypto::{Digest, KeyId, PublicKey};
use imbl::{OrdMap, OrdSet};
use schemas::dataset::{Dataset, DatasetVersion};
use schemas::export::Instrument;
use schemas::participant::{Node, Participant, Person};
use schemas::policy_set::PolicySet;
use schemas::request::{
    AccessRequest, Approval, Contract, Grant, GrantState, RequestState, SupervisedClock,
    Supervision,
};
use schemas::rule_pack::AdoptedRulePack;
use schemas::standard::DataStandard;
use schemas::transfer::{Transfer, TransferState};
use schemas::{
    ContractId, DatasetId, GrantId, InstrumentId, NodeId, ParticipantId, PersonId, RequestId,
    RulePackId, Signed, StandardEdition, Timestamp, TransferId,
};

use super::record::{
    Clock, Federation, Record, RecordKey, RememberedCommand, Submission, WitnessedCheckpoint,
};
use super::refusal::Refusal;
use super::request::running_clock;
use super::{Change, Written, limits};

/// Every record of the catalog at one log index.
///
/// Cloning shares all content (persistent maps), so a reader's copy costs about as much as
/// twenty reference counts, whatever the number of records.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) applied: u64,
    pub(crate) federation: Option<Arc<Federation>>,
    pub(crate) clock: Option<Arc<Clock>>,
    pub(crate) participants: OrdMap<ParticipantId, Arc<Participant>>,
    pub(crate) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(crate) persons: OrdMap<PersonId, Arc<Person>>,
    pub(crate) standards: OrdMap<StandardEdition, Arc<DataStandard>>,
    pub(crate) datasets: OrdMap<DatasetId, Arc<Dataset>>,
    pub(crate) submissions: OrdMap<DatasetId, Arc<Submission>>,
    pub(crate) versions: OrdMap<DatasetId, OrdMap<u64, Arc<Signed<DatasetVersion>>>>,
    pub(crate) requests: OrdMap<RequestId, Arc<AccessRequest>>,
    pub(crate) contracts: OrdMap<ContractId, Arc<Contract>>,
    pub(crate) grants: OrdMap<GrantId, Arc<Grant>>,
    pub(crate) transfers: OrdMap<TransferId, Arc<Transfer>>,
    pub(crate) policy_sets: OrdMap<u64, Arc<PolicySet>>,
    pub(crate) rule_packs: OrdMap<(RulePackId, u64), Arc<AdoptedRulePack>>,
    pub(crate) instruments: OrdMap<InstrumentId, Arc<Instrument>>,
    pub(crate) approvals: OrdMap<RequestId, Arc<Approval>>,
    pub(crate) supervisions: OrdMap<(RequestId, SupervisedClock), Arc<Supervision>>,
    pub(crate) checkpoints: OrdMap<ParticipantId, Arc<WitnessedCheckpoint>>,
    pub(crate) commands: OrdMap<RecordKey, Arc<RememberedCommand>>,
    /// Whose each current key is, signing and encryption keys alike.
    pub(crate) keys: OrdMap<KeyId, KeyOwner>,
    pub(crate) transport_keys: OrdMap<Digest, NodeId>,
    pub(crate) raft_numbers: OrdMap<u64, NodeId>,
    /// Versions over all datasets.
    pub(crate) version_count: usize,
    pub(crate) grants_by_party: OrdMap<(DatasetId, ParticipantId), OrdSet<GrantId>>,
    /// Instruments by who sends and who may receive.
    pub(crate) instruments_by_parties: OrdMap<(ParticipantId, ParticipantId), OrdSet<InstrumentId>>,
    /// Transfers that still run, by grant.
    pub(crate) open_transfers: OrdMap<GrantId, OrdSet<TransferId>>,
    /// What a tick has to end, earliest first.
    pub(crate) deadlines: OrdSet<(Timestamp, Deadline)>,
    pub(crate) commands_by_age: OrdMap<u64, RecordKey>,
    pub(crate) digests: MerkleMap,
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyOwner {
    /// Signs for a participant.
    Participant(ParticipantId),
    /// Others seal to it; it signs nothing.
    Encryption(ParticipantId),
    Node(NodeId),
    Person(PersonId),
}

/// What ends when leader time reaches an instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    Grant(GrantId),
    Request(RequestId),
    /// The clock of a request that waits for its answer or its data.
    Overdue(RequestId),
}

impl State {
    /// A state before the founding.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The log index up to which this state is applied.
    #[must_use]
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Leader time as of the last `Tick`; zero before the founding.
    #[must_use]
    pub fn leader_time(&self) -> Timestamp {
        self.clock
            .as_ref()
            .map_or_else(Timestamp::default, |clock| clock.leader_time)
    }

    /// The root over SM3 of every record's canonical bytes. Equal digests mean equal records;
    /// the applied index is not part of it, because log entries without commands move it too.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digests.root()
    }

    /// The map behind [`Self::digest`], in which two replicas find their first difference.
    #[must_use]
    pub const fn digests(&self) -> &MerkleMap {
        &self.digests
    }

    /// The supervising authority, once the federation is founded.
    #[must_use]
    pub fn authority(&self) -> Option<&ParticipantId> {
        self.federation
            .as_ref()
            .map(|federation| &federation.authority)
    }

    /// The signing key of that name, whoever's it is now.
    pub(crate) fn signing_key(&self, id: &KeyId) -> Option<&PublicKey> {
        match self.keys.get(id)? {
            KeyOwner::Participant(owner) => self.participants.get(owner).map(|it| &it.signing),
            KeyOwner::Encryption(_) => None,
            KeyOwner::Node(owner) => self.nodes.get(owner).map(|it| &it.signing),
            KeyOwner::Person(owner) => self.persons.get(owner).map(|it| &it.signing),
        }
    }

    /// Writes all records of a change, or none when one of them has no canonical form or its
    /// kind is full.
    pub(crate) fn commit(&mut self, change: Change, written: &mut Written) -> Result<u64, Refusal> {
        let mut encoded = Vec::with_capacity(change.records.len());
        for record in change.records {
            limits::check_room(self, &record)?;
            let bytes: Arc<[u8]> = record
                .to_bytes()
                .map_err(|error| Refusal::invalid(format!("{}: {error}", record.key())))?
                .into();
            encoded.push((record, bytes));
        }
        for (record, bytes) in encoded {
            let key = self.put(record, &bytes);
            written.insert(key, Some(bytes));
        }
        Ok(change.revision)
    }

    /// Takes a record in whose canonical bytes are `bytes`, and says which it is.
    pub(crate) fn put(&mut self, record: Record, bytes: &[u8]) -> RecordKey {
        let key = record.key();
        self.digests
            .insert(key.as_str().as_bytes(), Digest::of(bytes));
        match record {
            Record::Federation(it) => self.federation = Some(it),
            Record::Clock(it) => self.clock = Some(it),
            Record::Participant(it) => self.put_participant(it),
            Record::Node(it) => self.put_node(it),
            Record::Person(it) => self.put_person(it),
            Record::Standard(it) => {
                self.standards.insert(it.edition.clone(), it);
            }
            Record::Dataset(it) => {
                self.datasets.insert(it.id.clone(), it);
            }
            Record::Submission(it) => {
                self.submissions.insert(it.dataset.clone(), it);
            }
            Record::Version(it) => {
                let versions = self.versions.entry(it.body.dataset.clone()).or_default();
                if versions.insert(it.body.number, it).is_none() {
                    self.version_count += 1;
                }
            }
            Record::Request(it) => self.put_request(it),
            Record::Contract(it) => {
                self.contracts.insert(it.id.clone(), it);
            }
            Record::Grant(it) => self.put_grant(it),
            Record::Transfer(it) => self.put_transfer(it),
            Record::PolicySet(it) => {
                self.policy_sets.insert(it.number, it);
            }
            Record::RulePack(it) => {
                let key = (it.pack.series.clone(), it.pack.number);
                self.rule_packs.insert(key, it);
            }
            Record::Instrument(it) => self.put_instrument(it),
            Record::Approval(it) => {
                self.approvals.insert(it.request.clone(), it);
            }
            Record::Supervision(it) => self.put_supervision(it),
            Record::Checkpoint(it) => {
                let owner = it.update.checkpoint.body.ledger.participant.clone();
                self.checkpoints.insert(owner, it);
            }
            Record::Command(it) => self.put_command(&key, it),
        }
        key
    }

    fn put_participant(&mut self, it: Arc<Participant>) {
        if let Some(before) = self.participants.get(&it.id) {
            let replaced = [before.signing.key_id(), before.encryption.key_id()];
            for key in replaced {
                self.keys.remove(&key);
            }
        }
        self.keys
            .insert(it.signing.key_id(), KeyOwner::Participant(it.id.clone()));
        self.keys
            .insert(it.encryption.key_id(), KeyOwner::Encryption(it.id.clone()));
        self.participants.insert(it.id.clone(), it);
    }

    fn put_node(&mut self, it: Arc<Node>) {
        if let Some(before) = self.nodes.get(&it.id) {
            self.keys.remove(&before.signing.key_id());
            for key in &before.transport_keys {
                self.transport_keys.remove(key);
            }
            self.raft_numbers.remove(&before.raft_number);
        }
        if it.raft_number != 0 {
            self.raft_numbers.insert(it.raft_number, it.id.clone());
        }
        self.keys
            .insert(it.signing.key_id(), KeyOwner::Node(it.id.clone()));
        for key in &it.transport_keys {
            self.transport_keys.insert(*key, it.id.clone());
        }
        self.nodes.insert(it.id.clone(), it);
    }

    fn put_person(&mut self, it: Arc<Person>) {
        if let Some(before) = self.persons.get(&it.id) {
            self.keys.remove(&before.key_id());
        }
        self.keys
            .insert(it.key_id(), KeyOwner::Person(it.id.clone()));
        self.persons.insert(it.id.clone(), it);
    }

    fn put_request(&mut self, it: Arc<AccessRequest>) {
        if let Some(before) = self.requests.get(&it.id) {
            self.deadlines
                .remove(&(before.period.until, Deadline::Request(it.id.clone())));
            if let Some(due) = before.due_at {
                self.deadlines
                    .remove(&(due, Deadline::Overdue(it.id.clone())));
            }
        }
        // A clock that ran out is told once.
        if let (Some(due), Some(clock)) = (it.due_at, running_clock(&it))
            && self
                .supervisions
                .get(&(it.id.clone(), clock))
                .is_none_or(|told| told.due_at != due)
        {
            self.deadlines
                .insert((due, Deadline::Overdue(it.id.clone())));
        }
        // An agreed request ends with its grant.
        if matches!(it.state, RequestState::Submitted | RequestState::Returned) {
            self.deadlines
                .insert((it.period.until, Deadline::Request(it.id.clone())));
        }
        self.requests.insert(it.id.clone(), it);
    }

    fn put_supervision(&mut self, it: Arc<Supervision>) {
        self.deadlines
            .remove(&(it.due_at, Deadline::Overdue(it.request.clone())));
        self.supervisions.insert((it.request.clone(), it.clock), it);
    }

    fn put_instrument(&mut self, it: Arc<Instrument>) {
        let parties = |recipient: &ParticipantId| (it.processor.clone(), recipient.clone());
        if let Some(before) = self.instruments.get(&it.id).cloned() {
            for recipient in &before.envelope.recipients {
                if let Some(ids) = self.instruments_by_parties.get_mut(&parties(recipient)) {
                    ids.remove(&it.id);
                }
            }
        }
        for recipient in &it.envelope.recipients {
            self.instruments_by_parties
                .entry(parties(recipient))
                .or_default()
                .insert(it.id.clone());
        }
        self.instruments.insert(it.id.clone(), it);
    }

    fn put_grant(&mut self, it: Arc<Grant>) {
        if let Some(before) = self.grants.get(&it.id) {
            self.deadlines
                .remove(&(before.period.until, Deadline::Grant(it.id.clone())));
        }
        if it.state == GrantState::Active {
            self.deadlines
                .insert((it.period.until, Deadline::Grant(it.id.clone())));
        }
        let party = (it.dataset.clone(), it.consumer.clone());
        self.grants_by_party
            .entry(party)
            .or_default()
            .insert(it.id.clone());
        self.grants.insert(it.id.clone(), it);
    }

    fn put_transfer(&mut self, it: Arc<Transfer>) {
        let open = match it.state {
            TransferState::Requested | TransferState::Started | TransferState::Suspended => true,
            TransferState::Completed | TransferState::Terminated => false,
        };
        if open {
            let of_grant = self.open_transfers.entry(it.grant.clone()).or_default();
            of_grant.insert(it.id.clone());
        } else if let Some(of_grant) = self.open_transfers.get_mut(&it.grant) {
            of_grant.remove(&it.id);
            if of_grant.is_empty() {
                self.open_transfers.remove(&it.grant);
            }
        }
        self.transfers.insert(it.id.clone(), it);
    }

    fn put_command(&mut self, key: &RecordKey, it: Arc<RememberedCommand>) {
        self.commands_by_age.insert(it.sequence, key.clone());
        self.commands.insert(key.clone(), it);
    }
}
