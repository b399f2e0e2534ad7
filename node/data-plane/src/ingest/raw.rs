//! Rows as the text of a file's fields, in columns, before they become values of the standard.
//!
//! It does not know what the texts mean: `mapped` turns them into columns of the standard, one
//! after the other.

use std::collections::BTreeMap;

use arrow::array::{Array, StringArray, StringBuilder};

use super::quarantine::cut;
use super::rows::Rows;

/// Rows of one block from readers that have no blocks of text themselves.
pub(crate) const BLOCK_ROWS: usize = 16 << 10;
/// Bytes of text of one such block.
pub(crate) const BLOCK_TEXT_BYTES: usize = 4 << 20;

/// Takes the rows of a file one after the other, each place once a row.
pub(crate) trait Sink {
    /// The next value of the row that is being read.
    fn push_text(&mut self, place: usize, text: &str);
    /// The row that is being read has no value there.
    fn push_null(&mut self, place: usize);
    /// A row that has no fields.
    fn reject(&mut self, rule: &str, why: String, raw: &str);
    /// The row that is being read breaks a rule of its own.
    fn fault_row(&mut self, rule: &str, why: String);
    /// All places of the row have got their value.
    fn end_row(&mut self);
    /// Rows seen so far.
    fn seen(&self) -> u64;
}

impl Sink for Rows<'_> {
    fn push_text(&mut self, place: usize, text: &str) {
        Rows::push_text(self, place, text);
    }

    fn push_null(&mut self, place: usize) {
        Rows::push_null(self, place);
    }

    fn reject(&mut self, rule: &str, why: String, raw: &str) {
        Rows::reject(self, rule, why, raw);
    }

    fn fault_row(&mut self, rule: &str, why: String) {
        Rows::fault_row(self, rule, why);
    }

    fn end_row(&mut self) {
        Rows::end_row(self);
    }

    fn seen(&self) -> u64 {
        Rows::seen(self)
    }
}

/// A rule and why it is broken.
pub(crate) type Why = (String, String);

/// A row without fields.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) row: u64,
    pub(crate) why: Why,
    /// Its text, cut.
    pub(crate) raw: String,
}

/// Rows of one block, by field.
#[derive(Debug)]
pub(crate) struct RawBlock {
    /// One column a field, all of one length.
    pub(crate) fields: Vec<StringArray>,
    /// Position in the columns -> row in the block.
    pub(crate) numbers: Vec<u64>,
    /// Rows in the block.
    pub(crate) seen: u64,
    pub(crate) unread: Vec<Unread>,
    /// Position in the columns -> what is wrong with the row as a whole.
    pub(crate) faults: BTreeMap<usize, Vec<Why>>,
}

impl RawBlock {
    /// A field's text; `None` where it has none.
    pub(crate) fn text(&self, field: usize, row: usize) -> Option<&str> {
        let array = self.fields.get(field)?;
        array.is_valid(row).then(|| array.value(row))
    }
}

/// Collects rows of a block.
pub(crate) struct RawRows {
    fields: Vec<StringBuilder>,
    numbers: Vec<u64>,
    seen: u64,
    bytes: usize,
    unread: Vec<Unread>,
    faults: BTreeMap<usize, Vec<Why>>,
}

impl RawRows {
    pub(crate) fn new(fields: usize) -> Self {
        Self {
            fields: (0..fields).map(|_| StringBuilder::new()).collect(),
            numbers: Vec::new(),
            seen: 0,
            bytes: 0,
            unread: Vec::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Whether the block should go on its way.
    pub(crate) fn is_full(&self) -> bool {
        self.numbers.len() + self.unread.len() >= BLOCK_ROWS || self.bytes >= BLOCK_TEXT_BYTES
    }

    /// One row of as many cells as there are fields.
    pub(crate) fn push_row(&mut self, cells: &mut [Option<String>]) {
        for (place, cell) in cells.iter_mut().enumerate() {
            match cell.take() {
                Some(text) => self.push_text(place, &text),
                None => self.push_null(place),
            }
        }
        self.end_row();
    }

    /// The block, and this is empty again.
    pub(crate) fn take(&mut self) -> RawBlock {
        let fields = self.fields.len();
        let full = std::mem::replace(self, Self::new(fields));
        full.finish()
    }

    pub(crate) fn finish(self) -> RawBlock {
        RawBlock {
            fields: self.fields.into_iter().map(|mut it| it.finish()).collect(),
            numbers: self.numbers,
            seen: self.seen,
            unread: self.unread,
            faults: self.faults,
        }
    }
}

impl Sink for RawRows {
    fn push_text(&mut self, place: usize, text: &str) {
        self.bytes += text.len();
        self.fields[place].append_value(text);
    }

    fn push_null(&mut self, place: usize) {
        self.fields[place].append_null();
    }

    fn reject(&mut self, rule: &str, why: String, raw: &str) {
        self.unread.push(Unread {
            row: self.seen,
            why: (rule.to_owned(), why),
            raw: cut(raw),
        });
        self.seen += 1;
    }

    fn fault_row(&mut self, rule: &str, why: String) {
        let faults = self.faults.entry(self.numbers.len()).or_default();
        if faults.len() < super::quarantine::ROW_FINDINGS_MAX {
            faults.push((rule.to_owned(), why));
        }
    }

    fn end_row(&mut self) {
        self.numbers.push(self.seen);
        self.seen += 1;
    }

    fn seen(&self) -> u64 {
        self.seen
    }
}
