//! An immutable state at one log index, for readers.
//!
//! It does not change and it does not decide who may see a record: the enforcement point does.

use std::collections::BTreeMap;

use crypto::{Digest, KeyId};
use schemas::calendar::{Calendar, Day};
use schemas::correction::Correction;
use schemas::dataset::{Dataset, DatasetState, DatasetVersion};
use schemas::delegation::Delegation;
use schemas::dispute::Dispute;
use schemas::emergency::EmergencyReview;
use schemas::export::Instrument;
use schemas::grading::{GradeAssessment, ImpactAnswer};
use schemas::participant::{Node, Participant, Person};
use schemas::policy_set::PolicySet;
use schemas::request::{AccessRequest, Approval, Contract, Grant, Supervision};
use schemas::resource::{self, CatalogFinding, Neighbours, ResourceCode};
use schemas::rule_pack::{AdoptedRulePack, ImpactObject, RulePack, RulePackKind};
use schemas::standard::DataStandard;
use schemas::transfer::Transfer;
use schemas::{
    ContractId, CorrectionId, DatasetId, GrantId, InstrumentId, NodeId, ParticipantId, PersonId,
    RequestId, Signed, StandardEdition, Timestamp, TransferId,
};

pub use crate::state::WitnessedCheckpoint;
use crate::state::{KeyOwner, State, dataset, rule_pack};

/// The catalog at one log index. Cloning shares everything; iterators are in identifier order.
#[derive(Clone, Debug, Default)]
pub struct View {
    state: State,
}

