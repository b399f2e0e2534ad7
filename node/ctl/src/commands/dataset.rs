//! `dataset`: find, describe, publish, and look at one's own rows.
//!
//! It does not read rows of others; a transfer does.

use std::collections::BTreeMap;
use std::path::Path;

use schemas::command::Command;
use schemas::dataset::{Dataset as Card, DatasetState, DatasetVersion};
use schemas::mapping::Mapping;
use schemas::quality::{Severity, scorecard};
use schemas::resource::{self, CatalogFinding, Neighbours};
use schemas::standard::DataStandard;
use schemas::{DatasetId, JobId, StandardEdition};
use serde_json::{Map, Value, json};

use super::{Desk, job, parse};
use crate::Error;
use crate::cli::Paging;
use crate::cli::dataset::{Check, Dataset, Find, Publish};
use crate::client::{Call, Check as Checked, Client, Upload, Verb, query};
use crate::files::{read_record, read_text};
use crate::output::{Column, Kind};

const CARDS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-title", "title"),
    Column::text("col-provider", "provider"),
    Column::text("col-grade", "grade"),
    Column::text("col-share", "share"),
    Column::text("col-state", "state"),
    Column::number("col-revision", "revision"),
];

const FACETS: &[Column] = &[
    Column::text("col-facet", "facet"),
    Column::text("col-value", "value"),
    Column::number("col-count", "count"),
];

const VERSIONS: &[Column] = &[
    Column::number("col-version", "body.number"),
    Column::number("col-rows", "body.rows"),
    Column::number("col-quarantined", "body.quarantined_rows"),
    Column::number("col-bytes", "body.bytes"),
    Column {
        header: "col-score",
        path: "body.verdict.score",
        kind: Kind::Share,
    },
    Column::text("col-passed", "body.verdict.passed"),
    Column::time("col-published-at", "body.published_at"),
];

const STANDARDS: &[Column] = &[
    Column::text("col-id", "edition.standard"),
    Column::number("col-edition", "edition.edition"),
    Column::text("col-title", "title"),
];

const QUARANTINED: &[Column] = &[
    Column::number("col-row", "row"),
    Column::text("col-field", "findings.0.field"),
    Column::text("col-rule", "findings.0.rule"),
    Column::text("col-value", "findings.0.value"),
    Column::text("col-why", "findings.0.why"),
    Column {
        header: "col-findings",
        path: "findings",
        kind: Kind::Count,
    },
];

const CODES: &[Column] = &[Column::text("col-code", "resource_code")];

const ASSESSED: &[Column] = &[
    Column::text("col-grade", "proposed"),
    Column::text("col-kind", "pack.series"),
    Column::number("col-number", "pack.number"),
];

const FINDINGS: &[Column] = &[
    Column::text("col-field", "field"),
    Column::text("col-rule", "rule"),
    Column::text("col-severity", "severity"),
    Column::text("col-advice", "advice"),
];

const FAULTS: &[Column] = &[
    Column::number("col-row", "row"),
    Column::text("col-field", "fault.field"),
    Column::text("col-rule", "fault.rule"),
    Column::text("col-value", "fault.value"),
    Column::text("col-why", "fault.why"),
];

const COUNTS: &[Column] = &[
    Column::text("col-field", "field"),
    Column::text("col-rule", "rule"),
    Column::number("col-failed", "count"),
];

const REPORT: &[Column] = &[
    Column::number("col-rows", "rows"),
    Column::number("col-quarantined", "kept_out"),
    Column::text("col-encoding", "encoding"),
];

const SCORECARD: &[Column] = &[
    Column::text("col-indicator", "indicator"),
    Column::text("col-title", "title"),
    Column {
        header: "col-score",
        path: "score",
        kind: Kind::Share,
    },
    Column::number("col-evaluated", "evaluated"),
    Column::number("col-failed", "failed"),
    Column::text("col-formula", "formula"),
    Column {
        header: "col-basis",
        path: "basis",
        kind: Kind::Count,
    },
];

/// Rows that the data listener gives at most in one answer.
const ROWS_PAGE: usize = 100;

