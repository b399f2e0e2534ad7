//! A batch of a Parquet file into rows: its columns are cast to the standard's types.
//!
//! It does not take nested columns, and a value that the cast cannot carry is a fault of its row.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray as _, StringArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use super::mapped;
use super::plan::{Kind, Plan};
use super::raw::RawBlock;
use super::rows::{Judged, Rows};
use super::source::as_u64;
use crate::Error;

/// What the workers know of a Parquet file.
pub(crate) struct TypedFile<'a> {
    pub(crate) plan: &'a Plan,
    /// Column of each field; none for fields that are left out.
    pub(crate) places: &'a [Option<usize>],
}

/// Maps the file's columns, and refuses those whose type can never become the standard's.
pub(crate) fn places(
    plan: &Plan,
    file: &str,
    schema: &SchemaRef,
) -> Result<Vec<Option<usize>>, Error> {
    let header: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let places = plan.places(file, &header)?;
    if plan.mapper().is_some() {
        return text_places(file, schema, places);
    }
    for (field, place) in schema.fields().iter().zip(&places) {
        let Some(column) = place.map(|at| &plan.columns[at]) else {
            continue;
        };
        let from = field.data_type();
        if from.is_nested() || !can_cast_types(from, &column.kind.data_type()) {
            return Err(Error::Header {
                file: file.to_owned(),
                why: format!(
                    "column {:?} has type {from}, the standard wants {}",
                    column.name,
                    column.kind.data_type()
                ),
            });
        }
    }
    Ok(places)
}

/// A mapping takes the text of values; those of nested columns have none.
fn text_places(
    file: &str,
    schema: &SchemaRef,
    places: Vec<Option<usize>>,
) -> Result<Vec<Option<usize>>, Error> {
    for (field, place) in schema.fields().iter().zip(&places) {
        let from = field.data_type();
        if place.is_some() && (from.is_nested() || !can_cast_types(from, &DataType::Utf8)) {
            return Err(Error::Header {
                file: file.to_owned(),
                why: format!(
                    "column {:?} has type {from}, which has no text",
                    field.name()
                ),
            });
        }
    }
    Ok(places)
}

impl TypedFile<'_> {
    /// The values as text, for a mapping.
    fn judge_mapped(&self, batch: &RecordBatch) -> Result<Judged, Error> {
        let rows = batch.num_rows();
        let empty = StringArray::new_null(rows);
        let mut fields = vec![empty; self.plan.field_names().len()];
        for (array, place) in batch.columns().iter().zip(self.places) {
            let Some(at) = *place else { continue };
            let cast = cast_with_options(array, &DataType::Utf8, &CastOptions::default())
                .map_err(Error::columns("read a column of the file as text"))?;
            if let Some(texts) = cast.as_string_opt::<i32>() {
                fields[at] = texts.clone();
            }
        }
        let raw = RawBlock {
            fields,
            numbers: (0..as_u64(rows)).collect(),
            seen: as_u64(rows),
            unread: Vec::new(),
            faults: BTreeMap::new(),
        };
        mapped::judge(self.plan, &raw)
    }

    /// Casts and judges a batch.
    pub(crate) fn judge(&self, batch: &RecordBatch) -> Result<Judged, Error> {
        if self.plan.mapper().is_some() {
            return self.judge_mapped(batch);
        }
        let mut rows = Rows::new(self.plan, 0);
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.plan.columns.len()];
        let options = CastOptions {
            safe: true,
            ..CastOptions::default()
        };
        let mut failed = Vec::new();
        for (array, place) in batch.columns().iter().zip(self.places) {
            let Some(at) = *place else { continue };
            let kind = self.plan.columns[at].kind;
            let cast = cast_with_options(array, &kind.data_type(), &options)
                .map_err(Error::columns("cast a column of the file"))?;
            if cast.null_count() > array.null_count() {
                let lost = (0..cast.len()).filter(|row| cast.is_null(*row) && array.is_valid(*row));
                failed.extend(lost.map(|row| (at, row, array.clone())));
            }
            let cast = if kind == Kind::Text {
                self.without_null_tokens(cast)?
            } else {
                cast
            };
            columns[at] = Some(cast);
        }
        for (at, row, array) in failed {
            rows.fail_cell(at, row, &text(&array, row));
        }
        rows.fill(columns, batch.num_rows());
        rows.judge(&mut |row| self.original(batch, row))
    }

    /// Text that means "no value" is none, as in every other format.
    fn without_null_tokens(&self, array: ArrayRef) -> Result<ArrayRef, Error> {
        let Some(texts) = array.as_string_opt::<i32>() else {
            return Ok(array);
        };
        if !texts.iter().flatten().any(|text| self.plan.is_null(text)) {
            return Ok(array);
        }
        let kept: StringArray = texts
            .iter()
            .map(|text| text.filter(|text| !self.plan.is_null(text)))
            .collect();
        Ok(std::sync::Arc::new(kept))
    }

    fn original(&self, batch: &RecordBatch, row: usize) -> Map<String, Value> {
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns()).zip(self.places);
        fields
            .filter(|(_, place)| place.is_some())
            .map(|((field, array), _)| {
                let value = if array.is_null(row) {
                    Value::Null
                } else {
                    Value::from(super::quarantine::cut(&text(array, row)))
                };
                (field.name().clone(), value)
            })
            .collect()
    }
}

fn text(array: &ArrayRef, row: usize) -> String {
    if matches!(array.data_type(), DataType::Null) {
        return String::new();
    }
    ArrayFormatter::try_new(array, &FormatOptions::default())
        .map(|formatter| formatter.value(row).to_string())
        .unwrap_or_default()
}
