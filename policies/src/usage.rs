//! Who stands how to the record, how fresh the view is, what the dataset allows, and whether the
//! grant covers the request.
//!
//! It does not know roles (`rbac`) or borders (`export`).

use schemas::code::{Action, ReasonCode};
use schemas::dataset::ShareAttribute;
use schemas::decision::{DatasetFacts, DecisionRequest, Facts, Party};
use schemas::request::{Grant, GrantState};
use schemas::{Grade, Timestamp};

use crate::combine::Reasons;
use crate::export::leaves_mainland;
use crate::rules::Rules;

/// What rows come out under an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// None.
    None,
    /// A sample for the provider's own eyes.
    Sample,
    /// Rows of a version.
    Version,
}

/// What must be known of a dataset for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing; if there is a dataset, its grade sets the staleness limit.
    Nothing,
    /// That it exists.
    Record,
    /// That it is published and may be shared.
    Shared,
}

/// Whether an action works on a node that is cut off from the quorum or has lost its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CutOff {
    /// It waits.
    Waits,
    /// It works: it stops something, finds out what is wrong, or repairs it. A provider can always
    /// stop its own data, and an auditor can always read.
    Works,
}

/// What an action asks of parties, view and dataset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duties {
    parties: &'static [Party],
    needs: Needs,
    pub(crate) rows: Rows,
    cut_off: CutOff,
}

const ANYONE: &[Party] = Party::ALL;
const PROVIDER: &[Party] = &[Party::Provider];
const CONSUMER: &[Party] = &[Party::Consumer];
const AUTHORITY: &[Party] = &[Party::Authority];
const SIDES: &[Party] = &[Party::Provider, Party::Consumer];
const SIDES_AND_AUTHORITY: &[Party] = &[Party::Provider, Party::Consumer, Party::Authority];
const OWN_OR_AUTHORITY: &[Party] = &[Party::Provider, Party::Authority];
const NOT_PROVIDER: &[Party] = &[Party::Consumer, Party::Authority, Party::Other];

impl Duties {
    /// One line an action. A provider needs no request for its own data, so that it cannot submit
    /// one; the ledger and the nodes of a participant are its own, and the authority supervises.
    pub(crate) fn of(action: Action) -> Self {
        let of = |parties, needs, rows, cut_off| Self {
            parties,
            needs,
            rows,
            cut_off,
        };
        let plain = |parties| of(parties, Needs::Nothing, Rows::None, CutOff::Waits);
        let always = |parties| of(parties, Needs::Nothing, Rows::None, CutOff::Works);
        match action {
            Action::DatasetDiscover | Action::StandardAdopt | Action::ParticipantRead => {
                plain(ANYONE)
            }
            // The authority's steward approves or returns a card that was submitted to it; which
            // step is whose is the catalog's to know (`catalog::state::dataset`).
            Action::DatasetDescribe => plain(OWN_OR_AUTHORITY),
            Action::RequestDecide => plain(PROVIDER),
            Action::DatasetPublish => of(PROVIDER, Needs::Record, Rows::None, CutOff::Waits),
            Action::DatasetInspect => of(PROVIDER, Needs::Record, Rows::Sample, CutOff::Waits),
            Action::DatasetRead => of(SIDES, Needs::Shared, Rows::Version, CutOff::Waits),
            Action::RequestSubmit => of(NOT_PROVIDER, Needs::Shared, Rows::None, CutOff::Waits),
            Action::RequestRead | Action::GrantRead => plain(SIDES_AND_AUTHORITY),
            Action::RequestDispute => plain(SIDES_AND_AUTHORITY),
            Action::RequestWithdraw | Action::CorrectionOpen => plain(CONSUMER),
            Action::CorrectionRead => plain(ANYONE),
            Action::CorrectionMove => plain(SIDES),
            Action::DelegationSet => plain(PROVIDER),
            Action::TransferRun => plain(SIDES),
            Action::GrantRevoke => always(PROVIDER),
            Action::JobRead | Action::JobCancel => always(SIDES_AND_AUTHORITY),
            Action::LedgerRead | Action::NodeOperate => always(OWN_OR_AUTHORITY),
            Action::PolicyExplain => always(ANYONE),
            Action::PolicyAdopt => plain(AUTHORITY),
            // Whoever sends answers for its own instruments.
            Action::ExportRegister => plain(PROVIDER),
            Action::ParticipantRegister | Action::RoleBind => plain(OWN_OR_AUTHORITY),
        }
    }
}

/// Whether the principal's participant provides the dataset. Both signs must agree: facts that
/// contradict each other are no reason to open data.
pub(crate) fn is_own(request: &DecisionRequest, facts: &Facts) -> bool {
    facts.party == Party::Provider
        && facts
            .dataset
            .as_ref()
            .is_some_and(|it| it.provider == request.principal.participant)
}

