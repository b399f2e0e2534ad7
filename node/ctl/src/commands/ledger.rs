//! `ledger`: read it, and take proofs of it away.
//!
//! It does not verify; [`crate::verify`] does, and needs no node for it.

use std::path::Path;

use serde_json::Value;

use super::{Desk, parse};
use crate::Error;
use crate::cli::Paging;
use crate::cli::ledger::Ledger;
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
