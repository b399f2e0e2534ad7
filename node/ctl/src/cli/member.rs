//! `kouanctl participant`.
//!
//! It does not list persons: who works where is party-only.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemas::participant::Role;
use schemas::{ParticipantId, PersonId, Timestamp};

use super::{FromFile, Paging, code, end, instant};

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
    /// Nodes that came with an invitation and are not registered yet.
    #[command(after_help = "Example: kouanctl participant applications")]
    Applications(Paging),
    /// Register a node that came with an invitation, with its participant and persons, and give
    /// it a vote. Compare the check with the other side first.
    #[command(after_help = "Example: kouanctl participant admit 4f0c2d9a11b07e35")]
    Admit {
        /// The invitation, as `participant applications` lists it.
        id: String,
    },
    /// Machines that run nodes.
    #[command(after_help = "Example: kouanctl participant nodes")]
    Nodes(Paging),
    /// Register or change a node.
    #[command(after_help = "Example: kouanctl participant register-node -f node.json")]
    RegisterNode(FromFile),
    /// Bind roles and a key to a person: with flags, or as a record in a file.
    #[command(
        after_help = "Example: kouanctl participant bind gd.port.steward-2 --role data-steward \
        --public-key steward-2.json"
    )]
    Bind(Bind),
    /// Let somebody decide on requests in your place while you are away.
    #[command(after_help = "Example: kouanctl participant delegate gd.port.officer \
        --until 2027-01-10 --because leave")]
    Delegate(Delegate),
    /// Who decides in whose place, in your participant.
    #[command(after_help = "Example: kouanctl participant delegations")]
    Delegations(Paging),
    /// End a delegation before its time.
    #[command(
        after_help = "Example: kouanctl participant end-delegation gd.port.steward \
        --because back"
    )]
    EndDelegation {
        /// Whose.
        from: PersonId,
        /// Why.
        #[arg(long)]
        because: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Delegate {
    /// Who decides in your place.
    pub(crate) to: PersonId,
    /// From when; now when absent.
    #[arg(long, value_parser = instant)]
    pub(crate) from: Option<Timestamp>,
    /// Until when; a date is included.
    #[arg(long, value_parser = end)]
    pub(crate) until: Timestamp,
    /// Why.
    #[arg(long)]
    pub(crate) because: String,
}

#[derive(Debug, Args)]
pub(crate) struct Bind {
    /// Who.
    #[arg(required_unless_present = "file", requires_all = ["roles", "public_key"])]
    pub(crate) id: Option<PersonId>,
    /// What she may do: data-steward, data-consumer, auditor, security-officer,
    /// system-administrator; repeat for several.
    #[arg(long = "role", value_parser = |text: &str| code(text, Role::ALL, Role::parse))]
    pub(crate) roles: Vec<Role>,
    /// Her public key: 130 hexadecimal digits, or a file with them or with what `kouanctl key
    /// new` printed.
    #[arg(long, value_name = "KEY|FILE")]
    pub(crate) public_key: Option<String>,
    /// For whom she acts; your own participant when absent.
    #[arg(long)]
    pub(crate) participant: Option<ParticipantId>,
    /// Until when; a date is included; a year from now when absent.
    #[arg(long, value_parser = end)]
    pub(crate) until: Option<Timestamp>,
    /// Her node keeps the key for her, wrapped under her password.
    #[arg(long)]
    pub(crate) node_keeps_key: bool,
    /// The revision that it replaces; 0 for a new person.
    #[arg(long, default_value_t = 0)]
    pub(crate) revision: u64,
    /// JSON file of the whole record instead; - reads stdin.
    #[arg(short, long, value_name = "FILE.json", conflicts_with_all = ["id", "roles",
        "public_key", "participant", "until", "node_keeps_key", "revision"])]
    pub(crate) file: Option<PathBuf>,
}
