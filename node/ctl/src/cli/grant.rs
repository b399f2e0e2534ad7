//! `kouanctl grant`.
//!
//! It does not give grants; an agreed request does.

use clap::{Args, Subcommand};
use schemas::{ContractId, GrantId, Jurisdiction, PersonId};

use super::{Paging, place};

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Grants that you are party to.
    #[command(after_help = "Example: kouanctl grant list")]
    List(Paging),
    /// One grant.
    #[command(after_help = "Example: kouanctl grant get g-7f3a")]
    Get {
        /// Which.
        id: GrantId,
    },
    /// Contracts that you are party to: what grants are given under.
    #[command(after_help = "Example: kouanctl grant contracts")]
    Contracts(Paging),
    /// One contract, with its terms.
    #[command(after_help = "Example: kouanctl grant contract c-7f3a")]
    Contract {
        /// Which.
        id: ContractId,
    },
    /// End a grant before its time; running transfers under it stop.
    #[command(after_help = "Example: kouanctl grant revoke g-7f3a --because misuse --yes")]
    Revoke {
        /// Which.
        id: GrantId,
        /// Why.
        #[arg(long)]
        because: String,
    },
    /// What you may read under a grant now, or why not (exit 4).
    #[command(after_help = "Example: kouanctl grant check g-7f3a --columns port,date")]
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Which.
    pub(crate) id: GrantId,
    /// For this person of your participant.
    #[arg(long = "for", value_name = "PERSON")]
    pub(crate) subject: Option<PersonId>,
    /// Only these columns.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// If the data went there.
    #[arg(long, value_parser = place)]
    pub(crate) to: Option<Jurisdiction>,
    /// For another purpose than the granted one.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
}
