//! The export rules X0 to X18 as data: texts, outcomes, thresholds, lists, and how open questions
//! of law are read.
//!
//! It does not hold the conditions: what a number means is code in `policies`, because the facts
//! that it looks at are. A pack may make an outcome stricter; a looser one is refused here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{check_code, check_count, check_text, check_unique, is_division, refuse};
use crate::code::ReasonCode;
use crate::export::{ExportOutcome, InstrumentKind};
use crate::{DatasetId, Error, Jurisdiction, LocalText, ParticipantId};

/// Most entries of each list in a pack.
const LISTED_MAX: usize = 4_096;
/// Most purposes that count as trade (O16 3).
const PURPOSES_MAX: usize = 256;
/// Most cities of the Greater Bay Area; there are nine.
const CITIES_MAX: usize = 64;
/// Most warning marks.
const MARKS_MAX: usize = 8;
/// Highest threshold: more persons than there are.
const PERSONS_MAX: u64 = 10_000_000_000;
/// Longest validity in years.
const YEARS_MAX: u8 = 30;
/// Longest clock of an instrument in working days.
const WORKING_DAYS_MAX: u16 = 250;

/// The rules in the order of evaluation. X17 stands before X15, so that a sender below 100,000
/// keeps its exemption; X14 before X15 is the stricter reading of an open question, and a setting
/// swaps the two.
pub const EXPORT_ORDER: [ReasonCode; 19] = [
    ReasonCode::X0,
    ReasonCode::X1,
    ReasonCode::X2,
    ReasonCode::X3,
    ReasonCode::X4,
    ReasonCode::X5,
    ReasonCode::X6,
    ReasonCode::X7,
    ReasonCode::X8,
    ReasonCode::X9,
    ReasonCode::X10,
    ReasonCode::X11,
    ReasonCode::X12,
    ReasonCode::X13,
    ReasonCode::X14,
    ReasonCode::X17,
    ReasonCode::X15,
    ReasonCode::X16,
    ReasonCode::X18,
];

/// One rule's words and outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRule {
    /// Its number.
    pub number: ReasonCode,
    /// When it holds.
    pub when: LocalText,
    /// What it comes to.
    pub outcome: ExportOutcome,
    /// What a person does next when it refuses.
    pub next: LocalText,
    /// Statute and article.
    pub cites: String,
}

/// Counts of distinct natural persons in a calendar year. "以上" includes the number, "不满" does
/// not (Civil Code 1259).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// 不满: below this many, none of them sensitive, X17 exempts.
    pub exempt_below: u64,
    /// 以上: from this many on, X14 asks for an assessment.
    pub assessment_from: u64,
    /// 以上: from this many with sensitive information on, X14 asks for an assessment.
    pub sensitive_assessment_from: u64,
    /// At which per cent of a threshold a permit warns, ascending.
    pub warn_percents: Vec<u32>,
    /// Articles.
    pub cites: String,
}

/// How open questions are read. `false` is the stricter reading, and what ships.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportSettings {
    /// A Greater Bay Area contract waives the volume thresholds of O16 (disputed): X15 stands
    /// before X14.
    pub gba_volume_waiver: bool,
    /// A statutory duty (NDSR 35(6)) frees a state organ from the assessment of PIPL 36 (no text on
    /// how the two relate).
    pub organ_statutory_duty_suffices: bool,
    /// Persons in exempt volumes (O16 3 to 6) do not count towards the thresholds (the text says
    /// only 从其规定).
    pub exempt_volumes_excluded: bool,
    /// A contract or certification from before a crossing of the assessment's threshold can be used
    /// again in a later year.
    pub contract_stays_after_crossing: bool,
}

/// Who is near enough for the Greater Bay Area contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GbaRules {
    /// GB/T 2260 codes of the mainland cities, six digits.
    pub cities: BTreeSet<String>,
    /// Where the other side sits.
    pub destinations: BTreeSet<Jurisdiction>,
    /// Articles.
    pub cites: String,
}

/// What one kind of instrument must keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstrumentRule {
    /// Which.
    pub kind: InstrumentKind,
    /// Longest validity in years, from the first day.
    pub years_max: Option<u8>,
    /// Working days after the first day within which it is filed.
    pub file_within_working_days: Option<u16>,
    /// Working days before the last day from which an extension is applied for.
    pub extension_window_working_days: Option<u16>,
    /// Articles.
    pub cites: String,
}

