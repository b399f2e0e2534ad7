//! A JSON document with an array of objects: the whole text, or what a path of members leads to.
//!
//! It does not hold the document: each object is handed on as a line of NDJSON, and `ndjson` does
//! the rest.

use std::cell::RefCell;
use std::fmt;

use schemas::validate::StrictJson;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::blocks::Block;
use super::encoding::{Charset, Text};
use super::raw::{BLOCK_ROWS, BLOCK_TEXT_BYTES};
use super::source::{Source, as_u64};
use super::text::{Budget, TextReader, own};
use crate::Error;

/// Longest path to the array, in members.
const PATH_MAX: usize = 16;

/// Whether a text is one array and not lines: it begins with `[`.
pub(crate) fn is_array(source: &Source, charset: Option<Charset>) -> Result<bool, Error> {
    let mut text = Text::open(source, charset)?;
    let mut out = Vec::new();
    text.read_on(&mut out)?;
    let first = out.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(first == Some(&b'['))
}

/// Reads the document; `emit` takes the blocks and says whether to go on.
pub(crate) fn read(
    text: Text,
    path: Option<&str>,
    emit: &mut dyn FnMut(Block) -> bool,
) -> Result<(), Error> {
    let name = text.name().to_owned();
    let path: Vec<&str> = path.map_or_else(Vec::new, |path| path.split('/').collect());
    let refuse = |why: String| Error::Format {
        file: name.clone(),
        why,
    };
    if path.len() > PATH_MAX {
        return Err(refuse(format!("a path has at most {PATH_MAX} members")));
    }
    let reader = TextReader::new(text);
    let state = RefCell::new(State {
        lines: Vec::new(),
        rows: 0,
        seen: 0,
        offset: 0,
        is_found: false,
        is_stopped: false,
        emit,
        budget: reader.budget(),
    });
    let mut parser = serde_json::Deserializer::from_reader(reader);
    let read = Walk {
        path: &path,
        state: &state,
    }
    .deserialize(&mut parser)
    .and_then(|()| {
        if state.borrow().is_stopped {
            Ok(())
        } else {
            parser.end()
        }
    });
    let mut state = state.into_inner();
    if state.is_stopped {
        return Ok(());
    }
    match read {
        Ok(()) if !state.is_found => Err(refuse(format!(
            "there is no array at {:?}; say in the mapping's layout where the records are",
            path.join("/")
        ))),
        Ok(()) => {
            state.flush();
            Ok(())
        }
        Err(source) if source.is_io() => Err(failed(source.into(), state.rows)),
        Err(source) => Err(refuse(format!(
            "no readable JSON after row {}: {source}",
            state.seen
        ))),
    }
}

/// `rows` came since the last block; the driver, which knows how many came before, adds those.
fn failed(source: std::io::Error, rows: usize) -> Error {
    match own(source) {
        Ok(Error::RecordTooLong { file, limit, .. }) => Error::RecordTooLong {
            file,
            row: as_u64(rows),
            limit,
        },
        Ok(error) => error,
        Err(source) => Error::io("read the uploaded file")(source),
    }
}

struct State<'a> {
    lines: Vec<u8>,
    rows: usize,
    seen: u64,
    offset: u64,
    is_found: bool,
    is_stopped: bool,
    emit: &'a mut dyn FnMut(Block) -> bool,
    budget: Budget,
}

impl State<'_> {
    fn push(&mut self, value: &Value) -> Result<(), serde_json::Error> {
        serde_json::to_writer(&mut self.lines, value)?;
        self.lines.push(b'\n');
        self.rows += 1;
        self.seen += 1;
        self.budget.renew();
        if self.lines.len() >= BLOCK_TEXT_BYTES || self.rows >= BLOCK_ROWS {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.lines);
        let offset = self.offset;
        self.offset += as_u64(text.len());
        self.rows = 0;
        self.is_stopped |= !(self.emit)(Block { text, offset });
    }
}

/// Walks to the array; what lies beside the path is read over.
#[derive(Clone, Copy)]
struct Walk<'p, 's, 'e> {
    path: &'p [&'p str],
    state: &'s RefCell<State<'e>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.first() {
            Some(name) => write!(f, "an object with the member {name:?}"),
            None => f.write_str("an array of objects"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((wanted, rest)) = self.path.split_first() else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        };
        let mut is_found = false;
        while let Some(name) = members.next_key::<String>()? {
            if name != *wanted {
                let IgnoredAny = members.next_value()?;
                self.state.borrow().budget.renew();
                continue;
            }
            if is_found {
                return Err(A::Error::custom(format!("the key {name:?} occurs twice")));
            }
            is_found = true;
            members.next_value_seed(Walk { path: rest, ..self })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if !self.path.is_empty() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        self.state.borrow_mut().is_found = true;
        self.state.borrow().budget.renew();
        while let Some(item) = items.next_element_seed(StrictJson::default())? {
            let mut state = self.state.borrow_mut();
            state.push(&item).map_err(A::Error::custom)?;
            if state.is_stopped {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
