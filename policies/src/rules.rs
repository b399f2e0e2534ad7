//! `rules.toml`: what holds by grade, default masks and the citations. Format 1 also held the
//! export table, which is a rule pack now.
//!
//! It does not decide. It parses once, and what is looser than the architecture allows is an
//! error here rather than a surprise later: a policy set may only tighten.

use std::collections::BTreeMap;

use schemas::Grade;
use schemas::code::ReasonCode;
use schemas::dataset::Sensitivity;
use schemas::decision::Mask;
use serde::Deserialize;

use crate::error::{Error, Part, shown};

/// Longest rules text in bytes; what ships has about 3,000.
const RULES_BYTES_MAX: usize = 64 * 1024;
/// Longest citation in characters: it stands in every refusal's ledger entry.
const CITES_CHARS_MAX: usize = 300;
/// Oldest view for G1 and G2, 24 h: within it a node that is cut off still serves its city.
const VIEW_AGE_MAX_MS: u64 = 86_400_000;
/// Oldest view from G3 on, 60 s: a revocation takes effect within it.
const SEALED_VIEW_AGE_MAX_MS: u64 = 60_000;
/// Most rows of a preview that a set may allow.
const INSPECT_ROWS_MAX: u64 = 10_000;

/// The one format of the text that this program reads.
const FORMAT: u32 = 2;

/// Reasons that a decision can give, apart from export rules. Those that are not here are given by
/// the enforcement point (not recorded, release ended, row limit).
const CITED: [ReasonCode; 17] = [
    ReasonCode::RoleMissing,
    ReasonCode::SeparationOfDuties,
    ReasonCode::PrincipalNotValid,
    ReasonCode::NotAParty,
    ReasonCode::DatasetNotServed,
    ReasonCode::NotShared,
    ReasonCode::GrantMissing,
    ReasonCode::GrantNotYetValid,
    ReasonCode::GrantExpired,
    ReasonCode::GrantRevoked,
    ReasonCode::PurposeMismatch,
    ReasonCode::ColumnNotGranted,
    ReasonCode::DestinationMismatch,
    ReasonCode::CoreData,
    ReasonCode::ImportantData,
    ReasonCode::StaleView,
    ReasonCode::ClockUntrusted,
];

/// What holds for one grade.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GradeRule {
    /// Whether bytes are sealed to the recipient's key.
    pub(crate) seal: bool,
    /// Oldest catalog view, in milliseconds.
    pub(crate) view_age_max_ms: u64,
    /// Whether rows need a view from a linearizable read.
    pub(crate) linearizable: bool,
}

/// One rule for each grade; a missing one is a parse error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grades {
    #[serde(rename = "G1")]
    g1: GradeRule,
    #[serde(rename = "G2")]
    g2: GradeRule,
    #[serde(rename = "G3")]
    g3: GradeRule,
    #[serde(rename = "G4")]
    g4: GradeRule,
    #[serde(rename = "IMPORTANT")]
    important: GradeRule,
    #[serde(rename = "CORE")]
    core: GradeRule,
}

impl Grades {
    fn rule(&self, grade: Grade) -> &GradeRule {
        match grade {
            Grade::G1 => &self.g1,
            Grade::G2 => &self.g2,
            Grade::G3 => &self.g3,
            Grade::G4 => &self.g4,
            Grade::Important => &self.important,
            Grade::Core => &self.core,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inspect {
    rows_max: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: u32,
    grade: Grades,
    mask: BTreeMap<Sensitivity, Mask>,
    inspect: Inspect,
    cites: BTreeMap<ReasonCode, String>,
}

/// The rules in force.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    grades: Grades,
    masks: BTreeMap<Sensitivity, Mask>,
    /// Most rows of a preview.
    pub(crate) inspect_rows_max: u64,
    cites: BTreeMap<ReasonCode, String>,
}

impl Rules {
    /// Parses and checks the text.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::Line`] for text that is not this TOML; [`Error::Incomplete`]
    /// for what is missing or looser than the architecture allows.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > RULES_BYTES_MAX {
            return Err(Error::TooLarge {
                part: Part::Rules,
                bytes: text.len(),
                limit: RULES_BYTES_MAX,
            });
        }
        let parsed: Text = toml::from_str(text).map_err(|source| {
            let start = source.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text
                .bytes()
                .take(start)
                .filter(|byte| *byte == b'\n')
                .count();
            Error::line(Part::Rules, line, shown_message(source.message()))
        })?;
        if parsed.format != FORMAT {
            let why = format!("format is {}, this program reads {FORMAT}", parsed.format);
            return Err(Error::incomplete(Part::Rules, why));
        }
        check_grades(&parsed.grade)?;
        check_masks(&parsed.mask)?;
        if parsed.inspect.rows_max == 0 || parsed.inspect.rows_max > INSPECT_ROWS_MAX {
            let why = format!("inspect.rows_max must be 1 to {INSPECT_ROWS_MAX}");
            return Err(Error::incomplete(Part::Rules, why));
        }
        check_cites(&parsed.cites)?;
        Ok(Self {
            grades: parsed.grade,
            masks: parsed.mask,
            inspect_rows_max: parsed.inspect.rows_max,
            cites: parsed.cites,
        })
    }

