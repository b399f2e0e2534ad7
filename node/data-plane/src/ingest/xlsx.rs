//! Sheets of a workbook (ECMA-376, SpreadsheetML): a range of cells with a header.
//!
//! It does not compute formulas (the value that was saved counts), and it knows no macros, charts
//! or pivot tables. A sheet is read as a stream; only its texts, which sheets share, are held.
//!
//! The ZIP archive and the XML are read here and in `zip` with what the tree has already: the
//! workbook crates hold whole sheets in memory and take their archive's word for its sizes.

mod book;
mod cells;

use std::io::BufReader;

use super::plan::Plan;
use super::quarantine::cut;
use super::raw::{RawBlock, RawRows};
use super::source::Source;
use super::zip::Archive;
use crate::Error;
use book::Book;
use cells::Cells;

/// Largest sheet, unpacked: 2 GiB, more than a sheet of 1,048,576 rows with 40 columns.
const SHEET_BYTES_MAX: u64 = 2 << 30;

/// Most columns that are looked at.
const COLUMNS_MAX: u32 = 16_384;

/// Reads the sheet; `emit` takes the blocks and says whether to go on.
pub(crate) fn read(
    plan: &Plan,
    source: &Source,
    emit: &mut dyn FnMut(RawBlock) -> bool,
) -> Result<(), Error> {
    let refuse = |why: String| Error::Format {
        file: source.name().to_owned(),
        why: format!("no readable workbook: {why}"),
    };
    let path = source
        .path()
        .ok_or_else(|| refuse("it is no file".to_owned()))?;
    let archive = Archive::open(path).map_err(refuse)?;
    let layout = plan.layout();
    let sheet = layout.and_then(|it| it.sheet.as_deref());
    let book = Book::read(&archive, sheet).map_err(refuse)?;
    let range = layout
        .and_then(|it| it.range.as_deref())
        .and_then(schemas::mapping::range_of);
    let (left, right) = range.map_or((0, COLUMNS_MAX - 1), |it| (it.left, it.right));
    let part = archive.part(&book.sheet, SHEET_BYTES_MAX).map_err(refuse)?;
    let mut cells = Cells::new(BufReader::new(part), &book);
    let mut table = Table {
        plan,
        file: source.name(),
        header_rows: layout.and_then(|it| it.header_rows).unwrap_or(1),
        fill_down: layout.map_or(&[], |it| &it.fill_down),
        header: Vec::new(),
        fields: None,
        above: Vec::new(),
        out: RawRows::new(plan.field_names().len()),
    };
    while let Some((row, values)) = cells.next_row().map_err(refuse)? {
        if range.is_some_and(|range| row < range.top) {
            continue;
        }
        if range.is_some_and(|range| row > range.bottom) {
            break;
        }
        let mut line: Vec<Option<String>> = Vec::new();
        for (column, value) in values {
            if (left..=right).contains(&column) && !value.trim().is_empty() {
                let at = usize::try_from(column - left).unwrap_or(usize::MAX);
                if line.len() <= at {
                    line.resize(at + 1, None);
                }
                line[at] = Some(value);
            }
        }
        table.take(line)?;
        if table.out.is_full() && !emit(table.out.take()) {
            return Ok(());
        }
    }
    if table.fields.is_none() {
        return Err(Error::EmptyFile {
            file: source.name().to_owned(),
        });
    }
    emit(table.out.finish());
    Ok(())
}

/// Rows of cells on their way into fields.
struct Table<'a> {
    plan: &'a Plan,
    file: &'a str,
    header_rows: u32,
    fill_down: &'a [String],
    header: Vec<Vec<Option<String>>>,
    /// Of each column: its place, if it is taken, and whether it repeats the cell above.
    fields: Option<Vec<(Option<usize>, bool)>>,
    above: Vec<Option<String>>,
    out: RawRows,
}

impl Table<'_> {
    fn take(&mut self, mut line: Vec<Option<String>>) -> Result<(), Error> {
        let Some(fields) = &self.fields else {
            if line.is_empty() && self.header.is_empty() {
                return Ok(());
            }
            self.header.push(line);
            if self.header.len() >= usize::try_from(self.header_rows).unwrap_or(1) {
                self.fields = Some(self.places()?);
            }
            return Ok(());
        };
        // As a blank line of a text, an empty row is none.
        if line.is_empty() {
            return Ok(());
        }
        let mut cells: Vec<Option<String>> = vec![None; self.plan.field_names().len()];
        line.resize(fields.len().max(line.len()), None);
        let mut beyond = None;
        for (at, value) in line.into_iter().enumerate() {
            let Some((place, repeats)) = fields.get(at) else {
                beyond = beyond.or(value);
                continue;
            };
            let Some(place) = place else { continue };
            let value = match value {
                None if *repeats => self.above[at].clone(),
                other => other,
            };
            if *repeats {
                self.above[at].clone_from(&value);
            }
            cells[*place] = value;
        }
        if let Some(value) = beyond {
            use super::raw::Sink as _;
            let why = format!("{:?} stands to the right of the header", cut(&value));
            self.out.fault_row("columns", why);
        }
        self.out.push_row(&mut cells);
        Ok(())
    }

    /// Names from the header rows, and where each goes.
    fn places(&mut self) -> Result<Vec<(Option<usize>, bool)>, Error> {
        let names = names(&self.header);
        let named: Vec<String> = names.iter().flatten().cloned().collect();
        let places = self.plan.places(self.file, &named)?;
        let mut places = places.into_iter();
        let mut fields = Vec::with_capacity(names.len());
        for name in &names {
            let place = name.as_ref().and_then(|_| places.next().flatten());
            let repeats = name
                .as_ref()
                .is_some_and(|name| self.fill_down.contains(name));
            fields.push((place, repeats));
        }
        if let Some(missing) = self.fill_down.iter().find(|it| !named.contains(*it)) {
            return Err(Error::Header {
                file: self.file.to_owned(),
                why: format!("there is no column {missing:?} to fill down"),
            });
        }
        self.above = vec![None; fields.len()];
        Ok(fields)
    }
}

/// One name a column. An empty cell of all rows but the last has the text to its left, as merged
/// cells do; texts are joined from top to bottom, each once.
fn names(header: &[Vec<Option<String>>]) -> Vec<Option<String>> {
    let width = header.iter().map(Vec::len).max().unwrap_or(0);
    let mut names: Vec<Vec<String>> = vec![Vec::new(); width];
    for (nth, row) in header.iter().enumerate() {
        let is_last = nth + 1 == header.len();
        let mut left: Option<&str> = None;
        for (at, name) in names.iter_mut().enumerate() {
            let own = row.get(at).and_then(Option::as_deref).map(str::trim);
            let text = own.or(if is_last { None } else { left });
            left = text;
            if let Some(text) = text
                && name.last().is_none_or(|last| last != text)
            {
                name.push(text.to_owned());
            }
        }
    }
    names
        .into_iter()
        .map(|parts| (!parts.is_empty()).then(|| parts.join(" / ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_headers_name_each_column_once() {
        let text = |it: &str| Some(it.to_owned());
        let header = [
            vec![None, None, text("Guangzhou"), None, text("Zhuhai")],
            vec![None, None, text("t"), text("%"), text("t"), text("%")],
        ];
        let expected = [
            None,
            None,
            text("Guangzhou / t"),
            text("Guangzhou / %"),
            text("Zhuhai / t"),
            text("Zhuhai / %"),
        ];
        assert_eq!(names(&header), expected);
    }
}
