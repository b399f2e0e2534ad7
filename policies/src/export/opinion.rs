//! What the export rules say of one export: the rule that decides, what it asks for, what stands in
//! the way, and which columns could leave instead.
//!
//! It does not count persons and does not gather instruments.

use std::collections::BTreeSet;

use schemas::code::ReasonCode;
use schemas::dataset::Sensitivity;
use schemas::explanation::{Spoke, Voice};
use schemas::export::{
    ExportOutcome, Instrument, InstrumentKind, MeasureDuty, Notice, NoticeKind, Reading,
};
use schemas::rule_pack::ExportRule;

use super::envelope::{self, Obstacle};
use super::pack::InForce;
use super::question::{Persons, Question};
use super::rules::{self, Requirement};

/// How many persons of the sender agree to an export.
const APPROVALS_MIN: u32 = 2;
/// Most instruments whose envelopes are tried for a projection.
const PROJECTIONS_MAX: usize = 8;

/// Any of these lets personal information be given to others (PIPL 13 and 39; O16 10).
const GROUNDS: &[InstrumentKind] = &[
    InstrumentKind::SeparateConsent,
    InstrumentKind::ContractNecessity,
    InstrumentKind::EmployeeManagement,
    InstrumentKind::Emergency,
    InstrumentKind::StatutoryDuty,
    InstrumentKind::Treaty,
];

/// What the rules say.
#[derive(Clone, Debug)]
pub(crate) struct Opinion<'a> {
    pub(crate) rule: &'a ExportRule,
    pub(crate) requirement: Requirement,
    /// The instrument that is used.
    pub(crate) instrument: Option<&'a Instrument>,
    /// In the order of their codes; empty when it may leave.
    pub(crate) obstacles: BTreeSet<Obstacle>,
}

impl<'a> Opinion<'a> {
    /// The first rule that holds decides. None when the rules are not complete, which the check of
    /// a pack excludes.
    pub(crate) fn of(q: &Question<'a>) -> Option<Self> {
        let order = q.force.order();
        let number = order.iter().copied().find(|it| rules::holds(q, *it))?;
        let rule = q.force.rules().rule(number)?;
        let requirement = rules::requirement(q, number, rule.outcome);
        let mut opinion = Self {
            rule,
            requirement,
            instrument: None,
            obstacles: BTreeSet::new(),
        };
        match requirement {
            // Nothing else matters.
            Requirement::Never => return Some(opinion),
            Requirement::OneOf(kinds) => opinion.choose(q, kinds),
            Requirement::Nothing => {}
        }
        opinion.look_at_duties(q);
        Some(opinion)
    }

    /// Whether it may leave, apart from counting.
    pub(crate) fn passes(&self) -> bool {
        self.requirement != Requirement::Never && self.obstacles.is_empty()
    }

    /// The instrument that covers the export, or what stands against the one with the fewest
    /// obstacles.
    fn choose(&mut self, q: &Question<'a>, kinds: &'static [InstrumentKind]) {
        let subject = q.subject(self.rule.number);
        let judged = q
            .instruments(kinds)
            .map(|it| (it, envelope::obstacles(q, it, &subject)))
            // The lightest kind that will do: kinds are named in that order.
            .min_by_key(|(it, obstacles)| {
                (
                    obstacles.len(),
                    kinds.iter().position(|kind| *kind == it.kind),
                )
            });
        match judged {
            Some((it, obstacles)) => {
                self.instrument = obstacles.is_empty().then_some(it);
                self.obstacles.extend(obstacles);
            }
            None => {
                let names: Vec<&str> = kinds.iter().map(|it| it.as_str()).collect();
                self.obstacles.insert(Obstacle::new(
                    ReasonCode::InstrumentMissing,
                    format!("none is registered of {}", names.join(", ")),
                ));
            }
        }
    }