/// Looks for reasons in parties, freshness, dataset and grant.
pub(crate) fn judge(
    rules: &Rules,
    duties: Duties,
    request: &DecisionRequest,
    facts: &Facts,
    reasons: &mut Reasons<'_>,
) {
    if !duties.parties.contains(&facts.party) {
        reasons.deny(ReasonCode::NotAParty);
    }
    judge_freshness(rules, duties, request, facts, reasons);
    match &facts.dataset {
        Some(dataset) => judge_dataset(duties, dataset, request, facts, reasons),
        None if duties.needs == Needs::Nothing => {}
        None => reasons.deny(ReasonCode::DatasetNotServed),
    }
    // A provider needs no grant for its own rows; everyone else needs one, whoever they are.
    if request.action == Action::DatasetRead && !is_own(request, facts) {
        judge_grant(request, facts, reasons);
    }
}

fn judge_freshness(
    rules: &Rules,
    duties: Duties,
    request: &DecisionRequest,
    facts: &Facts,
    reasons: &mut Reasons<'_>,
) {
    if duties.cut_off == CutOff::Works {
        return;
    }
    if !facts.clock_trusted {
        reasons.deny(ReasonCode::ClockUntrusted);
    }
    // What concerns no dataset is public within the federation, as G1 is.
    let grade = facts
        .dataset
        .as_ref()
        .map_or(Grade::G1, |dataset| dataset.grade);
    let rule = rules.grade(grade);
    let needs_quorum = duties.rows != Rows::None && (rule.linearizable || leaves_mainland(request));
    if facts.view_age_ms > rule.view_age_max_ms || (needs_quorum && !facts.linearizable) {
        reasons.deny(ReasonCode::StaleView);
    }
}

fn judge_dataset(
    duties: Duties,
    dataset: &DatasetFacts,
    request: &DecisionRequest,
    facts: &Facts,
    reasons: &mut Reasons<'_>,
) {
    let own = is_own(request, facts);
    let is_for_provider = [PROVIDER, OWN_OR_AUTHORITY].contains(&duties.parties);
    if is_for_provider && facts.party == Party::Provider && !own {
        reasons.deny(ReasonCode::NotAParty);
    }
    if !dataset.visible && request.action == Action::DatasetDiscover {
        reasons.deny(ReasonCode::NotAParty);
    }
    // Core data enters no version, and none leaves. Its card may be described, and a request for
    // it may be answered with a refusal.
    let touches_rows = duties.rows != Rows::None || request.action == Action::DatasetPublish;
    if dataset.grade == Grade::Core && (touches_rows || duties.needs == Needs::Shared) {
        reasons.deny(ReasonCode::CoreData);
    }
    if duties.needs == Needs::Shared {
        if !dataset.served {
            reasons.deny(ReasonCode::DatasetNotServed);
        }
        if dataset.share == ShareAttribute::NotShared && !own {
            reasons.deny(ReasonCode::NotShared);
        }
        if !dataset.visible && !own {
            reasons.deny(ReasonCode::NotAParty);
        }
    }
}

/// Whether the grant covers the request.
fn judge_grant(request: &DecisionRequest, facts: &Facts, reasons: &mut Reasons<'_>) {
    let Some(grant) = &facts.grant else {
        reasons.deny(ReasonCode::GrantMissing);
        // Within the mainland the agreed request is where the assessment of NDSR 31 is recorded;
        // without it there is nothing to show that it was made.
        if facts
            .dataset
            .as_ref()
            .is_some_and(|it| it.grade == Grade::Important)
        {
            reasons.deny(ReasonCode::ImportantData);
        }
        return;
    };
    if grant.consumer != request.principal.participant {
        reasons.deny(ReasonCode::NotAParty);
    }
    if !covers_dataset(grant, request, facts) {
        reasons.deny(ReasonCode::GrantMissing);
    }
    // A grant to one person is not a grant to her node or her colleague.
    if grant.subject.is_some() && grant.subject != request.principal.person {
        reasons.deny(ReasonCode::GrantMissing);
    }
    if let Some(code) = standing(grant, request.at) {
        reasons.deny(code);
    }
    if request
        .purpose
        .as_ref()
        .is_none_or(|purpose| purpose.code != grant.purpose.code)
    {
        reasons.deny(ReasonCode::PurposeMismatch);
    }
    if request.destination != grant.destination {
        reasons.deny(ReasonCode::DestinationMismatch);
    }
}

fn covers_dataset(grant: &Grant, request: &DecisionRequest, facts: &Facts) -> bool {
    request
        .dataset
        .as_ref()
        .is_none_or(|dataset| *dataset == grant.dataset)
        && facts
            .dataset
            .as_ref()
            .is_some_and(|dataset| dataset.provider == grant.provider)
}

/// What stands against the grant at an instant. Its period is half-open, and it is judged even
/// while the state still says active: a tick may be late.
fn standing(grant: &Grant, at: Timestamp) -> Option<ReasonCode> {
    match grant.state {
        GrantState::Revoked => Some(ReasonCode::GrantRevoked),
        GrantState::Expired => Some(ReasonCode::GrantExpired),
        GrantState::Active if at < grant.period.from => Some(ReasonCode::GrantNotYetValid),
        GrantState::Active if at >= grant.period.until => Some(ReasonCode::GrantExpired),
        GrantState::Active => None,
    }
}