pub(super) fn run(it: Dataset, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Dataset::Search(it) => find(&it.find, Some(it.words.join(" ")), desk),
        Dataset::List(it) => find(&it, None, desk),
        Dataset::Get { id } => desk.show(&format!("/datasets/{id}"), CARDS),
        Dataset::Describe(it) => {
            let card: Card = read_record(&it.file)?;
            let (id, revision) = (card.id.clone(), card.revision);
            let command = Command::DescribeDataset {
                dataset: Box::new(card),
            };
            let path = format!("/datasets/{id}");
            let answer = desk.client.change(Verb::Put, &path, revision, command)?;
            desk.changed(&id, &answer)
        }
        Dataset::Move { id, state } => move_to(id, state, desk),
        Dataset::CheckCard { id, file } => check_card(id.as_ref(), file.as_deref(), desk),
        Dataset::Code { classification } => {
            desk.show(&format!("/resource-codes/{classification}"), CODES)
        }
        Dataset::Grade { impacts } => {
            let answers: BTreeMap<_, _> = impacts.into_iter().collect();
            let body = json!({ "answers": answers });
            let assessed = desk.client.post("/assessments", &body)?;
            desk.terminal.record(ASSESSED, &assessed)
        }
        Dataset::Publish(it) => publish(it, desk),
        Dataset::Check(it) => check(it, desk),
        Dataset::Versions { id, paging } => {
            desk.list(&format!("/datasets/{id}/versions"), VERSIONS, paging)
        }
        Dataset::Scorecard { id } => show_scorecard(&id, desk),
        Dataset::Quarantine { job, paging } => quarantine(&job, paging, desk),
        Dataset::Preview { id, paging } => preview(&id, paging, desk),
        Dataset::Standards(paging) => desk.list("/standards", STANDARDS, paging),
        Dataset::Standard { id, edition } => {
            desk.show(&format!("/standards/{id}/{edition}"), STANDARDS)
        }
        Dataset::AdoptStandard(it) => {
            let standard: DataStandard = read_record(&it.file)?;
            let id = format!("{}/{}", standard.edition.standard, standard.edition.edition);
            let command = Command::AdoptStandard {
                standard: Box::new(standard),
            };
            let answer = desk.client.change(Verb::Post, "/standards", 0, command)?;
            desk.changed(&id, &answer)
        }
    }
}

