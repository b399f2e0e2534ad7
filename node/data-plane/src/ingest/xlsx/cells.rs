//! Cells of a sheet, row by row.
//!
//! It does not know what a header is.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use schemas::mapping::cell_of;

use super::super::record::RECORD_BYTES_MAX;
use super::super::text::Limited;
use super::super::zip::Broken;
use super::book::{Book, Shown, append, attribute, event};

/// Columns and values of one row.
pub(super) type Row = (u32, Vec<(u32, String)>);

/// The rows of a sheet.
pub(super) struct Cells<'a, R> {
    reader: Reader<Limited<R>>,
    book: &'a Book,
    next_row: u32,
}

/// A cell that is being read.
#[derive(Default)]
struct Cell {
    column: u32,
    kind: String,
    style: usize,
    text: String,
    has_value: bool,
}

impl<'a, R: BufRead> Cells<'a, R> {
    pub(super) fn new(part: R, book: &'a Book) -> Self {
        Self {
            reader: Reader::from_reader(Limited::new(part)),
            book,
            next_row: 0,
        }
    }

    /// The next row that is written; rows without cells may be left out.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, Broken> {
        let mut buffer = Vec::new();
        let mut row: Option<Row> = None;
        let mut cell: Option<Cell> = None;
        let (mut is_text, mut is_aid) = (false, false);
        let (mut bytes, mut next_column) = (0_usize, 0_u32);
        loop {
            buffer.clear();
            let event = event(&mut self.reader, &mut buffer)?;
            if bytes > RECORD_BYTES_MAX {
                return Err(format!("a row has more than {RECORD_BYTES_MAX} bytes"));
            }
            match &event {
                Event::Eof => return Ok(row),
                Event::Start(tag) => match tag.local_name().into_inner() {
                    b"row" => row = Some((self.row_number(tag)?, Vec::new())),
                    b"c" => {
                        let column = column(tag, next_column)?;
                        next_column = column.saturating_add(1);
                        cell = Some(Cell::open(tag, column)?);
                    }
                    b"v" => is_text = true,
                    b"t" => is_text = !is_aid,
                    b"rPh" => is_aid = true,
                    _ => {}
                },
                Event::Empty(tag) if tag.local_name().into_inner() == b"row" => {
                    let number = self.row_number(tag)?;
                    return Ok(Some((number, Vec::new())));
                }
                Event::Empty(tag) if tag.local_name().into_inner() == b"c" => {
                    next_column = column(tag, next_column)?.saturating_add(1);
                }
                Event::End(tag) => match tag.local_name().into_inner() {
                    b"row" => return Ok(row),
                    b"v" | b"t" => is_text = false,
                    b"rPh" => is_aid = false,
                    b"c" => {
                        if let (Some(cell), Some((_, cells))) = (cell.take(), row.as_mut())
                            && cell.has_value
                        {
                            bytes = bytes.saturating_add(cell.text.len() + 1);
                            cells.push((cell.column, self.value(cell)?));
                        }
                    }
                    _ => {}
                },
                text if is_text => {
                    if let Some(cell) = &mut cell {
                        append(&mut cell.text, text)?;
                        cell.has_value = true;
                        if cell.text.len() > RECORD_BYTES_MAX {
                            return Err(format!("a cell has more than {RECORD_BYTES_MAX} bytes"));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn row_number(&mut self, tag: &BytesStart<'_>) -> Result<u32, Broken> {
        let written = attribute(tag, b"r")?;
        let number = match written.as_str() {
            "" => self.next_row,
            text => {
                let number: u32 = text.parse().map_err(|_| "a row has no number".to_owned())?;
                number.checked_sub(1).ok_or("rows are counted from 1")?
            }
        };
        if number < self.next_row {
            return Err(format!("row {} comes after a later one", number + 1));
        }
        self.next_row = number.saturating_add(1);
        Ok(number)
    }

    fn value(&self, cell: Cell) -> Result<String, Broken> {
        match cell.kind.as_str() {
            "s" => {
                let at: Option<usize> = cell.text.trim().parse().ok();
                let text = at.and_then(|at| self.book.texts.get(at));
                text.cloned()
                    .ok_or_else(|| "a cell's shared text is missing".to_owned())
            }
            "b" => Ok(if cell.text.trim() == "1" {
                "true"
            } else {
                "false"
            }
            .to_owned()),
            "" | "n" => {
                let shown = self.book.styles.get(cell.style).copied();
                Ok(number(
                    &cell.text,
                    shown.unwrap_or(Shown::Number),
                    self.book.is_1904,
                ))
            }
            // Texts, errors such as #N/A, and days in ISO 8601.
            _ => Ok(cell.text),
        }
    }
}

impl Cell {
    fn open(tag: &BytesStart<'_>, column: u32) -> Result<Self, Broken> {
        Ok(Self {
            column,
            kind: attribute(tag, b"t")?,
            style: attribute(tag, b"s")?.parse().unwrap_or(0),
            ..Self::default()
        })
    }
}

/// The column of a cell; one that does not say is the next one.
fn column(tag: &BytesStart<'_>, next: u32) -> Result<u32, Broken> {
    match attribute(tag, b"r")?.as_str() {
        "" => Ok(next),
        text => cell_of(text)
            .map(|(column, _)| column)
            .ok_or_else(|| "a cell has no place".to_owned()),
    }
}

/// Serial number of 1970-01-01 in a workbook that counts from 1900, with its day too many, and
/// what one that counts from 1904 lacks.
const SERIAL_1970: f64 = 25_569.0;
const SERIAL_1904: f64 = 1_462.0;

/// Microseconds of a day.
const DAY_MICROS: f64 = 86_400_000_000.0;

/// A number as text: a day where it is shown as one, without exponent where it is whole.
fn number(text: &str, shown: Shown, is_1904: bool) -> String {
    let text = text.trim();
    let Ok(value) = text.parse::<f64>() else {
        return text.to_owned();
    };
    if shown == Shown::Number {
        let is_plain = !text.contains(['e', 'E']);
        let is_whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
        return match (is_plain, is_whole) {
            (_, true) => format!("{value:.0}"),
            (true, false) => text.to_owned(),
            (false, false) => value.to_string(),
        };
    }
    let serial = if is_1904 { value + SERIAL_1904 } else { value };
    // Before March 1900 the count has a day that never was; nobody ships then.
    if !(61.0..2_958_466.0).contains(&serial) {
        return text.to_owned();
    }
    // To the second: a fraction of a day has no exact binary form.
    let seconds = ((serial - SERIAL_1970) * DAY_MICROS / 1_000_000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the years 1900 to 9999, as just checked"
    )]
    let at = chrono::DateTime::from_timestamp(seconds as i64, 0);
    match (at, shown) {
        (Some(at), Shown::Day) => at.format("%Y-%m-%d").to_string(),
        (Some(at), _) => at.format("%Y-%m-%d %H:%M:%S").to_string(),
        (None, _) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_days_where_they_are_shown_as_such() {
        for (text, shown, is_1904, expected) in [
            ("45887", Shown::Day, false, "2025-08-18"),
            ("44425", Shown::Day, true, "2025-08-18"),
            (
                "45887.772222222222",
                Shown::DayAndTime,
                false,
                "2025-08-18 18:32:00",
            ),
            ("61", Shown::Day, false, "1900-03-01"),
            ("60", Shown::Day, false, "60"),
            ("1.5159E4", Shown::Number, false, "15159"),
            (
                "-9.699999999999999",
                Shown::Number,
                false,
                "-9.699999999999999",
            ),
            ("2017.0", Shown::Number, false, "2017"),
            ("#N/A", Shown::Number, false, "#N/A"),
        ] {
            assert_eq!(number(text, shown, is_1904), expected, "{text}");
        }
    }
}
