//! Mapping files: how a file that an agency has becomes rows of a data standard, as data.
//!
//! It does not read files and it does not check values: the data plane applies a mapping column by
//! column, and the standard is checked after it. A mapping travels with its dataset's card, so that
//! each revision of the card says how its files were read.

mod time;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::{Error, LocalText, MappingId};

pub use time::{Moment, Offset, TimePattern};

/// Most mappings of one dataset: one for each system that an agency takes files from.
pub const MAPPINGS_MAX: usize = 16;
/// Most fields that one mapping names in one list; the widest real file has 107.
pub const FIELDS_MAX: usize = 1_024;
/// Most steps of one column.
pub const STEPS_MAX: usize = 16;
/// Most pairs of one translation. The longest real code table that is translated and not referred
/// to, customs' country codes, has 250.
pub const TABLE_PAIRS_MAX: usize = 4_096;
/// Most header rows of a sheet.
pub const HEADER_ROWS_MAX: u32 = 16;
/// Longest text in a mapping, in characters.
pub const TEXT_CHARS_MAX: usize = 256;
/// Largest mapping in bytes of JSON. All mappings of a card share its canonical record.
pub const MAPPING_BYTES_MAX: usize = 128 * 1_024;

/// In [`Mapping::ignored`]: every field that no column takes.
pub const ALL_OTHERS: &str = "*";

/// How one kind of file becomes rows of a standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Its name within the dataset.
    pub id: MappingId,
    /// What it is for.
    pub title: LocalText,
    /// How rows and fields are found in the file.
    #[serde(default)]
    #[schema(required = false)]
    pub layout: Layout,
    /// Column of the standard -> how its values are made. A column that is not named has none.
    pub columns: BTreeMap<String, MappedColumn>,
    /// Fields of the file that are left out; `*` leaves out every field that no column takes. A
    /// field that is neither taken nor left out is an error, so that nothing is lost unseen.
    #[serde(default)]
    #[schema(required = false)]
    pub ignored: Vec<String>,
}

/// How rows and fields are found in a file. What does not concern the file's format is not looked
/// at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// Field separator of delimited text; found out when absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1)]
    pub delimiter: Option<char>,
    /// XLSX: the sheet; the first one when absent.
    pub sheet: Option<String>,
    /// XLSX: the cells, header included, as `A4:X33`; all of the sheet when absent.
    pub range: Option<String>,
    /// XLSX: rows of the header, 1 when absent. An empty cell of all but the last one has the text
    /// to its left, as merged cells do; the texts of a column are joined with ` / `.
    pub header_rows: Option<u32>,
    /// XLSX: fields whose empty cells repeat the cell above, as merged cells do.
    pub fill_down: Vec<String>,
    /// XML: path of the elements that are rows, from the root, as `feed/ship`; the children of the
    /// root when absent. JSON: path to the array, as `data/items`; the whole text when absent.
    pub records: Option<String>,
    /// Texts that mean "no value" in every field, besides the empty one.
    pub null_tokens: Vec<String>,
}

/// How the values of one column are made: from fields or a constant, then step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MappedColumn {
    /// Fields of the file; several are merged. When one of them has no value, the column has none.
    pub from: Vec<String>,
    /// Between merged fields.
    pub join: String,
    /// A value of its own, where the file has none.
    pub constant: Option<String>,
    /// What is done to the text, in this order.
    pub steps: Vec<Step>,
}

/// One step from the text of a file to a value of the standard. A value that a step cannot take
/// keeps its row out, with the rule `mapping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// White space at both ends goes; what is empty then is no value.
    Trim,
    /// ASCII letters become capitals.
    UpperCase,
    /// Takes one piece of a text that holds several.
    Piece {
        /// Between the pieces.
        separator: String,
        /// Which piece, counted from 1; none there is no value.
        #[schema(minimum = 1)]
        number: u32,
    },
    /// Translates codes.
    Translate {
        /// Text in the file -> value.
        table: BTreeMap<String, String>,
        /// What becomes of a text that the table does not have.
        others: Others,
    },
    /// Reads a number as it is written in the file.
    Number {
        /// Before the fraction; a full stop when absent.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 1)]
        decimal: Option<char>,
        /// Between thousands, taken out.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 1)]
        group: Option<char>,
    },
    /// Changes the unit: multiplies by a ratio, exactly where the result is decimal.
    Scale {
        /// Above the line.
        multiply: u32,
        /// Below the line.
        #[schema(minimum = 1)]
        divide: u32,
    },
    /// Reads a day or an instant in the first of these patterns that fits ([`TimePattern`]).
    Time {
        /// Patterns.
        patterns: Vec<String>,
        /// How it is written.
        write: TimeForm,
        /// How far the file's clock is ahead of UTC, as `+08:00`. Only an instant has one.
        offset: Option<String>,
    },
}

codes! {
    /// What becomes of a text that a translation does not have.
    pub enum Others {
        /// It keeps its row out.
        Refuse = "REFUSE",
        /// It stays as it is.
        Keep = "KEEP",
        /// It becomes no value.
        Empty = "EMPTY",
    }
}

