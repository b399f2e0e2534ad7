//! `job`: what the node works on for us, and how it ended.
//!
//! It does not repair files; it shows what is wrong with them.

use serde_json::{Value, json};

use super::Desk;
use crate::Error;
use crate::cli::job::Job;
use crate::output::{Column, Kind, Terminal};

/// Columns of jobs.
pub(super) const JOBS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-state", "state"),
    Column::text("col-step", "progress.step"),
    Column::number("col-done", "progress.done"),
    Column::number("col-total", "progress.total"),
    Column::text("col-person", "person"),
    Column::time("col-created-at", "created_at"),
];

const FINDINGS: &[Column] = &[
    Column::number("col-row", "row"),
    Column::text("col-field", "field"),
    Column::text("col-rule", "rule"),
    Column::text("col-value", "value"),
    Column::text("col-why", "why"),
];

const RULES: &[Column] = &[
    Column::text("col-rule", "rule"),
    Column::text("col-indicator", "indicator"),
    Column::number("col-evaluated", "evaluated"),
    Column::number("col-failed", "failed"),
    Column {
        header: "col-score",
        path: "score",
        kind: Kind::Share,
    },
    Column::text("col-passed", "passed"),
];

pub(super) fn run(it: Job, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Job::List(paging) => desk.list("/jobs", JOBS, paging),
        Job::Get { id } => desk.show(&format!("/jobs/{id}"), JOBS),
        Job::Wait { id } => wait(id.as_str(), desk),
        Job::Cancel { id } => {
            let answer = desk
                .client
                .post(&format!("/jobs/{id}/cancellation"), &json!({}))?;
            desk.terminal.record(JOBS, &answer)
        }
    }
}

/// Waits for a job, shows what came of it, and fails as it failed.
pub(super) fn wait(id: &str, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let job = desk.client.wait(id)?;
    let terminal = desk.terminal;
    if !terminal.is_table() {
        terminal.record(JOBS, &job)?;
        desk.client.judge(&job)?;
        tell_of_limit(&job, terminal);
        return Ok(());
    }
    if let Some(findings) = job["failure"]["findings"]
        .as_array()
        .filter(|it| !it.is_empty())
    {
        terminal.whole(FINDINGS, findings)?;
        terminal.note("note-findings", &[("count", &findings.len()), ("job", &id)]);
    }
    desk.client.judge(&job)?;
    tell_of_limit(&job, terminal);
    match job["outcome"].as_object().and_then(|it| it.iter().next()) {
        Some((kind, outcome)) => came_of_it(kind, outcome, &job, terminal),
        None => terminal.record(JOBS, &job),
    }
}

/// Rows that a limit cut off are missing without a gap: nobody would notice them.
fn tell_of_limit(job: &Value, terminal: &Terminal) {
    if job["outcome"]["transferred"]["row_limit_reached"] == true {
        terminal.note("note-row-limit", &[]);
    }
}

fn came_of_it(kind: &str, outcome: &Value, job: &Value, terminal: &Terminal) -> Result<(), Error> {
    if kind != "published" {
        return terminal.record(JOBS, outcome);
    }
    let verdict = &outcome["verdict"];
    let summary = json!({
        "job": job["id"], "version": outcome["version"], "rows": outcome["rows"],
        "quarantined_rows": outcome["quarantined_rows"], "bytes": outcome["bytes"],
        "score_ppm": verdict["score"], "passed": verdict["passed"],
    });
    terminal.record(JOBS, &summary)?;
    let rules = verdict["rules"].as_array().cloned().unwrap_or_default();
    if !rules.is_empty() {
        terminal.whole(RULES, &rules)?;
    }
    if outcome["quarantined_rows"]
        .as_u64()
        .is_some_and(|it| it > 0)
    {
        let id = job["id"].as_str().unwrap_or_default().to_owned();
        terminal.note(
            "note-quarantined",
            &[("count", &outcome["quarantined_rows"]), ("job", &id)],
        );
    }
    Ok(())
}