    /// An exemption removes assessment, contract and certification; the other duties stay (O16 10).
    fn look_at_duties(&mut self, q: &Question<'a>) {
        let approvals = q.export.approvals;
        if approvals < APPROVALS_MIN {
            let why = format!("{approvals} of {APPROVALS_MIN} persons of the provider agreed");
            self.obstacles
                .insert(Obstacle::new(ReasonCode::SecondApprovalMissing, why));
        }
        if !q.is_personal() {
            return;
        }
        let subject: Vec<&str> = q
            .columns
            .iter()
            .filter(|(_, it)| *it != Sensitivity::None)
            .map(|(name, _)| *name)
            .collect();
        if !envelope::covered(q, GROUNDS, &subject) {
            let why = "no valid separate consent or other ground covers the personal columns";
            self.obstacles
                .insert(Obstacle::new(ReasonCode::ConsentMissing, why));
        }
        if !envelope::covered(q, &[InstrumentKind::ImpactAssessment], &subject) {
            let why = "no valid impact assessment covers the personal columns";
            self.obstacles
                .insert(Obstacle::new(ReasonCode::ImpactAssessmentMissing, why));
        }
        if q.persons.is_none() {
            let why = format!("the persons of {} are not counted", q.day().year());
            self.obstacles
                .insert(Obstacle::new(ReasonCode::CountMissing, why));
        }
    }

    /// Open questions that mattered, each once.
    pub(crate) fn readings(&self, q: &Question<'_>) -> Vec<Reading> {
        let mut found: BTreeSet<Reading> =
            rules::readings(q, self.rule.number).into_iter().collect();
        if let Requirement::OneOf(kinds) = self.requirement {
            found.extend(
                q.instruments(kinds)
                    .filter_map(|it| envelope::readings(q, it)),
            );
        }
        found.into_iter().collect()
    }

    /// What a permit has to watch.
    pub(crate) fn notices(&self, q: &Question<'_>) -> Vec<Notice> {
        let mut found = self
            .instrument
            .map_or_else(Vec::new, |it| envelope::notices(q, it));
        let Some(persons) = q.persons.filter(|_| q.is_personal()) else {
            return found;
        };
        found.extend(near_thresholds(q.force, persons));
        found.sort();
        found
    }

    /// What must be counted first; none when nothing personal leaves or it is counted already.
    pub(crate) fn measure(&self, q: &Question<'_>) -> Option<MeasureDuty> {
        if !q.is_personal() || q.is_measured() {
            return None;
        }
        let names = |wanted: Sensitivity| {
            let of_kind = q.columns.iter().filter(|(_, it)| *it == wanted);
            of_kind.map(|(name, _)| (*name).to_owned()).collect()
        };
        Some(MeasureDuty {
            rule: self.rule.number,
            year: q.day().year(),
            personal: names(Sensitivity::Personal),
            sensitive: names(Sensitivity::SensitivePersonal),
            instrument: self.instrument.map(|it| it.id.clone()),
        })
    }

    /// What the decision's reason says: article, condition, outcome, and the counted persons.
    pub(crate) fn cites(&self, q: &Question<'_>) -> String {
        let ExportRule {
            cites,
            when,
            outcome,
            ..
        } = self.rule;
        let mut text = format!("{cites}: {}; {}", when.en, outcome_words(*outcome));
        if let (true, Some(it)) = (q.is_personal(), q.persons) {
            text += &format!(
                "; counted: {} persons, {} with sensitive information",
                it.non_sensitive, it.sensitive
            );
        }
        for Reading { question, strict } in self.readings(q) {
            let how = if strict { "stricter" } else { "looser" };
            text += &format!("; open question {question}, read the {how} way");
        }
        text
    }
}

