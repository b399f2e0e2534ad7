//! What must hold for whatever bytes a peer, a file or a person gives to this crate.
//!
//! It does not choose the bytes: the tests beside it do. Each function
//! says whether the bytes were valid.

use std::fmt::Debug;

use schemas::canonical::{from_bytes, to_bytes};
use schemas::code::{Action, ErrorCode, Noun, ReasonCode};
use schemas::command::{Outcome, Proposal, SignedProposal};
use schemas::dataset::{Dataset, DatasetVersion, PublishIntent};
use schemas::decision::{Decision, DecisionRequest, Facts, RowFilter};
use schemas::export::Instrument;
use schemas::format::Format;
use schemas::ledger_entry::{Checkpoint, CheckpointUpdate, Cosignature, LedgerEntry};
use schemas::mapping::Mapping;
use schemas::participant::{Node, Participant, Person};
use schemas::policy_set::PolicySet;
use schemas::request::{AccessRequest, Contract, Grant, RequestDecision};
use schemas::rule_pack::RulePack;
use schemas::standard::{DataStandard, Reading};
use schemas::transfer::{Receipt, Transfer};
use schemas::validate::{RowSchema, VIOLATION_CHARS_MAX, VIOLATIONS_MAX, compile_schema};
use schemas::{
    CommandId, DatasetId, ID_BYTES_MAX, Jurisdiction, LocalText, NodeId, ParticipantId, PersonId,
    Signed, StandardEdition, StandardId, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Whoever hands over a backup did not write it with our program: only the very bytes that were
/// signed verify.
pub(crate) fn backup(bytes: &[u8]) -> bool {
    schemas::backup::verify(bytes, &schemas::backup::Expected::default()).is_ok()
}

/// Every kind of record, in canonical form and in any other spelling of JSON.
pub(crate) fn record(bytes: &[u8]) -> bool {
    let kinds = [
        one::<AccessRequest>,
        one::<Contract>,
        one::<DataStandard>,
        one::<Dataset>,
        one::<Decision>,
        one::<DecisionRequest>,
        one::<Facts>,
        one::<Grant>,
        one::<Instrument>,
        one::<LedgerEntry>,
        one::<Mapping>,
        one::<Node>,
        one::<Outcome>,
        one::<Participant>,
        one::<Person>,
        one::<PolicySet>,
        one::<Proposal>,
        one::<RequestDecision>,
        one::<RowFilter>,
        one::<RulePack>,
        one::<Signed<Checkpoint>>,
        one::<Signed<DatasetVersion>>,
        one::<Signed<PublishIntent>>,
        one::<Signed<Receipt>>,
        one::<CheckpointUpdate>,
        one::<Cosignature>,
        one::<SignedProposal>,
        one::<Transfer>,
        one::<Value>,
    ];
    kinds.into_iter().filter(|kind| kind(bytes)).count() > 0
}

/// A record has one canonical form, which is read back as the same record, whatever spelling it
/// was read from, and which any reader of JSON takes for the same value.
fn one<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let canonical = from_bytes::<T>(bytes);
    let Ok(read) = serde_json::from_slice::<T>(bytes) else {
        assert!(canonical.is_err(), "one form is read and JSON is not");
        return false;
    };
    // Integers beyond 2^53 and fractions have no canonical form.
    let Ok(written) = to_bytes(&read) else {
        assert!(canonical.is_err());
        return true;
    };
    assert_eq!(from_bytes::<T>(&written).as_ref(), Ok(&read));
    let value: Value = serde_json::from_slice(&written).expect("canonical bytes are JSON");
    assert_eq!(to_bytes(&value).as_deref(), Ok(written.as_slice()));
    assert_eq!(canonical.is_ok(), written == bytes);
    true
}

