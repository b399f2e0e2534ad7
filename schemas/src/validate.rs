//! JSON Schema (draft 2020-12), compiled: for one row of a data standard, and for any document.
//!
//! It does not read files or rows, and it does not fetch anything: a schema stands alone. It is
//! the one module that uses the `jsonschema` crate. [`RowSchema::check`] judges one row at a time
//! and is the oracle; [`RowSchema::fields`] says the same, column by column, for whoever checks
//! millions of rows, and each [`Field`] says whether it says everything.
//!
//! A schema comes from a member and is checked before it is compiled: size, depth, duplicate
//! keys, references that leave it, and references that would make a validation endless or
//! exponential.

mod field;
mod graph;
mod pattern;
mod strict;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Error;
use crate::format::Format;
use crate::standard::DataStandard;

pub use field::{Bound, Constraints, Field, FieldKind};
pub use strict::{StrictJson, strict_json};

/// Largest schema text in bytes. The longest real one, a code list of 7,000 values, has 100 KiB.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of arrays and objects in a schema: the checks recurse, and stacks end.
pub const SCHEMA_DEPTH_MAX: usize = 48;
/// Longest chain of subschemas and references that one value may lead through.
pub const REFERENCE_DEPTH_MAX: usize = 96;
/// Most subschemas that one value may be checked against, counting each repetition: references
/// to references can double with each step.
pub const EVALUATIONS_MAX: u64 = 50_000;
/// Most violations that are reported of one document.
pub const VIOLATIONS_MAX: usize = 100;
/// Longest text in characters that a violation repeats of a value or a reason.
pub const VIOLATION_CHARS_MAX: usize = 200;
/// Most memory in bytes of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// One way in which a document breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) to the value; empty for the whole document.
    pub pointer: String,
    /// The keyword that is broken, such as `minimum`.
    pub keyword: String,
    /// The value as JSON, cut to [`VIOLATION_CHARS_MAX`]. It may be personal information: show it
    /// to the provider only.
    pub value: String,
    /// Why, in words; repeats the value.
    pub why: String,
}

/// A compiled JSON Schema.
#[derive(Clone)]
pub struct JsonSchema {
    validator: Arc<jsonschema::Validator>,
}

impl std::fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonSchema")
    }
}

impl JsonSchema {
    /// Everything that is wrong with a document, at most [`VIOLATIONS_MAX`] findings.
    #[must_use]
    pub fn check(&self, document: &Value) -> Vec<Violation> {
        let errors = self.validator.iter_errors(document).take(VIOLATIONS_MAX);
        errors
            .map(|error| Violation {
                pointer: error.instance_path().to_string(),
                keyword: error.kind().keyword().to_owned(),
                value: cut(&error.instance().to_string()),
                why: cut(&error.to_string()),
            })
            .collect()
    }

