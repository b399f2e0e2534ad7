//! Text of a file's fields into columns of the standard, column by column: what a mapping says, or
//! without one what the standard's reading rules say.
//!
//! It does not check values: the standard is checked after it, so that a mapping cannot bring
//! anything past the standard.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemas::mapping::{MappedColumn, Mapping, Offset, Others, Step, TimeForm, TimePattern};
use serde_json::{Map, Value};

use super::plan::{Place, Plan};
use super::quarantine::cut;
use super::raw::RawBlock;
use super::rows::{Judged, Rows};
use crate::Error;

/// A mapping, ready to be applied.
#[derive(Debug)]
pub(crate) struct Mapper {
    /// Fields of the file that columns take.
    fields: Vec<String>,
    places: HashMap<String, usize>,
    mapping: Mapping,
    null_tokens: BTreeSet<String>,
    /// By column of the plan; none for columns that the mapping does not make.
    columns: Vec<Option<Made>>,
    /// Fields that may not be shown.
    hidden: BTreeSet<String>,
}

/// How one column is made.
#[derive(Debug)]
struct Made {
    from: Vec<usize>,
    join: String,
    constant: Option<String>,
    steps: Vec<Doing>,
}

/// A step, compiled.
#[derive(Debug)]
enum Doing {
    Trim,
    UpperCase,
    Piece(String, usize),
    Translate(HashMap<String, String>, Others),
    Number(char, Option<char>),
    Scale(u32, u32),
    Time(Vec<TimePattern>, TimeForm, Option<Offset>),
}

impl Mapper {
    /// Compiles a mapping for the columns of a plan.
    pub(crate) fn compile<'a>(
        mapping: &Mapping,
        columns: impl Iterator<Item = (&'a str, bool, bool)> + Clone,
    ) -> Result<Self, Error> {
        let refuse = |why: String| Error::Mapping {
            mapping: mapping.id.to_string(),
            why,
        };
        let known: BTreeSet<&str> = columns.clone().map(|(name, ..)| name).collect();
        mapping
            .check(&|name| known.contains(name))
            .map_err(|source| refuse(source.to_string()))?;
        let fields: Vec<String> = mapping.fields().into_iter().map(str::to_owned).collect();
        let places: HashMap<String, usize> = fields
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), at))
            .collect();
        let mut made = Vec::new();
        let mut hidden = BTreeSet::new();
        for (name, is_required, is_masked) in columns {
            let column = mapping.columns.get(name);
            if column.is_none() && is_required {
                return Err(refuse(format!(
                    "column {name:?} is not made, and the standard requires it; name the field or \
                     the constant that it comes from"
                )));
            }
            if is_masked && let Some(column) = column {
                hidden.extend(column.from.iter().cloned());
            }
            made.push(
                column
                    .map(|it| Made::compile(it, &places))
                    .transpose()
                    .map_err(&refuse)?,
            );
        }
        Ok(Self {
            fields,
            places,
            mapping: mapping.clone(),
            null_tokens: mapping.layout.null_tokens.iter().cloned().collect(),
            columns: made,
            hidden,
        })
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    pub(crate) fn is_hidden(&self, field: &str) -> bool {
        self.hidden.contains(field)
    }

    pub(crate) fn place(&self, field: &str) -> Place {
        match self.places.get(field) {
            Some(at) => Place::Column(*at),
            None if self.mapping.ignores(field) => Place::Dropped,
            None => Place::Unknown,
        }
    }

    /// Makes one column after the other.
    fn fill(&self, raw: &RawBlock, rows: &mut Rows<'_>) {
        let count = raw.numbers.len();
        for (at, made) in self.columns.iter().enumerate() {
            let Some(made) = made else {
                (0..count).for_each(|_| rows.push_null(at));
                continue;
            };
            // Codes and days repeat from row to row; making one again costs more than a look.
            let mut last: Option<(String, Result<Option<String>, String>)> = None;
            for row in 0..count {
                let Some(text) = made.text(raw, row, &self.null_tokens) else {
                    rows.push_null(at);
                    continue;
                };
                if made.steps.is_empty() {
                    rows.push_text_at(at, row, &text);
                    continue;
                }
                if last.as_ref().is_none_or(|(input, _)| *input != text) {
                    let value = made.value(&text);
                    last = Some((text.into_owned(), value));
                }
                match &last {
                    Some((_, Ok(Some(value)))) => rows.push_text_at(at, row, value),
                    Some((input, Err(why))) => {
                        rows.push_null(at);
                        rows.fail_at(at, row, input, "mapping", why);
                    }
                    Some((_, Ok(None))) | None => rows.push_null(at),
                }
            }
        }
    }
}

