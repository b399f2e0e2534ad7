//! A data standard: the JSON Schema of one row, and how files of it are read.
//!
//! It does not validate rows: [`crate::validate`] compiles a standard, the data plane runs it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::{LocalText, StandardEdition};

/// One edition of a data standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataStandard {
    /// Which edition of which standard.
    pub edition: StandardEdition,
    /// Its name.
    pub title: LocalText,
    /// JSON Schema (draft 2020-12) of one row, as text: a schema's numbers need not be integers,
    /// so it is not a canonical record itself.
    pub row_schema: String,
    /// How files are read before rows are checked.
    pub reading: Reading,
}

/// How the text of a file becomes the values of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reading {
    /// Field separator of CSV files; a comma when absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1)]
    pub delimiter: Option<char>,
    /// Texts that mean "no value" besides the empty field.
    pub null_tokens: Vec<String>,
    /// Header in the file -> column.
    pub renames: BTreeMap<String, String>,
    /// Headers in the file that are left out (such as the nameless column that a trailing
    /// comma makes).
    pub dropped: Vec<String>,
    /// Column -> how its dates are written.
    pub dates: BTreeMap<String, DateOrder>,
}

codes! {
    /// How a date is written in a file; tables hold dates, whatever the file held.
    pub enum DateOrder {
        /// 2026-11-24.
        Iso = "YYYY-MM-DD",
        /// 24-11-2026.
        DayMonthYear = "DD-MM-YYYY",
        /// 11/24/2026.
        MonthDayYear = "MM/DD/YYYY",
        /// 20261124.
        Compact = "YYYYMMDD",
    }
}
