//! X0 to X18: when each holds, and what it asks for. The words and outcomes are the rule pack's.
//!
//! It does not choose between rules: the first that holds in the pack's order decides. A rule that
//! exempts holds only when its evidence is registered and covers the export.

use schemas::code::ReasonCode;
use schemas::dataset::Grade;
use schemas::explanation::Saw;
use schemas::export::{ExportOutcome, Instrument, InstrumentKind, OpenQuestion, Reading};
use schemas::participant::Jurisdiction;
use schemas::rule_pack::ListRow;

use super::envelope::covered;
use super::pack::InForce;
use super::question::{Persons, Question};

/// What has to be there for an export to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// Nothing would do.
    Never,
    /// One of these.
    OneOf(&'static [InstrumentKind]),
    /// No instrument.
    Nothing,
}

const ASSESSMENT: &[InstrumentKind] = &[InstrumentKind::SecurityAssessment];
/// An assessment was passed for more than a contract shows.
const CONTRACT_OR_MORE: &[InstrumentKind] = &[
    InstrumentKind::StandardContract,
    InstrumentKind::Certification,
    InstrumentKind::SecurityAssessment,
];
const CONTRACT: &[InstrumentKind] = &[
    InstrumentKind::StandardContract,
    InstrumentKind::SecurityAssessment,
];
const CERTIFICATION: &[InstrumentKind] = &[
    InstrumentKind::Certification,
    InstrumentKind::SecurityAssessment,
];
const GBA: &[InstrumentKind] = &[
    InstrumentKind::GbaContract,
    InstrumentKind::SecurityAssessment,
];
const GBA_OR_CONTRACT: &[InstrumentKind] = &[
    InstrumentKind::GbaContract,
    InstrumentKind::StandardContract,
    InstrumentKind::Certification,
    InstrumentKind::SecurityAssessment,
];
const TREATY: &[InstrumentKind] = &[InstrumentKind::Treaty];

/// What a negative list says of an export.
enum ListSays<'a> {
    /// There is no classification under a list in force.
    Unknown,
    /// Outside of the list, or below every row's number of persons.
    Outside,
    /// Within it: the strictest row.
    Within(&'a ListRow),
}

/// Whether a rule holds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "reason codes that are no export rules do not hold"
)]
pub(crate) fn holds(q: &Question<'_>, rule: ReasonCode) -> bool {
    let listed = &q.force.rules().listed;
    let recipient = &q.request.principal.participant;
    match rule {
        ReasonCode::X0 => q
            .dataset_id
            .is_some_and(|it| listed.secret_datasets.contains(it)),
        ReasonCode::X1 => {
            let serves = q
                .purpose()
                .is_some_and(|it| listed.judicial_purposes.contains(it));
            (serves || listed.foreign_bodies.contains(recipient))
                && !has(q, rule, &[InstrumentKind::CompetentApproval])
        }
        ReasonCode::X2 => {
            listed.restricted_recipients.contains(recipient)
                || q.dataset_id
                    .is_some_and(|it| listed.controlled_datasets.contains(it))
        }
        ReasonCode::X3 => q.dataset.grade == Grade::Core,
        ReasonCode::X4 => q.is_important(),
        ReasonCode::X5 => q.is_personal() && q.is_of_state_organ(),
        ReasonCode::X6 => {
            const FREED_BY: [ReasonCode; 6] = [
                ReasonCode::X8,
                ReasonCode::X9,
                ReasonCode::X10,
                ReasonCode::X11,
                ReasonCode::X12,
                ReasonCode::X13,
            ];
            let critical = q.is_personal() && q.dataset.provider_ciio;
            critical && !FREED_BY.iter().any(|it| holds(q, *it))
        }
        ReasonCode::X7 => q.is_trade() && !q.is_personal() && !q.is_important(),
        ReasonCode::X12 => !matches!(listing(q), ListSays::Unknown),
        ReasonCode::X13 => has(q, rule, TREATY),
        ReasonCode::X18 => !q.is_personal() && !q.is_important(),
        _ if !q.is_personal() => false,
        ReasonCode::X8 => has(q, rule, &[InstrumentKind::CollectedAbroad]),
        ReasonCode::X9 => has(q, rule, &[InstrumentKind::ContractNecessity]),
        ReasonCode::X10 => has(q, rule, &[InstrumentKind::EmployeeManagement]),
        ReasonCode::X11 => has(q, rule, &[InstrumentKind::Emergency]),
        // What is not counted may be any number.
        ReasonCode::X14 => q.persons.is_none_or(|it| needs_assessment(q.force, it)),
        ReasonCode::X15 => in_the_bay(q) && bay_contract(q).is_some(),
        ReasonCode::X16 => q.persons.is_some_and(|it| needs_contract(q, it)),
        ReasonCode::X17 => q.persons.is_some_and(|it| is_few(q, it)),
        // Other codes are no export rules.
        _ => false,
    }
}

/// Whether valid evidence of one of `kinds` covers what would leave.
fn has(q: &Question<'_>, rule: ReasonCode, kinds: &'static [InstrumentKind]) -> bool {
    covered(q, kinds, &q.subject(rule))
}

