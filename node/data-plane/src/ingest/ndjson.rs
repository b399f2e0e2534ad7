//! A block of NDJSON into rows: one JSON object a line.
//!
//! A repeated key is refused: which of its values counts, two readers would decide differently.
//!
//! It does not keep members that the standard does not know: a row with such a member is kept out,
//! because dropping it silently would publish less than was given.

use schemas::validate::strict_json;
use serde_json::Value;

use super::blocks::Block;
use super::plan::{Place, Plan};
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
        let mut rows = Rows::new(self.plan, block.text.len() / 128 + 16);
        let mut lines: Vec<&[u8]> = Vec::new();
        let mut cells: Vec<Option<Value>> = vec![None; self.plan.columns.len()];
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
                if self.read_row(line, &mut cells, &mut rows) {
                    lines.push(line);
                }
            }
            offset += line.len();
        }
        rows.judge(&mut |row| {
            lines
                .get(row)
                .and_then(|line| serde_json::from_slice(line).ok())
                .unwrap_or_default()
        })
    }

    fn read_row(&self, line: &[u8], cells: &mut [Option<Value>], rows: &mut Rows<'_>) -> bool {
        let read = match strict_json(line) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err("another value".to_owned()),
            Err(source) => Err(source.to_string()),
        };
        let members = match read {
            Ok(members) => members,
            Err(why) => {
                let raw = String::from_utf8_lossy(line);
                rows.reject("json", format!("not one JSON object: {why}"), &raw);
                return false;
            }
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
