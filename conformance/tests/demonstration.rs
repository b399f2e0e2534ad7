//! `kouan demo` as a newcomer runs it: it ends well, says how long it took, and accounts for every
//! row of every real file that is there.
//!
//! It does not judge the time: a development build on a loaded machine may take longer than the
//! minute that a release build keeps to.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use conformance::data;
use conformance::process::program;

/// Exit code, standard output and standard error of a demonstration.
fn demo(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program("kouan"))
        .args(["demo", "--lang", "en"])
        .args(arguments)
        .output()
        .expect("run kouan");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), out, err)
}

/// `1,234` as a number.
fn number(text: &str) -> u64 {
    let digits = text.replace(',', "");
    digits.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Published, quarantined and all rows by dataset, from lines such as
/// `flights (航班): 166,158 published + 0 quarantined = 166,158 rows, ...`.
fn counts(told: &str) -> BTreeMap<String, (u64, u64, u64)> {
    let count = |line: &str| {
        let (head, tail) = line.trim().split_once("): ")?;
        let (published, tail) = tail.split_once(" published + ")?;
        let (quarantined, tail) = tail.split_once(" quarantined = ")?;
        let (all, _) = tail.split_once(" rows")?;
        let (id, _) = head.split_once(" (")?;
        let counts = (number(published), number(quarantined), number(all));
        Some((id.to_owned(), counts))
    };
    told.lines().filter_map(count).collect()
}

/// Rows of a file, as the index of the real data has them: a table with a heading for each folder.
fn indexed(path: &str) -> u64 {
    let index = std::fs::read_to_string(data::folder().join("INDEX.md")).expect("the index");
    let (folder, name) = path.split_once('/').expect("a folder and a name");
    let (_, part) = index
        .split_once(&format!("\n### {folder}\n"))
        .unwrap_or_else(|| panic!("the index has no folder {folder}"));
    let line = part
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")))
        .unwrap_or_else(|| panic!("the index has no {path}"));
    let size = line.split('|').nth(2).expect("rows × columns");
    number(size.split('×').next().expect("rows").trim())
}

#[test]
fn the_story_is_told_to_its_end_on_generated_rows() {
    // No machine tells it in a second: whoever asks for that learns it by the exit code, at the end
    // of the same story.
    let (code, out, err) = demo(&["--within", "1"]);
    for part in [
        "199,900 rows published, 100 quarantined",
        "QUALITY_GATE_FAILED",
        "the provider refused: X5",
        "GRANT_REVOKED",
        "Every ledger verifies",
        "\nDone in ",
    ] {
        assert!(out.contains(part), "{part} in\n{out}\n{err}");
    }
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("demo, total: it took"), "{err}");
}

#[test]
fn every_row_of_every_real_file_is_accounted_for() {
    if data::left_out() {
        return;
    }
    let folder = data::folder();
    let folder = folder.to_str().expect("a path in UTF-8");
    let (code, out, err) = demo(&["--data", folder]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    let told = counts(&out);
    let expected = schemas::shipped::expectations().expect("expectations");
    assert_eq!(told.len(), expected.len(), "{out}");
    for it in expected {
        let (published, quarantined, all) = told[it.dataset.as_str()];
        assert_eq!(quarantined, it.quarantined, "{}", it.dataset);
        assert_eq!(all, indexed(&it.file), "{}", it.dataset);
        assert_eq!(published + quarantined, all, "{}", it.dataset);
    }
    assert!(!out.contains("left out"), "{out}");
    for part in [
        // Kept-out rows, with reasons.
        "285 rows of customs-declarations were kept out",
        "net_mass  exclusiveMinimum",
        // The masked and filtered grant, the border, the revocation.
        "importers hashed under a key of the grant",
        "X18  outside the scope of O16",
        "it leaves, sealed",
        "is REVOKED",
        // The dirty table: what differs from the clean one.
        "884 rows published, 116 quarantined",
        "Every ledger verifies",
    ] {
        assert!(out.contains(part), "{part} in\n{out}");
    }
}

#[test]
fn a_folder_that_has_some_of_the_files_is_enough() {
    if data::left_out() {
        return;
    }
    let expected = schemas::shipped::expectations().expect("expectations");
    let small = expected
        .iter()
        .find(|it| it.dataset.as_str() == "code-iso3166");
    let small = &small.expect("country codes").file;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |path: &str, to: &Path| {
        let to = to.join(path);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        std::fs::copy(data::folder().join(path), to).expect("copy a file");
    };
    copy(small, folder.path());
    let given = folder.path().to_str().expect("a path in UTF-8");
    let (code, out, err) = demo(&["--data", given]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_eq!(counts(&out).len(), 1, "{out}");
    for it in expected.iter().filter(|it| it.file != *small) {
        let sentence = format!("left out: {} is not there", it.file);
        assert!(out.contains(&sentence), "{sentence} in\n{out}");
    }
    assert!(out.contains("left out: the dirty file"), "{out}");
    assert!(out.contains("left out: the narrow grant"), "{out}");

    let empty = tempfile::tempdir().expect("a folder");
    let given = empty.path().to_str().expect("a path in UTF-8");
    let (code, _, err) = demo(&["--data", given]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("none of the described files is in"), "{err}");
}
