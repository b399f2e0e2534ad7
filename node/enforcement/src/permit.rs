//! The answers of the gate: a permit, or a refusal. And what a permit is spent on.
//!
//! It does not make permits: only [`crate::EnforcementPoint::authorize`] does, after the ledger
//! entry is durable. None of these types can be written down, copied or made elsewhere:
//!
//! ```compile_fail
//! // There is no constructor, and the fields are private (E0451): not even one permit's parts
//! // make another.
//! fn forge(permit: enforcement::Permit) -> enforcement::Permit {
//!     enforcement::Permit { ..permit }
//! }
//! ```
//!
//! ```compile_fail
//! // A permit is spent once, so it cannot be copied.
//! fn twice(permit: enforcement::Permit) -> (enforcement::Permit, enforcement::Permit) {
//!     (permit.clone(), permit)
//! }
//! ```
//!
//! ```compile_fail
//! // It does not come from bytes.
//! fn read(text: &str) -> enforcement::Permit {
//!     serde_json::from_str(text).unwrap()
//! }
//! ```
//!
//! ```compile_fail
//! // A release comes from a permit, and a permit is gone when it was spent.
//! async fn again(
//!     point: &enforcement::EnforcementPoint,
//!     permit: enforcement::Permit,
//!     artefact: enforcement::PinnedArtefact,
//! ) {
//!     let first = point.release(permit, artefact.clone()).await;
//!     let second = point.release(permit, artefact).await;
//! }
//! ```
//!
//! ```compile_fail
//! // What lets persons be counted lets nothing leave.
//! async fn leave(
//!     point: &enforcement::EnforcementPoint,
//!     permit: enforcement::MeasurePermit,
//!     artefact: enforcement::PinnedArtefact,
//! ) {
//!     let release = point.release(permit, artefact).await;
//! }
//! ```
//!
//! ```compile_fail
//! // The right to write a dataset's tables is not made by hand either.
//! fn forge(it: enforcement::IngestCapability) -> enforcement::IngestCapability {
//!     enforcement::IngestCapability { ..it }
//! }
//! ```

use crypto::Digest;
use schemas::code::ReasonCode;
use schemas::decision::{DecisionRequest, Facts, Obligations, Reason};
use schemas::export::MeasureDuty;
use schemas::ledger_entry::LedgerIndex;
use schemas::{DatasetId, GrantId, ParticipantId, TransferId};

use crate::counters::Reservation;

/// A decision that said yes and stands in the ledger. Spent once.
#[must_use = "a permit that is not spent was decided and recorded for nothing"]
#[derive(Debug)]
pub struct Permit {
    /// Whose gate gave it: a node can host several participants, each with a gate of its own.
    issuer: ParticipantId,
    request: DecisionRequest,
    facts: Facts,
    obligations: Obligations,
    recorded_at: LedgerIndex,
    trace: String,
    /// The persons that it was given for, when they had to be counted.
    reservation: Option<Reservation>,
}

impl Permit {
    /// Only the gate calls this, once the entry at `recorded_at` is durable.
    pub(crate) fn recorded(
        issuer: ParticipantId,
        asked: (DecisionRequest, Facts),
        obligations: Obligations,
        recorded_at: LedgerIndex,
        trace: String,
    ) -> Self {
        let (request, facts) = asked;
        Self {
            issuer,
            request,
            facts,
            obligations,
            recorded_at,
            trace,
            reservation: None,
        }
    }

    /// The persons that it was given for stay reserved as long as it or its release lives.
    pub(crate) fn reserving(mut self, reservation: Reservation) -> Self {
        self.reservation = Some(reservation);
        self
    }

    /// The persons go on with the release.
    pub(crate) fn take_reservation(&mut self) -> Option<Reservation> {
        self.reservation.take()
    }

    /// Whose gate gave it.
    #[must_use]
    pub fn issuer(&self) -> &ParticipantId {
        &self.issuer
    }

    /// What was asked.
    #[must_use]
    pub fn request(&self) -> &DecisionRequest {
        &self.request
    }

    /// What was known.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What must be done for it to hold.
    #[must_use]
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// The decision's entry in the issuer's ledger.
    #[must_use]
    pub fn recorded_at(&self) -> LedgerIndex {
        self.recorded_at
    }

    /// What ties it to the log lines and answers of the same request.
    #[must_use]
    pub fn trace(&self) -> &str {
        &self.trace
    }
}

