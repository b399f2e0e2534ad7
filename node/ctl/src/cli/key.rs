//! `kouanctl key`.
//!
//! It does not give roles to anybody; `kouanctl participant bind` does, by an administrator.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make your own SM2 key, in a file that is encrypted under a pass phrase of yours. What is
    /// printed is public: give it to the administrator who binds you.
    #[command(
        after_help = "Example: kouanctl key new --person gd.port.steward-2 --out steward-2.key"
    )]
    New(New),
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// File to write, mode 0600; an existing one is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}
