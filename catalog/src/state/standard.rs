//! Data standards: editions are added and never changed.
//!
//! It does not compile a schema: the data plane does before it proposes one, and a standard that
//! does not compile lets no row pass.

use std::sync::Arc;

use schemas::StandardEdition;
use schemas::participant::Role;
use schemas::standard::DataStandard;

use super::author::Acting;
use super::record::Record;
use super::refusal::Refusal;
use super::store::State;
use super::{Change, limits};

/// Adopts the next edition of a standard. By a data steward of any participant.
pub(crate) fn adopt(
    state: &State,
    acting: &Acting<'_>,
    it: &DataStandard,
) -> Result<Change, Refusal> {
    acting.person_with(&[Role::DataSteward])?;
    limits::check_local("title", &it.title)?;
    if it.row_schema.is_empty() || it.row_schema.len() > limits::ROW_SCHEMA_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "row_schema has {} bytes; write 1 to {}",
            it.row_schema.len(),
            limits::ROW_SCHEMA_BYTES_MAX
        )));
    }
    let reading = &it.reading;
    let lists = [
        ("reading.null_tokens", reading.null_tokens.len()),
        ("reading.renames", reading.renames.len()),
        ("reading.dropped", reading.dropped.len()),
        ("reading.dates", reading.dates.len()),
    ];
    for (field, entries) in lists {
        limits::check_count(field, entries, limits::READING_ENTRIES_MAX)?;
    }
    let wanted = next_edition(state, &it.edition);
    if it.edition.edition != wanted {
        return Err(Refusal::conflict(format!(
            "the next edition of {} is {wanted}, not {}; editions follow without gaps and do \
             not change",
            it.edition.standard, it.edition.edition
        )));
    }
    let revision = u64::from(it.edition.edition);
    Ok(Change::new(
        revision,
        vec![Record::Standard(Arc::new(it.clone()))],
    ))
}

fn next_edition(state: &State, edition: &StandardEdition) -> u32 {
    let first = StandardEdition {
        standard: edition.standard.clone(),
        edition: 0,
    };
    let last = StandardEdition {
        standard: edition.standard.clone(),
        edition: u32::MAX,
    };
    let newest = state.standards.range(first..=last).next_back();
    newest
        .map_or(0, |(newest, _)| newest.edition)
        .saturating_add(1)
}
