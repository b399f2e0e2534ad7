//! Values on their way into columns: text or JSON becomes numbers, days and instants.
//!
//! It does not check what a value must satisfy, only that it is one of its column's type.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use schemas::standard::DateOrder;
use serde_json::Value;

use super::plan::Kind;

/// One column while a block is read.
pub(crate) enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder, DateOrder),
    Instant(TimestampMicrosecondBuilder),
}

impl Builder {
    pub(crate) fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::with_capacity(rows, rows * 8)),
            Kind::Integer => Self::Integer(Int64Builder::with_capacity(rows)),
            Kind::Number => Self::Number(Float64Builder::with_capacity(rows)),
            Kind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            Kind::Date(order) => Self::Date(Date32Builder::with_capacity(rows), order),
            Kind::Instant => {
                Self::Instant(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"))
            }
        }
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Text(out) => out.append_null(),
            Self::Integer(out) => out.append_null(),
            Self::Number(out) => out.append_null(),
            Self::Boolean(out) => out.append_null(),
            Self::Date(out, _) => out.append_null(),
            Self::Instant(out) => out.append_null(),
        }
    }

    /// Reads a value from text. What is no value of the type becomes null and a reason.
    pub(crate) fn push_text(&mut self, text: &str) -> Result<(), &'static str> {
        match self {
            Self::Text(out) => {
                out.append_value(text);
                Ok(())
            }
            Self::Integer(out) => {
                let value = text.parse().ok();
                out.append_option(value);
                value.map(drop).ok_or("not a whole number of 64 bits")
            }
            Self::Number(out) => {
                let value = number(text);
                out.append_option(value);
                value.map(drop).ok_or("not a number")
            }
            Self::Boolean(out) => {
                let value = boolean(text);
                out.append_option(value);
                value.map(drop).ok_or("neither true nor false")
            }
            Self::Date(out, order) => {
                let value = day(text, *order);
                out.append_option(value);
                value.map(drop).ok_or_else(|| not_a_day(*order))
            }
            Self::Instant(out) => {
                let value = instant(text);
                out.append_option(value);
                value.map(drop).ok_or("not an RFC 3339 instant")
            }
        }
    }

    /// Reads a value from JSON; `null` and a missing member are no value.
    pub(crate) fn push_json(&mut self, value: &Value) -> Result<(), &'static str> {
        match (&mut *self, value) {
            (_, Value::Null) => {
                self.push_null();
                Ok(())
            }
            (Self::Text(_) | Self::Date(..) | Self::Instant(_), Value::String(text)) => {
                self.push_text(text)
            }
            (Self::Integer(out), Value::Number(number)) => {
                let value = number.as_i64().or_else(|| number.as_f64().and_then(whole));
                out.append_option(value);
                value.map(drop).ok_or("not a whole number of 64 bits")
            }
            (Self::Number(out), Value::Number(number)) => {
                let value = number.as_f64();
                out.append_option(value);
                value.map(drop).ok_or("not a number")
            }
            (Self::Boolean(out), Value::Bool(value)) => {
                out.append_value(*value);
                Ok(())
            }
            (Self::Text(_), _) => self.wrong("not a string"),
            (Self::Integer(_), _) => self.wrong("not a whole number of 64 bits"),
            (Self::Number(_), _) => self.wrong("not a number"),
            (Self::Boolean(_), _) => self.wrong("neither true nor false"),
            (Self::Date(_, order), _) => {
                let why = not_a_day(*order);
                self.wrong(why)
            }
            (Self::Instant(_), _) => self.wrong("not an RFC 3339 instant"),
        }
    }

    fn wrong(&mut self, why: &'static str) -> Result<(), &'static str> {
        self.push_null();
        Err(why)
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut out) => Arc::new(out.finish()),
            Self::Integer(mut out) => Arc::new(out.finish()),
            Self::Number(mut out) => Arc::new(out.finish()),
            Self::Boolean(mut out) => Arc::new(out.finish()),
            Self::Date(mut out, _) => Arc::new(out.finish()),
            Self::Instant(mut out) => Arc::new(out.finish()),
        }
    }
}

