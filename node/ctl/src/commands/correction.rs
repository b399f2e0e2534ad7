//! `correction`: doubt a row, and answer.
//!
//! It does not correct anything; a new version does.

use std::collections::BTreeSet;

use schemas::CorrectionId;
use schemas::command::Command;
use schemas::correction::{Correction as Ticket, CorrectionState};

use super::{Desk, parse};
use crate::Error;
use crate::cli::correction::{Correction, Open, Step};
use crate::client::{Client, Verb, now};
use crate::output::Column;

const TICKETS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-dataset", "dataset"),
    Column::number("col-version", "version"),
    Column::text("col-row", "row"),
    Column::text("col-field", "column"),
    Column::text("col-consumer", "consumer"),
    Column::text("col-state", "state"),
    Column::time("col-until", "due_at"),
    Column::number("col-revision", "revision"),
];

pub(super) fn run(it: Correction, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Correction::List(paging) => desk.list("/corrections", TICKETS, paging),
        Correction::Notices(paging) => desk.list("/notices", TICKETS, paging),
        Correction::Get { id } => desk.show(&format!("/corrections/{id}"), TICKETS),
        Correction::Open(it) => open(it, desk),
        Correction::Accept(it) => shift(it, CorrectionState::Accepted, None, desk),
        Correction::Correct { step, version } => {
            shift(step, CorrectionState::Corrected, Some(version), desk)
        }
        Correction::Reject(it) => shift(it, CorrectionState::Rejected, None, desk),
        Correction::Feedback(it) => shift(it, CorrectionState::Feedback, None, desk),
        Correction::Close(it) => shift(it, CorrectionState::Closed, None, desk),
    }
}

fn open(it: Open, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let principal = desk.client.principal()?;
    let id = CorrectionId::parse(Client::fresh("c")?)?;
    let ticket = Ticket {
        id: id.clone(),
        dataset: it.dataset,
        version: it.version,
        row: it.row,
        column: it.column,
        evidence: it.evidence,
        consumer: principal.participant,
        opened_by: principal.person.ok_or(Error::Missing { flag: "person" })?,
        opened_at: now(),
        state: CorrectionState::Open,
        due_at: None,
        overdue_at: None,
        answer: None,
        corrected_in: None,
        notified: BTreeSet::new(),
        revision: 0,
    };
    let command = Command::OpenCorrection {
        correction: Box::new(ticket),
    };
    let answer = desk.client.change(Verb::Post, "/corrections", 0, command)?;
    desk.changed(&id, &answer)
}

fn shift(
    it: Step,
    to: CorrectionState,
    corrected_in: Option<u64>,
    desk: &mut Desk<'_, '_>,
) -> Result<(), Error> {
    let Step { id, text } = it;
    let before: Ticket = parse(desk.client.get(&format!("/corrections/{id}"))?)?;
    let revision = before.revision;
    let command = Command::MoveCorrection {
        correction: id.clone(),
        revision,
        to,
        text,
        corrected_in,
    };
    let path = format!("/corrections/{id}/state");
    let answer = desk.client.change(Verb::Post, &path, revision, command)?;
    desk.changed(&id, &answer)
}
