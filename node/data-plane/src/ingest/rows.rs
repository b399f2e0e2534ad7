//! A block's rows in columns, with everything that is wrong with each: judged, parted into what is
//! published and what is kept out.
//!
//! It does not read files: the three readers (CSV, NDJSON, Parquet) fill it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value};

use super::columns::Builder;
use super::plan::{Kind, Plan};
use super::quarantine::{Fault, MASKED, ROW_FINDINGS_MAX, Rejected, cut};
use super::source::as_u64;
use crate::Error;

/// Rows of one block on their way into columns.
pub(crate) struct Rows<'a> {
    plan: &'a Plan,
    builders: Vec<Builder>,
    /// Columns that came whole, from a file that has columns itself.
    filled: Option<Vec<ArrayRef>>,
    /// Position in the columns -> row in its block.
    numbers: Vec<u64>,
    seen: u64,
    faults: BTreeMap<usize, Vec<Fault>>,
    /// Cells that are null because their value was none of the type.
    failed: BTreeSet<(usize, usize)>,
    unreadable: Vec<Rejected>,
}

/// What became of a block.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Rows that follow the standard.
    pub(crate) batch: RecordBatch,
    /// Rows that were kept out.
    pub(crate) rejected: Vec<Rejected>,
    /// Rows in the block: those of `batch` and `rejected`.
    pub(crate) seen: u64,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(plan: &'a Plan, capacity: usize) -> Self {
        let builder = |column: &super::plan::Column| Builder::new(column.kind, capacity);
        Self {
            plan,
            builders: plan.columns.iter().map(builder).collect(),
            filled: None,
            numbers: Vec::with_capacity(capacity),
            seen: 0,
            faults: BTreeMap::new(),
            failed: BTreeSet::new(),
            unreadable: Vec::new(),
        }
    }

    /// Rows seen so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// A row that cannot be put into columns at all.
    pub(crate) fn reject(&mut self, rule: &str, why: String, raw: &str) {
        self.reject_at(self.seen, rule, why, raw);
        self.seen += 1;
    }

    /// The same of a row whose number is known.
    pub(crate) fn reject_at(&mut self, row: u64, rule: &str, why: String, raw: &str) {
        let mut values = Map::new();
        // Which part of such a row is personal nobody can tell, so one masked column hides it all.
        if !self.plan.columns.iter().any(|column| column.is_masked) {
            values.insert("raw".to_owned(), Value::from(cut(raw)));
        }
        let fault = Fault {
            field: None,
            rule: rule.to_owned(),
            value: None,
            why,
        };
        self.unreadable.push(Rejected {
            row,
            faults: vec![fault],
            values,
        });
    }

    /// The next value of a column that is made row by row, while other columns wait.
    pub(crate) fn push_text_at(&mut self, column: usize, row: usize, text: &str) {
        if self.plan.is_null(text) {
            self.builders[column].push_null();
        } else if let Err(why) = self.builders[column].push_text(text) {
            self.fail_at(column, row, text, "type", why);
        }
    }

    /// The value of a row could not be made.
    pub(crate) fn fail_at(&mut self, column: usize, row: usize, text: &str, rule: &str, why: &str) {
        self.failed.insert((column, row));
        let column = &self.plan.columns[column];
        let fault = fault(column, rule, Some(text), why.to_owned());
        push(self.faults.entry(row).or_default(), fault);
    }

    /// All columns have got their values: which rows they are, and what is wrong with them as a
    /// whole.
    pub(crate) fn number(
        &mut self,
        numbers: &[u64],
        seen: u64,
        faults: &BTreeMap<usize, Vec<(String, String)>>,
    ) {
        self.numbers = numbers.to_vec();
        self.seen = seen;
        for (row, whys) in faults {
            let found = self.faults.entry(*row).or_default();
            for (rule, why) in whys {
                let fault = Fault {
                    field: None,
                    rule: rule.clone(),
                    value: None,
                    why: why.clone(),
                };
                push(found, fault);
            }
        }
    }

    /// The next value of the row that is being read.
    pub(crate) fn push_text(&mut self, column: usize, text: &str) {
        if self.plan.is_null(text) {
            self.builders[column].push_null();
        } else if let Err(why) = self.builders[column].push_text(text) {
            self.fail(column, text, why);
        }
    }

    /// The next value of the row that is being read.
    pub(crate) fn push_json(&mut self, column: usize, value: &Value) {
        if let Err(why) = self.builders[column].push_json(value) {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            self.fail(column, &text, why);
        }
    }

    /// The row that is being read has no value there.
    pub(crate) fn push_null(&mut self, column: usize) {
        self.builders[column].push_null();
    }

    /// The row that is being read breaks a rule of its own.
    pub(crate) fn fault_row(&mut self, rule: &str, why: String) {
        let fault = Fault {
            field: None,
            rule: rule.to_owned(),
            value: None,
            why,
        };
        self.faults
            .entry(self.numbers.len())
            .or_default()
            .push(fault);
    }

    /// All columns of the row have got their value.
    pub(crate) fn end_row(&mut self) {
        self.numbers.push(self.seen);
        self.seen += 1;
    }

    /// Takes columns that are whole already; those that the file lacks are null.
    pub(crate) fn fill(&mut self, columns: Vec<Option<ArrayRef>>, rows: usize) {
        let whole = columns
            .into_iter()
            .zip(&self.plan.columns)
            .map(|(array, column)| {
                array.unwrap_or_else(|| new_null_array(&column.kind.data_type(), rows))
            });
        self.filled = Some(whole.collect());
        self.numbers = (0..as_u64(rows)).collect();
        self.seen = as_u64(rows);
    }

    /// A cell of a column that is whole already could not be cast to the column's type.
    pub(crate) fn fail_cell(&mut self, column: usize, row: usize, text: &str) {
        self.failed.insert((column, row));
        let column = &self.plan.columns[column];
        let why = format!("cannot be read as {}", column.kind.data_type());
        push(
            self.faults.entry(row).or_default(),
            fault(column, "type", Some(text), why),
        );
    }

    /// The columns as they are, unjudged.
    #[cfg(test)]
    pub(crate) fn into_arrays(self) -> Vec<ArrayRef> {
        self.builders.into_iter().map(Builder::finish).collect()
    }

    fn fail(&mut self, column: usize, text: &str, why: &str) {
        self.fail_at(column, self.numbers.len(), text, "type", why);
    }

    /// Judges the rows. `original` gives the values of a column row as the file has them.
    pub(crate) fn judge(
        self,
        original: &mut dyn FnMut(usize) -> Map<String, Value>,
    ) -> Result<Judged, Error> {
        let plan = self.plan;
        let arrays: Vec<ArrayRef> = match self.filled {
            Some(arrays) => arrays,
            None => self.builders.into_iter().map(Builder::finish).collect(),
        };
        let mut faults = self.faults;
        if let Some(schema) = &plan.rows {
            for row in 0..self.numbers.len() {
                check_row(plan, schema, &arrays, row, &mut faults);
            }
        } else {
            for (at, (column, array)) in plan.columns.iter().zip(&arrays).enumerate() {
                column.rules.check(array, &mut |row, (rule, why)| {
                    if !self.failed.contains(&(at, row)) {
                        let value = text_of(array, row);
                        let fault = fault(column, rule, value.as_deref(), why);
                        push(faults.entry(row).or_default(), fault);
                    }
                });
            }
        }
        let batch = RecordBatch::try_new(plan.schema.clone(), arrays)
            .map_err(Error::columns("put a block together"))?;
        let mut rejected = self.unreadable;
        let batch = if faults.is_empty() {
            batch
        } else {
            let keep: BooleanArray = (0..batch.num_rows())
                .map(|row| Some(!faults.contains_key(&row)))
                .collect();
            for (row, faults) in faults {
                let mut values = original(row);
                mask(plan, &mut values);
                rejected.push(Rejected {
                    row: self.numbers[row],
                    faults,
                    values,
                });
            }
            rejected.sort_by_key(|rejected| rejected.row);
            arrow::compute::filter_record_batch(&batch, &keep)
                .map_err(Error::columns("part a block"))?
        };
        debug_assert_eq!(as_u64(batch.num_rows()) + as_u64(rejected.len()), self.seen);
        Ok(Judged {
            batch,
            rejected,
            seen: self.seen,
        })
    }
}