fn not_a_day(order: DateOrder) -> &'static str {
    match order {
        DateOrder::Iso => "not a day written YYYY-MM-DD",
        DateOrder::DayMonthYear => "not a day written DD-MM-YYYY",
        DateOrder::MonthDayYear => "not a day written MM/DD/YYYY",
        DateOrder::Compact => "not a day written YYYYMMDD",
    }
}

/// A finite decimal number; Rust also reads `inf` and `nan`, which no standard can mean.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// 2^63: whole binary floating-point numbers below it fit 64 bits with sign.
const WHOLE_MAX: f64 = 9_223_372_036_854_775_808.0;

/// JSON Schema takes 1.0 for a whole number (validation, 6.1.1).
fn whole(value: f64) -> Option<i64> {
    let is_whole = value.fract() == 0.0 && (-WHOLE_MAX..WHOLE_MAX).contains(&value);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and in range, as just checked"
    )]
    is_whole.then_some(value as i64)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" | "True" | "1" => Some(true),
        "false" | "FALSE" | "False" | "0" => Some(false),
        _ => None,
    }
}

/// Microseconds since 1970 in UTC.
fn instant(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.timestamp_micros())
}

/// Days since 1970-01-01.
pub(crate) fn day(text: &str, order: DateOrder) -> Option<i32> {
    let bytes = text.as_bytes();
    let (year, month, day) = match order {
        DateOrder::Compact if bytes.len() == 8 => (&bytes[..4], &bytes[4..6], &bytes[6..]),
        DateOrder::Compact => return None,
        DateOrder::Iso => {
            let (year, rest) = split(bytes, b'-')?;
            let (month, day) = split(rest, b'-')?;
            (year, month, day)
        }
        DateOrder::DayMonthYear => {
            let (day, rest) = split(bytes, b'-')?;
            let (month, year) = split(rest, b'-')?;
            (year, month, day)
        }
        DateOrder::MonthDayYear => {
            let (month, rest) = split(bytes, b'/')?;
            let (day, year) = split(rest, b'/')?;
            (year, month, day)
        }
    };
    if year.len() != 4 {
        return None;
    }
    civil(digits(year)?, digits(month)?, digits(day)?)
}

fn split(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn digits(bytes: &[u8]) -> Option<i32> {
    if bytes.is_empty() || bytes.len() > 4 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0')),
    )
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar, by counting eras of 400
/// years that begin in March.
fn civil(year: i32, month: i32, day: i32) -> Option<i32> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    #[test]
    fn a_day_is_read_in_the_order_of_the_standard_only() {
        let cases = [
            ("2026-11-24", DateOrder::Iso, Some(20_781)),
            ("1970-01-01", DateOrder::Iso, Some(0)),
            ("24-11-2026", DateOrder::DayMonthYear, Some(20_781)),
            ("11/24/2026", DateOrder::MonthDayYear, Some(20_781)),
            ("1/5/2005", DateOrder::MonthDayYear, Some(12_788)),
            ("20261124", DateOrder::Compact, Some(20_781)),
            ("2026-02-29", DateOrder::Iso, None),
            ("11-24-2026", DateOrder::DayMonthYear, None),
            ("26-11-24", DateOrder::Iso, None),
            ("2026-11-24T00:00:00Z", DateOrder::Iso, None),
            ("２０２６-11-24", DateOrder::Iso, None),
            ("", DateOrder::Compact, None),
        ];
        for (text, order, expected) in cases {
            assert_eq!(day(text, order), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_agree_with_the_calendar(year in 1_i32..9999, ordinal in 1_u32..=366) {
            if let Some(date) = NaiveDate::from_yo_opt(year, ordinal) {
                let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
                let text = format!("{year:04}-{:02}-{:02}", date.month(), date.day());
                let days = i32::try_from((date - epoch).num_days()).unwrap();
                prop_assert_eq!(day(&text, DateOrder::Iso), Some(days));
            }
        }
    }
}
