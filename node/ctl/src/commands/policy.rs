//! `policy`, `export` and `catalog`.
//!
//! It does not compile policy text; the node does before it proposes a set.

use schemas::Jurisdiction;
use schemas::code::Action;
use schemas::command::Command;
use schemas::policy_set::PolicySet;

use super::Desk;
use super::decision::{Question, explain};
use crate::Error;
use crate::cli::policy::{Catalog, Export, Policy};
use crate::client::{Call, Verb};
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
];

const MEMBERS: &[Column] = &[
    Column::text("col-node", "node"),
    Column::text("col-operator", "operator"),
    Column::number("col-raft-number", "raft_number"),
    Column::text("col-address", "address"),
    Column::text("col-votes", "votes"),
    Column::text("col-leads", "leads"),
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

pub(super) fn catalog(it: Catalog, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Catalog::Status => desk.show("/catalog", STATUS),
        Catalog::Members(paging) => desk.list("/catalog/members", MEMBERS, paging),
        Catalog::AddMember { node } => {
            super::member::give_vote(&node, desk)?;
            desk.terminal.note("note-member-added", &[("node", &node)]);
            Ok(())
        }
        Catalog::RemoveMember { node } => {
            desk.terminal.confirm("ask-remove-member", &node)?;
            let call = Call {
                verb: Verb::Delete,
                path: format!("/catalog/members/{node}"),
                headers: Vec::new(),
                body: None,
            };
            desk.client.insist(&call)?;
            desk.terminal
                .note("note-member-removed", &[("node", &node)]);
            Ok(())
        }
    }
}
