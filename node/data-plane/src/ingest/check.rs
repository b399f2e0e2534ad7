//! The rules of a data standard as loops over columns.
//!
//! It does not say more than the row check does: `RowSchema::check` is the oracle, and a test holds
//! the two against each other row by row.

use std::collections::HashSet;

use arrow::array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use regex::Regex;
use schemas::format::Format;
use schemas::validate::{Bound, Constraints, Field};
use serde_json::Value;

use crate::Error;

/// Most memory of one compiled pattern, as in the row check.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// One column's rules, compiled.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Whether a cell without a value passes.
    admits_null: bool,
    min: Option<Bound>,
    max: Option<Bound>,
    exclusive_min: Option<Bound>,
    exclusive_max: Option<Bound>,
    multiple_of: Option<i64>,
    length_min: usize,
    length_max: usize,
    pattern: Option<Regex>,
    format: Option<Format>,
    values: Option<Values>,
    constant: Option<Values>,
    is_text_free: bool,
}

/// Values that may occur.
#[derive(Debug, Default)]
struct Values {
    texts: HashSet<String>,
    integers: HashSet<i64>,
    booleans: HashSet<bool>,
}

impl Values {
    fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut out = Self::default();
        for value in values {
            match value {
                Value::String(text) => drop(out.texts.insert(text.clone())),
                Value::Bool(value) => drop(out.booleans.insert(*value)),
                Value::Number(number) => out.integers.extend(number.as_i64()),
                _ => {}
            }
        }
        out
    }
}

