//! Negative lists of free-trade zones, weights of quality indicators, and code tables.
//!
//! It does not apply them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{check_code, check_count, check_text, check_unique, refuse};
use crate::export::InstrumentKind;
use crate::quality::Ppm;
use crate::{Error, LocalText};

/// Most rows of a negative list; the longest that is published has a few hundred.
const ROWS_MAX: usize = 4_096;
/// Most columns that one row names.
const FIELDS_MAX: usize = 256;
/// Most indicators; GB/T 36344-2018 has 23.
const INDICATORS_MAX: usize = 64;
/// Most entries of a code table in a pack; a longer one is a dataset.
const CODES_MAX: usize = 8_192;

/// One row of a negative list: what may leave only with an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRow {
    /// 行业.
    pub industry: String,
    /// 场景.
    pub scenario: String,
    /// 数据类别, by which a classification names the row.
    pub data_class: String,
    /// 字段: the row is for data with one of these columns; none means any.
    pub fields: BTreeSet<String>,
    /// From how many distinct persons in a year the row holds; none means from the first.
    pub persons_from: Option<u64>,
    /// What it asks for: an assessment, a contract or a certification.
    pub instrument: InstrumentKind,
    /// Where it stands in the list.
    pub cites: String,
}

/// The filed negative list of a free-trade zone (O16 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NegativeList {
    /// The zone.
    pub zone: LocalText,
    /// The list's own name of its edition.
    pub edition: String,
    /// Its rows.
    pub rows: Vec<ListRow>,
}

impl NegativeList {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_text("zone.zh", &self.zone.zh)?;
        check_text("zone.en", &self.zone.en)?;
        check_text("edition", &self.edition)?;
        check_count("rows", self.rows.len(), ROWS_MAX)?;
        if self.rows.is_empty() {
            // An empty list would exempt everything.
            return Err(refuse(
                "rows",
                "a list without rows exempts all data; write its rows",
            ));
        }
        for row in &self.rows {
            check_code("rows.industry", &row.industry)?;
            check_code("rows.scenario", &row.scenario)?;
            check_code("rows.data_class", &row.data_class)?;
            check_text("rows.cites", &row.cites)?;
            check_count("rows.fields", row.fields.len(), FIELDS_MAX)?;
            row.fields
                .iter()
                .try_for_each(|it| check_code("rows.fields", it))?;
            let opens = matches!(
                row.instrument,
                InstrumentKind::SecurityAssessment
                    | InstrumentKind::StandardContract
                    | InstrumentKind::Certification
            );
            if !opens {
                return Err(refuse(
                    "rows.instrument",
                    "write SECURITY_ASSESSMENT, STANDARD_CONTRACT or CERTIFICATION",
                ));
            }
        }
        Ok(())
    }
}

/// The weight of one quality indicator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndicatorWeight {
    /// Code of the indicator (GB/T 36344-2018), for example `0201`.
    pub indicator: String,
    /// Its share of the whole, in millionths.
    pub weight: Ppm,
}

/// Weights of the quality indicators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QualityWeights {
    /// Each indicator once; together a million.
    pub weights: Vec<IndicatorWeight>,
}

impl QualityWeights {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_count("weights", self.weights.len(), INDICATORS_MAX)?;
        check_unique("weights", self.weights.iter().map(|it| &it.indicator))?;
        for it in &self.weights {
            let digits = it.indicator.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || !matches!(it.indicator.len(), 2 | 4 | 6) {
                return Err(refuse(
                    "weights.indicator",
                    "write a code of 2, 4 or 6 digits",
                ));
            }
        }
        let sum: u64 = self.weights.iter().map(|it| u64::from(it.weight.0)).sum();
        if sum != u64::from(Ppm::ONE.0) {
            return Err(refuse(
                "weights.weight",
                format!(
                    "the weights add up to {sum}, not to {} millionths",
                    Ppm::ONE.0
                ),
            ));
        }
        Ok(())
    }
}

/// One code and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeEntry {
    /// The code.
    pub code: String,
    /// What it means.
    pub title: LocalText,
}

/// A code table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeTable {
    /// Its name.
    pub title: LocalText,
    /// Each code once.
    pub codes: Vec<CodeEntry>,
}

impl CodeTable {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_text("title.zh", &self.title.zh)?;
        check_text("title.en", &self.title.en)?;
        check_count("codes", self.codes.len(), CODES_MAX)?;
        check_unique("codes", self.codes.iter().map(|it| &it.code))?;
        for entry in &self.codes {
            check_code("codes.code", &entry.code)?;
            check_text("codes.title.zh", &entry.title.zh)?;
            check_text("codes.title.en", &entry.title.en)?;
        }
        Ok(())
    }
}