fn fault(column: &super::plan::Column, rule: &str, value: Option<&str>, why: String) -> Fault {
    let value = if column.is_masked {
        value.map(|_| MASKED.to_owned())
    } else {
        value.map(cut)
    };
    Fault {
        field: Some(column.name.clone()),
        rule: rule.to_owned(),
        value,
        why,
    }
}

fn push(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < ROW_FINDINGS_MAX {
        faults.push(fault);
    }
}

/// Takes the values of masked columns out, whatever the file calls them.
fn mask(plan: &Plan, values: &mut Map<String, Value>) {
    for (name, value) in values.iter_mut() {
        if plan.hides(name) && !value.is_null() {
            *value = Value::from(MASKED);
        }
    }
}

/// Judges one row with the schema itself, unless its types are wrong already.
fn check_row(
    plan: &Plan,
    schema: &schemas::validate::RowSchema,
    arrays: &[ArrayRef],
    row: usize,
    faults: &mut BTreeMap<usize, Vec<Fault>>,
) {
    if faults.contains_key(&row) {
        return;
    }
    let value = Value::Object(row_of(plan, arrays, row));
    if schema.accepts(&value) {
        return;
    }
    let found = faults.entry(row).or_default();
    for violation in schema.check(&value) {
        let name = violation.pointer.trim_start_matches('/');
        let column = plan.index_of(name).map(|at| &plan.columns[at]);
        let fault = match column {
            // The schema's words repeat the value, so a masked column gets none of them.
            Some(column) if column.is_masked => {
                let why = "breaks this rule of the standard".to_owned();
                fault(column, &violation.keyword, Some(&violation.value), why)
            }
            Some(column) => fault(
                column,
                &violation.keyword,
                Some(&violation.value),
                violation.why,
            ),
            None => Fault {
                field: None,
                rule: violation.keyword,
                value: None,
                why: if plan.columns.iter().any(|column| column.is_masked) {
                    "breaks this rule of the standard".to_owned()
                } else {
                    violation.why
                },
            },
        };
        push(found, fault);
    }
}

