//! Rule packs: thresholds, clocks, holidays, lists, weights and code tables as versioned data with
//! effective days and citations, never constants in code.
//!
//! It does not say which pack is in force: the catalog does, by log index and day. It parses a pack
//! and refuses one that breaks a rule of its own kind, or is looser than the law allows.
//!
//! A value that no retrieved text confirms carries `[G]` in its `cites`.

mod clocks;
mod export;
mod grading;
mod holidays;
mod lists;
mod shipped;

use std::collections::BTreeSet;

use crypto::Digest;
use serde::{Deserialize, Serialize};

pub use clocks::{Clock, ClockKind, Clocks};
pub use export::{
    EXPORT_ORDER, ExportRule, ExportRules, ExportSettings, GbaRules, InstrumentRule, Listed,
    Thresholds,
};
pub use grading::{GradingCell, GradingTable, ImpactDegree, ImpactObject};
pub use holidays::{DaysOff, HolidayYear, Holidays};
pub use lists::{CodeEntry, CodeTable, IndicatorWeight, ListRow, NegativeList, QualityWeights};
pub use shipped::shipped;

use crate::calendar::Day;
use crate::code::codes;
use crate::validate::strict_json;
use crate::{Error, PersonId, RulePackId, Timestamp, canonical};

codes! {
    /// What a rule pack holds.
    pub enum RulePackKind {
        /// Export rules X0 to X18.
        ExportRules = "EXPORT_RULES",
        /// Days off and worked weekend days.
        Holidays = "HOLIDAYS",
        /// Statutory clocks of requests.
        Clocks = "CLOCKS",
        /// The negative list of a free-trade zone.
        NegativeList = "NEGATIVE_LIST",
        /// Weights of the quality indicators.
        QualityWeights = "QUALITY_WEIGHTS",
        /// A code table.
        CodeTable = "CODE_TABLE",
        /// The table of impact and degree by which data is graded.
        Grading = "GRADING",
    }
}

/// Days on which a pack holds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Effective {
    /// First day.
    pub from: Day,
    /// Last day; none while its end is not known.
    pub until: Option<Day>,
}

impl Effective {
    /// Whether it holds on `day`.
    #[must_use]
    pub fn holds_on(&self, day: Day) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }
}

/// What a rule pack says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PackBody {
    /// Export rules.
    ExportRules(Box<ExportRules>),
    /// Holidays.
    Holidays(Holidays),
    /// Clocks.
    Clocks(Clocks),
    /// A negative list.
    NegativeList(NegativeList),
    /// Quality weights.
    QualityWeights(QualityWeights),
    /// A code table.
    CodeTable(CodeTable),
    /// A grading table.
    Grading(GradingTable),
}

/// A rule pack: data of record, signed where it is adopted, kept for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePack {
    /// The series that it continues.
    pub series: RulePackId,
    /// Counted from 1 without gaps within the series; 0 is the one that ships with the program.
    pub number: u64,
    /// Where it holds: `CN` for the mainland, else a GB/T 2260 code of six digits, `440000` for a
    /// province, `440300` for a city.
    pub jurisdiction: String,
    /// When it holds.
    pub effective: Effective,
    /// What the whole rests on, for a reader.
    pub cites: String,
    /// What changed and why.
    pub note: String,
    /// What it says.
    pub body: PackBody,
}

/// A rule pack that was adopted, and whether it was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptedRulePack {
    /// The pack.
    pub pack: RulePack,
    /// Who adopted it.
    pub by: PersonId,
    /// When, by leader time.
    pub at: Timestamp,
    /// Why it was taken back: the number before it, or the one that ships, is in force again.
    pub withdrawn_because: Option<String>,
    /// Grows with each change.
    pub revision: u64,
}

/// Which rule pack was used.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct PackVersion {
    /// Its series.
    pub series: RulePackId,
    /// Its number; 0 is the one that ships.
    pub number: u64,
    /// SM3 of its canonical form.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
}

/// Longest text of a pack file in bytes: more than a canonical record may have, because a file may
/// be written with blanks.
pub const PACK_BYTES_MAX: usize = 4 << 20;
/// Longest citation, note or title in a pack, in characters.
pub const PACK_TEXT_CHARS_MAX: usize = 1_000;