impl Made {
    fn compile(column: &MappedColumn, places: &HashMap<String, usize>) -> Result<Self, String> {
        let from = column
            .from
            .iter()
            .filter_map(|name| places.get(name).copied());
        let steps = column.steps.iter().map(Doing::compile);
        Ok(Self {
            from: from.collect(),
            join: column.join.clone(),
            constant: column.constant.clone(),
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// The text that the steps begin with.
    fn text<'a>(
        &'a self,
        raw: &'a RawBlock,
        row: usize,
        null_tokens: &BTreeSet<String>,
    ) -> Option<Cow<'a, str>> {
        if let Some(constant) = &self.constant {
            return Some(Cow::Borrowed(constant));
        }
        let field = |at: &usize| {
            raw.text(*at, row)
                .filter(|text| !text.is_empty() && !null_tokens.contains(*text))
        };
        if let [only] = self.from.as_slice() {
            return field(only).map(Cow::Borrowed);
        }
        let parts: Option<Vec<&str>> = self.from.iter().map(field).collect();
        Some(Cow::Owned(parts?.join(&self.join)))
    }

    fn value(&self, text: &str) -> Result<Option<String>, String> {
        let mut value = Cow::Borrowed(text);
        for step in &self.steps {
            match step.apply(&value)? {
                Some(next) => value = Cow::Owned(next),
                None => return Ok(None),
            }
        }
        Ok(Some(value.into_owned()))
    }
}

impl Doing {
    fn compile(step: &Step) -> Result<Self, String> {
        Ok(match step {
            Step::Trim => Self::Trim,
            Step::UpperCase => Self::UpperCase,
            Step::Piece { separator, number } => Self::Piece(
                separator.clone(),
                usize::try_from(*number).unwrap_or(usize::MAX),
            ),
            Step::Translate { table, others } => Self::Translate(
                table.iter().map(|(a, b)| (a.clone(), b.clone())).collect(),
                *others,
            ),
            Step::Number { decimal, group } => Self::Number(decimal.unwrap_or('.'), *group),
            Step::Scale { multiply, divide } => Self::Scale(*multiply, *divide),
            Step::Time {
                patterns,
                write,
                offset,
            } => Self::Time(
                patterns
                    .iter()
                    .map(|it| TimePattern::parse(it))
                    .collect::<Result<_, _>>()?,
                *write,
                offset.as_deref().map(Offset::parse).transpose()?,
            ),
        })
    }

    /// The next text; `None` for no value.
    fn apply(&self, text: &str) -> Result<Option<String>, String> {
        match self {
            Self::Trim => {
                let text = text.trim();
                Ok((!text.is_empty()).then(|| text.to_owned()))
            }
            Self::UpperCase => Ok(Some(text.to_ascii_uppercase())),
            Self::Piece(separator, number) => {
                let piece = text.split(separator.as_str()).nth(number.saturating_sub(1));
                Ok(piece.filter(|it| !it.is_empty()).map(str::to_owned))
            }
            Self::Translate(table, others) => match (table.get(text), others) {
                (Some(value), _) => Ok(Some(value.clone())),
                (None, Others::Keep) => Ok(Some(text.to_owned())),
                (None, Others::Empty) => Ok(None),
                (None, Others::Refuse) => {
                    Err("the mapping's table does not have it; add it or correct it".to_owned())
                }
            },
            Self::Number(decimal, group) => plain_number(text, *decimal, *group)
                .map(Some)
                .ok_or_else(|| "not a number as the mapping says it is written".to_owned()),
            Self::Scale(multiply, divide) => scaled(text, *multiply, *divide)
                .map(Some)
                .ok_or_else(|| "not a number whose unit can be changed".to_owned()),
            Self::Time(patterns, write, offset) => {
                let read = patterns.iter().find_map(|pattern| pattern.read(text));
                let written = read.and_then(|it| match (write, offset) {
                    (TimeForm::Date, _) => it.to_date(),
                    (TimeForm::Local, _) => it.to_local(),
                    (TimeForm::Instant, Some(offset)) => it.to_instant(*offset),
                    (TimeForm::Instant, None) => None,
                });
                written
                    .map(Some)
                    .ok_or_else(|| "no day or time in the mapping's patterns".to_owned())
            }
        }
    }
}

/// Longest number that is scaled or rewritten, in characters.
const NUMBER_CHARS_MAX: usize = 40;

/// A number as programs write it.
fn plain_number(text: &str, decimal: char, group: Option<char>) -> Option<String> {
    if text.len() > NUMBER_CHARS_MAX * 4 {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if Some(c) == group => {}
            c if c == decimal => out.push('.'),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | 'e' | 'E') => out.push(c),
            _ => return None,
        }
    }
    out.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(out)
}