    /// Whether nothing is wrong with a document; quicker than [`Self::check`].
    #[must_use]
    pub fn accepts(&self, document: &Value) -> bool {
        self.validator.is_valid(document)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(VIOLATION_CHARS_MAX).collect()
}

/// Compiles a JSON Schema of draft 2020-12 with our [`Format`]s; formats are asserted, and unknown
/// ones refused, because a mistyped format would otherwise check nothing.
///
/// # Errors
/// [`Error::Standard`] when the text is too large or deep, is not JSON, repeats a key, is not a
/// schema of this draft, refers to anything outside itself, or would take endless to evaluate.
pub fn compile_schema(text: &str) -> Result<JsonSchema, Error> {
    let schema = strict::parse(text)?;
    graph::check(&schema, graph::Follow::InPlace)?;
    compile(&schema)
}

/// The dialect of JSON Schema that is understood.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

fn compile(schema: &Value) -> Result<JsonSchema, Error> {
    let dialect = schema
        .get("$schema")
        .and_then(Value::as_str)
        .unwrap_or(DIALECT);
    if dialect.trim_end_matches('#') != DIALECT {
        return Err(refuse(format!(
            "$schema is {}; write for draft 2020-12",
            cut(dialect)
        )));
    }
    let patterns = jsonschema::PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    let mut options = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(patterns);
    for format in Format::ALL {
        options = options.with_format(format.name(), |text: &str| format.check(text).is_ok());
    }
    let validator = options.build(schema).map_err(|source| {
        refuse(format!(
            "{} at {}",
            cut(&source.to_string()),
            source.instance_path()
        ))
    })?;
    Ok(JsonSchema {
        validator: Arc::new(validator),
    })
}

fn refuse(why: impl Into<String>) -> Error {
    Error::Standard { why: why.into() }
}

/// A data standard, ready to judge rows.
///
/// A row is a JSON object of scalars. A cell without a value is written `null` where
/// [`Field::nullable`] says so, and is left out otherwise; then `required` catches it.
#[derive(Clone, Debug)]
pub struct RowSchema {
    schema: JsonSchema,
    fields: Vec<Field>,
    closed: bool,
    row_check: bool,
}

impl RowSchema {
    /// Compiles the row schema of a standard, and checks that its reading rules fit.
    ///
    /// # Errors
    /// [`Error::Standard`] as [`compile_schema`]; and when the schema does not describe an object,
    /// a property is not one scalar type, a name cannot be a column, the schema is recursive, or a
    /// reading rule names a column that does not exist.
    pub fn compile(standard: &DataStandard) -> Result<Self, Error> {
        let schema = strict::parse(&standard.row_schema)?;
        graph::check(&schema, graph::Follow::Everywhere)?;
        let compiled = compile(&schema)?;
        let Value::Object(root) = &schema else {
            return Err(refuse("the row schema is a boolean; describe an object"));
        };
        let fields = field::fields(
            root,
            &schema,
            &strict::property_order(&standard.row_schema)?,
        )?;
        check_reading(standard, &fields)?;
        Ok(Self {
            schema: compiled,
            fields,
            closed: root.get("additionalProperties") == Some(&Value::Bool(false)),
            row_check: needs_row_check(root),
        })
    }

    /// The columns, in the order of the schema's text.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The column of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether columns beyond [`Self::fields`] break the standard (`additionalProperties: false`).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the schema says things of the row as a whole that no [`Field`] carries
    /// (`if`, `dependentRequired`, `minProperties` ...). Then, and for each field that is not
    /// [`Field::columnar`], only [`Self::check`] knows the verdict.
    #[must_use]
    pub fn needs_row_check(&self) -> bool {
        self.row_check
    }

    /// Everything that is wrong with one row, at most [`VIOLATIONS_MAX`] findings.
    #[must_use]
    pub fn check(&self, row: &Value) -> Vec<Violation> {
        self.schema.check(row)
    }

    /// Whether nothing is wrong with one row; quicker than [`Self::check`].
    #[must_use]
    pub fn accepts(&self, row: &Value) -> bool {
        self.schema.accepts(row)
    }
}

/// Keywords of the root that the fields and [`RowSchema::is_closed`] carry, or that say nothing.
const ROOT_KEYWORDS: [&str; 12] = [
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "additionalProperties",
    "default",
    "deprecated",
    "description",
    "examples",
    "properties",
    "required",
    "title",
];

fn needs_row_check(root: &Map<String, Value>) -> bool {
    let other = root
        .keys()
        .any(|key| key != "type" && !ROOT_KEYWORDS.contains(&key.as_str()));
    other
        || !root
            .get("additionalProperties")
            .is_none_or(Value::is_boolean)
}

fn check_reading(standard: &DataStandard, fields: &[Field]) -> Result<(), Error> {
    let reading = &standard.reading;
    let known = |name: &String| fields.iter().any(|field| field.name == *name);
    if let Some(to) = reading.renames.values().find(|to| !known(to)) {
        return Err(refuse(format!(
            "reading renames a header to {to:?}, which is no column"
        )));
    }
    let mut targets: Vec<_> = reading.renames.values().collect();
    targets.sort();
    if let Some(pair) = targets.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refuse(format!(
            "reading renames two headers to {:?}",
            pair[0]
        )));
    }
    for column in reading.dates.keys() {
        let field = fields.iter().find(|field| field.name == *column);
        if field.is_none_or(|field| field.kind != FieldKind::Date) {
            return Err(refuse(format!(
                "reading.dates names {column:?}, which is no date column"
            )));
        }
    }
    if reading
        .delimiter
        .is_some_and(|d| !d.is_ascii() || matches!(d, '"' | '\r' | '\n'))
    {
        return Err(refuse(
            "the delimiter is one ASCII character, no quote and no line end",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
