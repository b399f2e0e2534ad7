//! `kouanctl login` and `kouanctl context`.
//!
//! It does not read or write profiles; [`crate::profile`] does.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Sign in with a password and a one-time code instead of a key file; the node then signs for
    /// you with the key that it keeps.
    #[arg(long)]
    pub(crate) password: bool,
    /// File with the password; asked for when absent.
    #[arg(long, value_name = "FILE", requires = "password")]
    pub(crate) password_file: Option<PathBuf>,
    /// The one-time code; asked for when absent.
    #[arg(long, requires = "password")]
    pub(crate) code: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// Show the profiles; the one in use is marked.
    #[command(after_help = "Example: kouanctl context list")]
    List,
    /// Use a profile from now on.
    #[command(after_help = "Example: kouanctl context use gz")]
    Use {
        /// Its name.
        name: String,
    },
    /// Write the given settings as a profile, without signing in.
    #[command(after_help = "Example: kouanctl context add gz --server gz-1:7403 \
        --roots roots.pem --person gz.analyst --key-file analyst.key")]
    Add {
        /// Its name.
        name: String,
    },
    /// Forget a profile.
    #[command(after_help = "Example: kouanctl context rm gz")]
    Rm {
        /// Its name.
        name: String,
    },
}
