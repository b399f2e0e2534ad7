//! `kouanctl ledger`.
//!
//! It does not verify; the `ledger` crate does, the same code as the node's.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemas::{Jurisdiction, Timestamp};

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
    /// Entries that match, oldest first.
    #[command(
        after_help = "Example: kouanctl ledger search --dataset gd.port.calls --from 2026-11-01"
    )]
    Search {
        #[command(flatten)]
        question: Question,
        #[command(flatten)]
        paging: super::Paging,
    },
    /// Save the entries that match, and those that belong to them, as one file with proofs, signed
    /// checkpoints, witnesses, keys and a report, for an auditor.
    #[command(
        name = "export-evidence",
        after_help = "Example: kouanctl ledger export-evidence --release rl-7f3a --out q3.json"
    )]
    ExportEvidence {
        #[command(flatten)]
        question: Question,
        /// File to write; an existing one is not overwritten. - writes to stdout.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// What an auditor should look at: missing receipts, gaps, forks, unusual access.
    #[command(after_help = "Example: kouanctl ledger findings --unusual-since 2026-11-01")]
    Findings {
        /// Raise unusual access from this date on; what lies before it is what is usual. A week
        /// ago when absent.
        #[arg(long, value_parser = super::instant)]
        unusual_since: Option<Timestamp>,
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
    /// Verify evidence packages, evidence of one entry, or a ledger's folder, without any node
    /// (exit 6 when it fails).
    #[command(after_help = "Example: kouanctl ledger verify 42.evidence.json --key port.json")]
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Evidence files or packages, or a folder that holds a ledger.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// A signing key that you trust, of the participant or of a witness: 130 hexadecimal digits,
    /// or a file with them or with participants' or nodes' records as JSON. Repeat for several.
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
}

/// Which entries; every part that is given must hold.
#[derive(Debug, Default, Args)]
pub(crate) struct Question {
    /// About this dataset.
    #[arg(long)]
    pub(crate) dataset: Option<String>,
    /// Naming this participant as asking, providing, receiving or speaking.
    #[arg(long)]
    pub(crate) participant: Option<String>,
    /// Done by this person, or by this node where a node asked.
    #[arg(long)]
    pub(crate) actor: Option<String>,
    /// A decision on this action (dataset.read), or an entry of this kind (receipt, signed_in).
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// permit, deny, a refusal's code (GRANT_EXPIRED), or how a release ended (completed).
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Asked for this purpose, by its code.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// Where the answer was to go: two capital letters.
    #[arg(long, value_parser = super::place)]
    pub(crate) destination: Option<Jurisdiction>,
    /// Of this release: its beginning, its end and its receipts.
    #[arg(long)]
    pub(crate) release: Option<String>,
    /// From this date (midnight in China) or RFC 3339 instant on.
    #[arg(long, value_parser = super::instant)]
    pub(crate) from: Option<Timestamp>,
    /// Until the end of this date, or before this RFC 3339 instant.
    #[arg(long, value_parser = super::end)]
    pub(crate) until: Option<Timestamp>,
}
