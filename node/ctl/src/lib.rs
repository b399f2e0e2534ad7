//! `kouanctl`, the command line of the node: for stewards who publish, consumers who ask and
//! fetch, and auditors who verify.
//!
//! It does not have a way in of its own: it speaks the public REST API, signs with the key that
//! its user holds, and links the ledger only to verify evidence without any node.

mod cli;
mod client;
mod commands;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod messages;
mod output;
mod problem;
mod profile;
mod progress;
mod verify;

pub(crate) use error::Error;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

/// Does what `arguments` (the program's name first) say, and tells the exit code: 0 done, 1
/// failed, 2 wrong usage or input, 3 not found, 4 refused, 5 conflict, 6 check failed, 7 not
/// reachable, 8 timed out.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout and wrong usage to stderr; where neither can be written there
            // is nobody to tell.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { error::USAGE } else { 0 });
        }
    };
    let terminal = output::Terminal::new(&cli.global);
    match commands::run(cli, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