/// 以上: the number is included.
pub(crate) fn needs_assessment(force: InForce<'_>, it: Persons) -> bool {
    let limits = &force.rules().thresholds;
    it.non_sensitive >= limits.assessment_from || it.sensitive >= limits.sensitive_assessment_from
}

/// 不满: the number is excluded.
fn is_few(q: &Question<'_>, it: Persons) -> bool {
    let limits = &q.force.rules().thresholds;
    it.non_sensitive < limits.exempt_below && it.sensitive == 0 && !q.dataset.provider_ciio
}

fn needs_contract(q: &Question<'_>, it: Persons) -> bool {
    let limits = &q.force.rules().thresholds;
    let many = it.non_sensitive >= limits.exempt_below;
    (many || it.sensitive >= 1) && !needs_assessment(q.force, it)
}

/// Whether sender and recipient sit where the Greater Bay Area contract is made for, and rows go
/// there.
fn in_the_bay(q: &Question<'_>) -> bool {
    let bay = &q.force.rules().gba;
    let seat = q.export.sender_seat.as_deref().unwrap_or_default();
    let city = seat.get(..4).map(|it| format!("{it}00"));
    let recipient: Jurisdiction = q.request.principal.jurisdiction;
    city.is_some_and(|it| bay.cities.contains(&it))
        && bay.destinations.contains(&recipient)
        && q.request.destination == recipient
}

/// A Greater Bay Area contract of these two parties for that place. The Hong Kong version does not
/// cover Macao, and the other way round.
fn bay_contract<'a>(q: &Question<'a>) -> Option<&'a Instrument> {
    q.instruments(&[InstrumentKind::GbaContract]).find(|it| {
        it.state != schemas::export::InstrumentState::Ended
            && it
                .envelope
                .recipients
                .contains(&q.request.principal.participant)
            && it.envelope.destinations.contains(&q.request.destination)
    })
}

/// What the negative list of a valid classification says.
fn listing<'a>(q: &Question<'a>) -> ListSays<'a> {
    let subject = q.subject(ReasonCode::X12);
    let found = q
        .instruments(&[InstrumentKind::ZoneClassification])
        .filter(|it| super::envelope::obstacles(q, it, &subject).is_empty())
        .find_map(|it| {
            let classified = it.classification.as_ref()?;
            let list = q.force.list(&classified.list, classified.number)?;
            Some((classified, list))
        });
    let Some((classified, list)) = found else {
        return ListSays::Unknown;
    };
    let row = list
        .rows
        .iter()
        .filter(|row| classified.classes.contains(&row.data_class))
        .filter(|row| {
            row.fields.is_empty() || q.columns.iter().any(|(name, _)| row.fields.contains(*name))
        })
        .filter(|row| {
            row.persons_from
                .is_none_or(|from| q.persons.is_none_or(|it| reaches(it, from)))
        })
        .max_by_key(|row| row.instrument == InstrumentKind::SecurityAssessment);
    row.map_or(ListSays::Outside, ListSays::Within)
}

/// A list counts persons without saying of which kind: both count, which is the stricter way.
fn reaches(persons: Persons, from: u64) -> bool {
    persons.non_sensitive.saturating_add(persons.sensitive) >= from
}

/// What a rule that holds asks for.
pub(crate) fn requirement(
    q: &Question<'_>,
    rule: ReasonCode,
    outcome: ExportOutcome,
) -> Requirement {
    match outcome {
        ExportOutcome::Prohibited => Requirement::Never,
        ExportOutcome::SecurityAssessment if is_freed_organ(q, rule) => Requirement::Nothing,
        ExportOutcome::SecurityAssessment => Requirement::OneOf(ASSESSMENT),
        ExportOutcome::ContractOrCertification => Requirement::OneOf(CONTRACT_OR_MORE),
        // Under the waiver the contract also stands where others would need an assessment.
        ExportOutcome::GbaContract => Requirement::OneOf(
            if q.persons.is_none_or(|it| needs_assessment(q.force, it)) {
                GBA
            } else {
                GBA_OR_CONTRACT
            },
        ),
        ExportOutcome::AsTreaty => Requirement::OneOf(TREATY),
        ExportOutcome::AsListed => match listing(q) {
            ListSays::Outside => Requirement::Nothing,
            ListSays::Within(row) if row.instrument == InstrumentKind::StandardContract => {
                Requirement::OneOf(CONTRACT)
            }
            ListSays::Within(row) if row.instrument == InstrumentKind::Certification => {
                Requirement::OneOf(CERTIFICATION)
            }
            // The check of a pack lets only the assessment stand here beside those two.
            ListSays::Within(_) => Requirement::OneOf(ASSESSMENT),
            ListSays::Unknown => Requirement::Never,
        },
        ExportOutcome::Exempt | ExportOutcome::NotRequired => Requirement::Nothing,
    }
}

