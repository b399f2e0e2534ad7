//! What must be done for a permit to hold: which columns and rows, masked how, sealed or not.
//!
//! It does not touch rows: the data plane carries obligations out.

use std::collections::{BTreeMap, BTreeSet};

use schemas::code::ReasonCode;
use schemas::decision::{DatasetFacts, DecisionRequest, Facts, Mask, Obligations};
use schemas::request::Grant;

use crate::combine::Reasons;
use crate::export::leaves_mainland;
use crate::pdp::Pdp;
use crate::usage::{Duties, Rows, is_own};

/// Most columns that a refusal names.
const COLUMNS_NAMED_MAX: usize = 5;
/// Longest part of a column's name that a refusal shows, in characters: the asker chose it.
const COLUMN_CHARS_MAX: usize = 64;

/// The duties of a permit, with reasons against where what was asked cannot be had.
pub(crate) fn judge(
    pdp: &Pdp,
    duties: Duties,
    request: &DecisionRequest,
    facts: &Facts,
    reasons: &mut Reasons<'_>,
) -> Obligations {
    let Some(dataset) = &facts.dataset else {
        return Obligations::default();
    };
    match duties.rows {
        Rows::None => Obligations::default(),
        Rows::Sample => {
            let columns = own_columns(dataset, request, reasons);
            let rows_max = Some(pdp.rules().inspect_rows_max);
            let masks = masks(pdp, dataset, &columns, &BTreeMap::new());
            Obligations {
                columns,
                masks,
                rows_max,
                ..Obligations::default()
            }
        }
        Rows::Version => {
            let seal = pdp.seals(dataset.grade, request.destination) || leaves_mainland(request);
            if is_own(request, facts) {
                let columns = own_columns(dataset, request, reasons);
                let masks = masks(pdp, dataset, &columns, &BTreeMap::new());
                return Obligations {
                    columns,
                    masks,
                    seal,
                    ..Obligations::default()
                };
            }
            let Some(grant) = &facts.grant else {
                return asked_columns(dataset, request);
            };
            let columns = granted_columns(dataset, grant, request, reasons);
            let masks = masks(pdp, dataset, &columns, &grant.masks);
            let rows = grant.rows.clone();
            Obligations {
                columns,
                rows,
                masks,
                rows_max: grant.rows_max,
                seal,
                export: None,
            }
        }
    }
}

/// Without a grant nothing leaves; what would have left still tells which export rule applies.
fn asked_columns(dataset: &DatasetFacts, request: &DecisionRequest) -> Obligations {
    let columns = pick(dataset, |name| asked(request, name));
    Obligations {
        columns,
        ..Obligations::default()
    }
}

/// A provider's columns of its own: all of them, or those that were asked for.
fn own_columns(
    dataset: &DatasetFacts,
    request: &DecisionRequest,
    reasons: &mut Reasons<'_>,
) -> Vec<String> {
    refuse_outside(request, |_| true, dataset, reasons);
    some(pick(dataset, |name| asked(request, name)), reasons)
}

/// Grant ∩ asked ∩ dataset, in the dataset's order.
fn granted_columns(
    dataset: &DatasetFacts,
    grant: &Grant,
    request: &DecisionRequest,
    reasons: &mut Reasons<'_>,
) -> Vec<String> {
    let granted: BTreeSet<&str> = grant.columns.iter().map(String::as_str).collect();
    refuse_outside(request, |name| granted.contains(name), dataset, reasons);
    // A filter on a column that is gone cannot be carried out, and without it more rows would
    // leave than were granted.
    let exists = |name: &str| dataset.columns.iter().any(|(column, _)| column == name);
    if let Some(gone) = grant.rows.all.iter().find(|it| !exists(&it.column)) {
        refuse(
            &[gone.column.as_str()],
            "row filter of the grant on a missing column",
            reasons,
        );
    }
    some(
        pick(dataset, |name| {
            granted.contains(name) && asked(request, name)
        }),
        reasons,
    )
}

fn asked(request: &DecisionRequest, name: &str) -> bool {
    request
        .columns
        .as_ref()
        .is_none_or(|columns| columns.contains(name))
}

fn pick(dataset: &DatasetFacts, keep: impl Fn(&str) -> bool) -> Vec<String> {
    dataset
        .columns
        .iter()
        .map(|(name, _)| name)
        .filter(|name| keep(name))
        .cloned()
        .collect()
}

/// No column at all is refused: an empty list must never be taken for "all".
fn some(columns: Vec<String>, reasons: &mut Reasons<'_>) -> Vec<String> {
    if columns.is_empty() {
        reasons.deny(ReasonCode::ColumnNotGranted);
    }
    columns
}

/// A column that was asked for by name and cannot be had is refused, not silently left out.
fn refuse_outside(
    request: &DecisionRequest,
    granted: impl Fn(&str) -> bool,
    dataset: &DatasetFacts,
    reasons: &mut Reasons<'_>,
) {
    let Some(asked) = &request.columns else {
        return;
    };
    let known: BTreeSet<&str> = dataset
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let outside: Vec<&str> = asked
        .iter()
        .map(String::as_str)
        .filter(|name| !granted(name) || !known.contains(name))
        .collect();
    if !outside.is_empty() {
        refuse(&outside, "not granted", reasons);
    }
}

fn refuse(columns: &[&str], what: &str, reasons: &mut Reasons<'_>) {
    let named: Vec<String> = columns
        .iter()
        .take(COLUMNS_NAMED_MAX)
        .map(|name| name.chars().take(COLUMN_CHARS_MAX).collect())
        .collect();
    let more = columns.len().saturating_sub(named.len());
    let and_more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let cites = reasons.cites(ReasonCode::ColumnNotGranted);
    let cites = format!("{cites}; {what}: {}{and_more}", named.join(", "));
    reasons.deny_because(ReasonCode::ColumnNotGranted, cites);
}

/// The grant's masks for the columns that leave, and the default ones where the grant has none.
fn masks(
    pdp: &Pdp,
    dataset: &DatasetFacts,
    columns: &[String],
    granted: &BTreeMap<String, Mask>,
) -> BTreeMap<String, Mask> {
    let leaving: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    dataset
        .columns
        .iter()
        .filter(|(name, _)| leaving.contains(name.as_str()))
        .filter_map(|(name, sensitivity)| {
            let mask = granted
                .get(name)
                .or_else(|| pdp.rules().default_mask(*sensitivity))?;
            Some((name.clone(), mask.clone()))
        })
        .collect()
}
