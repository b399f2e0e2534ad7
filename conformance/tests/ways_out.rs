//! Ways out, as a test: which source file of the data plane may open what.
//!
//! It does not run the node. A release is worth nothing if a module on the way out can open a raw
//! table without one, so each name that opens tables is listed here with the files that may use
//! it: a new use is a new line in this file, for a reviewer to see.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is called in the module `tables`, by file. Only `publish` and `materialise` open tables;
/// `rows/inspect.rs` opens a version for the provider's own staff with a permit of
/// `dataset.inspect` in hand; `transfer/store.rs` writes what arrived and opens nothing.
const TABLES: &[(&str, &[&str])] = &[
    (
        "materialise.rs",
        &["content_digest_of", "open_measured", "open_version"],
    ),
    ("measure.rs", &["commit"]),
    (
        "publish/mod.rs",
        &["commit_noted", "committed", "folder", "open_referenced"],
    ),
    ("publish/record.rs", &["content_digest", "schema_digest"]),
    ("rows/inspect.rs", &["open_version"]),
    ("transfer/store.rs", &["commit"]),
];

/// Files that may name the library of the tables: the module itself, and the error type.
const DELTALAKE: &[&str] = &["error.rs", "tables/"];

/// Files that may name the query engine: what makes an artefact, what judges quality, the error.
const DATAFUSION: &[&str] = &["error.rs", "materialise/", "quality/"];

/// Files that may read rows out of Parquet.
///
/// `ingest/work.rs` reads the file that a steward uploaded, before it is a table.
const ROW_READERS: &[&str] = &[
    "ingest/fuzz.rs", // tests
    "ingest/work.rs",
    "materialise/",
    "quality/",
    "rows/inspect.rs",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/data-plane/src")
}

/// Source files by path below `src`, without comments and without test modules.
fn files() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("read a source folder") {
            let path = entry.expect("read a source folder").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(source())
                .expect("below src")
                .display()
                .to_string();
            if name.ends_with("tests.rs") || !name.ends_with(".rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("read a source file");
            found.insert(name, code(&text));
        }
    }
    assert!(
        found.len() > 30,
        "{} files; has the data plane moved?",
        found.len()
    );
    found
}

/// The code of a file: no comments, and nothing from its first test module on.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = product
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines
        .map(|line| line.split(" // ").next().unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names that follow `tables::` as calls, with the items of `use crate::tables::{..}` left out
/// when they are types.
fn calls(text: &str) -> BTreeSet<String> {
    let named = |rest: &str| -> String {
        rest.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found: BTreeSet<String> = text.split("tables::").skip(1).map(named).collect();
    for used in text.split("use crate::tables").skip(1) {
        let list = used.split(';').next().unwrap_or_default();
        let words = list.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        found.extend(words.filter(|word| *word != "self").map(str::to_owned));
    }
    found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    found
}

#[test]
fn only_publish_and_materialise_open_tables() {
    let found: BTreeMap<String, BTreeSet<String>> = files()
        .iter()
        .filter(|(name, _)| !name.starts_with("tables/"))
        .map(|(name, text)| (name.clone(), calls(text)))
        .filter(|(_, calls)| !calls.is_empty())
        .collect();
    let allowed = TABLES
        .iter()
        .map(|(name, calls)| {
            (
                (*name).to_owned(),
                calls.iter().map(|it| (*it).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(found, allowed);
}

fn check(needles: &[&str], homes: &[&str]) {
    let strays: Vec<String> = files()
        .iter()
        .filter(|(name, _)| !homes.iter().any(|home| name.starts_with(home)))
        .filter(|(_, text)| needles.iter().any(|needle| text.contains(needle)))
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(
        strays,
        Vec::<String>::new(),
        "{needles:?} belong to {homes:?}"
    );
    let used = files()
        .iter()
        .any(|(_, text)| needles.iter().any(|it| text.contains(it)));
    assert!(
        used,
        "{needles:?} stand nowhere; the rule has lost its object"
    );
}

#[test]
fn the_library_of_the_tables_is_named_in_one_module() {
    check(&["deltalake", "DeltaTable", "delta_kernel"], DELTALAKE);
}

#[test]
fn the_query_engine_is_named_where_artefacts_are_made_and_quality_is_judged() {
    check(&["datafusion"], DATAFUSION);
}

#[test]
fn rows_are_read_only_by_who_holds_a_permit() {
    check(
        &[
            "ParquetRecordBatchReader",
            "ParquetReadOptions",
            "ParquetRecordBatchStream",
        ],
        ROW_READERS,
    );
}

#[test]
fn the_table_folder_has_one_owner() {
    // Whoever builds the path goes round the functions that ask for a permit.
    check(&["join(\"tables\")", "\"tables/"], &["tables/", "plane.rs"]);
}

/// The signatures that make the rule more than a habit: what opens a table takes evidence.
#[test]
fn what_opens_a_table_takes_a_permit_or_a_capability() {
    let text = &files()["tables/mod.rs"];
    let mut openers = Vec::new();
    for part in text.split("pub(crate) async fn ").skip(1) {
        let head = part.split('{').next().unwrap_or_default();
        let name = head.split('(').next().unwrap_or_default();
        if name.starts_with("open") {
            let evidence = ["&Permit", "&MeasurePermit", "&IngestCapability"];
            let has = evidence.iter().any(|it| head.contains(it));
            openers.push((name.to_owned(), has));
        }
    }
    let expected =
        ["open_version", "open_measured", "open_referenced"].map(|it| (it.to_owned(), true));
    assert_eq!(openers, expected);
}

#[test]
fn the_reader_of_sources_reads_what_is_there() {
    let text = "use crate::tables::{self, RawVersion};\n// tables::lie\nlet a = tables::open(x);";
    assert_eq!(calls(&code(text)), BTreeSet::from(["open".to_owned()]));
}
