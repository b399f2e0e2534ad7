//! What the user sees: data on stdout in the form she chose, words on stderr in her language.
//!
//! It does not decide what is shown; commands do.

mod cell;
mod csv;
mod report;
mod table;

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use crypto::Zeroizing;
use serde_json::Value;

pub(crate) use cell::{Column, Kind};

use crate::Error;
use crate::cli::Global;
use crate::messages::{Language, Messages};

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The API's JSON, indented; a list is one array.
    Json,
    /// One JSON record a line.
    Jsonl,
    /// Comma-separated values with a header, UTF-8.
    Csv,
    /// Identifiers only.
    Name,
}

/// Something to write text to; nothing to hope for when the reader has gone.
pub(crate) struct Terminal {
    messages: Messages,
    language: Language,
    format: Format,
    fields: Vec<String>,
    asks: bool,
    yes: bool,
    /// Whether words go to a screen: progress is shown there only.
    pub(crate) screen: bool,
}

impl Terminal {
    /// As the flags and the environment have it.
    pub(crate) fn new(global: &Global) -> Self {
        let language = global.lang.unwrap_or_else(Language::of_environment);
        let piped = if std::io::stdout().is_terminal() {
            Format::Table
        } else {
            Format::Jsonl
        };
        Self {
            messages: Messages::new(language),
            language,
            format: global.output.unwrap_or(piped),
            fields: global.fields.clone(),
            asks: !global.no_input && std::io::stdin().is_terminal(),
            yes: global.yes,
            screen: std::io::stderr().is_terminal(),
        }
    }

    /// The language of words.
    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// Whether the output is for people.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// The text of `key`.
    pub(crate) fn say(&self, key: &str, arguments: &[(&str, &dyn std::fmt::Display)]) -> String {
        self.messages.say(key, arguments)
    }

