//! Rows that cross the border of the mainland: the first export rule that holds decides, and an
//! instrument's envelope is checked at the moment of sending.
//!
//! It does not count persons, gather instruments or hold the rules' words: those come as facts and
//! as a rule pack. Where the decision needs a count, the answer is "measure first".
//!
//! | file | what it holds |
//! |---|---|
//! | `pack` | which rule packs are in force on a day |
//! | `question` | one export as the rules see it |
//! | `rules` | when X0 to X18 hold, and what each asks for |
//! | `envelope` | whether an instrument may be used |
//! | `opinion` | the deciding rule, what stands in the way, what could leave instead |

mod envelope;
mod opinion;
pub(crate) mod pack;
mod question;
mod rules;

use schemas::calendar::Day;
use schemas::code::ReasonCode;
use schemas::decision::{DatasetFacts, DecisionRequest, Facts, Obligations, Reason};
use schemas::explanation::{Spoke, Voice};
use schemas::export::{
    ExportFacts, ExportMethod, ExportTerms, MeasureDuty, Notice, PersonCounts, Reading,
};
use schemas::participant::ParticipantKind;

use crate::combine::Reasons;
use crate::pdp::Pdp;
use crate::usage::{Duties, Rows};
use opinion::Opinion;
use pack::InForce;
use question::{Persons, Question};

/// Whether rows given in answer leave the mainland: by where they go, or because who receives them
/// sits outside. Letting a party abroad look at data that is stored in the mainland is an export
/// too, wherever the answer is said to go.
#[must_use]
pub fn leaves_mainland(request: &DecisionRequest) -> bool {
    !request.destination.is_mainland()
        || !request.principal.jurisdiction.is_mainland()
        || request.principal.kind == ParticipantKind::Foreign
}

/// What an export that is not refused comes to.
#[derive(Debug)]
pub(crate) enum Passage {
    /// Nothing leaves the mainland, or it is refused: the reasons are with the others.
    None,
    /// It leaves under these terms.
    Under(Box<ExportTerms>),
    /// Persons are counted first.
    Measure(Box<MeasureDuty>),
}

/// Judges rows that would leave.
pub(crate) fn judge(
    pdp: &Pdp,
    duties: Duties,
    request: &DecisionRequest,
    facts: &Facts,
    obligations: &Obligations,
    reasons: &mut Reasons<'_>,
) -> Passage {
    let Some(dataset) = leaving(duties, request, facts) else {
        return Passage::None;
    };
    let unknown = unknown();
    let export = facts.export.as_deref();
    let question = question(
        pdp,
        request,
        facts,
        dataset,
        export.unwrap_or(&unknown),
        obligations,
    );
    let Some((q, opinion)) = question.and_then(|q| Some((q.clone(), Opinion::of(&q)?))) else {
        let why = "no export rules are in force on this day; have the authority adopt them";
        reasons.deny_because(ReasonCode::X0, why.to_owned());
        return Passage::None;
    };
    let number = opinion.rule.number;
    if export.is_none() {
        let why = "refused: this node does not gather the facts of exports";
        reasons.deny_because(number, format!("{}; {why}", opinion.cites(&q)));
        return Passage::None;
    }
    if !opinion.passes() {
        // Who may not have the rows at all is not told which of them could leave.
        let proposal = reasons
            .are_empty()
            .then(|| opinion::proposal(&q, &opinion))
            .flatten();
        reasons.add(Reason {
            code: number,
            cites: opinion.cites(&q),
            proposal,
        });
        for it in opinion.obstacles {
            reasons.deny_because(it.code, it.why);
        }
        return Passage::None;
    }
    match opinion.measure(&q) {
        Some(duty) => Passage::Measure(Box::new(duty)),
        None => Passage::Under(Box::new(terms(&q, &opinion))),
    }
}

/// Every export rule that spoke, and the open questions that mattered.
pub(crate) fn explain(
    pdp: &Pdp,
    duties: Duties,
    request: &DecisionRequest,
    facts: &Facts,
    obligations: &Obligations,
) -> (Vec<Spoke>, Vec<Reading>) {
    let unknown = unknown();
    let export = facts.export.as_deref();
    let found = leaving(duties, request, facts).and_then(|dataset| {
        let export = export.unwrap_or(&unknown);
        let q = question(pdp, request, facts, dataset, export, obligations)?;
        let opinion = Opinion::of(&q)?;
        Some((opinion::spoke(&q, &opinion), opinion.readings(&q)))
    });
    let (mut spoke, readings) = found.unwrap_or_default();
    if let (None, Some(last)) = (export, spoke.last_mut()) {
        last.voice = Voice::Refuses;
    }
    (spoke, readings)
}

/// Whether the persons of a year have reached the number from which on an assessment is needed.
pub(crate) fn is_assessment_reached(force: InForce<'_>, counts: &PersonCounts) -> bool {
    let persons = Persons::counted(force, counts);
    persons.is_some_and(|it| rules::needs_assessment(force, it))
}

/// Thresholds that the persons of a year come near to.
pub(crate) fn near_thresholds(force: InForce<'_>, counts: &PersonCounts) -> Vec<Notice> {
    let persons = Persons::counted(force, counts);
    persons.map_or_else(Vec::new, |it| opinion::near_thresholds(force, it))
}

/// The dataset whose rows would leave. Without a dataset there are no rows, and that is refused
/// elsewhere.
fn leaving<'a>(
    duties: Duties,
    request: &DecisionRequest,
    facts: &'a Facts,
) -> Option<&'a DatasetFacts> {
    let leaves = duties.rows != Rows::None && leaves_mainland(request);
    facts.dataset.as_ref().filter(|_| leaves)
}

fn question<'a>(
    pdp: &'a Pdp,
    request: &'a DecisionRequest,
    facts: &'a Facts,
    dataset: &'a DatasetFacts,
    export: &'a ExportFacts,
    obligations: &Obligations,
) -> Option<Question<'a>> {
    let force = pdp.packs().in_force(Day::of(request.at))?;
    let granted = facts.grant.as_ref().map(|it| &it.dataset);
    let id = request.dataset.as_ref().or(granted);
    Some(Question::new(
        force,
        request,
        dataset,
        id,
        export,
        &obligations.columns,
    ))
}

fn terms(q: &Question<'_>, opinion: &Opinion<'_>) -> ExportTerms {
    ExportTerms {
        rule: opinion.rule.number,
        outcome: opinion.rule.outcome,
        cites: opinion.cites(q),
        instrument: opinion.instrument.map(|it| it.id.clone()),
        retention_days: q.export.retention_days,
        readings: opinion.readings(q),
        notices: opinion.notices(q),
        packs: q.force.versions(),
    }
}

/// What is known where nothing was gathered.
fn unknown() -> ExportFacts {
    ExportFacts {
        packs: Vec::new(),
        sender_seat: None,
        instruments: Vec::new(),
        counts: None,
        crossed_on: None,
        method: ExportMethod::Transfer,
        retention_days: None,
        onward_transfer: false,
        approvals: 0,
    }
}