codes! {
    /// How a time is written for the standard.
    pub enum TimeForm {
        /// `2026-11-24`, for `format: date`.
        Date = "DATE",
        /// `2026-11-24T08:00:00Z`, for `format: date-time`.
        Instant = "INSTANT",
        /// `2026-11-24 08:00:00`, for `format: x-local-date-time`.
        Local = "LOCAL",
    }
}

impl Mapping {
    /// The fields of the file that some column takes.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        let columns = self.columns.values();
        columns
            .flat_map(|column| column.from.iter().map(String::as_str))
            .collect()
    }

    /// Whether a field is left out on purpose.
    #[must_use]
    pub fn ignores(&self, field: &str) -> bool {
        self.ignored
            .iter()
            .any(|name| name == ALL_OTHERS || name == field)
    }

    /// Checks what the types do not say: limits, patterns, and that every column is one of `known`.
    ///
    /// # Errors
    /// [`Error::Field`] that names the column, the rule and what to do.
    pub fn check(&self, known: &dyn Fn(&str) -> bool) -> Result<(), Error> {
        let refuse = |why: String| {
            Err(Error::Field {
                record: "mapping",
                field: "columns",
                why: format!("{}: {why}", self.id),
            })
        };
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |text| text.len());
        if bytes > MAPPING_BYTES_MAX {
            return refuse(format!(
                "{bytes} bytes, the limit is {MAPPING_BYTES_MAX}; make long tables a dataset"
            ));
        }
        if let Err(why) = self.layout.check() {
            return refuse(why);
        }
        let names = self.columns.len().max(self.ignored.len());
        if self.columns.is_empty() || names > FIELDS_MAX {
            return refuse(format!("name 1 to {FIELDS_MAX} columns and fields"));
        }
        for (name, column) in &self.columns {
            if !known(name) {
                return refuse(format!("{name:?} is no column of the standard"));
            }
            if let Err(why) = column.check() {
                return refuse(format!("{name}: {why}"));
            }
        }
        Ok(())
    }
}

impl Layout {
    fn check(&self) -> Result<(), String> {
        let texts = [&self.sheet, &self.range, &self.records];
        let texts = texts.into_iter().flatten();
        let all = texts.chain(&self.fill_down).chain(&self.null_tokens);
        if all.clone().any(|text| is_long(text)) || all.count() > FIELDS_MAX {
            return Err(format!("a text has at most {TEXT_CHARS_MAX} characters"));
        }
        if self.delimiter.is_some_and(is_no_delimiter) {
            return Err(
                "the delimiter is one ASCII character, no quote and no line end".to_owned(),
            );
        }
        if !(1..=HEADER_ROWS_MAX).contains(&self.header_rows.unwrap_or(1)) {
            return Err(format!("header_rows is 1 to {HEADER_ROWS_MAX}"));
        }
        if self
            .range
            .as_deref()
            .is_some_and(|it| range_of(it).is_none())
        {
            return Err("range is written as A4:X33".to_owned());
        }
        Ok(())
    }
}

impl MappedColumn {
    fn check(&self) -> Result<(), String> {
        if self.from.is_empty() == self.constant.is_none() {
            return Err("give either `from` or `constant`".to_owned());
        }
        let all = self.from.iter().chain(&self.constant).chain([&self.join]);
        if self.from.len() > FIELDS_MAX || all.into_iter().any(|text| is_long(text)) {
            return Err(format!("a text has at most {TEXT_CHARS_MAX} characters"));
        }
        if self.steps.len() > STEPS_MAX {
            return Err(format!("at most {STEPS_MAX} steps"));
        }
        self.steps.iter().try_for_each(Step::check)
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Trim | Self::UpperCase => Ok(()),
            Self::Piece { separator, number } => {
                if separator.is_empty() || is_long(separator) || *number == 0 {
                    return Err("piece: a separator, and a number from 1".to_owned());
                }
                Ok(())
            }
            Self::Translate { table, .. } => {
                let is_large = table.len() > TABLE_PAIRS_MAX;
                if is_large || table.iter().any(|(a, b)| is_long(a) || is_long(b)) {
                    return Err(format!(
                        "translate: at most {TABLE_PAIRS_MAX} pairs of {TEXT_CHARS_MAX} characters"
                    ));
                }
                Ok(())
            }
            Self::Number { decimal, group } => {
                let is_bad = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | 'e' | 'E');
                if decimal.is_some_and(is_bad) || group.is_some_and(is_bad) {
                    return Err("number: a separator is no digit and no sign".to_owned());
                }
                if decimal.unwrap_or('.') == group.unwrap_or(' ') {
                    return Err("number: decimal and group are different characters".to_owned());
                }
                Ok(())
            }
            Self::Scale { multiply, divide } => {
                if *multiply == 0 || *divide == 0 {
                    return Err("scale: both numbers are from 1".to_owned());
                }
                Ok(())
            }
            Self::Time {
                patterns,
                write,
                offset,
            } => {
                if patterns.is_empty() || patterns.len() > STEPS_MAX {
                    return Err(format!("time: 1 to {STEPS_MAX} patterns"));
                }
                for pattern in patterns {
                    TimePattern::parse(pattern)?;
                }
                match (write, offset) {
                    (TimeForm::Instant, Some(text)) => Offset::parse(text).map(drop),
                    (TimeForm::Instant, None) => {
                        Err("time: an instant needs an offset, such as +08:00".to_owned())
                    }
                    (_, Some(_)) => Err("time: only an instant has an offset".to_owned()),
                    (_, None) => Ok(()),
                }
            }
        }
    }
}

