//! The shipped standards against the real files: as many rows fail as `EXPECTED.json` says, and a
//! column check would say the same.
//!
//! It does not use the data plane's reader: rows are read here a second, slower way.
#![expect(clippy::unwrap_used, reason = "test helpers of an integration test")]

mod support;

use std::collections::BTreeSet;

use schemas::shipped::{self, Described, Expected};
use schemas::standard::{DataStandard, DateOrder};
use schemas::validate::{FieldKind, RowSchema};
use schemas::{NodeId, ParticipantId, canonical};
use serde_json::{Map, Value};

fn expected() -> Vec<Expected> {
    shipped::expectations().unwrap()
}

/// Records of a CSV file (RFC 4180).
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut out, mut record, mut cell, mut quoted) =
        (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                out.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    if !record.is_empty() || !cell.is_empty() {
        record.push(cell);
        out.push(record);
    }
    out
}

fn text(path: &str) -> String {
    let bytes = support::unpacked(path);
    match String::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(other) => {
            let (text, _, faulty) = encoding_rs::GB18030.decode(other.as_bytes());
            assert!(!faulty, "{path} is neither UTF-8 nor GB18030");
            text.into_owned()
        }
    }
}

fn cell(standard: &DataStandard, schema: &RowSchema, column: &str, text: &str) -> Option<Value> {
    let field = schema.field(column).unwrap();
    if text.is_empty()
        || standard
            .reading
            .null_tokens
            .iter()
            .any(|token| token == text)
    {
        return field.nullable.then_some(Value::Null);
    }
    let number = |value: Option<Value>| value.unwrap_or_else(|| Value::from(text));
    Some(match (field.kind, standard.reading.dates.get(column)) {
        (FieldKind::Date, Some(DateOrder::DayMonthYear)) => {
            Value::from(format!("{}-{}-{}", &text[6..], &text[3..5], &text[..2]))
        }
        (FieldKind::Integer, _) => number(text.parse::<i64>().ok().map(Value::from)),
        (FieldKind::Number, _) => number(text.parse::<f64>().ok().map(Value::from)),
        _ => Value::from(text),
    })
}

/// How many rows there are, and how many fail.
fn judged(standard: &DataStandard, path: &str) -> (u64, u64) {
    let schema = RowSchema::compile(standard).unwrap();
    let records = records(&text(path));
    let reading = &standard.reading;
    let columns: Vec<Option<&str>> = records[0]
        .iter()
        .map(|header| {
            let kept = !reading.dropped.contains(header);
            kept.then(|| reading.renames.get(header).unwrap_or(header).as_str())
        })
        .collect();
    let named: BTreeSet<&str> = columns.iter().copied().flatten().collect();
    let fields: BTreeSet<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(
        named, fields,
        "{path}: the headers are not the standard's columns"
    );
    let (mut rows, mut failed) = (0, 0);
    for record in &records[1..] {
        let mut row = Map::new();
        for (column, text) in columns.iter().zip(record) {
            let Some(column) = column else { continue };
            if let Some(value) = cell(standard, &schema, column, text) {
                row.insert((*column).to_owned(), value);
            }
        }
        rows += 1;
        failed += u64::from(!schema.accepts(&Value::Object(row)));
    }
    (rows, failed)
}

#[track_caller]
fn check(dataset: &str) {
    if support::left_out() {
        return;
    }
    let line = expected()
        .into_iter()
        .find(|line| line.dataset.as_str() == dataset)
        .unwrap();
    let standards = shipped::standards().unwrap();
    let standard = standards
        .iter()
        .find(|it| it.edition.standard.as_str() == dataset)
        .unwrap();
    assert_eq!(judged(standard, &line.file), (line.rows, line.quarantined));
}

#[test]
fn every_division_code_since_1980_follows_its_standard() {
    check("code-gbt2260");
    check("code-gbt2260-201512");
}

#[test]
fn namibia_is_a_country_and_no_missing_value() {
    check("code-iso3166");
}

#[test]
fn real_flights_follow_their_standard() {
    check("flights");
}

#[test]
fn real_traveller_counts_follow_their_standard() {
    check("travellers");
}

#[test]
fn declarations_without_net_mass_fail_and_no_others() {
    check("customs-declarations");
}

#[test]
fn real_vessel_positions_follow_their_standard() {
    check("vessel-positions");
}

#[test]
fn every_shipped_dataset_fits_its_standard() {
    let standards = shipped::standards().unwrap();
    let datasets = shipped::datasets().unwrap();
    assert_eq!(standards.len(), datasets.len());
    for (standard, dataset) in standards.iter().zip(&datasets) {
        let schema = RowSchema::compile(standard).unwrap();
        assert_eq!(dataset.standard, standard.edition);
        let columns: Vec<_> = dataset.columns.iter().map(|column| &column.name).collect();
        let fields: Vec<_> = schema.fields().iter().map(|field| &field.name).collect();
        assert_eq!(columns, fields, "{}", dataset.id);
        assert!(
            schema.fields().iter().all(|field| field.columnar),
            "{}",
            dataset.id
        );
        assert!(
            schema.is_closed() && !schema.needs_row_check(),
            "{}",
            dataset.id
        );
        check_rules(dataset);
        let bytes = canonical::to_bytes(standard).unwrap();
        assert_eq!(
            &canonical::from_bytes::<DataStandard>(&bytes).unwrap(),
            standard
        );
        let record = dataset.clone().into_dataset(
            ParticipantId::parse("p").unwrap(),
            NodeId::parse("n").unwrap(),
        );
        assert!(canonical::to_bytes(&record).is_ok());
    }
}

/// Every column that a rule names is there, and a conditional share states its conditions.
fn check_rules(dataset: &Described) {
    let record = serde_json::to_value(&dataset.quality_rules).unwrap();
    for rule in record.as_array().unwrap() {
        let check = rule["check"].as_object().unwrap().values().next().unwrap();
        for (key, value) in check.as_object().unwrap() {
            let names: Vec<&str> = match value {
                Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
                Value::String(name) => vec![name],
                _ => continue,
            };
            for name in names {
                let known = dataset.columns.iter().any(|column| column.name == name);
                assert!(known, "{} {key} {name}", dataset.id);
            }
        }
    }
    let conditional = dataset.share == schemas::dataset::ShareAttribute::Conditional;
    assert_eq!(
        conditional,
        dataset.share_conditions.is_some(),
        "{}",
        dataset.id
    );
}

#[test]
fn expectations_name_shipped_files() {
    let datasets = shipped::datasets().unwrap();
    for line in expected() {
        let dataset = datasets.iter().find(|it| it.id == line.dataset).unwrap();
        let source = dataset.source.as_ref().unwrap();
        assert_eq!((&source.path, source.rows_total), (&line.file, line.rows));
        assert_eq!(
            line.why.values().sum::<u64>(),
            line.quarantined,
            "{}",
            line.dataset
        );
    }
    let files = datasets
        .iter()
        .filter(|dataset| dataset.source.is_some())
        .count();
    assert_eq!(files, expected().len());
}
