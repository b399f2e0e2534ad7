//! A block of CSV text into rows.
//!
//! It does not look for the block's ends: the block begins and ends where records do.

use std::borrow::Cow;

use memchr::memchr;
use serde_json::{Map, Value};

use super::blocks::Block;
use super::encoding::Charset;
use super::mapped;
use super::plan::Plan;
use super::raw::{RawRows, Sink};
use super::record::{self, Ending, Found, RECORD_BYTES_MAX, Span, Writing};
use super::rows::{Judged, Rows};
use super::source::as_u64;
use crate::Error;

/// What the workers know of a CSV file.
pub(crate) struct CsvFile<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) name: &'a str,
    pub(crate) header: &'a [String],
    /// Column of each field; none for fields that are left out.
    pub(crate) places: &'a [Option<usize>],
    pub(crate) charset: Charset,
    /// Between its fields.
    pub(crate) delimiter: u8,
}

impl CsvFile<'_> {
    /// Reads and judges a block. Row numbers in errors count from the block's start.
    pub(crate) fn judge(&self, block: &Block) -> Result<Judged, Error> {
        let text = match std::str::from_utf8(&block.text) {
            Ok(text) => text,
            Err(wrong) => return Err(self.wrong_byte(block, wrong.valid_up_to())),
        };
        let bytes = text.as_bytes();
        let held = Held {
            text,
            has_nul: memchr(0, bytes).is_some(),
        };
        if self.plan.mapper().is_some() {
            let mut raw = RawRows::new(self.plan.field_names().len());
            self.read(&held, &mut raw)?;
            return mapped::judge(self.plan, &raw.finish());
        }
        let mut rows = Rows::new(
            self.plan,
            bytes.len() / (self.header.len() * 6).max(16) + 16,
        );
        let starts = self.read(&held, &mut rows)?;
        rows.judge(&mut |row| self.original(text, starts.get(row).copied().unwrap_or_default()))
    }

    /// Reads all records; returns where those that are rows begin.
    fn read(&self, held: &Held<'_>, rows: &mut impl Sink) -> Result<Vec<usize>, Error> {
        let (text, bytes) = (held.text, held.text.as_bytes());
        let missing: Vec<usize> = (0..self.plan.field_names().len())
            .filter(|column| !self.places.contains(&Some(*column)))
            .collect();
        let mut starts: Vec<usize> = Vec::new();
        let mut spans: Vec<Span> = Vec::with_capacity(self.header.len());
        let mut at = 0;
        while at < bytes.len() {
            let found = record::read(bytes, at, self.delimiter, Ending::Complete, &mut spans);
            match found {
                Found::Record { next } => {
                    if !record::is_blank(&spans) {
                        let line = text.get(at..next).unwrap_or_default();
                        if self.read_row(held, line, &spans, rows) {
                            missing.iter().for_each(|column| rows.push_null(*column));
                            rows.end_row();
                            starts.push(at);
                        }
                    }
                    at = next;
                }
                Found::BadQuoting { next } => {
                    let why = "quotes do not match; a field with quotes in it is written between \
                               quotes, with its quotes doubled (RFC 4180)";
                    let line = text.get(at..next).unwrap_or_default();
                    rows.reject("quoting", why.to_owned(), line);
                    at = next;
                }
                Found::Unfinished | Found::TooLong => {
                    return Err(Error::RecordTooLong {
                        file: self.name.to_owned(),
                        row: rows.seen() + 1,
                        limit: RECORD_BYTES_MAX,
                    });
                }
            }
        }
        Ok(starts)
    }

    /// Puts a record's fields into their columns; `false` when it is rejected as a whole.
    fn read_row(&self, held: &Held<'_>, line: &str, spans: &[Span], rows: &mut impl Sink) -> bool {
        if spans.len() != self.places.len() {
            let why = format!(
                "{} fields, the header has {}",
                spans.len(),
                self.places.len()
            );
            rows.reject("columns", why, line);
            return false;
        }
        if held.has_nul && memchr(0, line.as_bytes()).is_some() {
            rows.reject("nul", "a NUL byte stands in it".to_owned(), line);
            return false;
        }
        for (span, place) in spans.iter().zip(self.places) {
            if let Some(column) = place {
                rows.push_text(*column, &value(held.text, span));
            }
        }
        true
    }

    /// The values of the record at `start`, under the names of the file's header.
    fn original(&self, text: &str, start: usize) -> Map<String, Value> {
        let mut spans = Vec::new();
        let delimiter = self.delimiter;
        record::read(
            text.as_bytes(),
            start,
            delimiter,
            Ending::Complete,
            &mut spans,
        );
        let fields = self.header.iter().zip(&spans).zip(self.places);
        fields
            .filter(|(_, place)| place.is_some())
            .map(|((name, span), _)| {
                (
                    name.clone(),
                    Value::from(super::quarantine::cut(&value(text, span))),
                )
            })
            .collect()
    }

    fn wrong_byte(&self, block: &Block, at: usize) -> Error {
        let mut spans = Vec::new();
        let (mut from, mut row) = (0, 1);
        loop {
            let delimiter = self.delimiter;
            match record::read(&block.text, from, delimiter, Ending::Complete, &mut spans) {
                Found::Record { next } | Found::BadQuoting { next } if next <= at => {
                    row += u64::from(!record::is_blank(&spans));
                    from = next;
                }
                _ => break,
            }
        }
        Error::WrongByte {
            file: self.name.to_owned(),
            row,
            offset: block.offset + as_u64(at),
            encoding: self.charset.as_str(),
            suspected: None,
        }
    }
}

/// A block's text, known to be UTF-8.
struct Held<'a> {
    text: &'a str,
    /// Whether any of its lines must be searched for NUL bytes.
    has_nul: bool,
}

fn value<'a>(text: &'a str, span: &Span) -> Cow<'a, str> {
    let raw = text.get(span.start..span.end).unwrap_or_default();
    match span.writing {
        Writing::Plain | Writing::Quoted => Cow::Borrowed(raw),
        Writing::Doubled => Cow::Owned(raw.replace("\"\"", "\"")),
    }
}
