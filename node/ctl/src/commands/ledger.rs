//! `ledger`: read it, and take proofs of it away.
//!
//! It does not verify; [`crate::verify`] does, and needs no node for it.

use std::path::Path;

use serde_json::Value;

use super::{Desk, parse};
use crate::Error;
use crate::cli::Paging;
use crate::cli::ledger::{Ledger, Question};
use crate::client::query;
use crate::files;
use crate::output::{Column, indented};

const STANDING: &[Column] = &[
    Column::text("col-participant", "ledger.participant"),
    Column::text("col-incarnation", "ledger.incarnation"),
    Column::number("col-size", "size"),
    Column::number("col-checkpoint", "checkpoint.body.size"),
    Column::number("col-witnessed", "witnessed.body.size"),
];

const ENTRIES: &[Column] = &[
    Column::text("col-index", "index"),
    Column::time("col-at", "entry.at"),
    Column::text("col-event", "entry.event.kind"),
    Column::text("col-person", "entry.event.request.principal.person"),
    Column::text("col-action", "entry.event.request.action"),
    Column::text("col-dataset", "entry.event.request.dataset"),
    Column::text("col-refused", "entry.event.decision.deny.0.code"),
    Column::text("col-node", "entry.node"),
    Column::text("col-trace", "entry.trace"),
];

const FINDINGS: &[Column] = &[
    Column::text("col-code", "code"),
    Column::time("col-at", "at"),
    Column::text("col-meaning", "meaning"),
    Column::text("col-person", "actor"),
    Column::text("col-participant", "participant"),
    Column::text("col-dataset", "dataset"),
    Column::text("col-purpose", "purpose"),
    Column::text("col-index", "entries"),
];

/// Entries that one call asks for at most.
const ENTRIES_PAGE: usize = 500;

pub(super) fn run(it: Ledger, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Ledger::Status => desk.show("/ledger", STANDING),
        Ledger::Entries { from, paging } => entries(from, paging, desk),
        Ledger::Show { index } => {
            let found = read(index, 1, desk)?;
            // The ledger may have answered with nothing, or begun further on.
            let entry = found.into_iter().find(|it| it["index"] == index);
            let entry = entry.ok_or(Error::NoSuchEntry { index })?;
            desk.terminal.record(ENTRIES, &entry)
        }
        Ledger::Prove { index, out } => {
            let evidence = desk
                .client
                .get(&format!("/ledger/entries/{index}/evidence"))?;
            save(&evidence, &out, desk)
        }
        Ledger::Search { question, paging } => {
            let path = format!("/ledger/search{}", query(&asked(&question)));
            desk.list(&path, ENTRIES, paging)
        }
        Ledger::ExportEvidence { question, out } => {
            let mut pairs = asked(&question);
            pairs.push(("lang", desk.terminal.language().tag().to_owned()));
            let package = desk
                .client
                .get(&format!("/ledger/package{}", query(&pairs)))?;
            save(&package, &out, desk)?;
            let held = &package["manifest"]["body"];
            desk.terminal.note(
                "note-evidence",
                &[("matched", &held["matched"]), ("related", &held["related"])],
            );
            Ok(())
        }
        Ledger::Findings { unusual_since } => {
            let since = unusual_since.map(|it| ("unusual_since", it.to_string()));
            let pairs: Vec<_> = since.into_iter().collect();
            let look = desk
                .client
                .get(&format!("/ledger/findings{}", query(&pairs)))?;
            let found = look["findings"].as_array().map_or(&[][..], Vec::as_slice);
            let items: Vec<Value> = found.iter().map(|it| explained(it, desk)).collect();
            let total = look["total"].as_u64().unwrap_or(0);
            let shown = u64::try_from(items.len()).unwrap_or(u64::MAX);
            desk.print(FINDINGS, &items, shown < total)?;
            desk.terminal.note(
                "note-looked",
                &[("entries", &look["entries"]), ("from", &look["from"])],
            );
            Ok(())
        }
        Ledger::Consistency { old, new, out } => {
            let sizes = [("old", old.to_string()), ("new", new.to_string())];
            let path = format!("/ledger/consistency{}", query(&sizes));
            let proof = desk.client.get(&path)?;
            save(
                &proof,
                out.as_deref().unwrap_or_else(|| Path::new("-")),
                desk,
            )
        }
        Ledger::Verify(it) => crate::verify::run(&it, desk.terminal),
    }
}

/// A finding with its meaning in words.
fn explained(finding: &Value, desk: &Desk<'_, '_>) -> Value {
    let meaning = match finding["code"].as_str().unwrap_or_default() {
        "RECEIPT_MISSING" => "finding-receipt-missing",
        "RECEIPT_MISMATCH" => "finding-receipt-mismatch",
        "GAP" => "finding-gap",
        "SILENCE" => "finding-silence",
        "CLOCK_BACK" => "finding-clock",
        "FORK" => "finding-fork",
        "NIGHT_ACCESS" => "finding-night",
        "UNUSUAL_VOLUME" => "finding-volume",
        "FIRST_PURPOSE" => "finding-purpose",
        _ => "finding-other",
    };
    let mut shown = finding.clone();
    if let Some(record) = shown.as_object_mut() {
        let words = desk.terminal.say(meaning, &[]);
        record.insert("meaning".to_owned(), Value::String(words));
    }
    shown
}

/// A question as the API takes it.
fn asked(question: &Question) -> Vec<(&'static str, String)> {
    let text = |it: &Option<String>| it.clone();
    let parts = [
        ("dataset", text(&question.dataset)),
        ("participant", text(&question.participant)),
        ("actor", text(&question.actor)),
        ("action", text(&question.action)),
        ("outcome", text(&question.outcome)),
        ("purpose", text(&question.purpose)),
        ("destination", question.destination.map(|it| it.to_string())),
        ("release", text(&question.release)),
        ("from", question.from.map(|it| it.to_string())),
        ("until", question.until.map(|it| it.to_string())),
    ];
    parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Writes what a verifier reads to a new file, or to stdout for `-`.
fn save(proof: &Value, out: &Path, desk: &Desk<'_, '_>) -> Result<(), Error> {
    if out == Path::new("-") {
        return desk.terminal.data(&indented(proof));
    }
    files::write_new(out, indented(proof).as_bytes())?;
    desk.terminal
        .note("note-saved", &[("path", &out.display())]);
    Ok(())
}

fn read(from: u64, limit: usize, desk: &mut Desk<'_, '_>) -> Result<Vec<Value>, Error> {
    let pairs = [("from", from.to_string()), ("limit", limit.to_string())];
    parse(
        desk.client
            .get(&format!("/ledger/entries{}", query(&pairs)))?,
    )
}

fn entries(from: Option<u64>, paging: Paging, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let most = paging.most();
    let size = desk.client.get("/ledger")?["size"].as_u64().unwrap_or(0);
    let from = match (from, most) {
        (Some(from), _) => from,
        (None, Some(most)) => size.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX)),
        (None, None) => 0,
    };
    let mut items: Vec<Value> = Vec::new();
    let mut next = from;
    loop {
        let wanted = most.map_or(ENTRIES_PAGE, |most| (most - items.len()).min(ENTRIES_PAGE));
        // Reading writes entries too; what came after the first look is left for the next one.
        if wanted == 0 || next >= size {
            break;
        }
        let found = read(next, wanted, desk)?;
        let Some(last) = found.last().and_then(|it| it["index"].as_u64()) else {
            break;
        };
        next = last + 1;
        items.extend(found);
    }
    items.retain(|it| it["index"].as_u64().is_some_and(|index| index < size));
    desk.print(ENTRIES, &items, next < size)
}
