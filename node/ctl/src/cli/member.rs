//! `kouanctl participant`.
//!
//! It does not list persons: who works where is party-only.

use clap::Subcommand;
use schemas::ParticipantId;

use super::{FromFile, Paging};

#[derive(Debug, Subcommand)]
pub(crate) enum Participant {
    /// Members of the federation.
    #[command(after_help = "Example: kouanctl participant list -o csv --all")]
    List(Paging),
    /// One member, with its keys.
    #[command(after_help = "Example: kouanctl participant get gd.guangzhou.port")]
    Get {
        /// Which.
        id: ParticipantId,
    },
    /// Register or change a member. The revision in the file is the one that it replaces.
    #[command(after_help = "Example: kouanctl participant register -f port.json")]
    Register(FromFile),
    /// Machines that run nodes.
    #[command(after_help = "Example: kouanctl participant nodes")]
    Nodes(Paging),
    /// Register or change a node.
    #[command(after_help = "Example: kouanctl participant register-node -f node.json")]
    RegisterNode(FromFile),
    /// Bind roles and a key to a person.
    #[command(after_help = "Example: kouanctl participant bind -f analyst.json")]
    Bind(FromFile),
}
