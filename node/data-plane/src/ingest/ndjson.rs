//! A block of NDJSON into rows: one JSON object a line.
//!
//! A repeated key is refused: which of its values counts, two readers would decide differently.
//!
//! It does not keep members that the standard does not know: a row with such a member is kept out,
//! because dropping it silently would publish less than was given.

use schemas::validate::strict_json;
use serde_json::{Map, Value};

use super::blocks::Block;
use super::mapped;
use super::plan::{Place, Plan};
use super::raw::{RawRows, Sink};
use super::record::RECORD_BYTES_MAX;
use super::rows::{Judged, Rows};
use super::source::as_u64;
use crate::Error;

/// What the workers know of an NDJSON file.
pub(crate) struct NdjsonFile<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) name: &'a str,
}

impl NdjsonFile<'_> {
    /// Reads and judges a block.
    pub(crate) fn judge(&self, block: &Block) -> Result<Judged, Error> {
        if self.plan.mapper().is_some() {
            let fields = self.plan.field_names().len();
            let mut raw = RawRows::new(fields);
            let mut cells: Vec<Option<String>> = vec![None; fields];
            self.each_line(block, &mut raw, &mut |line, raw| {
                self.read_fields(line, &mut cells, raw);
            })?;
            return mapped::judge(self.plan, &raw.finish());
        }
        let mut rows = Rows::new(self.plan, block.text.len() / 128 + 16);
        let mut lines: Vec<&[u8]> = Vec::new();
        let mut cells: Vec<Option<Value>> = vec![None; self.plan.columns.len()];
        self.each_line(block, &mut rows, &mut |line, rows| {
            if self.read_row(line, &mut cells, rows) {
                lines.push(line);
            }
        })?;
        rows.judge(&mut |row| {
            lines
                .get(row)
                .and_then(|line| serde_json::from_slice(line).ok())
                .unwrap_or_default()
        })
    }

    /// Hands over each line that is not empty, once it is known to be text.
    fn each_line<'b, S: Sink>(
        &self,
        block: &'b Block,
        rows: &mut S,
        take: &mut dyn FnMut(&'b [u8], &mut S),
    ) -> Result<(), Error> {
        let mut offset = 0;
        for line in block.text.split_inclusive(|byte| *byte == b'\n') {
            if !line.iter().all(u8::is_ascii_whitespace) {
                if line.len() > RECORD_BYTES_MAX {
                    return Err(Error::RecordTooLong {
                        file: self.name.to_owned(),
                        row: rows.seen() + 1,
                        limit: RECORD_BYTES_MAX,
                    });
                }
                if let Err(wrong) = std::str::from_utf8(line) {
                    return Err(Error::WrongByte {
                        file: self.name.to_owned(),
                        row: rows.seen() + 1,
                        offset: block.offset + as_u64(offset + wrong.valid_up_to()),
                        encoding: "UTF-8",
                        suspected: None,
                    });
                }
                take(line, rows);
            }
            offset += line.len();
        }
        Ok(())
    }

    /// Puts an object's members into the fields of a mapping.
    fn read_fields(&self, line: &[u8], cells: &mut [Option<String>], rows: &mut RawRows) {
        let Some(members) = object(line, rows) else {
            return;
        };
        for (name, value) in mapped::flattened(members) {
            match self.plan.field_place(&name) {
                Place::Column(at) => cells[at] = text(value),
                Place::Dropped => {}
                Place::Unknown => {
                    let name = super::quarantine::cut(&name);
                    let why = format!("{name:?} is no field that the mapping takes or leaves out");
                    rows.fault_row("additionalProperties", why);
                }
            }
        }
        rows.push_row(cells);
    }

    fn read_row(&self, line: &[u8], cells: &mut [Option<Value>], rows: &mut Rows<'_>) -> bool {
        let Some(members) = object(line, rows) else {
            return false;
        };
        cells.fill(None);
        for (name, value) in members {
            match self.plan.place(&name) {
                // A member and another that is renamed to it.
                Place::Column(at) => {
                    if cells[at].replace(value).is_some() {
                        let name = super::quarantine::cut(&name);
                        let why = format!("{name:?} is a column that has a value already");
                        rows.fault_row("json", why);
                    }
                }
                Place::Dropped => {}
                Place::Unknown => {
                    let name = super::quarantine::cut(&name);
                    let why = format!("{name:?} is no column of the standard");
                    rows.fault_row("additionalProperties", why);
                }
            }
        }
        for (at, cell) in cells.iter().enumerate() {
            rows.push_json(at, cell.as_ref().unwrap_or(&Value::Null));
        }
        rows.end_row();
        true
    }
}

/// The members of the object that a line is; a line that is none is kept out.
fn object(line: &[u8], rows: &mut impl Sink) -> Option<Map<String, Value>> {
    let why = match strict_json(line) {
        Ok(Value::Object(members)) => return Some(members),
        Ok(_) => "another value".to_owned(),
        Err(source) => source.to_string(),
    };
    let raw = String::from_utf8_lossy(line);
    rows.reject("json", format!("not one JSON object: {why}"), &raw);
    None
}

/// A value as a mapping reads it.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
