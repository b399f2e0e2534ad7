//! `kouanctl transfer`.
//!
//! It does not move bytes; the consumer's node does, as a job.

use clap::{Args, Subcommand};
use schemas::{GrantId, TransferId};

use super::Paging;

#[derive(Debug, Subcommand)]
pub(crate) enum Transfer {
    /// Fetch a version under a grant to your node.
    #[command(after_help = "Example: kouanctl transfer start g-7f3a --version 3 --wait")]
    Start(Start),
    /// Transfers that you are party to.
    #[command(after_help = "Example: kouanctl transfer list")]
    List(Paging),
    /// One transfer, with its receipts.
    #[command(after_help = "Example: kouanctl transfer get t-7f3a")]
    Get {
        /// Which.
        id: TransferId,
    },
    /// Call off a transfer that your node runs.
    #[command(after_help = "Example: kouanctl transfer cancel t-7f3a")]
    Cancel {
        /// Which.
        id: TransferId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The grant to use.
    pub(crate) grant: GrantId,
    /// The version's number; the latest when absent.
    #[arg(long)]
    pub(crate) version: Option<u64>,
    /// Wait until it has ended, and show how far it is.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Makes a retry the same transfer; random when absent.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}
