//! One column of a data standard, as plainly as a column check needs it.
//!
//! It does not check values; it says what is to be checked, and whether that is all.

use serde_json::{Map, Value};

use super::{pattern, refuse};
use crate::Error;
use crate::dataset::Dataset;
use crate::format::Format;

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// Text (`string`).
    Text,
    /// A whole number that fits 64 bits with sign (`integer`).
    Integer,
    /// A binary floating-point number of 64 bits (`number`).
    Number,
    /// `boolean`.
    Boolean,
    /// A calendar day (`string` with format `date`).
    Date,
    /// An instant (`string` with format `date-time`, RFC 3339); with
    /// [`Format::LocalDateTime`] among the constraints a local time without zone.
    DateTime,
}

/// A limit for numbers. Columns of kind [`FieldKind::Integer`] that are columnar have integer
/// bounds, and those of kind [`FieldKind::Number`] decimal ones, so no comparison rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Exact.
    Integer(i64),
    /// The nearest binary floating-point number, as the schema's own validation takes it.
    Decimal(f64),
}

/// What a column's values (those that are not null) must satisfy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// `minimum`: the least value.
    pub min: Option<Bound>,
    /// `maximum`: the greatest value.
    pub max: Option<Bound>,
    /// `exclusiveMinimum`: values are greater.
    pub exclusive_min: Option<Bound>,
    /// `exclusiveMaximum`: values are less.
    pub exclusive_max: Option<Bound>,
    /// `multipleOf`, for integers.
    pub multiple_of: Option<i64>,
    /// `minLength`, in Unicode scalar values (not bytes).
    pub length_min: Option<u64>,
    /// `maxLength`, in Unicode scalar values (not bytes).
    pub length_max: Option<u64>,
    /// `pattern`, translated to the syntax of the `regex` crate; search for it anywhere
    /// (`is_match`), anchors are inside.
    pub pattern: Option<String>,
    /// `enum` without null: every value that may occur.
    pub enumeration: Option<Vec<Value>>,
    /// `const`: the only value that may occur.
    pub constant: Option<Value>,
    /// One of our formats.
    pub format: Option<Format>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Name in rows and tables.
    pub name: String,
    /// Type of its values.
    pub kind: FieldKind,
    /// Whether `required` names it.
    pub required: bool,
    /// Whether `null` is among its values.
    pub nullable: bool,
    /// What its values must satisfy.
    pub constraints: Constraints,
    /// Whether `kind`, `required`, `nullable` and `constraints` say everything that the schema
    /// says of this column. If not, only the row check knows the verdict.
    pub columnar: bool,
}

impl Field {
    /// Whether a cell without a value passes.
    #[must_use]
    pub fn admits_null(&self) -> bool {
        self.nullable || !self.required
    }
}

/// The columns of a row schema in the order of `order`.
pub(super) fn fields(
    root: &Map<String, Value>,
    document: &Value,
    order: &[String],
) -> Result<Vec<Field>, Error> {
    if root.get("type") != Some(&Value::from("object")) {
        return Err(refuse("a row is an object; write \"type\": \"object\""));
    }
    if order.is_empty() || order.len() > Dataset::COLUMNS_MAX {
        return Err(refuse(format!(
            "{} properties; a row has 1 to {} columns",
            order.len(),
            Dataset::COLUMNS_MAX
        )));
    }
    let required: Vec<&str> = match root.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if let Some(name) = required
        .iter()
        .find(|name| !order.iter().any(|known| known == *name))
    {
        return Err(refuse(format!(
            "required names {name:?}, which is no property"
        )));
    }
    let properties = root.get("properties").and_then(Value::as_object);
    let mut out = Vec::with_capacity(order.len());
    for name in order {
        check_name(name)?;
        let property = properties
            .and_then(|all| all.get(name))
            .and_then(Value::as_object);
        let property = property.ok_or_else(|| refuse(format!("column {name} has no type")))?;
        let mut field = field(name, referred(property, document))?;
        field.required = required.contains(&name.as_str());
        out.push(field);
    }
    Ok(out)
}

/// Longest column name in bytes, as in most databases.
const NAME_BYTES_MAX: usize = 63;

