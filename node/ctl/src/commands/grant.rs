//! `grant`: what others may read of ours and we of theirs.
//!
//! It does not decide what a grant allows; the node is asked.

use schemas::code::Action;
use schemas::command::Command;
use schemas::request::Grant as Right;

use super::decision::{Question, explain};
use super::{Desk, parse};
use crate::Error;
use crate::cli::grant::{Check, Grant};
use crate::client::Verb;
use crate::output::Column;

const GRANTS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-contract", "contract"),
    Column::text("col-dataset", "dataset"),
    Column::text("col-provider", "provider"),
    Column::text("col-consumer", "consumer"),
    Column::text("col-purpose", "purpose.code"),
    Column::text("col-state", "state"),
    Column::time("col-until", "period.until"),
];

const CONTRACTS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-request", "request"),
    Column::text("col-dataset", "dataset"),
    Column::text("col-provider", "provider"),
    Column::text("col-consumer", "consumer"),
    Column::time("col-from", "period.from"),
    Column::time("col-until", "period.until"),
];

pub(super) fn run(it: Grant, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Grant::List(paging) => desk.list("/grants", GRANTS, paging),
        Grant::Get { id } => desk.show(&format!("/grants/{id}"), GRANTS),
        Grant::Contracts(paging) => desk.list("/contracts", CONTRACTS, paging),
        Grant::Contract { id } => desk.show(&format!("/contracts/{id}"), CONTRACTS),
        Grant::Check(it) => check(it, desk),
        Grant::Revoke { id, because } => {
            desk.terminal.confirm("ask-revoke", &id)?;
            let right: Right = parse(desk.client.get(&format!("/grants/{id}"))?)?;
            let command = Command::RevokeGrant {
                grant: id.clone(),
                because,
            };
            let path = format!("/grants/{id}/revocation");
            let answer = desk
                .client
                .change(Verb::Post, &path, right.revision, command)?;
            desk.changed(&id, &answer)
        }
    }
}

/// Asks what the grant allows now, for its own purpose and destination unless others are given.
fn check(it: Check, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let right: Right = parse(desk.client.get(&format!("/grants/{}", it.id))?)?;
    let purpose = it
        .purpose
        .map_or(right.purpose, |code| schemas::request::Purpose {
            text: code.clone(),
            code,
        });
    let question = Question {
        person: it.subject,
        action: Action::DatasetRead,
        dataset: Some(right.dataset),
        grant: Some(it.id),
        purpose: Some(purpose),
        destination: Some(it.to.unwrap_or(right.destination)),
        columns: (!it.columns.is_empty()).then(|| it.columns.into_iter().collect()),
    };
    explain(&question, desk)
}
