//! From a JSON value to the text of one cell.
//!
//! It does not lay out tables.

use schemas::Timestamp;
use serde_json::Value;

use crate::messages::Language;

/// How a column's values are shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is.
    Text,
    /// With thousands separators, to the right.
    Number,
    /// In China's time, with its offset.
    Time,
    /// Millionths, as per cent.
    Share,
    /// How many things the list holds.
    Count,
}

/// One column of a list.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Key of its header's text; empty shows the path.
    pub(crate) header: &'static str,
    /// Where its values are; dots lead inside.
    pub(crate) path: &'static str,
    /// How they are shown.
    pub(crate) kind: Kind,
}

impl Column {
    /// A column of text.
    pub(crate) const fn text(header: &'static str, path: &'static str) -> Self {
        Self {
            header,
            path,
            kind: Kind::Text,
        }
    }

    /// A column of numbers.
    pub(crate) const fn number(header: &'static str, path: &'static str) -> Self {
        Self {
            header,
            path,
            kind: Kind::Number,
        }
    }

    /// A column of instants.
    pub(crate) const fn time(header: &'static str, path: &'static str) -> Self {
        Self {
            header,
            path,
            kind: Kind::Time,
        }
    }
}

/// A column as it will be printed.
pub(super) struct Chosen {
    pub(super) header: &'static str,
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// The columns of a list, or those that the user asks for.
pub(super) fn chosen(columns: &[Column], fields: &[String]) -> Vec<Chosen> {
    if fields.is_empty() {
        let all = columns.iter();
        return all
            .map(|it| Chosen {
                header: it.header,
                path: it.path.to_owned(),
                kind: it.kind,
            })
            .collect();
    }
    let field = |path: &String| {
        let known = columns.iter().find(|it| it.path == path);
        Chosen {
            header: known.map_or("", |it| it.header),
            path: path.clone(),
            kind: known.map_or(Kind::Text, |it| it.kind),
        }
    };
    fields.iter().map(field).collect()
}

/// The value at a path such as `title.zh` or `rules.0.score`; null where there is none.
pub(super) fn at<'a>(record: &'a Value, path: &str) -> &'a Value {
    static NONE: Value = Value::Null;
    path.split('.')
        .try_fold(record, |value, part| {
            value
                .get(part)
                .or_else(|| value.get(part.parse::<usize>().ok()?))
        })
        .unwrap_or(&NONE)
}

/// The value for programs: text without quotes, everything else as JSON.
pub(super) fn raw(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The value for people.
pub(super) fn shown(value: &Value, kind: Kind, language: Language) -> String {
    match (kind, value) {
        (_, Value::Null) => "-".to_owned(),
        (Kind::Time, Value::String(text)) => in_china(text),
        (Kind::Number, Value::Number(number)) => thousands(&number.to_string()),
        (Kind::Share, Value::Number(number)) => per_cent(number.as_u64().unwrap_or(0)),
        (Kind::Count, Value::Array(items)) => thousands(&items.len().to_string()),
        (_, Value::String(text)) => printable(text),
        (_, Value::Array(items)) => {
            let each: Vec<String> = items
                .iter()
                .map(|it| shown(it, Kind::Text, language))
                .collect();
            each.join(", ")
        }
        // A text in both languages.
        (_, Value::Object(members)) if members.len() == 2 && members.contains_key("zh") => {
            printable(
                members
                    .get(language.tag())
                    .and_then(Value::as_str)
                    .unwrap_or("-"),
            )
        }
        (_, other) => printable(&other.to_string()),
    }
}

/// Text without control characters: a record of a stranger must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// An instant in China's one time zone; other text as it is.
pub(super) fn in_china(text: &str) -> String {
    const OFFSET_MS: i64 = 8 * 3_600 * 1_000;
    let Ok(at) = Timestamp::parse(text) else {
        return printable(text);
    };
    let local = at.plus_millis(OFFSET_MS).to_string();
    match (local.get(..10), local.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time} +08:00"),
        _ => local,
    }
}

/// Digits in groups of three.
fn thousands(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{sign}{digits}");
    }
    let mut out = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Millionths as per cent with what is behind the point, exactly.
fn per_cent(ppm: u64) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &Value, kind: Kind, expected: &str) {
        assert_eq!(shown(value, kind, Language::Zh), expected, "{value}");
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        check(&json!(null), Kind::Text, "-");
        check(&json!(1_234_567), Kind::Number, "1,234,567");
        check(&json!(-1_234), Kind::Number, "-1,234");
        check(&json!(999), Kind::Number, "999");
        check(
            &json!("2026-11-23T08:20:05.000Z"),
            Kind::Time,
            "2026-11-23 16:20:05 +08:00",
        );
        check(&json!(987_500), Kind::Share, "98.75 %");
        check(&json!(1_000_000), Kind::Share, "100 %");
        check(&json!({"zh": "港口", "en": "port"}), Kind::Text, "港口");
        check(&json!(["a", "b"]), Kind::Text, "a, b");
        check(&json!([1, 2, 3]), Kind::Count, "3");
    }

    #[test]
    fn a_record_cannot_steer_the_terminal() {
        check(&json!("a\u{1b}[2Jb\r"), Kind::Text, "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn a_path_leads_into_records_and_lists() {
        let record = json!({"a": {"b": [{"c": 7}]}});
        assert_eq!(at(&record, "a.b.0.c"), &json!(7));
        assert_eq!(at(&record, "a.x"), &Value::Null);
    }
}