/// Identifiers, places and codes: one spelling, safe in paths and policy lines.
pub(crate) fn identifier(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let ids = [
        CommandId::parse(text).map(|it| it.to_string()),
        DatasetId::parse(text).map(|it| it.to_string()),
        NodeId::parse(text).map(|it| it.to_string()),
        ParticipantId::parse(text).map(|it| it.to_string()),
        PersonId::parse(text).map(|it| it.to_string()),
    ];
    let all = ids.iter().filter(|id| id.is_ok()).count();
    assert!(
        all == 0 || all == ids.len(),
        "all identifiers have one form"
    );
    if all > 0 {
        assert!(text.len() <= ID_BYTES_MAX && !text.contains("..") && !text.starts_with('.'));
        assert!(
            text.bytes()
                .all(|it| it.is_ascii_graphic() && !b"/\\,\"'*".contains(&it))
        );
    }
    let codes = [
        Jurisdiction::parse(text).ok().map(|it| it.to_string()),
        Action::parse(text).map(|it| it.to_string()),
        ErrorCode::parse(text).map(|it| it.to_string()),
        Noun::parse(text).map(|it| it.to_string()),
        ReasonCode::parse(text).map(|it| it.to_string()),
        Format::parse(text).map(|it| it.to_string()),
    ];
    let mut valid = false;
    for written in ids.into_iter().flatten().chain(codes.into_iter().flatten()) {
        assert_eq!(written, text);
        valid = true;
    }
    valid
}

/// An instant: what is written of it is the same instant, and sorts as it does.
pub(crate) fn timestamp(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = Timestamp::parse(text) else {
        return false;
    };
    assert!((0..=Timestamp::MAX.millis()).contains(&read.millis()));
    let written = read.to_string();
    assert_eq!(Timestamp::parse(&written), Ok(read));
    assert_eq!(Timestamp::from_millis(read.millis()), read);
    let later = read.plus_millis(1);
    assert!(later.to_string() > written || later == Timestamp::MAX);
    true
}

/// The formats of the port domain: a check character catches any one changed character.
pub(crate) fn format(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut valid = false;
    for format in Format::ALL {
        if format.check(text).is_err() {
            continue;
        }
        valid = true;
        assert!(text.is_ascii() && text.len() <= 29, "{format}");
        if matches!(format, Format::Uscc | Format::CitizenId) {
            every_change_is_caught(*format, bytes);
        }
    }
    valid
}

/// Both check characters are remainders by a prime, and no weight is a multiple of it.
fn every_change_is_caught(format: Format, valid: &[u8]) {
    for at in 0..valid.len() {
        let mut changed = valid.to_vec();
        changed[at] = if valid[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(format.check(&changed).is_err(), "{format}: {changed}");
    }
}

/// A data standard, and a row behind a line feed: compiling is bounded, and both ways to judge a
/// row agree.
pub(crate) fn row_schema(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let (row_schema, row) = text.rsplit_once('\n').unwrap_or((text, "{}"));
    let standard = DataStandard {
        edition: StandardEdition {
            standard: StandardId::parse("s").expect("an identifier"),
            edition: 1,
        },
        title: LocalText::new("", ""),
        row_schema: row_schema.to_owned(),
        reading: Reading::default(),
    };
    let Ok(compiled) = RowSchema::compile(&standard) else {
        return false;
    };
    assert!(
        compile_schema(row_schema).is_ok(),
        "a row schema is a schema"
    );
    let fields = compiled.fields();
    assert!((1..=Dataset::COLUMNS_MAX).contains(&fields.len()));
    for field in fields {
        assert_eq!(
            compiled.field(&field.name),
            Some(field),
            "a name is used once"
        );
    }
    if let Ok(row) = serde_json::from_str::<Value>(row) {
        let found = compiled.check(&row);
        assert_eq!(compiled.accepts(&row), found.is_empty());
        assert!(found.len() <= VIOLATIONS_MAX);
        for violation in found {
            assert!(violation.value.chars().count() <= VIOLATION_CHARS_MAX);
            assert!(violation.why.chars().count() <= VIOLATION_CHARS_MAX);
        }
    }
    true
}

/// A whole data standard as a member proposes it, its reading rules included.
pub(crate) fn data_standard(bytes: &[u8]) -> bool {
    let Ok(standard) = serde_json::from_slice::<DataStandard>(bytes) else {
        return false;
    };
    let Ok(compiled) = RowSchema::compile(&standard) else {
        return false;
    };
    let known = |name: &String| compiled.field(name).is_some();
    assert!(standard.reading.renames.values().all(known));
    assert!(standard.reading.dates.keys().all(known));
    true
}
