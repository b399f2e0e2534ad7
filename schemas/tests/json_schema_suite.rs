//! The official JSON Schema test suite, draft 2020-12, required tests, through the same entry as
//! every schema of ours.
//!
//! It does not skip silently: what is left out stands in a list with its reason, and a listed
//! group that would pass fails the test.
#![expect(clippy::unwrap_used, reason = "test helpers of an integration test")]

mod support;

use schemas::validate::compile_schema;
use serde_json::Value;

const REMOTE: &str = "needs a second document; a standard stands alone";
const DIALECT: &str = "asks for another dialect; standards are draft 2020-12";
const FORMAT: &str = "expects formats to be annotations; ours are asserted";
const UNKNOWN: &str = "expects unknown formats to be ignored; ours are refused";

/// File, description of the group, reason.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    (
        "dynamicRef.json",
        "strict-tree schema, guards against misspelled properties",
        REMOTE,
    ),
    (
        "dynamicRef.json",
        "tests for implementation dynamic anchor and reference link",
        REMOTE,
    ),
    (
        "dynamicRef.json",
        "$ref and $dynamicAnchor are independent of order - $defs first",
        REMOTE,
    ),
    (
        "dynamicRef.json",
        "$ref and $dynamicAnchor are independent of order - $ref first",
        REMOTE,
    ),
    (
        "dynamicRef.json",
        "$ref to $dynamicRef finds detached $dynamicAnchor",
        REMOTE,
    ),
    ("format.json", "email format", FORMAT),
    ("format.json", "regex format", FORMAT),
    ("format.json", "ipv4 format", FORMAT),
    ("format.json", "ipv6 format", FORMAT),
    ("format.json", "hostname format", FORMAT),
    ("format.json", "date format", FORMAT),
    ("format.json", "date-time format", FORMAT),
    ("format.json", "time format", FORMAT),
    ("format.json", "json-pointer format", FORMAT),
    ("format.json", "relative-json-pointer format", FORMAT),
    ("format.json", "iri format", FORMAT),
    ("format.json", "iri-reference format", FORMAT),
    ("format.json", "uri format", FORMAT),
    ("format.json", "uri-reference format", FORMAT),
    ("format.json", "uri-template format", FORMAT),
    ("format.json", "uuid format", FORMAT),
    ("format.json", "duration format", FORMAT),
    ("format.json", "idn-email format", UNKNOWN),
    ("format.json", "idn-hostname format", UNKNOWN),
    ("refRemote.json", "remote ref", REMOTE),
    ("refRemote.json", "fragment within remote ref", REMOTE),
    ("refRemote.json", "anchor within remote ref", REMOTE),
    ("refRemote.json", "ref within remote ref", REMOTE),
    ("refRemote.json", "base URI change", REMOTE),
    ("refRemote.json", "base URI change - change folder", REMOTE),
    (
        "refRemote.json",
        "base URI change - change folder in subschema",
        REMOTE,
    ),
    ("refRemote.json", "root ref in remote ref", REMOTE),
    ("refRemote.json", "remote ref with ref to defs", REMOTE),
    (
        "refRemote.json",
        "Location-independent identifier in remote ref",
        REMOTE,
    ),
    (
        "refRemote.json",
        "retrieved nested refs resolve relative to their URI not $id",
        REMOTE,
    ),
    (
        "refRemote.json",
        "remote HTTP ref with different $id",
        REMOTE,
    ),
    (
        "refRemote.json",
        "remote HTTP ref with different URN $id",
        REMOTE,
    ),
    (
        "refRemote.json",
        "remote HTTP ref with nested absolute ref",
        REMOTE,
    ),
    (
        "refRemote.json",
        "$ref to $ref finds detached $anchor",
        REMOTE,
    ),
    (
        "vocabulary.json",
        "schema that uses custom metaschema with with no validation vocabulary",
        DIALECT,
    ),
    (
        "vocabulary.json",
        "ignore unrecognized optional vocabulary",
        DIALECT,
    ),
];

/// Regular files of a tar archive (POSIX ustar: 512-byte headers, name at 0, size at 124 in octal).
fn members(tar: &[u8]) -> Vec<(String, &[u8])> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at + 512 <= tar.len() && tar[at] != 0 {
        let text = |from: usize, len: usize| {
            let field = &tar[at + from..at + from + len];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(len);
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let size = usize::from_str_radix(&text(124, 12), 8).unwrap();
        out.push((text(0, 100), &tar[at + 512..at + 512 + size]));
        at += 512 + size.div_ceil(512) * 512;
    }
    out
}

/// What goes wrong with one group: it is not compiled, or a verdict differs.
fn faults(group: &Value) -> Vec<String> {
    let schema = match compile_schema(&group["schema"].to_string()) {
        Ok(schema) => schema,
        Err(error) => return vec![error.to_string()],
    };
    let tests = group["tests"].as_array().unwrap().iter();
    tests
        .filter(|test| {
            let valid = test["valid"].as_bool().unwrap();
            schema.accepts(&test["data"]) != valid
                || schema.check(&test["data"]).is_empty() != valid
        })
        .map(|test| format!("{} should be {}", test["description"], test["valid"]))
        .collect()
}

#[test]
fn the_required_tests_of_draft_2020_12_pass() {
    if support::left_out() {
        return;
    }
    let tar = support::unpacked("conformance/json-schema-test-suite.tar.gz");
    let (mut groups, mut wrong) = (0, Vec::new());
    let mut unused: Vec<_> = LEFT_OUT.iter().collect();
    for (name, bytes) in members(&tar) {
        let Some((_, file)) = name.split_once("tests/draft2020-12/") else {
            continue;
        };
        if file.contains('/') || !file.ends_with(".json") {
            continue;
        }
        let all: Value = serde_json::from_slice(bytes).unwrap();
        for group in all.as_array().unwrap() {
            groups += 1;
            let about = group["description"].as_str().unwrap();
            let faults = faults(group);
            let listed = |row: &(&str, &str, &str)| row.0 == file && about == row.1;
            let left_out = LEFT_OUT.iter().any(listed);
            if left_out && !faults.is_empty() {
                unused.retain(|row| !listed(row));
            } else if !faults.is_empty() || left_out {
                wrong.push(format!(
                    "(\"{file}\", {about:?}, {}), // {faults:?}",
                    faults.len()
                ));
            }
        }
    }
    assert!(
        groups > 300,
        "only {groups} groups were found; is the archive complete?"
    );
    assert!(
        wrong.is_empty(),
        "{} groups differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(unused.is_empty(), "left out without need: {unused:?}");
}
