//! Real files become versions: every row is published or kept out, with the counts that the shared
//! data's index and the shipped standards say.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use data_plane::measure::measure;
use schemas::shipped;

const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Whether the test is left out, which it says: the files are not there, and neither `KOUAN_DATA`
/// nor `CI` says that they should be.
fn left_out() -> bool {
    let expected = ["KOUAN_DATA", "CI"].map(std::env::var_os);
    if expected.iter().any(Option::is_some) || Path::new(BESIDE).is_dir() {
        return false;
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past the capture of a test's output.
    let sentence = format!("{test}: left out: no real data; set KOUAN_DATA\n");
    std::io::stderr().write_all(sentence.as_bytes()).unwrap();
    true
}

/// The folder of real data.
fn data() -> PathBuf {
    let folder =
        std::env::var_os("KOUAN_DATA").map_or_else(|| PathBuf::from(BESIDE), PathBuf::from);
    assert!(
        folder.is_dir(),
        "{} is not there; set KOUAN_DATA to the folder of real data",
        folder.display()
    );
    folder
}

async fn check(dataset: &str, rows: u64, quarantined: u64) {
    if left_out() {
        return;
    }
    let described = shipped::datasets().unwrap();
    let described = described
        .into_iter()
        .find(|it| it.id.as_str() == dataset)
        .unwrap();
    let standard = shipped::standards()
        .unwrap()
        .into_iter()
        .find(|it| it.edition == described.standard)
        .unwrap();
    let source = described.source.unwrap();
    assert_eq!(source.rows_total, rows);
    // References need other tables, which are the end-to-end test's business.
    let rules: Vec<_> = described
        .quality_rules
        .into_iter()
        .filter(|rule| {
            !matches!(
                rule.check,
                schemas::quality::QualityCheck::References { .. }
            )
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let measured = measure(&data().join(&source.path), &standard, &rules, dir.path(), 2)
        .await
        .unwrap();
    assert_eq!(
        (measured.rows, measured.quarantined_rows),
        (rows - quarantined, quarantined),
        "{dataset}"
    );
    for (rule, verdict) in rules.iter().zip(&measured.verdicts) {
        assert!(verdict.passed, "{dataset} {}: {verdict:?}", rule.id);
    }
}

#[tokio::test]
async fn travellers_with_mark_and_trailing_comma() {
    check("travellers", 44_328, 0).await;
}

#[tokio::test]
async fn flights_with_literal_na() {
    check("flights", 166_158, 0).await;
}

#[tokio::test]
async fn customs_declarations_without_mass_are_kept_out() {
    check("customs-declarations", 37_385, 285).await;
}

#[tokio::test]
async fn division_codes_keep_their_leading_digits() {
    check("code-gbt2260", 25_932, 0).await;
}

#[tokio::test]
async fn division_codes_in_gb18030_without_declaration() {
    check("code-gbt2260-201512", 3_219, 0).await;
}

#[tokio::test]
async fn vessel_positions_with_local_times() {
    check("vessel-positions", 9_311, 0).await;
}

#[tokio::test]
async fn the_country_na_is_namibia() {
    check("code-iso3166", 249, 0).await;
}
