//! `policy`, `export` and `catalog`.
//!
//! It does not compile policy text; the node does before it proposes a set.

use schemas::Jurisdiction;
use schemas::code::Action;
use schemas::command::Command;
use schemas::policy_set::PolicySet;

use super::Desk;
use super::backup;
use super::decision::{Question, explain};
use crate::Error;
use crate::cli::policy::{Catalog, Export, Policy};
use crate::client::Verb;
use crate::files::read_record;
use crate::output::Column;

const SETS: &[Column] = &[
    Column::number("col-number", "number"),
    Column::text("col-note", "note"),
];

const STATUS: &[Column] = &[
    Column::text("col-node", "node"),
    Column::text("col-leader", "leader"),
    Column::text("col-term", "term"),
    Column::text("col-catalog-index", "applied"),
    Column::text("col-voters", "voters"),
    Column::number("col-age", "age_ms"),
    Column::text("col-digest", "state_digest"),
    Column::text("col-agreed", "agreed"),
    Column::text("col-divergence", "divergence.record"),
    Column::text("col-cluster", "cluster"),
];

pub(super) fn run(it: Policy, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Policy::Get => desk.show("/policies", SETS),
        Policy::Explain(it) => explain(&Question::new(it.action, it.circumstances), desk),
        Policy::Adopt(it) => {
            let set: PolicySet = read_record(&it.file)?;
            let number = set.number;
            desk.terminal.confirm("ask-adopt", &number)?;
            let command = Command::AdoptPolicySet {
                policy_set: Box::new(set),
            };
            let answer = desk
                .client
                .change(Verb::Post, "/policies", number, command)?;
            desk.changed(&number, &answer)
        }
    }
}

/// Reading rows with a destination outside is what leaving the mainland means.
pub(super) fn export(it: Export, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let Export::Check(circumstances) = it;
    if circumstances.dataset.is_none() && circumstances.grant.is_none() {
        return Err(Error::Missing { flag: "dataset" });
    }
    let to = circumstances.to.ok_or(Error::Missing { flag: "to" })?;
    if to == Jurisdiction::MAINLAND {
        desk.terminal.note("note-not-an-export", &[]);
    }
    explain(&Question::new(Action::DatasetRead, circumstances), desk)
}

pub(super) fn catalog(it: &Catalog, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Catalog::Status => desk.show("/catalog", STATUS),
        Catalog::Backup { out } => backup::fetch(out, desk),
        Catalog::Verify(it) => backup::verify(it, desk.terminal),
    }
}