/// A rule that a value broke: its keyword, and why in words.
pub(crate) type Broken = (&'static str, String);

impl Rules {
    pub(crate) fn compile(field: &Field) -> Result<Self, Error> {
        let rules: &Constraints = &field.constraints;
        let pattern = rules.pattern.as_ref().map(|pattern| {
            regex::RegexBuilder::new(pattern)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
                .map_err(|source| Error::Standard {
                    why: format!("pattern of {}: {source}", field.name),
                })
        });
        let length = |limit: Option<u64>, default| {
            limit.map_or(default, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            })
        };
        let mut out = Self {
            admits_null: field.admits_null(),
            min: rules.min,
            max: rules.max,
            exclusive_min: rules.exclusive_min,
            exclusive_max: rules.exclusive_max,
            multiple_of: rules.multiple_of,
            length_min: length(rules.length_min, 0),
            length_max: length(rules.length_max, usize::MAX),
            pattern: pattern.transpose()?,
            format: rules.format,
            values: rules.enumeration.as_ref().map(Values::of),
            constant: rules.constant.as_ref().map(|value| Values::of([value])),
            is_text_free: false,
        };
        out.is_text_free = out.length_min == 0
            && out.length_max == usize::MAX
            && out.pattern.is_none()
            && out.format.is_none()
            && out.values.is_none()
            && out.constant.is_none();
        Ok(out)
    }

    /// Checks a column; `found` gets each row that breaks a rule.
    pub(crate) fn check(&self, array: &ArrayRef, found: &mut dyn FnMut(usize, Broken)) {
        if !self.admits_null && array.null_count() > 0 {
            for row in (0..array.len()).filter(|row| array.is_null(*row)) {
                found(
                    row,
                    ("required", "the standard requires a value".to_owned()),
                );
            }
        }
        if let Some(array) = array.as_primitive_opt::<Int64Type>() {
            self.check_integers(array, found);
        } else if let Some(array) = array.as_primitive_opt::<Float64Type>() {
            self.check_numbers(array, found);
        } else if let Some(array) = array.as_string_opt::<i32>() {
            self.check_texts(array, found);
        } else if let Some(array) = array.as_boolean_opt() {
            self.check_booleans(array, found);
        }
        // Days and instants carry no rules that a column can check: their type is the rule.
    }

    fn check_integers(&self, array: &Int64Array, found: &mut dyn FnMut(usize, Broken)) {
        let limit = |bound: Option<Bound>, default: i64| match bound {
            Some(Bound::Integer(limit)) => limit,
            _ => default,
        };
        let min = limit(self.min, i64::MIN);
        let max = limit(self.max, i64::MAX);
        let over = self.exclusive_min.map(|bound| limit(Some(bound), i64::MIN));
        let under = self.exclusive_max.map(|bound| limit(Some(bound), i64::MAX));
        for (row, value) in array.iter().enumerate() {
            let Some(value) = value else { continue };
            if value < min {
                found(row, ("minimum", format!("less than {min}")));
            }
            if value > max {
                found(row, ("maximum", format!("greater than {max}")));
            }
            if let Some(limit) = over.filter(|limit| value <= *limit) {
                found(
                    row,
                    ("exclusiveMinimum", format!("not greater than {limit}")),
                );
            }
            if let Some(limit) = under.filter(|limit| value >= *limit) {
                found(row, ("exclusiveMaximum", format!("not less than {limit}")));
            }
            if let Some(step) = self.multiple_of
                && value.checked_rem(step).is_some_and(|rest| rest != 0)
            {
                found(row, ("multipleOf", format!("not a multiple of {step}")));
            }
            self.check_member(row, |values| values.integers.contains(&value), found);
        }
    }

    fn check_numbers(&self, array: &Float64Array, found: &mut dyn FnMut(usize, Broken)) {
        let limit = |bound: Option<Bound>| match bound {
            Some(Bound::Decimal(limit)) => Some(limit),
            _ => None,
        };
        let min = limit(self.min);
        let max = limit(self.max);
        let over = limit(self.exclusive_min);
        let under = limit(self.exclusive_max);
        for (row, value) in array.iter().enumerate() {
            let Some(value) = value else { continue };
            if let Some(limit) = min.filter(|limit| value < *limit) {
                found(row, ("minimum", format!("less than {limit}")));
            }
            if let Some(limit) = max.filter(|limit| value > *limit) {
                found(row, ("maximum", format!("greater than {limit}")));
            }
            if let Some(limit) = over.filter(|limit| value <= *limit) {
                found(
                    row,
                    ("exclusiveMinimum", format!("not greater than {limit}")),
                );
            }
            if let Some(limit) = under.filter(|limit| value >= *limit) {
                found(row, ("exclusiveMaximum", format!("not less than {limit}")));
            }
        }
    }

    fn check_texts(&self, array: &StringArray, found: &mut dyn FnMut(usize, Broken)) {
        if self.is_text_free {
            return;
        }
        for (row, value) in array.iter().enumerate() {
            let Some(value) = value else { continue };
            // A text has at most as many characters as bytes, and at least a quarter of them.
            if value.len() > self.length_max && value.chars().count() > self.length_max {
                found(
                    row,
                    (
                        "maxLength",
                        format!("longer than {} characters", self.length_max),
                    ),
                );
            }
            if value.len() < self.length_min.saturating_mul(4)
                && value.chars().count() < self.length_min
            {
                found(
                    row,
                    (
                        "minLength",
                        format!("shorter than {} characters", self.length_min),
                    ),
                );
            }
            if let Some(pattern) = &self.pattern
                && !pattern.is_match(value)
            {
                found(row, ("pattern", "does not match the pattern".to_owned()));
            }
            if let Some(format) = self.format
                && let Err(source) = format.check(value)
            {
                found(row, ("format", source.to_string()));
            }
            self.check_member(row, |values| values.texts.contains(value), found);
        }
    }

    fn check_booleans(&self, array: &BooleanArray, found: &mut dyn FnMut(usize, Broken)) {
        for (row, value) in array.iter().enumerate() {
            let Some(value) = value else { continue };
            self.check_member(row, |values| values.booleans.contains(&value), found);
        }
    }

    fn check_member(
        &self,
        row: usize,
        is_member: impl Fn(&Values) -> bool,
        found: &mut dyn FnMut(usize, Broken),
    ) {
        if self
            .values
            .as_ref()
            .is_some_and(|values| !is_member(values))
        {
            found(
                row,
                ("enum", "not one of the values of the standard".to_owned()),
            );
        }
        if self
            .constant
            .as_ref()
            .is_some_and(|values| !is_member(values))
        {
            found(row, ("const", "not the value of the standard".to_owned()));
        }
    }
}
