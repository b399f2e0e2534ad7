//! The JSON Schemas of catalog records: written from the Rust types, and agreeing with them on
//! every example, every counterexample and every example with one member more or less.
//!
//! It does not judge a record against others (an unknown dataset, a moved revision): the catalog
//! does. `UPDATE_EXPECT=1` rewrites the schema files.
#![expect(clippy::unwrap_used, reason = "test helpers of an integration test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemas::canonical;
use schemas::correction::Correction;
use schemas::dataset::Dataset;
use schemas::delegation::Delegation;
use schemas::dispute::Dispute;
use schemas::emergency::EmergencyReview;
use schemas::export::Instrument;
use schemas::ledger_entry::LedgerEntry;
use schemas::mapping::Mapping;
use schemas::participant::Participant;
use schemas::policy_set::PolicySet;
use schemas::request::{AccessRequest, Approval, Contract, Grant};
use schemas::rule_pack::RulePack;
use schemas::standard::DataStandard;
use schemas::transfer::Transfer;
use schemas::validate::{JsonSchema, compile_schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// One kind of record.
struct Record {
    name: &'static str,
    /// JSON Schema from the type.
    schema: fn() -> Value,
    /// Whether the type takes the text, and whether its canonical bytes give the same back.
    parse: fn(&Value) -> Result<(), String>,
}

const RECORDS: [Record; 17] = [
    record::<Dataset>("dataset"),
    record::<AccessRequest>("request"),
    record::<Contract>("contract"),
    record::<Grant>("grant"),
    record::<Participant>("participant"),
    record::<Transfer>("transfer"),
    record::<LedgerEntry>("ledger-entry"),
    record::<PolicySet>("policy-set"),
    record::<DataStandard>("data-standard"),
    record::<RulePack>("rule-pack"),
    record::<Instrument>("instrument"),
    record::<Approval>("approval"),
    record::<Dispute>("dispute"),
    record::<Correction>("correction"),
    record::<Delegation>("delegation"),
    record::<EmergencyReview>("emergency-review"),
    record::<Mapping>("mapping"),
];

const fn record<T: ToSchema + Serialize + DeserializeOwned>(name: &'static str) -> Record {
    Record {
        name,
        schema: written::<T>,
        parse: parsed::<T>,
    }
}

fn parsed<T: Serialize + DeserializeOwned>(value: &Value) -> Result<(), String> {
    let record: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let bytes = canonical::to_bytes(&record).map_err(|error| error.to_string())?;
    let again: T = canonical::from_bytes(&bytes).map_err(|error| error.to_string())?;
    assert_eq!(canonical::to_bytes(&again).unwrap(), bytes);
    Ok(())
}

fn written<T: ToSchema>() -> Value {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let parts: BTreeMap<String, Value> = parts
        .into_iter()
        .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap()))
        .collect();
    let mut root = serde_json::to_value(T::schema()).unwrap();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["$defs"] = json!(parts);
    tidied(root)
}

/// OpenAPI's names of places and number formats in JSON Schema's own, and keys in one order. All
/// our types refuse unknown members; the derive forgets to say so of an enumeration's variants.
fn tidied(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(key, value)| match (key.as_str(), &value) {
                    ("$ref", Value::String(to)) => (
                        key,
                        Value::from(to.replace("#/components/schemas/", "#/$defs/")),
                    ),
                    // A canonical record holds no integer beyond 2^53.
                    ("format", Value::String(width)) if width == "int64" => {
                        ("maximum".to_owned(), json!(1_i64 << 53))
                    }
                    // Every 32-bit number of ours is without sign.
                    ("format", Value::String(width)) if width == "int32" => {
                        ("maximum".to_owned(), json!(u32::MAX))
                    }
                    _ => (key, tidied(value)),
                })
                .collect();
            if members.get("properties").is_some_and(Value::is_object)
                && members.get("type") == Some(&json!("object"))
            {
                members
                    .entry("additionalProperties".to_owned())
                    .or_insert(json!(false));
            }
            json!(members)
        }
        Value::Array(items) => items.into_iter().map(tidied).collect(),
        other => other,
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("json/records")
        .join(name)
}