/// `text` times a ratio: exact when the result has at most twelve decimals more, else the nearest
/// binary floating-point number.
fn scaled(text: &str, multiply: u32, divide: u32) -> Option<String> {
    const DECIMALS_MORE: u32 = 12;
    if text.len() <= NUMBER_CHARS_MAX
        && let Some((digits, decimals)) = decimal(text)
        && let Some(product) = digits.checked_mul(i128::from(multiply))
    {
        for more in 0..=DECIMALS_MORE {
            let Some(widened) = product.checked_mul(10_i128.pow(more)) else {
                break;
            };
            if widened % i128::from(divide) == 0 {
                return Some(written(widened / i128::from(divide), decimals + more));
            }
        }
    }
    let value = text.parse::<f64>().ok()? * f64::from(multiply) / f64::from(divide);
    value.is_finite().then(|| value.to_string())
}

/// Digits and how many of them are decimals.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if unsigned.is_empty() || !is_digits(unsigned) || !is_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, u32::try_from(fraction.len()).ok()?))
}

fn written(digits: i128, decimals: u32) -> String {
    let decimals = usize::try_from(decimals).unwrap_or(0);
    let sign = if digits < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", digits.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = text.split_at(text.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// Judges a block: what was read makes the columns, then the standard is asked.
pub(crate) fn judge(plan: &Plan, raw: &RawBlock) -> Result<Judged, Error> {
    let mut rows = Rows::new(plan, raw.numbers.len());
    for unread in &raw.unread {
        let (rule, why) = &unread.why;
        rows.reject_at(unread.row, rule, why.clone(), &unread.raw);
    }
    match plan.mapper() {
        Some(mapper) => mapper.fill(raw, &mut rows),
        None => {
            for column in 0..plan.columns.len() {
                for row in 0..raw.numbers.len() {
                    match raw.text(column, row) {
                        Some(text) => rows.push_text_at(column, row, text),
                        None => rows.push_null(column),
                    }
                }
            }
        }
    }
    rows.number(&raw.numbers, raw.seen, &raw.faults);
    rows.judge(&mut |row| original(plan, raw, row))
}

fn original(plan: &Plan, raw: &RawBlock, row: usize) -> Map<String, Value> {
    let named = |(at, name): (usize, &String)| {
        let value = raw
            .text(at, row)
            .map_or(Value::Null, |text| Value::from(cut(text)));
        (name.clone(), value)
    };
    plan.field_names().iter().enumerate().map(named).collect()
}

/// Members of a JSON object under the names that a mapping uses for them: those of nested objects
/// after their parent's and a full stop; a list as its JSON.
pub(crate) fn flattened(members: Map<String, Value>) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, members: Map<String, Value>, out: &mut BTreeMap<String, Value>) {
        for (name, value) in members {
            let name = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                // Nesting is limited by the parser.
                Value::Object(inner) => walk(&name, inner, out),
                other => drop(out.insert(name, other)),
            }
        }
    }
    let mut out = BTreeMap::new();
    walk("", members, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_exactly_where_the_result_is_decimal() {
        for (text, multiply, divide, expected) in [
            ("15159", 1_000, 1, Some("15159000")),
            ("0.1", 3, 1, Some("0.3")),
            ("-2.50", 1, 1_000, Some("-0.0025")),
            ("10", 1_852, 3_600, Some("5.144444444444445")),
            ("1e3", 2, 1, Some("2000")),
            ("+7", 1, 2, Some("3.5")),
            ("", 1, 1, None),
            ("7 t", 1, 1, None),
            ("NaN", 1, 1, None),
        ] {
            assert_eq!(
                scaled(text, multiply, divide).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_are_read_as_the_file_writes_them() {
        for (text, decimal, group, expected) in [
            ("1.234,5", ',', Some('.'), Some("1234.5")),
            ("1 234", '.', Some(' '), Some("1234")),
            ("12,5", '.', None, None),
            ("-", '.', None, None),
        ] {
            assert_eq!(
                plain_number(text, decimal, group).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn steps_give_a_value_no_value_or_a_reason() {
        let table = BTreeMap::from([("142".to_owned(), "CN".to_owned())]);
        let translate = |others| Step::Translate {
            table: table.clone(),
            others,
        };
        let piece = |number| Step::Piece {
            separator: "/".to_owned(),
            number,
        };
        let cases = [
            (Step::Trim, " a ", Ok(Some("a"))),
            (Step::Trim, "  ", Ok(None)),
            (Step::UpperCase, "vrßa", Ok(Some("VRßA"))),
            (piece(2), "5301/深圳", Ok(Some("深圳"))),
            (piece(3), "5301/深圳", Ok(None)),
            (translate(Others::Refuse), "142", Ok(Some("CN"))),
            (translate(Others::Keep), "143", Ok(Some("143"))),
            (translate(Others::Empty), "143", Ok(None)),
            (translate(Others::Refuse), "143", Err(())),
        ];
        for (step, text, expected) in cases {
            let done = Doing::compile(&step).unwrap().apply(text);
            let found = done.as_ref().map(Option::as_deref).map_err(|_| ());
            assert_eq!(found, expected, "{step:?} {text}");
        }
    }
}
