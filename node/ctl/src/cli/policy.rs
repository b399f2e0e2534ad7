//! `kouanctl policy`, `kouanctl export` and `kouanctl catalog`.
//!
//! It does not decide; the node's decision point does.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use crypto::Digest;
use schemas::code::Action;
use schemas::{DatasetId, GrantId, Jurisdiction, PersonId};

use super::{FromFile, code, place};

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// The policy set in force.
    #[command(after_help = "Example: kouanctl policy get -o json")]
    Get,
    /// Put a policy set in force.
    #[command(after_help = "Example: kouanctl policy adopt -f policy-set-3.json --yes")]
    Adopt(FromFile),
    /// What would be decided, with the reasons; nothing is done (exit 4 when the answer is no).
    #[command(after_help = "Example: kouanctl policy explain --action dataset.read \
        --dataset gd.port.calls --grant g-7f3a --purpose transit-forecast")]
    Explain(Explain),
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// What would be done, for example dataset.read.
    #[arg(long, value_parser = |text: &str| code(text, Action::ALL, Action::parse))]
    pub(crate) action: Action,
    #[command(flatten)]
    pub(crate) circumstances: Circumstances,
}

/// Under which circumstances.
#[derive(Clone, Debug, Args)]
pub(crate) struct Circumstances {
    /// By this person of your participant; by you when absent.
    #[arg(long = "for", value_name = "PERSON")]
    pub(crate) subject: Option<PersonId>,
    /// On which dataset.
    #[arg(long)]
    pub(crate) dataset: Option<DatasetId>,
    /// Under which grant.
    #[arg(long)]
    pub(crate) grant: Option<GrantId>,
    /// What for, as a short code.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// Where the data would go: CN, HK, MO ...
    #[arg(long, value_parser = place)]
    pub(crate) to: Option<Jurisdiction>,
    /// Which columns, comma-separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Whether data may leave the mainland, and by which rule not (exit 4).
    #[command(
        after_help = "Example: kouanctl export check --dataset gd.border.travellers \
        --columns name,passport --to HK"
    )]
    Check(Circumstances),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Leader, voters, index and state digest, as this node knows them.
    #[command(after_help = "Example: kouanctl catalog status")]
    Status,
    /// Fetch a backup of the whole catalog from the node, and verify it. It holds records that
    /// only their parties may read: keep it as you keep keys.
    #[command(after_help = "Example: kouanctl catalog backup --out 2026-11-30.backup")]
    Backup {
        /// File to write, mode 0600; an existing one is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Verify backups, without any node (exit 6 when one fails). `kouan restore` begins again from
    /// one.
    #[command(after_help = "Example: kouanctl catalog verify 2026-11-30.backup --key node-1.json")]
    Verify(Backups),
}

#[derive(Debug, Args)]
pub(crate) struct Backups {
    /// Backups.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) paths: Vec<PathBuf>,
    /// The signing key of a node that you trust: 130 hexadecimal digits, or a file with them or
    /// with nodes' records as JSON. Repeat for several.
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
    /// Which catalog it must be, as `kouanctl catalog status` shows it.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) cluster: Option<Digest>,
}