/// Names that rules X0 to X2 and X7 look up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// X0: datasets found to hold a state or work secret.
    pub secret_datasets: BTreeSet<DatasetId>,
    /// X1: members that are foreign judicial or enforcement bodies.
    pub foreign_bodies: BTreeSet<ParticipantId>,
    /// X1: purposes that serve such a body.
    pub judicial_purposes: BTreeSet<String>,
    /// X2: recipients on the restricted or prohibited list (PIPL 42).
    pub restricted_recipients: BTreeSet<ParticipantId>,
    /// X2: datasets under data export control (DSL 25).
    pub controlled_datasets: BTreeSet<DatasetId>,
    /// X7: purposes of international trade, cross-border transport, academic cooperation,
    /// multinational manufacturing and marketing (O16 3).
    pub trade_purposes: BTreeSet<String>,
}

/// The export rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRules {
    /// Thresholds.
    pub thresholds: Thresholds,
    /// Open questions.
    pub settings: ExportSettings,
    /// Names.
    pub listed: Listed,
    /// The Greater Bay Area.
    pub gba: GbaRules,
    /// Each kind once; a kind that is not here has neither clock nor longest validity.
    pub instruments: Vec<InstrumentRule>,
    /// X0 to X18, in the order of [`EXPORT_ORDER`].
    pub rules: Vec<ExportRule>,
}

impl ExportRules {
    /// The rule of that number.
    #[must_use]
    pub fn rule(&self, number: ReasonCode) -> Option<&ExportRule> {
        self.rules.iter().find(|it| it.number == number)
    }

    /// What that kind of instrument must keep.
    #[must_use]
    pub fn instrument(&self, kind: InstrumentKind) -> Option<&InstrumentRule> {
        self.instruments.iter().find(|it| it.kind == kind)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_thresholds(&self.thresholds)?;
        check_listed(&self.listed)?;
        check_text("gba.cites", &self.gba.cites)?;
        check_count("gba.cities", self.gba.cities.len(), CITIES_MAX)?;
        check_count("gba.destinations", self.gba.destinations.len(), CITIES_MAX)?;
        if !self
            .gba
            .cities
            .iter()
            .all(|it| is_division(it) && it.ends_with("00"))
        {
            return Err(refuse("gba.cities", "write codes of cities such as 440300"));
        }
        if self.gba.destinations.iter().any(|it| it.is_mainland()) {
            return Err(refuse("gba.destinations", "the mainland is no destination"));
        }
        check_unique("instruments", self.instruments.iter().map(|it| it.kind))?;
        self.instruments.iter().try_for_each(check_instrument)?;
        let numbers: Vec<ReasonCode> = self.rules.iter().map(|it| it.number).collect();
        if numbers != EXPORT_ORDER {
            let order: Vec<&str> = EXPORT_ORDER.iter().map(|it| it.as_str()).collect();
            return Err(refuse(
                "rules",
                format!("write each of {} once, in this order", order.join(" ")),
            ));
        }
        self.rules.iter().try_for_each(check_rule)
    }
}

fn check_thresholds(it: &Thresholds) -> Result<(), Error> {
    check_text("thresholds.cites", &it.cites)?;
    let persons = [
        it.exempt_below,
        it.assessment_from,
        it.sensitive_assessment_from,
    ];
    if persons.iter().any(|it| !(1..=PERSONS_MAX).contains(it)) {
        return Err(refuse(
            "thresholds",
            format!("write 1 to {PERSONS_MAX} persons"),
        ));
    }
    if it.exempt_below > it.assessment_from {
        return Err(refuse(
            "thresholds.exempt_below",
            "it must not be above assessment_from: between them stands the contract",
        ));
    }
    check_count(
        "thresholds.warn_percents",
        it.warn_percents.len(),
        MARKS_MAX,
    )?;
    let ascending = it.warn_percents.is_sorted_by(|a, b| a < b);
    if !ascending || it.warn_percents.iter().any(|it| !(1..=99).contains(it)) {
        return Err(refuse(
            "thresholds.warn_percents",
            "write 1 to 99, ascending",
        ));
    }
    Ok(())
}

