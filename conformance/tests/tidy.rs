//! House rules that no compiler checks: sizes, words, module docs, the top level.
//!
//! It does not judge style beyond what the guide names as a rule.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file in lines; the aim is 250.
const FILE_LINES_MAX: usize = 1_000;
/// Longest facade in lines.
const LIB_LINES_MAX: usize = 150;
/// Longest line of code in columns.
const LINE_COLUMNS_MAX: usize = 100;
/// Largest share of the workspace's code in one crate, in percent.
const CRATE_SHARE_PERCENT_MAX: usize = 30;
/// Largest crate in lines.
const CRATE_LINES_MAX: usize = 12_000;
/// Crates that may be larger, and why. A tenth of `catalog` is unit tests of its stores and lines,
/// and targets that change what it reads; its pure state has a file for each noun of governance,
/// and a second crate could not apply them in one step; search, backups and the comparison of
/// members stand beside the state and the stores that they read. `crypto` has the same cipher and
/// hash once for each kind of processor, a curve once for one signature and once for eight, a TLS
/// with records of its own, the envelopes of other systems and their devices; a crate of kernels
/// would be a second place with `unsafe` in it. In `data-plane` a fifth reads what agencies have
/// (sheets, XML, archives), and a twentieth is targets that change its uploads and offers, which
/// sit beside what they change because that is private. `schemas` has a record for each noun of
/// governance, and what parses it once.
const LARGER_CRATES: &[(&str, usize)] = &[
    ("catalog/src", 18_000),
    ("node/crypto/src", 22_500),
    ("node/data-plane/src", 15_800),
    ("schemas/src", 12_800),
];

/// Words that promise work not done. Written in pieces, so that this file does not break its rule.
fn banned() -> Vec<String> {
    let mut words: Vec<String> = [("TO", "DO"), ("FIX", "ME"), ("XX", "X")]
        .map(|(a, b)| format!("{a}{b}"))
        .into();
    words.extend(["todo", "unimplemented", "dbg"].map(|word| format!("{word}!(")));
    words
}

/// Type names that say nothing (the glossary's list).
const EMPTY_NAMES: &[&str] = &[
    "Manager",
    "Helper",
    "Util",
    "Common",
    "Impl",
    "Info",
    "Processor",
    "Wrapper",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn tracked(pattern: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            pattern,
        ])
        .current_dir(root())
        .output()
        .expect("git ls-files");
    let text = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let mut files: Vec<_> = text.lines().map(|line| root().join(line)).collect();
    files.retain(|file| file.is_file());
    assert!(!files.is_empty(), "no file matches {pattern}");
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

#[test]
fn the_top_level_is_the_eight_given_entries() {
    let visible: BTreeSet<String> = tracked("*")
        .iter()
        .filter_map(|path| path.strip_prefix(root()).ok())
        .filter_map(|path| path.iter().next())
        .map(|first| first.to_string_lossy().into_owned())
        .filter(|first| !first.starts_with('.'))
        .collect();
    let given = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "catalog",
        "conformance",
        "deploy",
        "node",
        "policies",
        "schemas",
    ];
    assert_eq!(visible, given.map(str::to_owned).into());
}

#[test]
fn files_and_lines_keep_their_size() {
    let mut wrong = Vec::new();
    for path in tracked("*.rs") {
        let text = read(&path);
        let limit = if path.ends_with("src/lib.rs") {
            LIB_LINES_MAX
        } else {
            FILE_LINES_MAX
        };
        let lines = text.lines().count();
        if lines > limit {
            wrong.push(format!(
                "{}: {lines} lines, the limit is {limit}",
                path.display()
            ));
        }
        for (at, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_COLUMNS_MAX && !line.contains("http") {
                wrong.push(format!(
                    "{}:{}: over {LINE_COLUMNS_MAX} columns",
                    path.display(),
                    at + 1
                ));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_crate_becomes_the_god() {
    let mut sizes: Vec<(String, usize)> = Vec::new();
    for manifest in tracked("*/Cargo.toml")
        .into_iter()
        .chain(tracked("node/*/Cargo.toml"))
    {
        let folder = manifest.parent().expect("a folder").join("src");
        let lines = tracked("*.rs")
            .iter()
            .filter(|path| path.starts_with(&folder))
            .map(|path| read(path).lines().count())
            .sum();
        sizes.push((folder.display().to_string(), lines));
    }
    sizes.sort();
    sizes.dedup();
    let all: usize = sizes.iter().map(|(_, lines)| lines).sum();
    for (folder, lines) in sizes {
        let larger = LARGER_CRATES
            .iter()
            .find(|(name, _)| folder.ends_with(name));
        let most = larger.map_or(CRATE_LINES_MAX, |(_, most)| *most);
        assert!(lines <= most, "{folder}: {lines} lines");
        let percent = lines * 100 / all.max(1);
        assert!(
            percent <= CRATE_SHARE_PERCENT_MAX,
            "{folder}: {percent} % of the workspace"
        );
    }
}

#[test]
fn sources_keep_to_the_words_of_the_house() {
    let mut wrong = Vec::new();
    for path in tracked("*.rs") {
        let text = read(&path);
        for (at, line) in text.lines().enumerate() {
            for word in banned().iter().filter(|word| line.contains(word.as_str())) {
                wrong.push(format!("{}:{}: {word}", path.display(), at + 1));
            }
            let declared = ["pub struct ", "pub enum ", "pub trait ", "struct ", "enum "]
                .iter()
                .find_map(|keyword| line.trim_start().strip_prefix(keyword));
            if let Some(rest) = declared {
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
                    wrong.push(format!("{}:{}: the name {name}", path.display(), at + 1));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_crate_says_what_it_does_not_do() {
    for path in tracked("*.rs")
        .iter()
        .filter(|path| path.ends_with("src/lib.rs"))
    {
        let text = read(path);
        let doc: String = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        let says = ["It does not", "It is never", "It knows nothing"];
        assert!(
            says.iter().any(|it| doc.contains(it)),
            "{}: no such sentence",
            path.display()
        );
    }
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let paths = [("/wo", "rk/"), ("/ro", "ot/"), ("/fa", "rm/")].map(|(a, b)| format!("{a}{b}"));
    for path in tracked("*") {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if path.ends_with("Cargo.lock") {
            continue;
        }
        for named in &paths {
            assert!(
                !text.contains(named.as_str()),
                "{} names {named}",
                path.display()
            );
        }
    }
}

/// A row of the threat model is worth what its test is worth.
#[test]
fn every_row_of_the_threat_model_names_a_test_that_is_there() {
    let root = root();
    let page = std::fs::read_to_string(root.join("node/docs/threat-model.md"));
    let page = page.expect("the threat model");
    let mut rows = 0;
    for line in page
        .lines()
        .filter(|it| it.starts_with("| ") && !it.starts_with("| threat"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        let path = cells[3].trim_matches('`');
        let text = std::fs::read_to_string(root.join(path));
        assert!(
            text.is_ok_and(|it| it.contains("#[test]") || it.contains("test(")),
            "{path}"
        );
        rows += 1;
    }
    assert!(rows >= 20, "{rows} rows");
}
