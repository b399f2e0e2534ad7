//! What a sheet needs of its workbook: where it lies, the shared texts, and which cells are days.
//!
//! It does not read the sheet.

use std::io::{BufRead, BufReader};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::text::Limited;
use super::super::zip::{Archive, Broken};

/// Largest list of sheets, relations or styles, unpacked.
const PART_BYTES_MAX: u64 = 8 << 20;
/// Largest list of shared texts, unpacked; it is held in memory.
const TEXTS_BYTES_MAX: u64 = 64 << 20;

/// Deepest nesting of elements in a part.
const DEPTH_MAX: usize = 64;

/// The workbook.
#[derive(Debug)]
pub(crate) struct Book {
    /// Part of the sheet.
    pub(crate) sheet: String,
    pub(crate) texts: Vec<String>,
    /// By cell style: what a number of that style is.
    pub(crate) styles: Vec<Shown>,
    /// Whether days are counted from 1904.
    pub(crate) is_1904: bool,
}

/// What a number is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Number,
    Day,
    DayAndTime,
}

impl Book {
    pub(crate) fn read(archive: &Archive, sheet: Option<&str>) -> Result<Self, Broken> {
        let mut sheets: Vec<(String, String)> = Vec::new();
        let mut is_1904 = false;
        each(archive, "xl/workbook.xml", PART_BYTES_MAX, &mut |event| {
            if let Event::Start(tag) | Event::Empty(tag) = event {
                match tag.local_name().into_inner() {
                    b"sheet" => sheets.push((attribute(tag, b"name")?, attribute(tag, b"id")?)),
                    b"workbookPr" => {
                        is_1904 = matches!(attribute(tag, b"date1904")?.as_str(), "1" | "true");
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        let names = || {
            let names: Vec<&str> = sheets
                .iter()
                .map(|(name, _)| name.as_str())
                .take(20)
                .collect();
            names.join(", ")
        };
        let found = match sheet {
            None => sheets.first(),
            Some(wanted) => sheets.iter().find(|(name, _)| name == wanted),
        };
        let (_, relation) = found.ok_or_else(|| match sheet {
            Some(wanted) => format!("there is no sheet {wanted:?}; there are: {}", names()),
            None => "it has no sheet".to_owned(),
        })?;
        let mut target = None;
        let relations = "xl/_rels/workbook.xml.rels";
        each(archive, relations, PART_BYTES_MAX, &mut |event| {
            if let Event::Start(tag) | Event::Empty(tag) = event
                && tag.local_name().into_inner() == b"Relationship"
                && attribute(tag, b"Id")? == *relation
            {
                target = Some(attribute(tag, b"Target")?);
            }
            Ok(())
        })?;
        let target = target.ok_or_else(|| "the sheet is not in the workbook".to_owned())?;
        Ok(Self {
            sheet: match target.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None => format!("xl/{target}"),
            },
            texts: texts(archive)?,
            styles: styles(archive)?,
            is_1904,
        })
    }
}

fn texts(archive: &Archive) -> Result<Vec<String>, Broken> {
    const PART: &str = "xl/sharedStrings.xml";
    let mut texts: Vec<String> = Vec::new();
    if !archive.has(PART) {
        return Ok(texts);
    }
    // Reading aids (phonetic runs) are no part of the text.
    let (mut is_text, mut is_aid) = (false, false);
    each(archive, PART, TEXTS_BYTES_MAX, &mut |event| {
        match event {
            Event::Start(tag) => match tag.local_name().into_inner() {
                b"si" => texts.push(String::new()),
                b"rPh" => is_aid = true,
                b"t" => is_text = !is_aid,
                _ => {}
            },
            Event::Empty(tag) if tag.local_name().into_inner() == b"si" => {
                texts.push(String::new());
            }
            Event::End(tag) => match tag.local_name().into_inner() {
                b"rPh" => is_aid = false,
                b"t" => is_text = false,
                _ => {}
            },
            other if is_text => {
                if let Some(text) = texts.last_mut() {
                    append(text, other)?;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(texts)
}

fn styles(archive: &Archive) -> Result<Vec<Shown>, Broken> {
    const PART: &str = "xl/styles.xml";
    let mut own: std::collections::HashMap<u32, Shown> = std::collections::HashMap::new();
    let mut styles = Vec::new();
    if !archive.has(PART) {
        return Ok(styles);
    }
    let mut is_cells = false;
    each(archive, PART, PART_BYTES_MAX, &mut |event| {
        match event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().into_inner() {
                b"numFmt" => {
                    if let Ok(id) = attribute(tag, b"numFmtId")?.parse() {
                        own.insert(id, shown(&attribute(tag, b"formatCode")?));
                    }
                }
                b"cellXfs" => is_cells = true,
                b"xf" if is_cells => {
                    let id = attribute(tag, b"numFmtId")?.parse().unwrap_or(0);
                    styles.push(own.get(&id).copied().unwrap_or_else(|| built_in(id)));
                }
                _ => {}
            },
            Event::End(tag) if tag.local_name().into_inner() == b"cellXfs" => is_cells = false,
            _ => {}
        }
        Ok(())
    })?;
    Ok(styles)
}

/// Number formats that every program has (ECMA-376, part 1, 18.8.30), those of Chinese included.
fn built_in(id: u32) -> Shown {
    match id {
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Shown::Day,
        18..=22 | 32..=35 | 45..=47 | 55 | 56 => Shown::DayAndTime,
        _ => Shown::Number,
    }
}

/// What a format of one's own shows: letters of days and hours outside of quotes and brackets.
fn shown(format: &str) -> Shown {
    let (mut is_quoted, mut is_bracketed, mut is_escaped) = (false, false, false);
    let (mut has_day, mut has_time) = (false, false);
    for c in format.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '\\' | '_' | '*' => is_escaped = true,
            '[' => is_bracketed = true,
            ']' => is_bracketed = false,
            _ if is_bracketed => {}
            'y' | 'Y' | 'd' | 'D' => has_day = true,
            'h' | 'H' | 's' | 'S' => has_time = true,
            ';' => break,
            _ => {}
        }
    }
    match (has_day, has_time) {
        (_, true) => Shown::DayAndTime,
        (true, false) => Shown::Day,
        (false, false) => Shown::Number,
    }
}

/// Hands over each event of a part.
pub(super) fn each(
    archive: &Archive,
    part: &str,
    limit: u64,
    take: &mut dyn FnMut(&Event<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let from = Limited::new(BufReader::new(archive.part(part, limit)?));
    let mut reader = Reader::from_reader(from);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = event(&mut reader, &mut buffer).map_err(|why| format!("{part}: {why}"))?;
        if matches!(event, Event::Eof) {
            return Ok(());
        }
        take(&event)?;
    }
}

/// The next event; a document type is refused.
pub(super) fn event<'b, R: BufRead>(
    reader: &mut Reader<Limited<R>>,
    buffer: &'b mut Vec<u8>,
) -> Result<Event<'b>, Broken> {
    reader.get_mut().renew();
    let event = reader.read_event_into(buffer);
    let event = event.map_err(|source| source.to_string())?;
    match &event {
        Event::DocType(_) => return Err("it has a document type (DTD)".to_owned()),
        Event::Start(_) => reader.get_mut().deeper(DEPTH_MAX)?,
        Event::End(_) => reader.get_mut().back(),
        _ => {}
    }
    Ok(event)
}

/// An attribute by its local name; empty when it is not there.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &[u8]) -> Result<String, Broken> {
    let mut attributes = tag.attributes();
    attributes.with_checks(false);
    for attribute in attributes {
        let attribute = attribute.map_err(|source| source.to_string())?;
        if attribute.key.local_name().into_inner() == name {
            let value = String::from_utf8_lossy(&attribute.value).into_owned();
            let value = quick_xml::escape::unescape(&value).map_err(|source| source.to_string())?;
            return Ok(value.into_owned());
        }
    }
    Ok(String::new())
}

/// Adds the text of an event, if it has any.
pub(super) fn append(text: &mut String, event: &Event<'_>) -> Result<(), Broken> {
    let wrong = |source: quick_xml::encoding::EncodingError| source.to_string();
    match event {
        Event::Text(it) => text.push_str(&it.xml10_content().map_err(wrong)?),
        Event::CData(it) => text.push_str(&it.xml10_content().map_err(wrong)?),
        Event::GeneralRef(it) => {
            let character = it.resolve_char_ref().map_err(|source| source.to_string())?;
            let named = || match it.decode().as_deref() {
                Ok("lt") => Some('<'),
                Ok("gt") => Some('>'),
                Ok("amp") => Some('&'),
                Ok("apos") => Some('\''),
                Ok("quot") => Some('"'),
                _ => None,
            };
            text.push(
                character
                    .or_else(named)
                    .ok_or("an entity that XML does not have")?,
            );
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_known_by_their_format() {
        for (format, expected) in [
            ("yyyy\\-mm\\-dd", Shown::Day),
            ("yyyy\"年\"m\"月\"d\"日\"", Shown::Day),
            ("d/m/yy h:mm", Shown::DayAndTime),
            ("[Red]0.00", Shown::Number),
            ("#,##0\" days\"", Shown::Number),
            ("0;[h]", Shown::Number),
            ("General", Shown::Number),
        ] {
            assert_eq!(shown(format), expected, "{format}");
        }
    }
}
