//! Where CSV records end and where their fields lie (RFC 4180).
//!
//! It does not know what fields mean, and it never fails a file for one bad row: a record with bad
//! quoting ends at its first line end, so that a stray quote costs one row and not the rest of the
//! file.

use memchr::{memchr, memchr3};

/// Largest record in bytes. The widest real table we know has 107 columns and 3 kB a row; a file
/// whose "row" is larger has another delimiter, another encoding or is no table.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Where a field lies in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// First byte after it.
    pub(crate) end: usize,
    /// How it was written.
    pub(crate) writing: Writing,
}

/// How a field was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// As it is.
    Plain,
    /// Between quotes; the span is what stands between them.
    Quoted,
    /// Between quotes, with doubled quotes inside that stand for one.
    Doubled,
}

/// Whether text may follow what is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// More may follow: a record that is not ended yet waits for it.
    MoreFollows,
    /// This is all: the last record may lack its line end.
    Complete,
}

/// What was found at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record; the next one begins at `next`.
    Record {
        /// Where the next record begins.
        next: usize,
    },
    /// A line that breaks the quoting rules; reading goes on behind it.
    BadQuoting {
        /// Where reading goes on.
        next: usize,
    },
    /// The record has no end yet.
    Unfinished,
    /// No line end within [`RECORD_BYTES_MAX`].
    TooLong,
}

/// Reads the record that begins at `start` and notes its fields in `spans` (cleared first).
pub(crate) fn read(
    text: &[u8],
    start: usize,
    delimiter: u8,
    ending: Ending,
    spans: &mut Vec<Span>,
) -> Found {
    spans.clear();
    let limit = text.len().min(start.saturating_add(RECORD_BYTES_MAX));
    let window = Window {
        text: &text[..limit],
        cut: limit < text.len(),
        ending,
    };
    let mut at = start;
    loop {
        let field = if window.text.get(at) == Some(&b'"') {
            window.quoted(at, delimiter)
        } else {
            window.plain(at, delimiter)
        };
        match field {
            Field::Ends {
                span,
                then: Then::Field { at: next },
            } => {
                spans.push(span);
                at = next;
            }
            Field::Ends {
                span,
                then: Then::Record { next },
            } => {
                spans.push(span);
                return Found::Record { next };
            }
            Field::Unfinished if ending == Ending::MoreFollows && !window.cut => {
                return Found::Unfinished;
            }
            Field::Unfinished | Field::Bad => return window.bad_line(start),
        }
    }
}

/// The text in which one record must end.
struct Window<'a> {
    text: &'a [u8],
    cut: bool,
    ending: Ending,
}

enum Field {
    Ends { span: Span, then: Then },
    Unfinished,
    Bad,
}

enum Then {
    Field { at: usize },
    Record { next: usize },
}

impl Window<'_> {
    /// Whether the end of the text ends a record.
    fn is_end(&self) -> bool {
        self.ending == Ending::Complete && !self.cut
    }

    fn plain(&self, at: usize, delimiter: u8) -> Field {
        match memchr3(delimiter, b'\n', b'"', &self.text[at..]).map(|found| at + found) {
            Some(end) if self.text[end] == delimiter => Field::Ends {
                span: plain(at, end),
                then: Then::Field { at: end + 1 },
            },
            Some(end) if self.text[end] == b'\n' => {
                let last = if end > at && self.text[end - 1] == b'\r' {
                    end - 1
                } else {
                    end
                };
                Field::Ends {
                    span: plain(at, last),
                    then: Then::Record { next: end + 1 },
                }
            }
            // RFC 4180, rule 5: a field with a quote in it is written between quotes.
            Some(_) => Field::Bad,
            None if self.is_end() => {
                let end = self.text.len();
                let last = if end > at && self.text[end - 1] == b'\r' {
                    end - 1
                } else {
                    end
                };
                Field::Ends {
                    span: plain(at, last),
                    then: Then::Record { next: end },
                }
            }
            None => Field::Unfinished,
        }
    }

    fn quoted(&self, at: usize, delimiter: u8) -> Field {
        let mut writing = Writing::Quoted;
        let mut from = at + 1;
        loop {
            let Some(quote) = memchr(b'"', &self.text[from..]).map(|found| from + found) else {
                return Field::Unfinished;
            };
            let span = Span {
                start: at + 1,
                end: quote,
                writing,
            };
            match self.text.get(quote + 1) {
                Some(b'"') => {
                    writing = Writing::Doubled;
                    from = quote + 2;
                }
                Some(&byte) if byte == delimiter => {
                    return Field::Ends {
                        span,
                        then: Then::Field { at: quote + 2 },
                    };
                }
                Some(b'\n') => {
                    return Field::Ends {
                        span,
                        then: Then::Record { next: quote + 2 },
                    };
                }
                Some(b'\r') => {
                    return match self.text.get(quote + 2) {
                        Some(b'\n') => Field::Ends {
                            span,
                            then: Then::Record { next: quote + 3 },
                        },
                        None if self.is_end() => Field::Ends {
                            span,
                            then: Then::Record { next: quote + 2 },
                        },
                        None => Field::Unfinished,
                        Some(_) => Field::Bad,
                    };
                }
                Some(_) => return Field::Bad,
                None if self.is_end() => {
                    return Field::Ends {
                        span,
                        then: Then::Record { next: quote + 1 },
                    };
                }
                None => return Field::Unfinished,
            }
        }
    }

    /// The first line of a record that breaks the rules.
    fn bad_line(&self, start: usize) -> Found {
        match memchr(b'\n', &self.text[start..]) {
            Some(found) => Found::BadQuoting {
                next: start + found + 1,
            },
            None if self.cut => Found::TooLong,
            None if self.ending == Ending::Complete => Found::BadQuoting {
                next: self.text.len(),
            },
            None => Found::Unfinished,
        }
    }
}

