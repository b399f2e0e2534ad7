//! The replicated state: every record of the catalog at one log index, and the one function that
//! moves it.
//!
//! It does not read a clock, random numbers, the environment, a disk or a network, and it does not
//! iterate in hash order: the same commands at the same index give the same digest on every
//! replica. Time and identifiers travel inside commands; leader time moves with `Tick` only.
//!
//! ```text
//!   Batch --verify_batch--> [VerifiedProposal] --apply_recorded--> outcomes + written records
//!            (parallel, with the state                (sequential, pure; roles, revisions,
//!             just before the batch)                   states, limits)
//! ```
//!
//! A command is first decided by a function that only reads the state and returns the records to
//! write; a refused command therefore changes nothing but the idempotency window.

#![warn(clippy::wildcard_enum_match_arm)]

mod author;
mod batch;
mod checkpoint;
mod clock;
mod correction;
pub(crate) mod dataset;
mod delegation;
mod difference;
mod dispute;
mod emergency;
mod founding;
mod grant;
mod instrument;
mod limits;
mod load;
mod node;
mod participant;
mod person;
mod policy_set;
mod record;
mod refusal;
mod request;
pub(crate) mod rule_pack;
mod signature;
mod snapshot;
mod standard;
mod store;
mod transfer;
mod version;
mod window;

pub use batch::{Batch, EncodedProposal};
pub use clock::AUTHOR_SKEW_MAX_MS;
pub use difference::Difference;
pub(crate) use difference::{PARTS, Part, differing_part, first_difference};
pub use record::{
    Clock, Federation, RecordKey, RecordKind, RememberedCommand, Submission, WitnessedCheckpoint,
};
pub use signature::{Signer, VerifiedProposal, verify, verify_batch};
pub use snapshot::{SNAPSHOT_FORMAT, SnapshotError, SnapshotHeader};
pub(crate) use store::KeyOwner;
pub use store::State;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::command::{Command, Outcome};

use author::Acting;
use record::Record;
use refusal::Refusal;

/// What applying some proposals did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// One for each proposal, in their order.
    pub outcomes: Vec<Outcome>,
    /// Each record that changed, once, with its canonical bytes as they now are; none means that
    /// the record is gone. In key order. A store that does exactly these writes stays equal to
    /// the state.
    pub written: Vec<(RecordKey, Option<Arc<[u8]>>)>,
}

/// What a command changes when it is applied.
#[derive(Debug)]
pub(crate) struct Change {
    /// The revision to answer with; 0 for records without one.
    pub(crate) revision: u64,
    pub(crate) records: Vec<Record>,
}

impl Change {
    pub(crate) fn new(revision: u64, records: Vec<Record>) -> Self {
        Self { revision, records }
    }
}

pub(crate) type Written = BTreeMap<RecordKey, Option<Arc<[u8]>>>;

impl State {
    /// Applies committed proposals and returns one outcome for each.
    ///
    /// # Panics
    /// When `index` lies before the last applied one: the log only moves forward, and stopping
    /// is better than diverging.
    pub fn apply(&mut self, index: u64, proposals: &[VerifiedProposal]) -> Vec<Outcome> {
        self.apply_recorded(index, proposals).outcomes
    }

    /// Applies committed proposals and says which records changed.
    ///
    /// # Panics
    /// As [`Self::apply`].
    pub fn apply_recorded(&mut self, index: u64, proposals: &[VerifiedProposal]) -> ApplyReport {
        assert!(index >= self.applied, "the log only moves forward");
        self.applied = index;
        let mut written = Written::new();
        let outcomes = proposals
            .iter()
            .map(|proposal| self.apply_one(proposal, &mut written))
            .collect();
        ApplyReport {
            outcomes,
            written: written.into_iter().collect(),
        }
    }

    /// Verifies the signatures of a committed batch against this state, then applies it. This is
    /// the paved path: verdicts are a function of the state just before the batch, so replicas
    /// agree on them.
    ///
    /// # Panics
    /// As [`Self::apply`].
    pub fn apply_batch(&mut self, index: u64, batch: &Batch) -> ApplyReport {
        let proposals = verify_batch(self, batch);
        self.apply_recorded(index, &proposals)
    }

