//! What is done with each column of a file: how its text is read, what its values must satisfy and
//! which of them may not be shown.
//!
//! It does not read anything; it is compiled once for a publish and shared by the workers.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use schemas::format::Format;
use schemas::mapping::{Layout, Mapping};
use schemas::standard::{DataStandard, DateOrder, Reading};
use schemas::validate::{FieldKind, RowSchema};

use super::check::Rules;
use super::mapped::Mapper;
use crate::Error;

/// How a column's values are read and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8. Local times without zone too: the Delta protocol level that every reader knows
    /// (reader 1) has instants only, and a zone that is made up is a wrong instant.
    Text,
    /// 64 bits with sign.
    Integer,
    /// 64 bits, binary floating point.
    Number,
    /// True or false.
    Boolean,
    /// A day, read in this order.
    Date(DateOrder),
    /// Microseconds in UTC.
    Instant,
}

impl Kind {
    /// The Arrow type of the column.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date(_) => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// One column of the table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether the row form writes a missing value as `null` instead of leaving it out.
    pub(crate) is_nullable: bool,
    pub(crate) rules: Rules,
    /// Whether values may not be shown: the column holds personal information.
    pub(crate) is_masked: bool,
}

/// A data standard, ready to read files of it.
#[derive(Debug)]
pub struct Plan {
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
    pub(crate) reading: Reading,
    /// Between fields of CSV; found out when absent.
    pub(crate) delimiter: Option<u8>,
    /// The row check, where the columns do not say everything.
    pub(crate) rows: Option<RowSchema>,
    required: Vec<bool>,
    mapper: Option<Mapper>,
    /// Fields of rows that are read as text: those of the mapping, or the columns.
    fields: Vec<String>,
}

impl Plan {
    /// Compiles a standard; values of `masked` columns will not be shown in findings.
    ///
    /// # Errors
    /// [`Error::Standard`] when the standard does not compile.
    pub fn compile(standard: &DataStandard, masked: &BTreeSet<String>) -> Result<Self, Error> {
        Self::compile_mapped(standard, masked, None)
    }

    /// The same for files that `mapping` turns into rows of the standard. It takes the place of
    /// the standard's reading rules: those say how files of the standard itself are written.
    ///
    /// # Errors
    /// As [`Self::compile`]; [`Error::Mapping`] when the mapping does not fit the standard.
    pub fn compile_mapped(
        standard: &DataStandard,
        masked: &BTreeSet<String>,
        mapping: Option<&Mapping>,
    ) -> Result<Self, Error> {
        let refuse = |source: schemas::Error| Error::Standard {
            why: source.to_string(),
        };
        let rows = RowSchema::compile(standard).map_err(refuse)?;
        let reading = match mapping {
            None => standard.reading.clone(),
            Some(mapping) => Reading {
                delimiter: mapping.layout.delimiter,
                ..Reading::default()
            },
        };
        let delimiter = delimiter_of(&reading)?;
        let columns = columns_of(&rows, &reading, masked)?;
        let required: Vec<bool> = rows.fields().iter().map(|field| field.required).collect();
        let facts = columns.iter().zip(&required).map(|(column, required)| {
            let must = *required && !column.is_nullable;
            (column.name.as_str(), must, column.is_masked)
        });
        let mapper = mapping.map(|it| Mapper::compile(it, facts)).transpose()?;
        let names = match &mapper {
            Some(mapper) => mapper.fields().to_vec(),
            None => columns.iter().map(|column| column.name.clone()).collect(),
        };
        let by_column = !rows.needs_row_check() && rows.fields().iter().all(|f| f.columnar);
        // Every column may be null in the table: what must have a value is the standard's to say,
        // and a later edition may say less without rewriting the table's schema.
        let fields: Vec<ArrowField> = columns
            .iter()
            .map(|column| ArrowField::new(&column.name, column.kind.data_type(), true))
            .collect();
        Ok(Self {
            columns,
            schema: Arc::new(Schema::new(fields)),
            reading,
            delimiter,
            rows: (!by_column).then_some(rows),
            required,
            mapper,
            fields: names,
        })
    }

    /// The mapping, when there is one.
    pub(crate) fn mapper(&self) -> Option<&Mapper> {
        self.mapper.as_ref()
    }