/// Column names go into SQL, file names and policy text.
fn check_name(name: &str) -> Result<(), Error> {
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
    let first = name.as_bytes().first();
    if first.is_some_and(u8::is_ascii_lowercase)
        && name.len() <= NAME_BYTES_MAX
        && name.as_bytes().iter().all(inner)
    {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    Err(refuse(format!(
        "{shown:?} cannot be a column; write a-z, 0-9 and _ beginning with a letter, at most \
         {NAME_BYTES_MAX} bytes, and rename the file's header in the reading rules"
    )))
}

/// Keywords that say nothing of a value.
const ANNOTATIONS: [&str; 8] = [
    "$comment",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// The definition that a property is only a name for (`{"$ref": "#/$defs/mass"}`), or itself. The
/// reference graph has no loops here.
fn referred<'a>(property: &'a Map<String, Value>, document: &'a Value) -> &'a Map<String, Value> {
    let only = property
        .keys()
        .all(|key| key == "$ref" || ANNOTATIONS.contains(&key.as_str()));
    let target = property
        .get("$ref")
        .filter(|_| only)
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .filter(|pointer| pointer.starts_with("/$defs/") && !pointer.contains('%'))
        .and_then(|pointer| document.pointer(pointer))
        .and_then(Value::as_object);
    target.map_or(property, |target| referred(target, document))
}

fn field(name: &str, property: &Map<String, Value>) -> Result<Field, Error> {
    let (kind, nullable) = kind(name, property)?;
    let mut field = Field {
        name: name.to_owned(),
        kind,
        required: false,
        nullable,
        constraints: Constraints::default(),
        columnar: true,
    };
    for (keyword, value) in property {
        if keyword != "type" && !ANNOTATIONS.contains(&keyword.as_str()) {
            let carried = carry(&mut field, keyword, value);
            field.columnar &= carried;
        }
    }
    Ok(field)
}

fn kind(name: &str, property: &Map<String, Value>) -> Result<(FieldKind, bool), Error> {
    let names: Vec<&str> = match property.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let scalars: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| *name != "null")
        .collect();
    let format = property.get("format").and_then(Value::as_str);
    let kind = match scalars.as_slice() {
        ["string"] => match format {
            Some("date") => FieldKind::Date,
            Some("date-time" | "x-local-date-time") => FieldKind::DateTime,
            _ => FieldKind::Text,
        },
        ["integer"] => FieldKind::Integer,
        ["number"] => FieldKind::Number,
        ["boolean"] => FieldKind::Boolean,
        _ => {
            return Err(refuse(format!(
                "column {name} needs one type of string, integer, number and boolean, and may \
                 have null beside it"
            )));
        }
    };
    Ok((kind, names.contains(&"null")))
}

/// Puts one keyword into the constraints; `false` when they cannot carry it.
fn carry(field: &mut Field, keyword: &str, value: &Value) -> bool {
    let numeric = matches!(field.kind, FieldKind::Integer | FieldKind::Number);
    let textual = matches!(
        field.kind,
        FieldKind::Text | FieldKind::Date | FieldKind::DateTime
    );
    match keyword {
        // Keywords for other types say nothing of this one (JSON Schema validation, 6.2 and 6.3).
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            !numeric || carry_number(field, keyword, value)
        }
        "minLength" | "maxLength" | "pattern" => !textual || carry_text(field, keyword, value),
        "format" => !textual || carry_format(field, value),
        "enum" => carry_enumeration(field, value),
        "const" => {
            field.nullable = false;
            field.constraints.constant = Some(value.clone());
            fits(field.kind, value)
        }
        _ => false,
    }
}

fn carry_number(field: &mut Field, keyword: &str, value: &Value) -> bool {
    if keyword == "multipleOf" {
        field.constraints.multiple_of = value.as_i64();
        return field.kind == FieldKind::Integer && field.constraints.multiple_of.is_some();
    }
    let bound = bound(field.kind, value);
    let place = match keyword {
        "minimum" => &mut field.constraints.min,
        "maximum" => &mut field.constraints.max,
        "exclusiveMinimum" => &mut field.constraints.exclusive_min,
        _ => &mut field.constraints.exclusive_max,
    };
    *place = bound;
    bound.is_some()
}

/// Integers up to this are exact in binary floating point.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

fn bound(kind: FieldKind, value: &Value) -> Option<Bound> {
    match kind {
        FieldKind::Integer => value.as_i64().map(Bound::Integer),
        _ => {
            let exact = value.is_f64()
                || value
                    .as_i64()
                    .is_some_and(|n| n.unsigned_abs() <= EXACT_INTEGER_MAX);
            value.as_f64().filter(|_| exact).map(Bound::Decimal)
        }
    }
}

fn carry_text(field: &mut Field, keyword: &str, value: &Value) -> bool {
    // A date column holds days and no text, so a rule for its text needs the row check.
    if field.kind != FieldKind::Text {
        return false;
    }
    match keyword {
        "minLength" => {
            field.constraints.length_min = value.as_u64();
            field.constraints.length_min.is_some()
        }
        "maxLength" => {
            field.constraints.length_max = value.as_u64();
            field.constraints.length_max.is_some()
        }
        _ => {
            field.constraints.pattern = value.as_str().and_then(pattern::translated);
            field.constraints.pattern.is_some()
        }
    }
}

fn carry_format(field: &mut Field, value: &Value) -> bool {
    let Some(name) = value.as_str() else {
        return false;
    };
    field.constraints.format = Format::parse(name);
    field.constraints.format.is_some() || matches!(name, "date" | "date-time")
}

fn carry_enumeration(field: &mut Field, value: &Value) -> bool {
    let Some(values) = value.as_array() else {
        return false;
    };
    field.nullable &= values.contains(&Value::Null);
    let others: Vec<Value> = values
        .iter()
        .filter(|value| !value.is_null())
        .cloned()
        .collect();
    let fit = others.iter().all(|value| fits(field.kind, value));
    field.constraints.enumeration = Some(others);
    fit
}

/// Whether a column check can compare with this value without rounding or re-reading it.
fn fits(kind: FieldKind, value: &Value) -> bool {
    match kind {
        FieldKind::Text => value.is_string(),
        FieldKind::Integer => value.as_i64().is_some(),
        FieldKind::Boolean => value.is_boolean(),
        FieldKind::Number | FieldKind::Date | FieldKind::DateTime => false,
    }
}