/// The thresholds that a year's persons come near to.
pub(crate) fn near_thresholds(force: InForce<'_>, persons: Persons) -> Vec<Notice> {
    let limits = &force.rules().thresholds;
    let steps = [
        (
            NoticeKind::NearExemption,
            persons.non_sensitive,
            limits.exempt_below,
        ),
        (
            NoticeKind::NearAssessment,
            persons.non_sensitive,
            limits.assessment_from,
        ),
        (
            NoticeKind::NearSensitiveAssessment,
            persons.sensitive,
            limits.sensitive_assessment_from,
        ),
    ];
    // A threshold that is reached is no longer near.
    let ahead = steps.into_iter().filter(|(_, count, limit)| count < limit);
    ahead
        .filter_map(|(kind, count, limit)| {
            envelope::near(kind, count, limit, &limits.warn_percents)
        })
        .collect()
}

/// The columns that could leave instead, in the dataset's order: as many as possible. None when
/// leaving columns out does not help.
pub(crate) fn proposal(q: &Question<'_>, opinion: &Opinion<'_>) -> Option<Vec<String>> {
    if opinion.passes() {
        return None;
    }
    let enveloped = q
        .instruments(InstrumentKind::ALL)
        .filter(|it| it.kind.is_scaled());
    let mut candidates: Vec<Question<'_>> = enveloped
        .take(PROJECTIONS_MAX)
        .filter_map(|it| it.envelope.columns(q.dataset_id?))
        .map(|columns| {
            // What is not personal needs no envelope, unless the whole is protected.
            let free = |it: Sensitivity| it == Sensitivity::None && !q.is_important();
            q.projected(|name, it| free(it) || columns.contains(name))
        })
        .collect();
    candidates.push(q.projected(|_, it| it != Sensitivity::SensitivePersonal));
    candidates.push(q.projected(|_, it| it == Sensitivity::None));
    candidates.retain(|it| !it.columns.is_empty() && it.columns.len() < q.columns.len());
    // The sort is stable, so that of equals the first one is taken.
    candidates.sort_by_key(|it| std::cmp::Reverse(it.columns.len()));
    let found = candidates
        .iter()
        .find(|it| Opinion::of(it).is_some_and(|it| it.passes()))?;
    Some(
        found
            .columns
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
    )
}

/// Every export rule that spoke, up to the one that decided, and what stood in the way.
pub(crate) fn spoke(q: &Question<'_>, opinion: &Opinion<'_>) -> Vec<Spoke> {
    let mut all = Vec::new();
    for number in q.force.order() {
        let Some(rule) = q.force.rules().rule(number) else {
            continue;
        };
        let decides = number == opinion.rule.number;
        let voice = match (decides, opinion.passes()) {
            (false, _) => Voice::Silent,
            (true, false) => Voice::Refuses,
            (true, true) if opinion.measure(q).is_some() => Voice::Measures,
            (true, true) => Voice::Allows,
        };
        all.push(Spoke {
            rule: number.as_str().to_owned(),
            voice,
            saw: rules::saw(q, number),
            cites: if decides {
                opinion.cites(q)
            } else {
                rule.cites.clone()
            },
        });
        if decides {
            break;
        }
    }
    all.extend(opinion.obstacles.iter().map(|it| Spoke {
        rule: it.code.as_str().to_owned(),
        voice: Voice::Refuses,
        saw: Vec::new(),
        cites: it.why.clone(),
    }));
    all
}

fn outcome_words(outcome: ExportOutcome) -> &'static str {
    match outcome {
        ExportOutcome::Prohibited => "it does not leave",
        ExportOutcome::SecurityAssessment => "a passed security assessment is needed",
        ExportOutcome::ContractOrCertification => {
            "a filed standard contract or a certification is needed"
        }
        ExportOutcome::GbaContract => "a filed Greater Bay Area contract is needed",
        ExportOutcome::AsTreaty => "what the treaty says is needed",
        ExportOutcome::AsListed => "what the list says is needed",
        ExportOutcome::Exempt => "exempt from instruments, the other duties stay",
        ExportOutcome::NotRequired => "no instrument is required",
    }
}