/// A record's accessor and iterator.
macro_rules! records {
    ($($(#[$doc:meta])* $one:ident($id:ty) -> $record:ty, $(#[$docs:meta])* $all:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $one(&self, id: &$id) -> Option<&$record> {
            self.state.$all.get(id).map(AsRef::as_ref)
        }

        $(#[$docs])*
        pub fn $all(&self) -> impl DoubleEndedIterator<Item = &$record> {
            self.state.$all.values().map(AsRef::as_ref)
        }
    )*};
}

impl View {
    /// A view of `state`.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self { state }
    }

    /// The log index up to which this view is applied.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.state.applied()
    }

    /// Leader time as of the last tick before this view; zero before the founding.
    #[must_use]
    pub fn leader_time(&self) -> Timestamp {
        self.state.leader_time()
    }

    /// The state digest: equal on all replicas whose records are equal.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.state.digest()
    }

    /// The supervising authority; none before the founding.
    #[must_use]
    pub fn authority(&self) -> Option<&ParticipantId> {
        self.state.authority()
    }

    /// The state behind this view.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    records! {
        /// The participant of that identifier.
        participant(ParticipantId) -> Participant,
        /// All participants.
        participants;
        /// The node of that identifier.
        node(NodeId) -> Node,
        /// All nodes.
        nodes;
        /// The person of that identifier.
        person(PersonId) -> Person,
        /// All persons.
        persons;
        /// That edition of a data standard.
        standard(StandardEdition) -> DataStandard,
        /// All editions of all data standards.
        standards;
        /// The dataset of that identifier, whatever its state.
        dataset(DatasetId) -> Dataset,
        /// All datasets, whatever their state.
        datasets;
        /// The request of that identifier.
        request(RequestId) -> AccessRequest,
        /// All requests.
        requests;
        /// The contract of that identifier.
        contract(ContractId) -> Contract,
        /// All contracts.
        contracts;
        /// The grant of that identifier, whether or not it is in force.
        grant(GrantId) -> Grant,
        /// All grants, whether or not they are in force.
        grants;
        /// The transfer of that identifier.
        transfer(TransferId) -> Transfer,
        /// All transfers.
        transfers;
        /// The export instrument of that identifier, whatever its state.
        instrument(InstrumentId) -> Instrument,
        /// All export instruments, whatever their state.
        instruments;
        /// Who agreed to a request that needs two persons.
        approval(RequestId) -> Approval,
        /// All approvals.
        approvals;
        /// The dispute of a request's refusal.
        dispute(RequestId) -> Dispute,
        /// All disputes.
        disputes;
        /// The correction ticket of that identifier.
        correction(CorrectionId) -> Correction,
        /// All correction tickets.
        corrections;
        /// Who decides in a person's place, ended or not.
        delegation(PersonId) -> Delegation,
        /// All delegations.
        delegations;
        /// The emergency grant of a request, with its review.
        emergency(RequestId) -> EmergencyReview,
        /// All emergency grants.
        emergencies;
        /// The newest checkpoint of a participant's ledger.
        checkpoint(ParticipantId) -> WitnessedCheckpoint,
        /// The newest checkpoint of every ledger, by participant.
        checkpoints;
    }

    /// The node one of whose transport certificates has this key (SM3 of its SubjectPublicKeyInfo).
    #[must_use]
    pub fn node_by_transport_key(&self, key: &Digest) -> Option<&Node> {
        self.state
            .transport_keys
            .get(key)
            .and_then(|id| self.node(id))
    }

    /// The person whose current signing key this is.
    #[must_use]
    pub fn person_by_key(&self, key: &KeyId) -> Option<&Person> {
        match self.state.keys.get(key)? {
            KeyOwner::Person(id) => self.person(id),
            KeyOwner::Participant(_) | KeyOwner::Encryption(_) | KeyOwner::Node(_) => None,
        }
    }

    /// The versions of a dataset, oldest first.
    pub fn versions(
        &self,
        dataset: &DatasetId,
    ) -> impl DoubleEndedIterator<Item = &Signed<DatasetVersion>> {
        self.state
            .versions
            .get(dataset)
            .into_iter()
            .flat_map(|versions| versions.values())
            .map(AsRef::as_ref)
    }

    /// The version of that number.
    #[must_use]
    pub fn version(&self, dataset: &DatasetId, number: u64) -> Option<&Signed<DatasetVersion>> {
        self.state
            .versions
            .get(dataset)?
            .get(&number)
            .map(AsRef::as_ref)
    }

    /// The newest version.
    #[must_use]
    pub fn latest_version(&self, dataset: &DatasetId) -> Option<&Signed<DatasetVersion>> {
        self.state
            .versions
            .get(dataset)?
            .get_max()
            .map(|(_, version)| version.as_ref())
    }

    /// What is filled in wrongly in a card, compared with the other cards. Reads every card of the
    /// provider, so it is for a person who asks and not for each command.
    #[must_use]
    pub fn findings(&self, it: &Dataset) -> Vec<CatalogFinding> {
        let same_title = self
            .datasets()
            .find(|other| {
                let same = other.provider == it.provider && other.title.zh == it.title.zh;
                same && other.id != it.id && other.state != DatasetState::Retired
            })
            .map(|other| other.id.clone());
        let neighbours = Neighbours {
            same_code: dataset::same_code(&self.state, it),
            same_title,
            sources: Some(dataset::sources(&self.state, it)),
        };
        resource::findings(it, &neighbours)
    }

    /// What answers about impact give by the grading table in force at a provider's seat.
    ///
    /// # Errors
    /// What is wrong with the answers, or that no table is in force.
    pub fn assess(
        &self,
        provider: &ParticipantId,
        answers: BTreeMap<ImpactObject, ImpactAnswer>,
    ) -> Result<GradeAssessment, String> {
        dataset::assess(&self.state, provider, answers).map_err(|refusal| refusal.detail)
    }

    /// The first resource code of a classification that no dataset has.
    ///
    /// # Errors
    /// [`schemas::Error::Field`] for what is no classification, or one without a number left.
    pub fn next_resource_code(&self, classification: &str) -> Result<ResourceCode, schemas::Error> {
        // Codes of one classification stand together: '0' follows '/' at once.
        let (from, until) = (format!("{classification}/"), format!("{classification}0"));
        let taken = self.state.resource_codes.range(from..until);
        ResourceCode::next(classification, taken.map(|(code, _)| code.as_str()))
    }

    /// All grants of a dataset to a consumer, whether or not they are in force.
    pub fn grants_for(
        &self,
        dataset: &DatasetId,
        consumer: &ParticipantId,
    ) -> impl Iterator<Item = &Grant> {
        let party = (dataset.clone(), consumer.clone());
        let ids = self.state.grants_by_party.get(&party);
        ids.into_iter().flatten().filter_map(|id| self.grant(id))
    }

    /// The export instruments of a sender that name a recipient, whatever their state.
    pub fn instruments_for(
        &self,
        processor: &ParticipantId,
        recipient: &ParticipantId,
    ) -> impl Iterator<Item = &Instrument> {
        let parties = (processor.clone(), recipient.clone());
        let ids = self.state.instruments_by_parties.get(&parties);
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.instrument(id))
    }

    /// Clocks of requests that ran out, settled ones included, by request.
    pub fn supervisions(&self) -> impl DoubleEndedIterator<Item = &Supervision> {
        self.state.supervisions.values().map(AsRef::as_ref)
    }

    /// Every adopted rule pack, taken back or not, by series and number.
    pub fn rule_packs(&self) -> impl DoubleEndedIterator<Item = &AdoptedRulePack> {
        self.state.rule_packs.values().map(AsRef::as_ref)
    }

    /// The pack of export rules, holidays or clocks that holds in a place on a day: adopted, or the
    /// one that ships.
    #[must_use]
    pub fn rule_pack_in_force(
        &self,
        kind: RulePackKind,
        jurisdiction: &str,
        day: Day,
    ) -> Option<&RulePack> {
        rule_pack::in_force(&self.state, kind, jurisdiction, day)
    }

    /// The calendar by which terms that begin on a day are counted.
    #[must_use]
    pub fn calendar(&self, day: Day) -> Calendar {
        rule_pack::calendar(&self.state, day)
    }

    /// The policy set in force; none means the one that ships with the program.
    #[must_use]
    pub fn policy_set(&self) -> Option<&PolicySet> {
        self.state
            .policy_sets
            .get_max()
            .map(|(_, set)| set.as_ref())
    }
}

impl From<State> for View {
    fn from(state: State) -> Self {
        Self::new(state)
    }
}
