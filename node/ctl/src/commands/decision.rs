//! What would be decided, shown with its reasons.
//!
//! It does not decide, and asking changes nothing; that it was asked is on the ledger.

use std::collections::BTreeSet;

use schemas::code::Action;
use schemas::decision::{Decision, Obligations};
use schemas::request::Purpose;
use schemas::{DatasetId, GrantId, Jurisdiction, PersonId};
use serde::Serialize;
use serde_json::Value;

use super::{Desk, parse};
use crate::Error;
use crate::cli::policy::Circumstances;
use crate::output::Column;

/// A question, as `POST /policies/explanation` takes it.
#[derive(Debug, Serialize)]
pub(super) struct Question {
    pub(super) person: Option<PersonId>,
    pub(super) action: Action,
    pub(super) dataset: Option<DatasetId>,
    pub(super) grant: Option<GrantId>,
    pub(super) purpose: Option<Purpose>,
    pub(super) destination: Option<Jurisdiction>,
    pub(super) columns: Option<BTreeSet<String>>,
}

impl Question {
    /// May this be done under these circumstances?
    pub(super) fn new(action: Action, it: Circumstances) -> Self {
        Self {
            person: it.subject,
            action,
            dataset: it.dataset,
            grant: it.grant,
            purpose: it.purpose.map(|code| Purpose {
                text: code.clone(),
                code,
            }),
            destination: it.to,
            columns: (!it.columns.is_empty()).then(|| it.columns.into_iter().collect()),
        }
    }
}

const REASONS: &[Column] = &[
    Column::text("col-code", "code"),
    Column::text("col-meaning", "meaning"),
    Column::text("col-cites", "cites"),
    Column::text("col-next", "next"),
];

/// Asks and shows the answer.
///
/// # Errors
/// [`Error::Denied`] when the answer is no.
pub(super) fn explain(question: &Question, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let body = serde_json::to_value(question).unwrap_or_default();
    let answer = desk.client.post("/policies/explanation", &body)?;
    let decision: Decision = parse(answer["decision"].clone())?;
    let terminal = desk.terminal;
    match decision {
        Decision::Permit(obligations) => {
            terminal.note("note-permitted", &[]);
            if terminal.is_table() {
                let shown = serde_json::to_value::<Obligations>(obligations).unwrap_or_default();
                return terminal.record(&[], &shown);
            }
            terminal.record(&[], &answer)
        }
        Decision::Measure { duty, .. } => {
            let columns = [duty.personal, duty.sensitive].concat().join(", ");
            terminal.note("note-measure", &[("columns", &columns)]);
            terminal.record(&[], &answer)
        }
        Decision::Deny(reasons) => {
            let rows: Vec<Value> = reasons.iter().map(|it| terminal.reason_row(it)).collect();
            if terminal.is_table() {
                terminal.whole(REASONS, &rows)?;
            } else {
                terminal.record(REASONS, &answer)?;
                for it in &rows {
                    let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
                    let arguments: [(&str, &dyn std::fmt::Display); 3] = [
                        ("code", &text("code")),
                        ("meaning", &text("meaning")),
                        ("cites", &text("cites")),
                    ];
                    terminal.note("err-reason", &arguments);
                    terminal.note("err-next", &[("next", &text("next"))]);
                }
            }
            Err(Error::Denied)
        }
    }
}