/// Whether a state organ's statutory duty frees it, by the looser reading.
fn is_freed_organ(q: &Question<'_>, rule: ReasonCode) -> bool {
    rule == ReasonCode::X5 && claims_duty(q) && !q.reading(OpenQuestion::OrganStatutoryDuty).strict
}

fn claims_duty(q: &Question<'_>) -> bool {
    has(q, ReasonCode::X5, &[InstrumentKind::StatutoryDuty])
}

/// Open questions that mattered when `rule` decided.
pub(crate) fn readings(q: &Question<'_>, rule: ReasonCode) -> Vec<Reading> {
    let mut found = Vec::new();
    if rule == ReasonCode::X5 && claims_duty(q) {
        found.push(q.reading(OpenQuestion::OrganStatutoryDuty));
    }
    let counted = matches!(
        rule,
        ReasonCode::X14 | ReasonCode::X15 | ReasonCode::X16 | ReasonCode::X17
    );
    if !counted {
        return found;
    }
    let large = q.persons.is_none_or(|it| needs_assessment(q.force, it));
    if large && in_the_bay(q) && bay_contract(q).is_some() {
        found.push(q.reading(OpenQuestion::GbaVolumeWaiver));
    }
    let exempt = q
        .export
        .counts
        .as_ref()
        .is_some_and(|it| it.exempt_non_sensitive > 0 || it.exempt_sensitive > 0);
    if exempt {
        found.push(q.reading(OpenQuestion::ExemptVolumesCount));
    }
    found
}

/// The facts that a rule looks at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "reason codes that are no export rules look at nothing"
)]
pub(crate) fn saw(q: &Question<'_>, rule: ReasonCode) -> Vec<Saw> {
    let yes_no = |it: bool| if it { "yes" } else { "no" };
    let recipient = Saw::new(
        "request.principal.participant",
        &q.request.principal.participant,
    );
    let purpose = Saw::new("request.purpose.code", q.purpose().unwrap_or("none"));
    let grade = Saw::new("facts.dataset.grade", q.dataset.grade);
    let personal = Saw::new("personal columns", personal_names(q));
    let kind = Saw::new("facts.dataset.provider_kind", q.dataset.provider_kind);
    let ciio = Saw::new(
        "facts.dataset.provider_ciio",
        yes_no(q.dataset.provider_ciio),
    );
    let evidence = |kind: InstrumentKind| {
        let held: Vec<String> = q
            .export
            .instruments
            .iter()
            .filter(|it| it.kind == kind)
            .map(|it| it.id.to_string())
            .collect();
        let held = if held.is_empty() {
            "none".to_owned()
        } else {
            held.join(", ")
        };
        Saw::new(format!("facts.export.instruments {kind}"), held)
    };
    match rule {
        ReasonCode::X0 => vec![Saw::new(
            "request.dataset",
            q.dataset_id.map_or("none", |it| it.as_str()),
        )],
        ReasonCode::X1 => vec![
            purpose,
            recipient,
            evidence(InstrumentKind::CompetentApproval),
        ],
        ReasonCode::X2 => vec![recipient],
        ReasonCode::X3 | ReasonCode::X4 => vec![grade],
        ReasonCode::X5 => vec![personal, kind, evidence(InstrumentKind::StatutoryDuty)],
        ReasonCode::X6 => vec![personal, ciio],
        ReasonCode::X7 => vec![purpose, personal, grade],
        ReasonCode::X8 => vec![personal, evidence(InstrumentKind::CollectedAbroad)],
        ReasonCode::X9 => vec![personal, evidence(InstrumentKind::ContractNecessity)],
        ReasonCode::X10 => vec![personal, evidence(InstrumentKind::EmployeeManagement)],
        ReasonCode::X11 => vec![personal, evidence(InstrumentKind::Emergency)],
        ReasonCode::X12 => vec![evidence(InstrumentKind::ZoneClassification)],
        ReasonCode::X13 => vec![evidence(InstrumentKind::Treaty)],
        ReasonCode::X15 => vec![
            Saw::new(
                "facts.export.sender_seat",
                q.export.sender_seat.as_deref().unwrap_or("none"),
            ),
            Saw::new("request.destination", q.request.destination),
            evidence(InstrumentKind::GbaContract),
        ],
        ReasonCode::X17 => persons(q).into_iter().chain([personal, ciio]).collect(),
        ReasonCode::X14 | ReasonCode::X16 => persons(q).into_iter().chain([personal]).collect(),
        ReasonCode::X18 => vec![personal, grade],
        // Other codes are no export rules.
        _ => Vec::new(),
    }
}

fn personal_names(q: &Question<'_>) -> String {
    let names: Vec<&str> = q
        .columns
        .iter()
        .filter(|(_, it)| *it != schemas::dataset::Sensitivity::None)
        .map(|(name, _)| *name)
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn persons(q: &Question<'_>) -> Vec<Saw> {
    match q.persons {
        Some(it) => vec![
            Saw::new("facts.export.counts.non_sensitive", it.non_sensitive),
            Saw::new("facts.export.counts.sensitive", it.sensitive),
        ],
        None => vec![Saw::new("facts.export.counts", "not known for this year")],
    }
}