    fn apply_one(&mut self, it: &VerifiedProposal, written: &mut Written) -> Outcome {
        if let Signer::Rejected { why } = it.signer() {
            return Refusal::signature(why.clone()).into();
        }
        if let Some(answer) = window::answer(self, it) {
            return answer;
        }
        let outcome = match self
            .decide(it)
            .and_then(|change| self.commit(change, written))
        {
            Ok(revision) => Outcome::Applied { revision },
            Err(refusal) => refusal.into(),
        };
        window::remember(self, it, &outcome, written);
        outcome
    }

    /// Decides a command without changing anything.
    fn decide(&self, it: &VerifiedProposal) -> Result<Change, Refusal> {
        let proposal = it.proposal();
        if let (
            Command::Found {
                authority,
                node,
                persons,
            },
            None,
        ) = (&proposal.command, &self.federation)
        {
            return founding::found(it, authority, node, persons);
        }
        let acting = author::resolve(self, it)?;
        if !matches!(proposal.command, Command::Tick { .. }) {
            clock::check_author_time(self.leader_time(), proposal.at)?;
        }
        self.decide_as(&acting, &proposal.command)
    }

    #[expect(clippy::too_many_lines, reason = "one arm a command")]
    fn decide_as(&self, acting: &Acting<'_>, command: &Command) -> Result<Change, Refusal> {
        match command {
            Command::Found { .. } => Err(Refusal::conflict(
                "the federation is founded already; register further participants instead",
            )),
            Command::RegisterParticipant { participant } => {
                participant::register(self, acting, participant)
            }
            Command::RegisterNode { node } => node::register(self, acting, node),
            Command::BindPerson { person } => person::bind(self, acting, person),
            Command::AdoptStandard { standard } => standard::adopt(self, acting, standard),
            Command::DescribeDataset { dataset } => dataset::describe(self, acting, dataset),
            Command::MoveDataset {
                dataset,
                revision,
                to,
            } => dataset::shift(self, acting, dataset, *revision, *to),
            Command::PublishVersion { version } => version::publish(self, acting, version),
            Command::SubmitRequest { request } => request::submit(self, acting, request),
            Command::DecideRequest {
                request,
                revision,
                decision,
            } => request::decide(self, acting, request, *revision, decision),
            Command::WithdrawRequest { request, revision } => {
                request::withdraw(self, acting, request, *revision)
            }
            Command::DisputeRequest {
                request,
                revision,
                step,
                because,
            } => dispute::step(self, acting, request, *revision, *step, because),
            Command::ReviewEmergency {
                request,
                upheld,
                because,
            } => emergency::review(self, acting, request, *upheld, because),
            Command::OpenCorrection { correction } => correction::open(self, acting, correction),
            Command::MoveCorrection {
                correction,
                revision,
                to,
                text,
                corrected_in,
            } => {
                let step = correction::Step {
                    to: *to,
                    text,
                    corrected_in: *corrected_in,
                };
                correction::shift(self, acting, correction, *revision, &step)
            }
            Command::SetDelegation { delegation } => delegation::set(self, acting, delegation),
            Command::EndDelegation {
                from,
                revision,
                because,
            } => delegation::end(self, acting, from, *revision, because),
            Command::RevokeGrant { grant, because } => grant::revoke(self, acting, grant, because),
            Command::OpenTransfer { transfer } => transfer::open(self, acting, transfer),
            Command::CompleteTransfer { transfer, receipts } => {
                transfer::complete(self, acting, transfer, receipts)
            }
            Command::TerminateTransfer { transfer, because } => {
                transfer::terminate(self, acting, transfer, because)
            }
            Command::AdoptPolicySet { policy_set } => policy_set::adopt(self, acting, policy_set),
            Command::AdoptRulePack { rule_pack } => rule_pack::adopt(self, acting, rule_pack),
            Command::WithdrawRulePack {
                series,
                number,
                because,
            } => rule_pack::withdraw(self, acting, series, *number, because),
            Command::RegisterInstrument { instrument } => {
                instrument::register(self, acting, instrument)
            }
            Command::MoveInstrument {
                instrument,
                revision,
                to,
                because,
            } => instrument::shift(self, acting, instrument, *revision, *to, because),
            Command::PublishCheckpoint { update } => checkpoint::publish(self, acting, update),
            Command::WitnessCheckpoint {
                participant,
                size,
                cosignature,
            } => checkpoint::witness(self, acting, participant, *size, cosignature),
            Command::Tick { now } => clock::tick(self, acting, *now),
        }
    }
}