impl RulePack {
    /// Parses the JSON text of a pack and checks it.
    ///
    /// # Errors
    /// [`Error::Field`] with the place and what to do, for text that is too long, is not this
    /// JSON, repeats a key, or breaks a rule of [`Self::check`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > PACK_BYTES_MAX {
            return Err(refuse(
                "body",
                format!(
                    "the text has {} bytes, the limit is {PACK_BYTES_MAX}",
                    text.len()
                ),
            ));
        }
        let unreadable = |why: String| refuse("body", format!("it cannot be read: {why}"));
        let value = strict_json(text.as_bytes()).map_err(|e| unreadable(e.to_string()))?;
        let pack: Self = serde_json::from_value(value).map_err(|e| unreadable(e.to_string()))?;
        pack.check()?;
        Ok(pack)
    }

    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// [`Error::Field`] with the place and what to do.
    pub fn check(&self) -> Result<(), Error> {
        check_text("cites", &self.cites)?;
        check_text("note", &self.note)?;
        if !is_jurisdiction(&self.jurisdiction) {
            return Err(refuse(
                "jurisdiction",
                "write CN or a GB/T 2260 code of six digits",
            ));
        }
        if self
            .effective
            .until
            .is_some_and(|it| it < self.effective.from)
        {
            return Err(refuse(
                "effective",
                "it ends before it begins; correct the days",
            ));
        }
        match &self.body {
            PackBody::ExportRules(it) => it.check(),
            PackBody::Holidays(it) => it.check(),
            PackBody::Clocks(it) => it.check(),
            PackBody::NegativeList(it) => it.check(),
            PackBody::QualityWeights(it) => it.check(),
            PackBody::CodeTable(it) => it.check(),
            PackBody::Grading(it) => it.check(),
        }
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> RulePackKind {
        match &self.body {
            PackBody::ExportRules(_) => RulePackKind::ExportRules,
            PackBody::Holidays(_) => RulePackKind::Holidays,
            PackBody::Clocks(_) => RulePackKind::Clocks,
            PackBody::NegativeList(_) => RulePackKind::NegativeList,
            PackBody::QualityWeights(_) => RulePackKind::QualityWeights,
            PackBody::CodeTable(_) => RulePackKind::CodeTable,
            PackBody::Grading(_) => RulePackKind::Grading,
        }
    }

    /// The export rules, if it holds those.
    #[must_use]
    pub fn export_rules(&self) -> Option<&ExportRules> {
        if let PackBody::ExportRules(it) = &self.body {
            return Some(it);
        }
        None
    }

    /// The holidays, if it holds those.
    #[must_use]
    pub fn holidays(&self) -> Option<&Holidays> {
        if let PackBody::Holidays(it) = &self.body {
            return Some(it);
        }
        None
    }

    /// The clocks, if it holds those.
    #[must_use]
    pub fn clocks(&self) -> Option<&Clocks> {
        if let PackBody::Clocks(it) = &self.body {
            return Some(it);
        }
        None
    }

    /// The grading table, if it holds one.
    #[must_use]
    pub fn grading(&self) -> Option<&GradingTable> {
        if let PackBody::Grading(it) = &self.body {
            return Some(it);
        }
        None
    }

    /// The negative list, if it holds one.
    #[must_use]
    pub fn negative_list(&self) -> Option<&NegativeList> {
        if let PackBody::NegativeList(it) = &self.body {
            return Some(it);
        }
        None
    }

    /// Series, number and digest.
    ///
    /// # Errors
    /// [`Error::Canonical`] when it has no canonical form.
    pub fn version(&self) -> Result<PackVersion, Error> {
        Ok(PackVersion {
            series: self.series.clone(),
            number: self.number,
            digest: canonical::digest(self)?,
        })
    }
}

/// Whether packs of this kind are looked up by where they hold, so that no two series may hold in
/// one place.
#[must_use]
pub fn is_by_place(kind: RulePackKind) -> bool {
    match kind {
        RulePackKind::ExportRules
        | RulePackKind::Holidays
        | RulePackKind::Clocks
        | RulePackKind::Grading => true,
        RulePackKind::NegativeList | RulePackKind::QualityWeights | RulePackKind::CodeTable => {
            false
        }
    }
}

/// The jurisdictions whose packs hold at a seat, the nearest first: district, city, province, the
/// mainland.
#[must_use]
pub fn lineage(seat: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(seat) = seat.filter(|it| is_division(it)) {
        for cut in [6, 4, 2] {
            let code = format!("{:0<6}", &seat[..cut]);
            if !all.contains(&code) {
                all.push(code);
            }
        }
    }
    all.push(MAINLAND.to_owned());
    all
}

/// The jurisdiction of packs that hold in the whole mainland.
pub const MAINLAND: &str = "CN";

fn is_division(code: &str) -> bool {
    code.len() == 6 && code.bytes().all(|it| it.is_ascii_digit()) && !code.starts_with("00")
}

fn is_jurisdiction(code: &str) -> bool {
    code == MAINLAND || is_division(code)
}

/// A pack that breaks a rule.
fn refuse(field: &'static str, why: impl Into<String>) -> Error {
    Error::Field {
        record: "rule-pack",
        field,
        why: why.into(),
    }
}

/// One line that is not empty and not too long.
fn check_text(field: &'static str, text: &str) -> Result<(), Error> {
    let fits = text.chars().count() <= PACK_TEXT_CHARS_MAX;
    if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(refuse(
        field,
        format!("write one line of 1 to {PACK_TEXT_CHARS_MAX} characters"),
    ))
}

/// A short code: what purposes, classes and table entries are compared by.
fn check_code(field: &'static str, code: &str) -> Result<(), Error> {
    const CODE_CHARS_MAX: usize = 128;
    let fits = code.chars().count() <= CODE_CHARS_MAX;
    if fits && !code.trim().is_empty() && !code.chars().any(char::is_control) {
        return Ok(());
    }
    Err(refuse(
        field,
        format!("write a code of 1 to {CODE_CHARS_MAX} characters"),
    ))
}

/// A list that may not be longer.
fn check_count(field: &'static str, found: usize, most: usize) -> Result<(), Error> {
    if found <= most {
        return Ok(());
    }
    Err(refuse(
        field,
        format!("it has {found} entries, the limit is {most}"),
    ))
}

/// Each once.
fn check_unique<T: Ord>(
    field: &'static str,
    items: impl IntoIterator<Item = T>,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    if items.into_iter().all(|it| seen.insert(it)) {
        return Ok(());
    }
    Err(refuse(field, "an entry occurs twice; remove one"))
}

#[cfg(test)]
mod tests;
