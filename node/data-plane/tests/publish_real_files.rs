//! Real files become versions: every row is published or kept out, with the counts that the shared
//! data's index and the shipped standards say.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;

use data_plane::measure::measure;
use schemas::shipped;

/// The folder of real data.
fn data() -> PathBuf {
    let folder = std::env::var_os("KOUAN_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    assert!(
        folder.is_dir(),
        "{} is not there; set KOUAN_DATA to the folder of real data",
        folder.display()
    );
    folder
}

async fn check(dataset: &str, rows: u64, quarantined: u64) {
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
