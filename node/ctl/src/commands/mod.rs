//! What each command does: one file a noun.
//!
//! It does not parse arguments and does not print errors.

mod backup;
mod correction;
mod dataset;
mod decision;
mod grant;
mod job;
mod key;
mod ledger;
mod member;
mod policy;
mod profile;
mod request;
mod transfer;

use clap::CommandFactory as _;
use serde_json::Value;

use crate::Error;
use crate::cli::{Cli, Command, Paging};
use crate::client::Client;
use crate::output::{Column, Terminal};
use crate::profile::Settings;

/// Does what was typed.
pub(crate) fn run(cli: Cli, terminal: &Terminal) -> Result<(), Error> {
    let global = cli.global;
    match cli.command {
        // These need no node.
        Command::Completion { shell } => return completion(terminal, shell),
        Command::Context(command) => return profile::context(&command, &global, terminal),
        Command::Key(command) => return key::run(&command, &global, terminal),
        Command::Login(login) => return profile::login(login, &global, terminal),
        Command::Ledger(crate::cli::ledger::Ledger::Verify(it)) => {
            return crate::verify::run(&it, terminal);
        }
        Command::Catalog(crate::cli::policy::Catalog::Verify(it)) => {
            return backup::verify(&it, terminal);
        }
        _ => {}
    }
    let settings = Settings::resolve(&global)?;
    let mut client = Client::new(&settings, terminal)?;
    let desk = &mut Desk {
        terminal,
        client: &mut client,
    };
    match cli.command {
        Command::Logout => profile::logout(desk),
        Command::Whoami => profile::whoami(desk),
        Command::Participant(it) => member::run(it, desk),
        Command::Dataset(it) => dataset::run(it, desk),
        Command::Request(it) => request::run(it, desk),
        Command::Correction(it) => correction::run(it, desk),
        Command::Grant(it) => grant::run(it, desk),
        Command::Transfer(it) => transfer::run(it, desk),
        Command::Ledger(it) => ledger::run(it, desk),
        Command::Policy(it) => policy::run(it, desk),
        Command::Export(it) => policy::export(it, desk),
        Command::Catalog(it) => policy::catalog(it, desk),
        Command::Job(it) => job::run(it, desk),
        Command::Completion { .. } | Command::Context(_) | Command::Key(_) | Command::Login(_) => {
            Ok(())
        }
    }
}

/// Where a command works: a node on one side, a person on the other.
struct Desk<'d, 'c> {
    terminal: &'d Terminal,
    client: &'d mut Client<'c>,
}

impl Desk<'_, '_> {
    /// Prints the record at `path`.
    fn show(&mut self, path: &str, columns: &[Column]) -> Result<(), Error> {
        let record = self.client.get(path)?;
        self.terminal.record(columns, &record)
    }

    /// Prints the list at `path`.
    fn list(&mut self, path: &str, columns: &[Column], paging: Paging) -> Result<(), Error> {
        let listed = self.client.list(path, paging.most())?;
        self.print(columns, &listed.items, listed.more)
    }

    /// Prints a list, and says when it goes on.
    fn print(&self, columns: &[Column], items: &[Value], more: bool) -> Result<(), Error> {
        self.terminal.list(columns, items)?;
        if more {
            self.terminal.note("note-more", &[("shown", &items.len())]);
        }
        Ok(())
    }

    /// Prints what became of a change.
    fn changed(&self, id: &dyn std::fmt::Display, answer: &Value) -> Result<(), Error> {
        let mut record = serde_json::json!({ "id": id.to_string() });
        if let (Some(to), Some(from)) = (record.as_object_mut(), answer.as_object()) {
            to.extend(from.clone());
        }
        self.terminal.record(CHANGED, &record)
    }
}

/// What became of a change.
const CHANGED: &[Column] = &[
    Column::text("col-id", "id"),
    Column::number("col-revision", "revision"),
    Column::text("col-catalog-index", "catalog_index"),
    Column::text("col-ledger-index", "ledger_index"),
];

fn completion(terminal: &Terminal, shell: clap_complete::Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kouanctl", &mut script);
    terminal.data(&String::from_utf8_lossy(&script))
}

/// A record that the node sent, as this program knows it.
fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|e| Error::Answer {
        server: "node".to_owned(),
        why: e.to_string(),
    })
}
