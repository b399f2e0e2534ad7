//! XML snapshots: the elements at a path are rows, the text of what is in them are fields.
//!
//! It does not know entities beyond the five of XML and characters by number: a document type is
//! refused, so that no text can be made to grow (billion laughs) or to fetch anything.
//!
//! Fields are named by their element's local name, those of nested elements after their parent's
//! and a full stop, attributes with `@` before their name.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::encoding::{Charset, Text};
use super::plan::{Place, Plan};
use super::quarantine::cut;
use super::raw::{RawBlock, RawRows, Sink};
use super::source::Source;
use super::text::TextReader;
use crate::Error;

/// Deepest nesting of elements.
const DEPTH_MAX: usize = 64;

/// How much of a file is looked at for its declaration.
const HEAD_BYTES: usize = 256;

/// The encoding that the XML declaration names, if it is one that we read.
pub(crate) fn declared(source: &Source) -> Result<Option<Charset>, Error> {
    let mut head = [0_u8; HEAD_BYTES];
    let read = source.unpacked()?.fill(&mut head)?;
    let head = String::from_utf8_lossy(&head[..read]);
    let name = head
        .split_once("?>")
        .and_then(|(declaration, _)| declaration.split_once("encoding="))
        .and_then(|(_, rest)| rest.get(1..)?.split(['"', '\'']).next().map(Charset::parse));
    Ok(name.flatten())
}

/// Reads the document; `emit` takes the blocks and says whether to go on.
pub(crate) fn read(
    plan: &Plan,
    text: Text,
    emit: &mut dyn FnMut(RawBlock) -> bool,
) -> Result<(), Error> {
    let name = text.name().to_owned();
    let charset = text.charset();
    let stream = TextReader::new(text);
    let budget = stream.budget();
    let mut reader = Reader::from_reader(stream);
    let mut rows = Records::new(plan);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) if rows.path.is_empty() => break,
            Ok(Event::Eof) => return Err(rows.refuse(&name, "it ends within an element")),
            Ok(event) => event,
            Err(quick_xml::Error::Io(source)) => return Err(rows.failed(&source)),
            Err(source) => return Err(rows.refuse(&name, &source.to_string())),
        };
        match rows.take(&event) {
            Ok(()) => {}
            Err(Wrong::Why(why)) => return Err(rows.refuse(&name, &why)),
            Err(Wrong::Bytes) => {
                return Err(Error::WrongByte {
                    file: name,
                    row: rows.out.seen(),
                    offset: reader.buffer_position(),
                    encoding: charset.as_str(),
                    suspected: None,
                });
            }
        }
        if !rows.is_in_record() {
            budget.renew();
            if rows.out.is_full() && !emit(rows.out.take()) {
                return Ok(());
            }
        }
    }
    emit(rows.out.finish());
    Ok(())
}

/// What is wrong with a document.
enum Wrong {
    Why(String),
    /// A byte that is not of the encoding.
    Bytes,
}

impl From<quick_xml::encoding::EncodingError> for Wrong {
    fn from(_: quick_xml::encoding::EncodingError) -> Self {
        Self::Bytes
    }
}

/// Records on their way into fields.
struct Records<'a> {
    plan: &'a Plan,
    /// Path of the elements that are rows; empty: the children of the root.
    wanted: Vec<String>,
    path: Vec<String>,
    /// Text of each element that is open, and whether it has elements in it.
    texts: Vec<(String, bool)>,
    cells: Vec<Option<String>>,
    faults: Vec<(&'static str, String)>,
    out: RawRows,
    seen: u64,
}

impl<'a> Records<'a> {
    fn new(plan: &'a Plan) -> Self {
        let wanted = plan.layout().and_then(|layout| layout.records.as_deref());
        let fields = plan.field_names().len();
        Self {
            plan,
            wanted: wanted.map_or_else(Vec::new, |it| it.split('/').map(str::to_owned).collect()),
            path: Vec::new(),
            texts: Vec::new(),
            cells: vec![None; fields],
            faults: Vec::new(),
            out: RawRows::new(fields),
            seen: 0,
        }
    }

    fn record_depth(&self) -> usize {
        if self.wanted.is_empty() {
            2
        } else {
            self.wanted.len()
        }
    }

    /// Whether the open elements lead to a record or into one.
    fn is_in_record(&self) -> bool {
        let depth = self.record_depth();
        self.path.len() >= depth && (self.wanted.is_empty() || self.path[..depth] == self.wanted)
    }

    fn refuse(&self, file: &str, why: &str) -> Error {
        Error::Format {
            file: file.to_owned(),
            why: format!("no readable XML at record {}: {}", self.seen + 1, cut(why)),
        }
    }

