//! `kouanctl policy`, `kouanctl export` and `kouanctl catalog`.
//!
//! It does not decide; the node's decision point does.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use crypto::Digest;
use schemas::code::Action;
use schemas::export::InstrumentState;
use schemas::{DatasetId, GrantId, InstrumentId, Jurisdiction, NodeId, PersonId, RulePackId};

use super::{FromFile, Paging, code, place};

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
    /// Rule packs that ship and those that were adopted: export rules, holidays, clocks, lists.
    #[command(after_help = "Example: kouanctl policy packs")]
    Packs(Paging),
    /// One rule pack, with what it says.
    #[command(after_help = "Example: kouanctl policy pack export.cn 0 -o json")]
    Pack(Pack),
    /// What differs between two numbers of a series.
    #[command(after_help = "Example: kouanctl policy diff-packs export.cn 0 1")]
    DiffPacks {
        /// The series.
        series: RulePackId,
        /// The earlier number; 0 ships with the program.
        old: u64,
        /// The later number.
        new: u64,
    },
    /// Put a rule pack in force.
    #[command(after_help = "Example: kouanctl policy adopt-pack -f export.cn-1.json --yes")]
    AdoptPack(FromFile),
    /// Take a rule pack back; the number before it is in force again.
    #[command(after_help = "Example: kouanctl policy withdraw-pack export.cn 1 \
        --because misprint --yes")]
    WithdrawPack {
        #[command(flatten)]
        pack: Pack,
        /// Why.
        #[arg(long)]
        because: String,
    },
    /// Which accesses of the past another policy would decide otherwise; nothing is done.
    #[command(after_help = "Example: kouanctl policy dry-run --pack export.cn-1.json")]
    DryRun(DryRun),
    /// Decide an entry of the ledger again under the policy of its time (exit 6 when it differs).
    #[command(after_help = "Example: kouanctl policy replay 42")]
    Replay {
        /// Its index.
        index: u64,
    },
}

/// Which rule pack.
#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// The series.
    pub(crate) series: RulePackId,
    /// The number; 0 ships with the program.
    pub(crate) number: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DryRun {
    /// JSON file of a policy set; the one in force when absent.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) set: Option<PathBuf>,
    /// JSON file of a rule pack in addition to those in force. Repeat for several.
    #[arg(long = "pack", value_name = "FILE.json")]
    pub(crate) packs: Vec<PathBuf>,
    /// How far back, in days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub(crate) days: u32,
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
    /// Instruments and evidence: assessments, contracts, certificates, consents.
    #[command(after_help = "Example: kouanctl export instruments")]
    Instruments(Paging),
    /// One instrument, with what it covers.
    #[command(after_help = "Example: kouanctl export instrument sc-2026-1 -o json")]
    Instrument {
        /// Which.
        id: InstrumentId,
    },
    /// Register an instrument, or correct one.
    #[command(after_help = "Example: kouanctl export register -f sc-2026-1.json")]
    Register(FromFile),
    /// Suspend an instrument, end it or revive it.
    #[command(
        after_help = "Example: kouanctl export move sc-2026-1 SUSPENDED --because incident --yes"
    )]
    Move {
        /// Which.
        id: InstrumentId,
        /// Where to: VALID, SUSPENDED or ENDED.
        #[arg(value_parser = |text: &str| code(text, InstrumentState::ALL, InstrumentState::parse))]
        to: InstrumentState,
        /// Why.
        #[arg(long)]
        because: String,
    },
    /// How many persons your participant sent abroad in a year, signed.
    #[command(after_help = "Example: kouanctl export report --year 2026 -o json")]
    Report {
        /// Which calendar year.
        #[arg(long)]
        year: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Leader, voters, index and state digest, as this node knows them.
    #[command(after_help = "Example: kouanctl catalog status")]
    Status,
    /// Nodes that take part in the catalog, and who has a vote.
    #[command(after_help = "Example: kouanctl catalog members")]
    Members(Paging),
    /// Give a registered node a vote: it must run and be reached by the others.
    #[command(after_help = "Example: kouanctl catalog add-member sz-1")]
    AddMember {
        /// Which.
        node: NodeId,
    },
    /// Take a node out of the catalog, whether or not it runs; its records stay.
    #[command(after_help = "Example: kouanctl catalog remove-member sz-1 --yes")]
    RemoveMember {
        /// Which.
        node: NodeId,
    },
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
