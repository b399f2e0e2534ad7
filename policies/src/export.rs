//! Rows that cross the border of the mainland: the first export rule that holds gives its number.
//!
//! It does not know instruments, counters or consent yet. Until it does, every rule refuses, those
//! included that would exempt, and the refusal says so.

use std::collections::BTreeSet;

use schemas::Grade;
use schemas::code::ReasonCode;
use schemas::dataset::Sensitivity;
use schemas::decision::{DatasetFacts, DecisionRequest, Facts, Obligations};
use schemas::participant::ParticipantKind;

use crate::combine::Reasons;
use crate::rules::Rules;
use crate::usage::{Duties, Rows};

/// Whether rows given in answer leave the mainland: by where they go, or because who receives them
/// sits outside. Letting a party abroad look at data that is stored in the mainland is an export
/// too, wherever the answer is said to go.
pub(crate) fn leaves_mainland(request: &DecisionRequest) -> bool {
    !request.destination.is_mainland()
        || !request.principal.jurisdiction.is_mainland()
        || request.principal.kind == ParticipantKind::Foreign
}

/// Refuses rows that would leave, under the first rule that holds.
pub(crate) fn judge(
    rules: &Rules,
    duties: Duties,
    request: &DecisionRequest,
    facts: &Facts,
    obligations: &Obligations,
    reasons: &mut Reasons<'_>,
) {
    if duties.rows == Rows::None || !leaves_mainland(request) {
        return;
    }
    // Without a dataset there are no rows, and that is refused elsewhere.
    let Some(dataset) = &facts.dataset else {
        return;
    };
    reasons.deny(first_rule(rules, dataset, request, obligations));
}

/// The first rule, in the order of the table, among those for which the facts are there.
fn first_rule(
    rules: &Rules,
    dataset: &DatasetFacts,
    request: &DecisionRequest,
    obligations: &Obligations,
) -> ReasonCode {
    let personal = has_personal(dataset, obligations);
    let organ = matches!(
        dataset.provider_kind,
        ParticipantKind::StateOrgan | ParticipantKind::AuthorisedOrganisation
    );
    let trade = request
        .purpose
        .as_ref()
        .is_some_and(|purpose| rules.is_trade(&purpose.code));
    if dataset.grade == Grade::Core {
        ReasonCode::X3
    } else if dataset.grade == Grade::Important {
        ReasonCode::X4
    } else if personal && organ {
        ReasonCode::X5
    } else if personal && dataset.provider_ciio {
        ReasonCode::X6
    } else if personal {
        ReasonCode::X14
    } else if trade {
        ReasonCode::X7
    } else {
        ReasonCode::X18
    }
}

/// Whether what would leave holds personal information. Masked values still do: what is
/// de-identified is personal information (PIPL 73(3)).
fn has_personal(dataset: &DatasetFacts, obligations: &Obligations) -> bool {
    let leaving: BTreeSet<&str> = obligations.columns.iter().map(String::as_str).collect();
    dataset.columns.iter().any(|(name, sensitivity)| {
        *sensitivity != Sensitivity::None && leaving.contains(name.as_str())
    })
}