/// A first decision that lets rows be counted and nothing leave: the persons of a batch are known
/// only to who reads the data. It is spent on the count, and a second decision follows.
#[must_use = "a permit that is not spent was decided and recorded for nothing"]
#[derive(Debug)]
pub struct MeasurePermit {
    permit: Permit,
    duty: MeasureDuty,
    grant: Option<GrantId>,
}

impl MeasurePermit {
    /// Only the gate calls this, once the entry of `permit` is durable.
    pub(crate) fn recorded(permit: Permit, duty: MeasureDuty, grant: Option<GrantId>) -> Self {
        Self {
            permit,
            duty,
            grant,
        }
    }

    /// What was asked.
    #[must_use]
    pub fn request(&self) -> &DecisionRequest {
        self.permit.request()
    }

    /// What was known.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.permit.facts()
    }

    /// Which columns hold persons, and for which year they count.
    #[must_use]
    pub fn duty(&self) -> &MeasureDuty {
        &self.duty
    }

    /// What would leave: persons are counted after its row filter and limit, before its masks.
    #[must_use]
    pub fn obligations(&self) -> &Obligations {
        self.permit.obligations()
    }

    /// The first decision's entry.
    #[must_use]
    pub fn recorded_at(&self) -> LedgerIndex {
        self.permit.recorded_at()
    }

    /// What ties it to the log lines and answers of the same request.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.permit.trace()
    }

    /// The grant that the caller named.
    pub(crate) fn grant(&self) -> Option<&GrantId> {
        self.grant.as_ref()
    }

    /// Whose gate gave it.
    pub(crate) fn issuer(&self) -> &ParticipantId {
        self.permit.issuer()
    }
}

/// A yes: either rows may leave, or persons are counted first.
#[must_use = "a permit that is not spent was decided and recorded for nothing"]
#[derive(Debug)]
pub enum Granted {
    /// They may.
    Permit(Box<Permit>),
    /// Count first, see [`crate::EnforcementPoint::count`].
    Measure(Box<MeasurePermit>),
}

/// The right to write one dataset's tables: a spent permit of `dataset.publish`.
#[derive(Debug)]
pub struct IngestCapability {
    dataset: DatasetId,
    recorded_at: LedgerIndex,
}

impl IngestCapability {
    /// Only the gate calls this, with a permit of `dataset.publish` in hand.
    pub(crate) fn spent(dataset: DatasetId, recorded_at: LedgerIndex) -> Self {
        Self {
            dataset,
            recorded_at,
        }
    }

    /// Which dataset may be written.
    #[must_use]
    pub fn dataset(&self) -> &DatasetId {
        &self.dataset
    }

    /// The decision's entry in the ledger.
    #[must_use]
    pub fn recorded_at(&self) -> LedgerIndex {
        self.recorded_at
    }
}

/// What a permit is spent on: rows that were written out and will not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedArtefact {
    /// SM3 Merkle root over its files.
    pub digest: Digest,
    /// Its rows.
    pub rows: u64,
    /// Its bytes in clear.
    pub bytes: u64,
    /// For which transfer, when there is one.
    pub transfer: Option<TransferId>,
}

/// A no, with every reason and where it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in a fixed order.
    pub reasons: Vec<Reason>,
    /// Its entry; none when the ledger could not append, which is itself the reason then.
    pub recorded_at: Option<LedgerIndex>,
    /// What ties it to the log lines of the same request.
    pub trace: String,
}

impl Refusal {
    /// A refusal for one reason.
    pub(crate) fn one(
        code: ReasonCode,
        cites: &str,
        recorded_at: Option<LedgerIndex>,
        trace: &str,
    ) -> Self {
        let reasons = vec![Reason::new(code, cites)];
        Self {
            reasons,
            recorded_at,
            trace: trace.to_owned(),
        }
    }

    /// The answer when the ledger cannot append: nothing is decided that is not recorded.
    pub(crate) fn not_recorded(trace: &str) -> Self {
        Self::one(
            ReasonCode::NotRecorded,
            "kouan invariant: no decision is visible before its ledger entry is durable",
            None,
            trace,
        )
    }

    /// Whether `code` is among the reasons.
    #[must_use]
    pub fn has(&self, code: ReasonCode) -> bool {
        self.reasons.iter().any(|reason| reason.code == code)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codes: Vec<&str> = self
            .reasons
            .iter()
            .map(|reason| reason.code.as_str())
            .collect();
        write!(f, "refused: {}", codes.join(", "))?;
        match self.recorded_at {
            Some(index) => write!(f, " (ledger entry {index})"),
            None => Ok(()),
        }
    }
}