fn find(it: &Find, words: Option<String>, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let pairs: Vec<(&str, String)> = [
        ("q", words),
        ("provider", it.provider.as_ref().map(ToString::to_string)),
        ("grade", it.grade.map(|it| it.to_string())),
        ("share", it.share.map(|it| it.to_string())),
        ("update_cycle", it.cycle.map(|it| it.to_string())),
        ("theme", it.theme.clone()),
        ("facets", it.facets.then(|| "true".to_owned())),
        // Counts come with any page.
        ("limit", it.facets.then(|| "1".to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    if it.facets {
        let page = desk.client.get(&format!("/datasets{}", query(&pairs)))?;
        return desk.print(FACETS, &counts(&page), false);
    }
    desk.list(&format!("/datasets{}", query(&pairs)), CARDS, it.paging)
}

/// One line a value.
fn counts(page: &Value) -> Vec<Value> {
    let facets = page["facets"].as_object().into_iter().flatten();
    facets
        .flat_map(|(facet, values)| {
            let values = values.as_array().into_iter().flatten();
            values.map(move |it| {
                let (value, count) = (&it["value"], &it["count"]);
                serde_json::json!({"facet": facet, "value": value, "count": count})
            })
        })
        .collect()
}

fn move_to(id: DatasetId, to: DatasetState, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    if to == DatasetState::Retired {
        desk.terminal.confirm("ask-retire", &id)?;
    }
    let card: Card = parse(desk.client.get(&format!("/datasets/{id}"))?)?;
    let revision = card.revision;
    let command = Command::MoveDataset {
        dataset: id.clone(),
        revision,
        to,
    };
    let path = format!("/datasets/{id}/state");
    let answer = desk.client.change(Verb::Post, &path, revision, command)?;
    desk.changed(&id, &answer)
}

/// Prints the findings of a card; one that blocks is a check that failed.
fn check_card(
    id: Option<&DatasetId>,
    file: Option<&Path>,
    desk: &mut Desk<'_, '_>,
) -> Result<(), Error> {
    let found: Vec<CatalogFinding> = match (id, file) {
        (Some(id), _) => {
            let mut answer = desk.client.get(&format!("/datasets/{id}/findings"))?;
            parse(answer["items"].take())?
        }
        (None, Some(file)) => {
            let card: Card = read_record(file)?;
            resource::findings(&card, &Neighbours::default())
        }
        (None, None) => return Err(Error::Missing { flag: "file" }),
    };
    let items: Vec<Value> = found.iter().map(|it| json!(it)).collect();
    desk.terminal.whole_or_list(FINDINGS, &items)?;
    let blocking = |it: &&CatalogFinding| it.severity == Severity::Block;
    match found.iter().filter(blocking).count() {
        0 => Ok(()),
        failed => Err(Error::NotFilledIn { failed }),
    }
}

fn publish(it: Publish, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let key = it.idempotency_key.map_or_else(|| Client::fresh("u"), Ok)?;
    let Publish {
        id: dataset,
        path,
        mapping,
        encoding,
        no_wait,
        ..
    } = it;
    let upload = Upload {
        dataset,
        path,
        encoding,
        mapping,
        key,
    };
    let queued = desk.client.upload(&upload)?;
    if no_wait {
        return desk.terminal.record(job::JOBS, &queued);
    }
    let id = queued["id"].as_str().unwrap_or_default().to_owned();
    job::wait(&id, desk)
}

/// Shows what a publish would keep out; fails as a check when that is anything.
fn check(it: Check, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let mapping = match &it.mapping {
        None => Vec::new(),
        Some(path) => {
            // Read here too: a mistake in it is named before a large file is sent.
            let text = read_text(path)?;
            let mapping: Mapping =
                serde_json::from_str(&text).map_err(|e| Error::input(path.display(), e))?;
            mapping
                .check(&|_| true)
                .map_err(|e| Error::input(path.display(), e))?;
            text.into_bytes()
        }
    };
    let report = desk.client.check(&Checked {
        path: it.path,
        standard: StandardEdition {
            standard: it.standard,
            edition: it.edition,
        },
        mapping,
        encoding: it.encoding,
    })?;
    if desk.terminal.is_table() {
        for (columns, key) in [(FAULTS, "findings"), (COUNTS, "counts")] {
            if let Some(items) = report[key].as_array().filter(|it| !it.is_empty()) {
                desk.terminal.whole(columns, items)?;
            }
        }
    }
    desk.terminal.record(REPORT, &report)?;
    let number = |key: &str| report[key].as_u64().unwrap_or(0);
    match number("kept_out") {
        0 => Ok(()),
        kept_out => Err(Error::RowsKeptOut {
            kept_out,
            rows: number("rows"),
        }),
    }
}

/// What is not assessable is said, not shown as whole.
fn show_scorecard(id: &DatasetId, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let versions = desk
        .client
        .list(&format!("/datasets/{id}/versions"), None)?;
    let Some(last) = versions.items.last() else {
        return Err(Error::input(id, "no version is published"));
    };
    let version: DatasetVersion = parse(last["body"].clone())?;
    let card = scorecard(&version.verdict, version.rows, version.quarantined_rows);
    let unknown = card.iter().filter(|it| it.score.is_none()).count();
    let items: Vec<Value> = parse(json!(card))?;
    desk.terminal.whole_or_list(SCORECARD, &items)?;
    desk.terminal
        .note("note-not-assessable", &[("count", &unknown)]);
    Ok(())
}

/// All quarantined rows that were asked for; the data listener gives a hundred at a time.
fn quarantine(job: &JobId, paging: Paging, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let most = paging.most();
    let mut items: Vec<Value> = Vec::new();
    let mut after: Option<u64> = None;
    loop {
        let wanted = most.map_or(ROWS_PAGE, |most| (most - items.len()).min(ROWS_PAGE));
        let mut pairs = vec![("limit", wanted.to_string())];
        pairs.extend(after.map(|it| ("after", it.to_string())));
        let path = format!("/jobs/{job}/quarantine{}", query(&pairs));
        let mut page = desk.client.call_data(&Call::get(path))?;
        let found: Vec<Value> = parse(page["items"].take())?;
        let empty = found.is_empty();
        items.extend(found);
        after = page["next_after"].as_u64();
        let full = most.is_some_and(|most| items.len() >= most);
        if full || empty || after.is_none() {
            return desk.print(QUARANTINED, &items, after.is_some());
        }
    }
}

/// The first rows, each as a record of its columns.
fn preview(id: &DatasetId, paging: Paging, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let wanted = paging.most().unwrap_or(ROWS_PAGE).min(ROWS_PAGE);
    let path = format!(
        "/datasets/{id}/preview{}",
        query(&[("limit", wanted.to_string())])
    );
    let mut answer = desk.client.call_data(&Call::get(path))?;
    let columns: Vec<String> = parse(answer["columns"].take())?;
    let rows: Vec<Vec<Value>> = parse(answer["rows"].take())?;
    let record = |row: Vec<Value>| -> Value {
        Value::Object(columns.iter().cloned().zip(row).collect::<Map<_, _>>())
    };
    let items: Vec<Value> = rows.into_iter().map(record).collect();
    desk.terminal
        .note("note-preview", &[("version", &answer["version"])]);
    desk.terminal.rows(&columns, &items)
}