fn check_listed(it: &Listed) -> Result<(), Error> {
    check_count(
        "listed.secret_datasets",
        it.secret_datasets.len(),
        LISTED_MAX,
    )?;
    check_count("listed.foreign_bodies", it.foreign_bodies.len(), LISTED_MAX)?;
    check_count(
        "listed.restricted_recipients",
        it.restricted_recipients.len(),
        LISTED_MAX,
    )?;
    check_count(
        "listed.controlled_datasets",
        it.controlled_datasets.len(),
        LISTED_MAX,
    )?;
    check_count(
        "listed.judicial_purposes",
        it.judicial_purposes.len(),
        PURPOSES_MAX,
    )?;
    check_count(
        "listed.trade_purposes",
        it.trade_purposes.len(),
        PURPOSES_MAX,
    )?;
    it.judicial_purposes
        .iter()
        .chain(&it.trade_purposes)
        .try_for_each(|code| check_code("listed purposes", code))?;
    if it.judicial_purposes.is_disjoint(&it.trade_purposes) {
        return Ok(());
    }
    Err(refuse(
        "listed.trade_purposes",
        "a purpose of a foreign judicial body is no trade; remove it from one list",
    ))
}

fn check_instrument(it: &InstrumentRule) -> Result<(), Error> {
    check_text("instruments.cites", &it.cites)?;
    if it
        .years_max
        .is_some_and(|years| !(1..=YEARS_MAX).contains(&years))
    {
        return Err(refuse(
            "instruments.years_max",
            format!("write 1 to {YEARS_MAX} years"),
        ));
    }
    let clocks = [
        it.file_within_working_days,
        it.extension_window_working_days,
    ];
    if clocks
        .iter()
        .flatten()
        .any(|days| !(1..=WORKING_DAYS_MAX).contains(days))
    {
        return Err(refuse(
            "instruments",
            format!("write clocks of 1 to {WORKING_DAYS_MAX} working days"),
        ));
    }
    Ok(())
}

fn check_rule(it: &ExportRule) -> Result<(), Error> {
    for (field, text) in [
        ("rules.when.zh", &it.when.zh),
        ("rules.when.en", &it.when.en),
        ("rules.next.zh", &it.next.zh),
        ("rules.next.en", &it.next.en),
        ("rules.cites", &it.cites),
    ] {
        check_text(field, text)?;
    }
    let least = least(it.number);
    if it.outcome == least || it.outcome.strictness() > least.strictness() {
        return Ok(());
    }
    Err(refuse(
        "rules.outcome",
        format!(
            "rule {} comes to {least}, or to something stricter, not to {}",
            it.number, it.outcome
        ),
    ))
}

impl ExportOutcome {
    /// How strict it is: 3 nothing leaves, 2 an assessment, 1 a contract or certification, 0 less.
    #[must_use]
    pub fn strictness(self) -> u8 {
        match self {
            Self::Prohibited => 3,
            Self::SecurityAssessment => 2,
            Self::ContractOrCertification | Self::GbaContract => 1,
            Self::AsTreaty | Self::AsListed | Self::Exempt | Self::NotRequired => 0,
        }
    }
}

/// What the law asks for at least, by number.
fn least(number: ReasonCode) -> ExportOutcome {
    match number {
        ReasonCode::X4 | ReasonCode::X5 | ReasonCode::X6 | ReasonCode::X14 => {
            ExportOutcome::SecurityAssessment
        }
        ReasonCode::X7
        | ReasonCode::X8
        | ReasonCode::X9
        | ReasonCode::X10
        | ReasonCode::X11
        | ReasonCode::X17 => ExportOutcome::Exempt,
        ReasonCode::X12 => ExportOutcome::AsListed,
        ReasonCode::X13 => ExportOutcome::AsTreaty,
        ReasonCode::X15 => ExportOutcome::GbaContract,
        ReasonCode::X16 => ExportOutcome::ContractOrCertification,
        ReasonCode::X18 => ExportOutcome::NotRequired,
        // X0 to X3; other codes are no export rules and do not come here.
        _ => ExportOutcome::Prohibited,
    }
}
