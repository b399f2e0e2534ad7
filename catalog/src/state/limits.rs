//! The limits that every record keeps, each with its reason.
//!
//! It does not know roles or states. A limit bounds what a member can make the others hold, so
//! all of them are checked where a command is applied, alike on every replica.

use schemas::LocalText;
use schemas::dataset::Dataset;
use schemas::decision::{Operator, RowFilter};

use super::record::{Record, RecordKind};
use super::refusal::Refusal;
use super::store::State;

/// Longest text in characters: reasons, conditions, scenarios.
pub(crate) const TEXT_CHARS_MAX: usize = LocalText::CHARS_MAX;

/// Longest short text in characters: codes, column names, themes.
pub(crate) const CODE_CHARS_MAX: usize = 128;

/// Longest `host:port` in characters: RFC 1035 allows 253 for the name.
pub(crate) const ADDRESS_CHARS_MAX: usize = 260;

/// Most members that a visibility list or a node's host list names.
pub(crate) const PARTIES_MAX: usize = 256;

/// Longest data standard schema in bytes: leaves room for the rest of a canonical record.
pub(crate) const ROW_SCHEMA_BYTES_MAX: usize = 512 * 1_024;

/// Most entries in each list of a standard's reading rules; the widest real table has 107
/// columns.
pub(crate) const READING_ENTRIES_MAX: usize = 2_048;

/// Longest text of a policy set in bytes, over all its parts.
pub(crate) const POLICY_BYTES_MAX: usize = 768 * 1_024;

/// Longest value that a row filter compares with, in characters.
pub(crate) const VALUE_CHARS_MAX: usize = 256;

/// Longest sealed body in bytes of hex.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 256 * 1_024;

/// Most columns that one quality check names.
pub(crate) const CHECK_COLUMNS_MAX: usize = 64;

/// Most transfers that run under one grant at a time.
pub(crate) const OPEN_TRANSFERS_PER_GRANT_MAX: usize = 256;

/// Most cosignatures that one checkpoint keeps; more witnesses add no trust.
pub(crate) const COSIGNATURES_MAX: usize = 64;

/// How many outcomes the idempotency window remembers. At a thousand commands a second it spans
/// half a minute, several times a proposer's longest retry. A retry after that meets revisions
/// and used identifiers and is refused, not applied twice.
pub(crate) const REMEMBERED_COMMANDS_MAX: usize = 32_768;

/// Most grants and requests that one tick ends; the next tick ends more. Grants are judged by
/// their period as well, so a late tick lets nothing through.
pub(crate) const EXPIRIES_PER_TICK_MAX: usize = 4_096;

/// Most versions of one dataset: one a minute for almost two years.
pub(crate) const VERSIONS_PER_DATASET_MAX: usize = 1_000_000;

/// How many records of a kind there may be. The sum fits the memory of the smallest node that
/// we recommend; whoever comes near asks for an archive first.
const fn records_max(kind: RecordKind) -> usize {
    match kind {
        RecordKind::Federation | RecordKind::Clock => 1,
        RecordKind::Participant | RecordKind::Checkpoint => 10_000,
        RecordKind::Node => 20_000,
        RecordKind::Person => 200_000,
        RecordKind::Standard => 20_000,
        RecordKind::Dataset | RecordKind::Submission => 200_000,
        RecordKind::Version => 2_000_000,
        RecordKind::Request | RecordKind::Contract | RecordKind::Grant => 2_000_000,
        RecordKind::Transfer => 4_000_000,
        RecordKind::PolicySet | RecordKind::RulePack => 10_000,
        RecordKind::Instrument => 200_000,
        // One of each request, and one of each request and clock.
        RecordKind::Approval => 2_000_000,
        RecordKind::Supervision => 4_000_000,
        RecordKind::Dispute | RecordKind::EmergencyReview => 200_000,
        RecordKind::Correction => 1_000_000,
        // One of each person.
        RecordKind::Delegation => 200_000,
        RecordKind::Command => REMEMBERED_COMMANDS_MAX,
    }
}