fn is_long(text: &str) -> bool {
    text.len() > TEXT_CHARS_MAX && text.chars().count() > TEXT_CHARS_MAX
}

fn is_no_delimiter(c: char) -> bool {
    !c.is_ascii() || matches!(c, '"' | '\r' | '\n')
}

/// Cells of a sheet: columns and rows, counted from 0, the last ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRange {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Last column.
    pub right: u32,
    /// Last row.
    pub bottom: u32,
}

/// Reads `A4:X33`, within what a sheet can have: 16,384 columns and 1,048,576 rows.
#[must_use]
pub fn range_of(text: &str) -> Option<CellRange> {
    let (first, last) = text.split_once(':')?;
    let (left, top) = cell_of(first)?;
    let (right, bottom) = cell_of(last)?;
    (left <= right && top <= bottom).then_some(CellRange {
        left,
        top,
        right,
        bottom,
    })
}

/// Column and row of `X33`, counted from 0.
#[must_use]
pub fn cell_of(text: &str) -> Option<(u32, u32)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = text.split_at(digits);
    if letters.is_empty() || letters.len() > 3 || row.len() > 7 {
        return None;
    }
    let mut column = 0_u32;
    for letter in letters.bytes() {
        let letter = letter.to_ascii_uppercase();
        if !letter.is_ascii_uppercase() {
            return None;
        }
        column = column * 26 + u32::from(letter - b'A') + 1;
    }
    let row: u32 = row.parse().ok()?;
    let is_cell = (1..=16_384).contains(&column) && (1..=1_048_576).contains(&row);
    is_cell.then(|| (column - 1, row - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(column: MappedColumn) -> Mapping {
        Mapping {
            id: MappingId::parse("m").unwrap(),
            title: LocalText::new("映射", "mapping"),
            layout: Layout::default(),
            columns: BTreeMap::from([("a".to_owned(), column)]),
            ignored: Vec::new(),
        }
    }

    fn why(column: MappedColumn) -> Option<String> {
        let checked = mapping(column).check(&|name| name == "a");
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn what_a_mapping_cannot_mean_is_refused_with_the_column_and_what_to_do() {
        let from = || MappedColumn {
            from: vec!["x".to_owned()],
            ..MappedColumn::default()
        };
        let stepped = |step: Step| MappedColumn {
            steps: vec![step],
            ..from()
        };
        let time = |pattern: &str, write, offset: Option<&str>| Step::Time {
            patterns: vec![pattern.to_owned()],
            write,
            offset: offset.map(str::to_owned),
        };
        let cases = [
            (from(), None),
            (MappedColumn::default(), Some("either `from` or `constant`")),
            (
                stepped(Step::Scale {
                    multiply: 1,
                    divide: 0,
                }),
                Some("both numbers are from 1"),
            ),
            (
                stepped(Step::Number {
                    decimal: Some(','),
                    group: Some(','),
                }),
                Some("different characters"),
            ),
            (
                stepped(time("YYYY-MM-DD HH:mm", TimeForm::Instant, None)),
                Some("needs an offset"),
            ),
            (
                stepped(time("YYYY-MM", TimeForm::Date, None)),
                Some("names no day"),
            ),
            (
                stepped(time("DD-MON-YYYY HH:mm", TimeForm::Instant, Some("+08:00"))),
                None,
            ),
        ];
        for (column, expected) in cases {
            let found = why(column.clone());
            let as_expected = match (&found, expected) {
                (None, None) => true,
                (Some(found), Some(expected)) => found.contains(expected),
                _ => false,
            };
            assert!(as_expected, "{column:?}: {found:?}");
        }
    }

    #[test]
    fn cells_are_counted_from_zero_and_end_where_sheets_do() {
        let whole = CellRange {
            left: 0,
            top: 3,
            right: 23,
            bottom: 32,
        };
        assert_eq!(range_of("A4:X33"), Some(whole));
        for (text, cell) in [
            ("a1", Some((0, 0))),
            ("XFD1048576", Some((16_383, 1_048_575))),
            ("XFE1", None),
            ("A1048577", None),
            ("A0", None),
            ("1", None),
            ("A", None),
            ("口1", None),
        ] {
            assert_eq!(cell_of(text), cell, "{text}");
        }
        assert_eq!(range_of("B2:A1"), None);
    }
}
