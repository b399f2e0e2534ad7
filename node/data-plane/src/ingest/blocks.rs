//! A CSV file's text cut into blocks that end where records end, so that workers can read them
//! side by side.
//!
//! It does not count rows: each worker counts those of its block, and the sums are made in the
//! order of the blocks.

use memchr::{memchr, memrchr};

use super::encoding::Text;
use super::record::{self, Ending, Found, RECORD_BYTES_MAX, Span, Writing};
use crate::Error;

/// Size of a block. Large enough that a Parquet writer gets tens of thousands of rows at once,
/// small enough that the few that are on their way at any time are nothing.
pub(crate) const BLOCK_BYTES: usize = 4 << 20;

const _: () = assert!(
    BLOCK_BYTES > 2 * RECORD_BYTES_MAX,
    "a block holds at least one record"
);

/// Whole records of a file.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its text; UTF-8 unless the file says so wrongly.
    pub(crate) text: Vec<u8>,
    /// Bytes of text before it.
    pub(crate) offset: u64,
}

/// What ends a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// CSV with this delimiter: line ends outside quotes.
    Csv {
        /// Between fields.
        delimiter: u8,
    },
    /// Every line end.
    Lines,
}

/// The blocks of a file, one after the other.
pub(crate) struct Blocks {
    text: Text,
    layout: Layout,
    carried: Vec<u8>,
    offset: u64,
    spans: Vec<Span>,
    is_ended: bool,
}

impl Blocks {
    pub(crate) fn new(text: Text, layout: Layout) -> Self {
        Self {
            text,
            layout,
            carried: Vec::with_capacity(BLOCK_BYTES * 2),
            offset: 0,
            spans: Vec::new(),
            is_ended: false,
        }
    }

    /// Finds out what stands between fields: of `candidates` the one under which most names of
    /// the header are `known`, the first of those that do equally well.
    pub(crate) fn find_delimiter(
        &mut self,
        candidates: &[u8],
        known: &dyn Fn(&str) -> bool,
    ) -> Result<u8, Error> {
        self.fill()?;
        let ending = self.ending();
        let mut best = (0, candidates.first().copied().unwrap_or(b','));
        for delimiter in candidates {
            let (mut at, mut count) = (0, 0);
            while at < self.carried.len() {
                match record::read(&self.carried, at, *delimiter, ending, &mut self.spans) {
                    Found::Record { next } if record::is_blank(&self.spans) => at = next,
                    Found::Record { .. } => {
                        let text = |span: &Span| {
                            let raw = self.carried.get(span.start..span.end).unwrap_or_default();
                            String::from_utf8_lossy(raw).into_owned()
                        };
                        count = self.spans.iter().filter(|span| known(&text(span))).count();
                        break;
                    }
                    Found::BadQuoting { .. } | Found::TooLong | Found::Unfinished => break,
                }
            }
            if count > best.0 {
                best = (count, *delimiter);
            }
        }
        self.layout = Layout::Csv { delimiter: best.1 };
        Ok(best.1)
    }

    /// Reads the header: the names of the columns as they are written. `None` for an empty file.
    pub(crate) fn header(&mut self) -> Result<Option<Vec<String>>, Error> {
        let Layout::Csv { delimiter } = self.layout else {
            return Ok(None);
        };
        loop {
            self.fill()?;
            if self.carried.is_empty() {
                return Ok(None);
            }
            let ending = self.ending();
            let found = record::read(&self.carried, 0, delimiter, ending, &mut self.spans);
            match found {
                Found::Record { next } if record::is_blank(&self.spans) => self.drop_front(next),
                Found::Record { next } => {
                    let names = self.names(next)?;
                    self.drop_front(next);
                    return Ok(Some(names));
                }
                Found::BadQuoting { .. } => {
                    return Err(Error::Header {
                        file: self.text.name().to_owned(),
                        why: "its quotes do not match; write fields with quotes in them between \
                              quotes (RFC 4180)"
                            .to_owned(),
                    });
                }
                Found::TooLong | Found::Unfinished => return Err(self.too_long()),
            }
        }
    }

    fn names(&self, end: usize) -> Result<Vec<String>, Error> {
        let line = &self.carried[..end];
        if memchr(0, line).is_some() {
            return Err(Error::WrongByte {
                file: self.text.name().to_owned(),
                row: 0,
                offset: 0,
                encoding: self.text.charset().as_str(),
                suspected: super::encoding::suspected_utf16(line).map(|found| found.as_str()),
            });
        }
        let text = std::str::from_utf8(line).map_err(|wrong| Error::WrongByte {
            file: self.text.name().to_owned(),
            row: 0,
            offset: super::source::as_u64(wrong.valid_up_to()),
            encoding: self.text.charset().as_str(),
            suspected: None,
        })?;
        let name = |span: &Span| {
            let raw = text.get(span.start..span.end).unwrap_or_default();
            if span.writing == Writing::Doubled {
                raw.replace("\"\"", "\"")
            } else {
                raw.to_owned()
            }
        };
        Ok(self.spans.iter().map(name).collect())
    }

    /// The next block, or `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, Error> {
        self.fill()?;
        if self.carried.is_empty() {
            return Ok(None);
        }
        let cut = self.cut()?;
        let rest = self.carried.split_off(cut);
        let mut carried = Vec::with_capacity(BLOCK_BYTES * 2);
        carried.extend_from_slice(&rest);
        let text = std::mem::replace(&mut self.carried, carried);
        let block = Block {
            offset: self.offset,
            text,
        };
        self.offset += super::source::as_u64(block.text.len());
        Ok(Some(block))
    }

    /// Hands out all blocks for as long as they are taken.
    pub(crate) fn each(mut self, emit: &mut dyn FnMut(Block) -> bool) -> Result<(), Error> {
        while let Some(block) = self.next()? {
            if !emit(block) {
                break;
            }
        }
        Ok(())
    }

    /// Where the last record that is whole ends.
    fn cut(&mut self) -> Result<usize, Error> {
        if self.is_ended {
            return Ok(self.carried.len());
        }
        let quoting = match self.layout {
            Layout::Csv { delimiter } if memchr(b'"', &self.carried).is_some() => Some(delimiter),
            Layout::Csv { .. } | Layout::Lines => None,
        };
        let Some(delimiter) = quoting else {
            // Without quotes every line end ends a record.
            return memrchr(b'\n', &self.carried)
                .map(|found| found + 1)
                .ok_or_else(|| self.too_long());
        };
        let mut at = 0;
        loop {
            let ending = self.ending();
            match record::read(&self.carried, at, delimiter, ending, &mut self.spans) {
                Found::Record { next } | Found::BadQuoting { next } => at = next,
                Found::Unfinished | Found::TooLong if at > 0 => return Ok(at),
                Found::Unfinished | Found::TooLong => return Err(self.too_long()),
            }
            if at >= self.carried.len() {
                return Ok(at);
            }
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        while !self.is_ended && self.carried.len() < BLOCK_BYTES {
            self.is_ended = !self.text.read_on(&mut self.carried)?;
        }
        Ok(())
    }

    fn ending(&self) -> Ending {
        if self.is_ended {
            Ending::Complete
        } else {
            Ending::MoreFollows
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.carried.drain(..count);
        self.offset += super::source::as_u64(count);
    }

    /// The driver, which knows how many rows came before, puts the row in.
    fn too_long(&self) -> Error {
        Error::RecordTooLong {
            file: self.text.name().to_owned(),
            row: 0,
            limit: RECORD_BYTES_MAX,
        }
    }
}
