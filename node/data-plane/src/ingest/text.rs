//! A file's text as a stream for parsers that take their bytes themselves.
//!
//! It does not let a parser hold more than it may: between two records it gives a limited number
//! of bytes, so that one endless value cannot fill the memory.

use std::cell::Cell;
use std::io::{BufRead, Read};
use std::rc::Rc;

use super::encoding::Text;
use super::record::RECORD_BYTES_MAX;
use crate::Error;

/// How much a parser may still read before its next record begins.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Rc<Cell<usize>>);

impl Budget {
    fn new() -> Self {
        Self(Rc::new(Cell::new(0)))
    }

    /// The next record begins.
    pub(crate) fn renew(&self) {
        self.0.set(0);
    }

    fn spend(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_add(bytes));
    }

    fn is_spent(&self) -> bool {
        self.0.get() > RECORD_BYTES_MAX
    }
}

/// The stream.
pub(crate) struct TextReader {
    text: Text,
    buffer: Vec<u8>,
    at: usize,
    is_ended: bool,
    budget: Budget,
}

impl TextReader {
    pub(crate) fn new(text: Text) -> Self {
        Self {
            text,
            buffer: Vec::new(),
            at: 0,
            is_ended: false,
            budget: Budget::new(),
        }
    }

    /// Shared with whoever knows where records begin.
    pub(crate) fn budget(&self) -> Budget {
        self.budget.clone()
    }
}

impl BufRead for TextReader {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.budget.is_spent() {
            return Err(std::io::Error::other(Error::RecordTooLong {
                file: self.text.name().to_owned(),
                row: 0,
                limit: RECORD_BYTES_MAX,
            }));
        }
        while self.at == self.buffer.len() && !self.is_ended {
            self.buffer.clear();
            self.at = 0;
            let more = self.text.read_on(&mut self.buffer);
            self.is_ended = !more.map_err(std::io::Error::other)?;
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.buffer.len());
        self.budget.spend(bytes);
    }
}

impl Read for TextReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(out.len());
        out[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}

/// Our own error, when that is what a parser passes on.
pub(crate) fn own(source: std::io::Error) -> Result<Error, std::io::Error> {
    source.downcast::<Error>()
}

/// A stream that gives at most [`RECORD_BYTES_MAX`] bytes between two marks: for parsers that
/// hold what they are reading until it ends.
pub(crate) struct Limited<R> {
    inner: R,
    spent: usize,
    depth: usize,
}

impl<R> Limited<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            spent: 0,
            depth: 0,
        }
    }

    /// An element was opened; parsers keep the names of all that are open.
    pub(crate) fn deeper(&mut self, limit: usize) -> Result<(), String> {
        self.depth += 1;
        if self.depth > limit {
            return Err(format!("nested deeper than {limit}"));
        }
        Ok(())
    }

    /// An element was closed.
    pub(crate) fn back(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// The parser holds nothing at this moment.
    pub(crate) fn renew(&mut self) {
        self.spent = 0;
    }
}

impl<R: BufRead> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.spent > RECORD_BYTES_MAX {
            let why = format!("a value has more than {RECORD_BYTES_MAX} bytes");
            return Err(std::io::Error::other(why));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.inner.consume(bytes);
        self.spent = self.spent.saturating_add(bytes);
    }
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(out.len());
        out[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}