    /// Writes data to stdout. A reader that went away (`| head`) wanted no more.
    pub(crate) fn data(&self, text: &str) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::file("write", "stdout", e))
            }
            _ => Ok(()),
        }
    }

    /// Writes a line of words to stderr; where that is not possible nobody reads them.
    pub(crate) fn line(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Says `key` on stderr.
    pub(crate) fn note(&self, key: &str, arguments: &[(&str, &dyn std::fmt::Display)]) {
        self.line(&self.say(key, arguments));
    }

    /// Prints a list.
    pub(crate) fn list(&self, columns: &[Column], items: &[Value]) -> Result<(), Error> {
        let chosen = cell::chosen(columns, &self.fields);
        let text = match self.format {
            Format::Table if items.is_empty() => {
                self.note("note-empty", &[]);
                return Ok(());
            }
            Format::Table => table::list(self, &chosen, items),
            Format::Csv => csv::list(&chosen, items),
            Format::Json => {
                let kept: Vec<Value> = items.iter().map(|it| self.kept(it)).collect();
                indented(&Value::Array(kept))
            }
            Format::Jsonl => items
                .iter()
                .map(|it| format!("{}\n", self.kept(it)))
                .collect(),
            Format::Name => items
                .iter()
                .map(|it| format!("{}\n", name(columns, it)))
                .collect(),
        };
        self.data(&text)
    }

    /// Prints one record; `columns` is what a list of such records shows.
    pub(crate) fn record(&self, columns: &[Column], record: &Value) -> Result<(), Error> {
        let text = match self.format {
            Format::Table => table::record(self, &self.fields, record),
            Format::Csv => csv::list(
                &cell::chosen(columns, &self.fields),
                std::slice::from_ref(record),
            ),
            Format::Json => indented(&self.kept(record)),
            Format::Jsonl => format!("{}\n", self.kept(record)),
            Format::Name => format!("{}\n", name(columns, record)),
        };
        self.data(&text)
    }

    /// Prints a table in which nothing is cut: for what must be read to its end.
    pub(crate) fn whole(&self, columns: &[Column], items: &[Value]) -> Result<(), Error> {
        let chosen = cell::chosen(columns, &self.fields);
        self.data(&table::whole(self, &chosen, items))
    }

    /// As [`Terminal::whole`] for people, as [`Terminal::list`] for programs.
    pub(crate) fn whole_or_list(&self, columns: &[Column], items: &[Value]) -> Result<(), Error> {
        if self.is_table() {
            self.whole(columns, items)
        } else {
            self.list(columns, items)
        }
    }

    /// Prints rows of a dataset: its columns are the headers.
    pub(crate) fn rows(&self, names: &[String], items: &[Value]) -> Result<(), Error> {
        let chosen = cell::chosen(
            &[],
            if self.fields.is_empty() {
                names
            } else {
                &self.fields
            },
        );
        match self.format {
            Format::Table if !items.is_empty() => self.data(&table::list(self, &chosen, items)),
            Format::Csv => self.data(&csv::list(&chosen, items)),
            _ => self.list(&[], items),
        }
    }

    /// The record, or of it the fields that were asked for.
    fn kept(&self, record: &Value) -> Value {
        if self.fields.is_empty() {
            return record.clone();
        }
        let field = |it: &String| (it.clone(), cell::at(record, it).clone());
        Value::Object(self.fields.iter().map(field).collect())
    }

    /// Asks before something that cannot be taken back.
    ///
    /// # Errors
    /// [`Error::NoInput`] when there is nobody to ask, [`Error::NotConfirmed`] when she says no.
    pub(crate) fn confirm(&self, key: &str, what: &dyn std::fmt::Display) -> Result<(), Error> {
        if self.yes {
            return Ok(());
        }
        if !self.asks {
            return Err(Error::NoInput { flag: "yes" });
        }
        self.line(&self.say(key, &[("what", what)]));
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(|e| Error::file("read", "stdin", e))?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" | "是" => Ok(()),
            _ => Err(Error::NotConfirmed),
        }
    }

    /// Asks for a secret, which is not shown while it is typed.
    ///
    /// # Errors
    /// [`Error::NoInput`] when there is nobody to ask; `flag` names the file that answers instead.
    pub(crate) fn secret(&self, key: &str, flag: &'static str) -> Result<Zeroizing<String>, Error> {
        if !self.asks {
            return Err(Error::NoInput { flag });
        }
        rpassword::prompt_password(self.say(key, &[]))
            .map(Zeroizing::new)
            .map_err(|e| Error::file("read", "terminal", e))
    }

    /// Puts an error into words: what is so, why, what to do, and what to quote.
    pub(crate) fn report(&self, error: &Error) {
        for line in report::lines(self, error) {
            self.line(&line);
        }
    }
}

/// JSON for people, with a line end.
pub(crate) fn indented(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    text + "\n"
}

/// The record's identifier: what its first column shows.
fn name(columns: &[Column], record: &Value) -> String {
    let path = columns.first().map_or("id", |it| it.path);
    cell::raw(cell::at(record, path))
}

#[cfg(test)]
pub(crate) fn for_tests(language: Language, format: Format) -> Terminal {
    Terminal {
        messages: Messages::new(language),
        language,
        format,
        fields: Vec::new(),
        asks: false,
        yes: false,
        screen: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_anybody_to_ask_nothing_is_confirmed_and_no_secret_is_read() {
        let terminal = for_tests(Language::En, Format::Table);
        let refused = terminal.confirm("ask-revoke", &"g-1").unwrap_err();
        assert!(matches!(refused, Error::NoInput { flag: "yes" }));
        let refused = terminal
            .secret("ask-passphrase", "passphrase-file")
            .unwrap_err();
        assert_eq!(refused.exit_code(), 2);
    }

    #[test]
    fn fields_cut_a_record_to_what_was_asked_for() {
        let mut terminal = for_tests(Language::En, Format::Json);
        terminal.fields = vec!["title.zh".to_owned(), "no.such".to_owned()];
        let record = serde_json::json!({"id": "a", "title": {"zh": "港", "en": "port"}});
        assert_eq!(
            terminal.kept(&record),
            serde_json::json!({"title.zh": "港", "no.such": null})
        );
    }
}