fn plain(start: usize, end: usize) -> Span {
    Span {
        start,
        end,
        writing: Writing::Plain,
    }
}

/// Whether a record is an empty line, which is no row.
pub(crate) fn is_blank(spans: &[Span]) -> bool {
    matches!(spans, [only] if only.start == only.end && only.writing == Writing::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fields of a row, or the line that breaks the rules.
    #[derive(Debug, PartialEq)]
    enum Read {
        Row(Vec<String>),
        Bad(String),
    }

    /// Reads all records of a complete text as a program that has all of it would.
    fn all(text: &[u8]) -> Vec<Read> {
        let mut spans = Vec::new();
        let mut at = 0;
        let mut records = Vec::new();
        while at < text.len() {
            let (next, record) = match read(text, at, b',', Ending::Complete, &mut spans) {
                Found::Record { next } => (next, Read::Row(fields(text, &spans))),
                Found::BadQuoting { next } => (
                    next,
                    Read::Bad(String::from_utf8_lossy(&text[at..next]).into_owned()),
                ),
                other => panic!("{other:?}"),
            };
            records.push(record);
            at = next;
        }
        records
    }

    fn fields(text: &[u8], spans: &[Span]) -> Vec<String> {
        spans
            .iter()
            .map(|span| {
                let raw = String::from_utf8_lossy(&text[span.start..span.end]).into_owned();
                if span.writing == Writing::Doubled {
                    raw.replace("\"\"", "\"")
                } else {
                    raw
                }
            })
            .collect()
    }

    fn row(fields: &[&str]) -> Read {
        Read::Row(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn a_stray_quote_costs_one_line_and_not_the_rest_of_the_file() {
        let cases: &[(&[u8], Vec<Read>)] = &[
            (b"a,b\r\n1,2", vec![row(&["a", "b"]), row(&["1", "2"])]),
            (b"\"x,\ny\",\"\"\"\"\n", vec![row(&["x,\ny", "\""])]),
            (
                b"\"open,1\nb,2\nc,3\n",
                vec![
                    Read::Bad("\"open,1\n".to_owned()),
                    row(&["b", "2"]),
                    row(&["c", "3"]),
                ],
            ),
            (
                b"5\" pipe,1\nb,2\n",
                vec![Read::Bad("5\" pipe,1\n".to_owned()), row(&["b", "2"])],
            ),
            (
                b"\"a\"x,1\n\"b\",2\n",
                vec![Read::Bad("\"a\"x,1\n".to_owned()), row(&["b", "2"])],
            ),
            (
                b"\"a,1\n2,\"b\nc,3\n",
                vec![
                    Read::Bad("\"a,1\n".to_owned()),
                    Read::Bad("2,\"b\n".to_owned()),
                    row(&["c", "3"]),
                ],
            ),
            (b"a,\n,\n", vec![row(&["a", ""]), row(&["", ""])]),
        ];
        for (text, expected) in cases {
            assert_eq!(&all(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_record_beyond_the_limit_is_too_long_and_an_open_quote_is_a_bad_line() {
        let mut spans = Vec::new();
        let line = vec![b'x'; RECORD_BYTES_MAX + 1];
        assert_eq!(
            read(&line, 0, b',', Ending::MoreFollows, &mut spans),
            Found::TooLong
        );
        let mut open = b"\"a\n".to_vec();
        open.extend(std::iter::repeat_n(b'x', RECORD_BYTES_MAX));
        assert_eq!(
            read(&open, 0, b',', Ending::MoreFollows, &mut spans),
            Found::BadQuoting { next: 3 }
        );
        assert_eq!(
            read(b"\"a\nb", 0, b',', Ending::MoreFollows, &mut spans),
            Found::Unfinished
        );
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_rules_is_read_back(
            rows in prop::collection::vec(prop::collection::vec("[a-c,\"\r\n 口]{0,6}", 2..4), 1..8)
        ) {
            let mut text = String::new();
            for row in &rows {
                let quoted: Vec<String> =
                    row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
                text.push_str(&quoted.join(","));
                text.push('\n');
            }
            let expected: Vec<Read> = rows.into_iter().map(Read::Row).collect();
            prop_assert_eq!(all(text.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_are_accounted_for_to_the_last(text in prop::collection::vec(
            prop::sample::select(b"a,\"\n\r".to_vec()), 0..60)) {
            let mut spans = Vec::new();
            let mut at = 0;
            while at < text.len() {
                match read(&text, at, b',', Ending::Complete, &mut spans) {
                    Found::Record { next } | Found::BadQuoting { next } => {
                        prop_assert!(next > at);
                        at = next;
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
