//! `kouanctl correction`.
//!
//! It does not know which steps the catalog allows; the catalog says so.

use clap::{Args, Subcommand};
use schemas::{CorrectionId, DatasetId};

use super::Paging;

#[derive(Debug, Subcommand)]
pub(crate) enum Correction {
    /// Tickets that you may see.
    #[command(after_help = "Example: kouanctl correction list")]
    List(Paging),
    /// Corrections of data that you use: what your participant was told of.
    #[command(after_help = "Example: kouanctl correction notices")]
    Notices(Paging),
    /// One ticket.
    #[command(after_help = "Example: kouanctl correction get c-7f3a")]
    Get {
        /// Which.
        id: CorrectionId,
    },
    /// Doubt a row that you received.
    #[command(
        after_help = "Example: kouanctl correction open gd.port.calls --version 3 \
        --row IMO9074729/20261124 --column arrival --evidence manifest-differs"
    )]
    Open(Open),
    /// Begin to check.
    #[command(after_help = "Example: kouanctl correction accept c-7f3a --text checking")]
    Accept(Step),
    /// Say that it is corrected, and in which version.
    #[command(after_help = "Example: kouanctl correction correct c-7f3a --version 4 --text fixed")]
    Correct {
        #[command(flatten)]
        step: Step,
        /// The version that has it right.
        #[arg(long)]
        version: u64,
    },
    /// Say why it is not corrected.
    #[command(after_help = "Example: kouanctl correction reject c-7f3a --text as-reported")]
    Reject(Step),
    /// Tell whoever asked; the clock stops.
    #[command(after_help = "Example: kouanctl correction feedback c-7f3a --text done")]
    Feedback(Step),
    /// End your own ticket, or take it back.
    #[command(after_help = "Example: kouanctl correction close c-7f3a --text thanks")]
    Close(Step),
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The dataset.
    pub(crate) dataset: DatasetId,
    /// The version that you received.
    #[arg(long)]
    pub(crate) version: u64,
    /// The row, by its key; nothing that names a person.
    #[arg(long)]
    pub(crate) row: String,
    /// The column; the whole row when absent.
    #[arg(long)]
    pub(crate) column: Option<String>,
    /// What is wrong and what shows it.
    #[arg(long)]
    pub(crate) evidence: String,
}

#[derive(Debug, Args)]
pub(crate) struct Step {
    /// Which.
    pub(crate) id: CorrectionId,
    /// What is said with it.
    #[arg(long)]
    pub(crate) text: String,
}