    /// Rows are counted from the last block; the driver adds those that came before.
    fn failed(&self, source: &std::io::Error) -> Error {
        // The parser shares its error, so ours is read and not taken.
        let ours = source
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        match ours {
            Some(Error::RecordTooLong { file, limit, .. }) => Error::RecordTooLong {
                file: file.clone(),
                row: self.out.seen(),
                limit: *limit,
            },
            Some(Error::WrongByte {
                file,
                row,
                offset,
                encoding,
                suspected,
            }) => Error::WrongByte {
                file: file.clone(),
                row: *row,
                offset: *offset,
                encoding,
                suspected: *suspected,
            },
            Some(Error::FileTooLarge { file, limit }) => Error::FileTooLarge {
                file: file.clone(),
                limit: *limit,
            },
            Some(other) => Error::Format {
                file: String::new(),
                why: other.to_string(),
            },
            None => Error::io("read the uploaded file")(std::io::Error::from(source.kind())),
        }
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), Wrong> {
        match event {
            Event::Start(tag) => self.open(tag),
            Event::Empty(tag) => {
                self.open(tag)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => {
                let text = text.xml10_content()?;
                self.append(&text)
            }
            Event::CData(text) => {
                let text = text.xml10_content()?;
                self.append(&text)
            }
            Event::GeneralRef(reference) => {
                let character = resolved(reference)?;
                self.append(character.encode_utf8(&mut [0; 4]))
            }
            Event::DocType(_) => Err(Wrong::Why(
                "a document type (DTD) is not read; remove it".to_owned(),
            )),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), Wrong> {
        if self.path.len() == DEPTH_MAX {
            return Err(Wrong::Why(format!("nested deeper than {DEPTH_MAX}")));
        }
        let name = std::str::from_utf8(tag.local_name().into_inner()).map_err(|_| Wrong::Bytes)?;
        if let Some((_, has_elements)) = self.texts.last_mut() {
            *has_elements = true;
        }
        self.path.push(name.to_owned());
        self.texts.push((String::new(), false));
        if !self.is_in_record() {
            return Ok(());
        }
        let mut attributes = tag.attributes();
        // Its check of repeated names is quadratic; ours is not.
        attributes.with_checks(false);
        for attribute in attributes {
            let attribute = attribute.map_err(|source| Wrong::Why(source.to_string()))?;
            let key = attribute.key.local_name();
            let key = std::str::from_utf8(key.into_inner()).map_err(|_| Wrong::Bytes)?;
            let value = std::str::from_utf8(&attribute.value).map_err(|_| Wrong::Bytes)?;
            let value = quick_xml::escape::unescape(value)
                .map_err(|source| Wrong::Why(source.to_string()))?;
            if attribute.key.as_namespace_binding().is_none() {
                let parent = self.field();
                let dot = if parent.is_empty() { "" } else { "." };
                self.set(&format!("{parent}{dot}@{key}"), value.into_owned());
            }
        }
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), Wrong> {
        if self.path.is_empty()
            && !text
                .trim_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
                .is_empty()
        {
            return Err(Wrong::Why("text outside of the root element".to_owned()));
        }
        // Text between records is white space or of no use.
        if self.is_in_record()
            && let Some((held, _)) = self.texts.last_mut()
        {
            held.push_str(text);
        }
        Ok(())
    }

    fn close(&mut self) {
        let is_in_record = self.is_in_record();
        let Some((text, has_elements)) = self.texts.pop() else {
            return;
        };
        if is_in_record && self.path.len() == self.record_depth() {
            self.end_record(&text, has_elements);
        } else if is_in_record && !has_elements {
            self.set(&self.field(), text);
        }
        self.path.pop();
    }

    /// Name of the innermost open element within its record.
    fn field(&self) -> String {
        self.path
            .get(self.record_depth()..)
            .unwrap_or_default()
            .join(".")
    }

    fn set(&mut self, field: &str, text: String) {
        match self.plan.field_place(field) {
            Place::Column(at) if self.cells[at].is_some() => {
                let why = format!("{:?} occurs twice", cut(field));
                self.faults.push(("xml", why));
            }
            Place::Column(at) => self.cells[at] = Some(text),
            Place::Dropped => {}
            Place::Unknown => {
                let why = format!("{:?} is no field that is taken or left out", cut(field));
                self.faults.push(("additionalProperties", why));
            }
        }
    }

    fn end_record(&mut self, text: &str, has_elements: bool) {
        if !has_elements && !text.trim().is_empty() {
            self.faults.push(("xml", "text and no fields".to_owned()));
        }
        for (rule, why) in self
            .faults
            .drain(..)
            .take(super::quarantine::ROW_FINDINGS_MAX)
        {
            self.out.fault_row(rule, why);
        }
        self.out.push_row(&mut self.cells);
        self.seen += 1;
    }
}

/// A character by number, or one of the five names of XML 1.0, 4.6.
fn resolved(reference: &BytesRef<'_>) -> Result<char, Wrong> {
    let by_number = reference
        .resolve_char_ref()
        .map_err(|source| Wrong::Why(source.to_string()))?;
    if let Some(character) = by_number {
        return Ok(character);
    }
    match reference.decode()?.as_ref() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        other => Err(Wrong::Why(format!(
            "the entity {:?} is not one of XML's own; write the character",
            cut(other)
        ))),
    }
}
