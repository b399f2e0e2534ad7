//! `kouanctl job`.
//!
//! It does not run jobs; the node does.

use clap::Subcommand;
use schemas::JobId;

use super::Paging;

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Jobs of your participant on this node.
    #[command(after_help = "Example: kouanctl job list --limit 10")]
    List(Paging),
    /// One job.
    #[command(after_help = "Example: kouanctl job get j-7f3a")]
    Get {
        /// Which.
        id: JobId,
    },
    /// Wait until a job has ended, and end as it did.
    #[command(after_help = "Example: kouanctl job wait j-7f3a --timeout 600")]
    Wait {
        /// Which.
        id: JobId,
    },
    /// Call off a job.
    #[command(after_help = "Example: kouanctl job cancel j-7f3a")]
    Cancel {
        /// Which.
        id: JobId,
    },
}