/// The JSON files of a folder that belong to a record: `<record>.<case>.json`.
fn cases(name: &str, record: &str) -> Vec<(String, Value)> {
    let mut out: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.split('.').next() == Some(record))
        .map(|file| {
            let text = std::fs::read_to_string(folder(name).join(&file)).unwrap();
            (file, serde_json::from_str(&text).unwrap())
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

fn compiled(record: &Record) -> JsonSchema {
    compile_schema(&(record.schema)().to_string()).unwrap()
}

#[test]
fn the_schema_files_are_those_of_the_types() {
    for record in &RECORDS {
        let file = folder("").join(format!("{}.schema.json", record.name));
        let text = format!("{:#}\n", (record.schema)());
        if std::env::var("UPDATE_EXPECT").is_ok() {
            std::fs::write(&file, &text).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == text,
            "{} is out of date; run with UPDATE_EXPECT=1",
            file.display()
        );
    }
}

#[test]
fn every_example_passes_in_schema_and_type() {
    for record in &RECORDS {
        let schema = compiled(record);
        let examples = cases("examples", record.name);
        assert!(!examples.is_empty(), "{} has no example", record.name);
        for (file, value) in examples {
            assert_eq!(schema.check(&value), [], "{file}");
            assert_eq!((record.parse)(&value), Ok(()), "{file}");
        }
    }
}

#[test]
fn every_counterexample_fails_in_schema_and_type() {
    for record in &RECORDS {
        let schema = compiled(record);
        let counterexamples = cases("counterexamples", record.name);
        assert!(
            !counterexamples.is_empty(),
            "{} has no counterexample",
            record.name
        );
        for (file, value) in counterexamples {
            assert!(!schema.accepts(&value), "the schema takes {file}");
            assert!((record.parse)(&value).is_err(), "the type takes {file}");
        }
    }
}

/// JSON Pointers of all objects in a value.
fn objects(value: &Value, at: &str, out: &mut Vec<String>) {
    let step = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(members) => {
            out.push(at.to_owned());
            members
                .iter()
                .for_each(|(key, member)| objects(member, &step(key), out));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &step(&index.to_string()), out);
            }
        }
        _ => {}
    }
}

/// Objects whose member names are data: maps by header, column and the like.
const MAPS: [&str; 6] = [
    "/renames", "/dates", "/masks", "/answers", "/columns", "/table",
];

#[test]
fn a_member_that_nobody_knows_is_refused_everywhere() {
    for record in &RECORDS {
        let schema = compiled(record);
        for (file, value) in cases("examples", record.name) {
            let mut places = Vec::new();
            objects(&value, "", &mut places);
            for place in places {
                if MAPS.iter().any(|map| place.ends_with(map)) {
                    continue;
                }
                let mut more = value.clone();
                more.pointer_mut(&place).unwrap()["surprise"] = json!(1);
                assert!(
                    (record.parse)(&more).is_err(),
                    "the type takes {file}{place}/surprise"
                );
                assert!(
                    !schema.accepts(&more),
                    "the schema takes {file}{place}/surprise"
                );
            }
        }
    }
}

#[test]
fn schema_and_type_agree_on_which_members_may_be_left_out() {
    for record in &RECORDS {
        let schema = compiled(record);
        for (file, value) in cases("examples", record.name) {
            let mut places = Vec::new();
            objects(&value, "", &mut places);
            for place in places {
                let keys: Vec<String> = value
                    .pointer(&place)
                    .unwrap()
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect();
                for key in keys {
                    let mut less = value.clone();
                    less.pointer_mut(&place)
                        .unwrap()
                        .as_object_mut()
                        .unwrap()
                        .remove(&key);
                    let (by_type, by_schema) = ((record.parse)(&less), schema.check(&less));
                    assert_eq!(
                        by_type.is_ok(),
                        by_schema.is_empty(),
                        "{file} without {place}/{key}: {by_type:?} {by_schema:?}"
                    );
                }
            }
        }
    }
}