/// Refuses a new record when its kind is full. Changing one that exists always has room.
pub(crate) fn check_room(state: &State, record: &Record) -> Result<(), Refusal> {
    let (held, is_new) = match record {
        Record::Federation(_) | Record::Clock(_) => return Ok(()),
        Record::Participant(it) => (
            state.participants.len(),
            !state.participants.contains_key(&it.id),
        ),
        Record::Node(it) => (state.nodes.len(), !state.nodes.contains_key(&it.id)),
        Record::Person(it) => (state.persons.len(), !state.persons.contains_key(&it.id)),
        Record::Standard(_) => (state.standards.len(), true),
        Record::Dataset(it) => (state.datasets.len(), !state.datasets.contains_key(&it.id)),
        // One of each dataset or participant at most, and those are limited.
        Record::Submission(_) | Record::Checkpoint(_) => return Ok(()),
        Record::Version(_) => (state.version_count, true),
        Record::Request(it) => (state.requests.len(), !state.requests.contains_key(&it.id)),
        Record::Contract(_) => (state.contracts.len(), true),
        Record::Grant(it) => (state.grants.len(), !state.grants.contains_key(&it.id)),
        Record::Transfer(it) => (state.transfers.len(), !state.transfers.contains_key(&it.id)),
        Record::PolicySet(_) => (state.policy_sets.len(), true),
        Record::RulePack(it) => (
            state.rule_packs.len(),
            !state
                .rule_packs
                .contains_key(&(it.pack.series.clone(), it.pack.number)),
        ),
        Record::Instrument(it) => (
            state.instruments.len(),
            !state.instruments.contains_key(&it.id),
        ),
        Record::Approval(it) => (
            state.approvals.len(),
            !state.approvals.contains_key(&it.request),
        ),
        Record::Supervision(it) => (
            state.supervisions.len(),
            !state
                .supervisions
                .contains_key(&(it.request.clone(), it.clock)),
        ),
        Record::Dispute(it) => (
            state.disputes.len(),
            !state.disputes.contains_key(&it.request),
        ),
        Record::Correction(it) => (
            state.corrections.len(),
            !state.corrections.contains_key(&it.id),
        ),
        Record::Delegation(it) => (
            state.delegations.len(),
            !state.delegations.contains_key(&it.from),
        ),
        Record::EmergencyReview(it) => (
            state.emergencies.len(),
            !state.emergencies.contains_key(&it.request),
        ),
        // The window makes its own room.
        Record::Command(_) => return Ok(()),
    };
    let key = record.key();
    let limit = records_max(key.kind());
    if is_new && held >= limit {
        return Err(Refusal::invalid(format!(
            "the catalog holds {held} records of kind {}, the limit is {limit}; \
             ask the authority to archive old ones",
            key.kind().as_str()
        )));
    }
    Ok(())
}

/// A text that must not be empty.
pub(crate) fn check_text(field: &str, text: &str, chars_max: usize) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid(format!("{field} is empty; write it")));
    }
    check_length(field, text, chars_max)
}

/// A text that may be empty.
pub(crate) fn check_length(field: &str, text: &str, chars_max: usize) -> Result<(), Refusal> {
    // A character has at most four bytes, so most texts need no counting.
    if text.len() <= chars_max || text.chars().nth(chars_max).is_none() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{field} has more than {chars_max} characters; shorten it"
    )))
}

/// A name in both languages.
pub(crate) fn check_local(field: &str, text: &LocalText) -> Result<(), Refusal> {
    check_text(&format!("{field}.zh"), &text.zh, TEXT_CHARS_MAX)?;
    check_text(&format!("{field}.en"), &text.en, TEXT_CHARS_MAX)
}

/// A count with its limit.
pub(crate) fn check_count(field: &str, found: usize, max: usize) -> Result<(), Refusal> {
    if found <= max {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{field} has {found} entries, the limit is {max}"
    )))
}

/// The predicates of a row filter: few, short, and over columns of the dataset.
pub(crate) fn check_rows(rows: &RowFilter, dataset: &Dataset) -> Result<(), Refusal> {
    check_count("rows.all", rows.all.len(), RowFilter::PREDICATES_MAX)?;
    for predicate in &rows.all {
        if dataset.column(&predicate.column).is_none() {
            return Err(Refusal::invalid(format!(
                "a row filter names a column that {} does not have; read its card",
                dataset.id
            )));
        }
        let most = match predicate.operator {
            Operator::In => RowFilter::VALUES_MAX,
            Operator::Eq
            | Operator::Ne
            | Operator::Lt
            | Operator::Le
            | Operator::Gt
            | Operator::Ge => 1,
        };
        if predicate.values.is_empty() {
            return Err(Refusal::invalid(
                "a row filter compares with no value; give one",
            ));
        }
        check_count("rows.values", predicate.values.len(), most)?;
        for value in &predicate.values {
            check_length("rows.values", value, VALUE_CHARS_MAX)?;
        }
    }
    Ok(())
}

/// A sealed body: a few texts and the key wraps of its readers.
pub(crate) fn check_envelope(field: &str, envelope: &str) -> Result<(), Refusal> {
    if envelope.len() <= ENVELOPE_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "the sealed {field} have {} bytes, the limit is {ENVELOPE_BYTES_MAX}; \
         seal to fewer readers",
        envelope.len()
    )))
}