    pub(crate) fn grade(&self, grade: Grade) -> &GradeRule {
        self.grades.rule(grade)
    }

    /// The mask of a column that its grant does not mask.
    pub(crate) fn default_mask(&self, sensitivity: Sensitivity) -> Option<&Mask> {
        self.masks.get(&sensitivity)
    }

    /// What a refusal with this code rests on. Codes without a citation are not given by
    /// decisions, so that the code itself is never seen here.
    pub(crate) fn cites(&self, code: ReasonCode) -> String {
        self.cites
            .get(&code)
            .map_or_else(|| code.as_str().to_owned(), Clone::clone)
    }
}

fn shown_message(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    format!("{}; compare with the rules.toml that ships", shown(first))
}

fn check_grades(grades: &Grades) -> Result<(), Error> {
    for grade in Grade::ALL.iter().copied() {
        let rule = grades.rule(grade);
        let refuse = |why: String| {
            Err(Error::incomplete(
                Part::Rules,
                format!("grade.{}: {why}", grade.as_str()),
            ))
        };
        let limit = if grade.is_sealed() {
            SEALED_VIEW_AGE_MAX_MS
        } else {
            VIEW_AGE_MAX_MS
        };
        if rule.view_age_max_ms == 0 || rule.view_age_max_ms > limit {
            return refuse(format!("view_age_max_ms must be 1 to {limit}"));
        }
        if grade.is_sealed() && !rule.seal {
            return refuse("seal must be true: from G3 on, bytes are sealed".to_owned());
        }
        if grade >= Grade::Important && !rule.linearizable {
            return refuse("linearizable must be true for important and core data".to_owned());
        }
    }
    Ok(())
}

fn check_masks(masks: &BTreeMap<Sensitivity, Mask>) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::incomplete(Part::Rules, why));
    if !masks.contains_key(&Sensitivity::SensitivePersonal) {
        return refuse("mask.SENSITIVE_PERSONAL is missing: such columns are always masked");
    }
    if masks.contains_key(&Sensitivity::None) {
        return refuse("mask.NONE: remove it, grants mask what holds nothing of persons");
    }
    if masks
        .values()
        .any(|mask| matches!(mask, Mask::Generalise { step: 0 }))
    {
        return refuse("mask: a step of 0 cannot be rounded to; write 1 or more");
    }
    Ok(())
}

fn check_cites(cites: &BTreeMap<ReasonCode, String>) -> Result<(), Error> {
    for code in CITED {
        match cites.get(&code) {
            Some(text) => check_text(&format!("cites.{code}"), text)?,
            None => {
                let why = format!("cites.{code} is missing: say what such a refusal rests on");
                return Err(Error::incomplete(Part::Rules, why));
            }
        }
    }
    if let Some(code) = cites.keys().find(|code| !CITED.contains(code)) {
        let why = format!("cites.{code}: decisions do not give it here; remove the line");
        return Err(Error::incomplete(Part::Rules, why));
    }
    Ok(())
}

fn check_text(what: &str, text: &str) -> Result<(), Error> {
    let chars = text.chars().count();
    if chars == 0 || chars > CITES_CHARS_MAX || text.chars().any(char::is_control) {
        let why = format!("{what} must be one line of 1 to {CITES_CHARS_MAX} characters");
        return Err(Error::incomplete(Part::Rules, why));
    }
    Ok(())
}
