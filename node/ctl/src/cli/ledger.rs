//! `kouanctl ledger`.
//!
//! It does not verify; the `ledger` crate does, the same code as the node's.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Size, latest checkpoint and who witnessed it.
    #[command(after_help = "Example: kouanctl ledger status")]
    Status,
    /// Entries in the order in which they were written; the newest ones unless --from is given.
    #[command(after_help = "Example: kouanctl ledger entries --from 100 --limit 20")]
    Entries {
        /// First index.
        #[arg(long)]
        from: Option<u64>,
        #[command(flatten)]
        paging: super::Paging,
    },
    /// One entry.
    #[command(after_help = "Example: kouanctl ledger show 42")]
    Show {
        /// Its index.
        index: u64,
    },
    /// Save an entry with its proof and the signed checkpoint, for an auditor.
    #[command(after_help = "Example: kouanctl ledger prove 42 --out 42.evidence.json")]
    Prove {
        /// Its index.
        index: u64,
        /// File to write; an existing one is not overwritten. - writes to stdout.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prove that the ledger of an earlier size is the beginning of the later one.
    #[command(after_help = "Example: kouanctl ledger consistency 40 60 --out 40-60.proof.json")]
    Consistency {
        /// The earlier size.
        old: u64,
        /// The later size.
        new: u64,
        /// File to write; an existing one is not overwritten. stdout when absent.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Verify evidence files or a ledger's folder, without any node (exit 6 when it fails).
    #[command(after_help = "Example: kouanctl ledger verify 42.evidence.json --key port.json")]
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Evidence files, or a folder that holds a ledger.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// The participant's signing key that you trust: 130 hexadecimal digits, or a file with them
    /// or with participants' records as JSON. Repeat for several.
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
}