    /// How rows and fields are found, where a mapping says so.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        self.mapper.as_ref().map(|it| &it.mapping().layout)
    }

    /// Fields of rows that are read as text, in the order of their places.
    pub(crate) fn field_names(&self) -> &[String] {
        &self.fields
    }

    /// The place of a field of a row that is read as text.
    pub(crate) fn field_place(&self, name: &str) -> Place {
        match &self.mapper {
            Some(mapper) => mapper.place(name),
            None => self.place(name),
        }
    }

    /// Whether a name in the file stands for values that may not be shown.
    pub(crate) fn hides(&self, name: &str) -> bool {
        match &self.mapper {
            Some(mapper) => mapper.is_hidden(name),
            None => matches!(self.place(name), Place::Column(at) if self.columns[at].is_masked),
        }
    }

    /// The schema of the table.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn is_null(&self, text: &str) -> bool {
        text.is_empty() || self.reading.null_tokens.iter().any(|token| token == text)
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The column that a header or member name stands for.
    pub(crate) fn place(&self, name: &str) -> Place {
        if self.reading.dropped.iter().any(|dropped| dropped == name) {
            return Place::Dropped;
        }
        let column = self.reading.renames.get(name).map_or(name, String::as_str);
        self.index_of(column).map_or(Place::Unknown, Place::Column)
    }

    /// Maps a file's header to the columns.
    pub(crate) fn places(
        &self,
        file: &str,
        header: &[String],
    ) -> Result<Vec<Option<usize>>, Error> {
        let refuse = |why: String| {
            Err(Error::Header {
                file: file.to_owned(),
                why,
            })
        };
        if header.len() > schemas::dataset::Dataset::COLUMNS_MAX {
            return refuse(format!(
                "{} columns, the limit is {}",
                header.len(),
                schemas::dataset::Dataset::COLUMNS_MAX
            ));
        }
        let mut taken = vec![false; self.fields.len()];
        let mut places = Vec::with_capacity(header.len());
        for name in header {
            match self.field_place(name) {
                Place::Dropped => places.push(None),
                Place::Column(at) if taken[at] => {
                    return refuse(format!(
                        "column {:?} occurs twice; leave one out",
                        self.fields[at]
                    ));
                }
                Place::Column(at) => {
                    taken[at] = true;
                    places.push(Some(at));
                }
                Place::Unknown => return refuse(self.unknown(name)),
            }
        }
        let is_needed = |at: usize| self.mapper.is_some() || self.required[at];
        if let Some(at) = (0..taken.len()).find(|at| !taken[*at] && is_needed(*at)) {
            let who = if self.mapper.is_some() {
                "the mapping takes it"
            } else {
                "the standard requires it"
            };
            return refuse(format!(
                "column {:?} is missing, and {who}",
                self.fields[at]
            ));
        }
        Ok(places)
    }

    fn unknown(&self, name: &str) -> String {
        let name = super::quarantine::cut(name);
        if self.mapper.is_some() {
            return format!(
                "{name:?} is no field that the mapping takes; map it or list it under `ignored`"
            );
        }
        format!(
            "{name:?} is no column of the standard; rename or drop it in the standard's reading \
             rules, or check the delimiter and the encoding"
        )
    }
}

fn delimiter_of(reading: &Reading) -> Result<Option<u8>, Error> {
    let Some(delimiter) = reading.delimiter else {
        return Ok(None);
    };
    let ascii = u8::try_from(delimiter).ok().filter(u8::is_ascii);
    ascii.map(Some).ok_or_else(|| Error::Standard {
        why: "the delimiter is not ASCII".to_owned(),
    })
}

fn columns_of(
    rows: &RowSchema,
    reading: &Reading,
    masked: &BTreeSet<String>,
) -> Result<Vec<Column>, Error> {
    let column = |field: &schemas::validate::Field| {
        let kind = match field.kind {
            FieldKind::Text => Kind::Text,
            FieldKind::Integer => Kind::Integer,
            FieldKind::Number => Kind::Number,
            FieldKind::Boolean => Kind::Boolean,
            FieldKind::Date => {
                let order = reading.dates.get(&field.name).copied();
                Kind::Date(order.unwrap_or(DateOrder::Iso))
            }
            FieldKind::DateTime if field.constraints.format == Some(Format::LocalDateTime) => {
                Kind::Text
            }
            FieldKind::DateTime => Kind::Instant,
        };
        Ok(Column {
            name: field.name.clone(),
            kind,
            is_nullable: field.nullable,
            rules: Rules::compile(field)?,
            is_masked: masked.contains(&field.name),
        })
    };
    rows.fields().iter().map(column).collect()
}

/// What a name in a file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The column at this position.
    Column(usize),
    /// Nothing: the standard leaves it out.
    Dropped,
    /// Nothing the standard knows.
    Unknown,
}