/// A row as the row schema reads it: `null` where the column says so, left out otherwise.
pub(crate) fn row_of(plan: &Plan, arrays: &[ArrayRef], row: usize) -> Map<String, Value> {
    let mut out = Map::new();
    for (column, array) in plan.columns.iter().zip(arrays) {
        if array.is_null(row) {
            if column.is_nullable {
                out.insert(column.name.clone(), Value::Null);
            }
            continue;
        }
        let value = match column.kind {
            Kind::Text | Kind::Date(_) | Kind::Instant => text_of(array, row).map(Value::from),
            Kind::Integer => array
                .as_primitive_opt::<Int64Type>()
                .map(|array| Value::from(array.value(row))),
            Kind::Number => array
                .as_primitive_opt::<Float64Type>()
                .map(|array| Value::from(array.value(row))),
            Kind::Boolean => array
                .as_boolean_opt()
                .map(|array| Value::from(array.value(row))),
        };
        out.insert(column.name.clone(), value.unwrap_or(Value::Null));
    }
    out
}

/// A value as text, for messages and for the row check; `None` for null.
fn text_of(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    if let Some(array) = array.as_string_opt::<i32>() {
        return Some(array.value(row).to_owned());
    }
    if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        return Some(array.value(row).to_string());
    }
    if let Some(array) = array.as_primitive_opt::<Float64Type>() {
        return Some(array.value(row).to_string());
    }
    if let Some(array) = array.as_primitive_opt::<Date32Type>() {
        return array.value_as_date(row).map(|day| day.to_string());
    }
    if let Some(array) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        return chrono::DateTime::from_timestamp_micros(array.value(row))
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    }
    array
        .as_boolean_opt()
        .map(|array| array.value(row).to_string())
}
