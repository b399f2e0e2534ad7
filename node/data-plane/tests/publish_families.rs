//! Families of real files become versions from the standards, mappings and rules that ship, with
//! the counts that the index of the shared data and its measured faults say.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use data_plane::Error;
use data_plane::ingest::{Charset, Format, Ingest, Plan, Source, Unwatched};
use data_plane::measure::{Measured, measure_mapped};
use schemas::mapping::Mapping;
use schemas::quality::QualityCheck;
use schemas::shipped;
use schemas::standard::{DataStandard, Reading};

const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// The folder of real data, or nothing, which it says: the files are not there, and neither
/// `KOUAN_DATA` nor `CI` says that they should be.
fn data() -> Option<PathBuf> {
    let expected = ["KOUAN_DATA", "CI"].map(std::env::var_os);
    let folder = expected[0]
        .clone()
        .map_or_else(|| PathBuf::from(BESIDE), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        expected.iter().all(Option::is_none),
        "{} is not there; set KOUAN_DATA to the folder of real data",
        folder.display()
    );
    let sentence = "publish_families: left out: no real data; set KOUAN_DATA\n";
    // Past the capture of a test's output.
    std::io::stderr().write_all(sentence.as_bytes()).unwrap();
    None
}

/// Reads, checks and judges a file as a publish does, with a mapping of the dataset that ships.
async fn publish(
    file: &Path,
    dataset: &str,
    mapping: Option<&str>,
    change: impl FnOnce(&mut Mapping),
) -> Result<Measured, Error> {
    let described = shipped::datasets().unwrap();
    let described = described
        .into_iter()
        .find(|it| it.id.as_str() == dataset)
        .unwrap();
    let standards = shipped::standards().unwrap();
    let standard = standards
        .iter()
        .find(|it| it.edition == described.standard)
        .unwrap();
    let mut mapping = mapping.map(|id| {
        let found = described.mappings.iter().find(|it| it.id.as_str() == id);
        found.unwrap().clone()
    });
    if let Some(mapping) = &mut mapping {
        change(mapping);
    }
    // References need other tables, which are the end-to-end test's business.
    let rules: Vec<_> = described
        .quality_rules
        .into_iter()
        .filter(|rule| !matches!(rule.check, QualityCheck::References { .. }))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let measured = measure_mapped(file, standard, mapping.as_ref(), &rules, dir.path(), 2).await?;
    for (rule, verdict) in rules.iter().zip(&measured.verdicts) {
        assert!(verdict.passed, "{dataset} {}: {verdict:?}", rule.id);
    }
    Ok(measured)
}

async fn check(dataset: &str, mapping: &str, cases: &[(&str, u64, u64)]) {
    let Some(data) = data() else { return };
    for (file, rows, kept_out) in cases {
        let measured = publish(&data.join(file), dataset, Some(mapping), |_| {})
            .await
            .unwrap();
        assert_eq!(
            (measured.rows, measured.quarantined_rows),
            (rows - kept_out, *kept_out),
            "{file}: {:?} {:?}",
            measured.counts,
            measured.faults.first()
        );
    }
}

#[tokio::test]
async fn vessel_snapshots_in_xml_become_one_dataset() {
    let cases = [
        (
            "rp05005-arrived",
            "Arrived_in_last_36_hours_20250818_203026",
            93,
            0,
        ),
        (
            "rp05005-arrived",
            "Arrived_in_last_36_hours_20250822_212547",
            76,
            0,
        ),
        (
            "rp04005-expected",
            "Departed_in_last_36_hours_20250818_203028",
            158,
            0,
        ),
        (
            "rp04005-expected",
            "Departed_in_last_36_hours_20250822_212549",
            176,
            0,
        ),
        // Ships with a temporary number in place of their IMO number.
        (
            "rp06005-in-port",
            "Expected_arrivals_20250818_203030",
            70,
            11,
        ),
        (
            "rp06005-in-port",
            "Expected_arrivals_20250822_212551",
            65,
            8,
        ),
        (
            "rp05505-departed",
            "Expected_departures_20250818_203032",
            84,
            0,
        ),
        (
            "rp05505-departed",
            "Expected_departures_20250822_212553",
            77,
            0,
        ),
    ];
    for (mapping, name, rows, kept_out) in cases {
        let file = format!("vessels/hk_mardep/{name}.xml");
        check("vessel-calls", mapping, &[(&file, rows, kept_out)]).await;
    }
}

#[tokio::test]
async fn throughput_workbooks_with_plain_and_merged_headers() {
    let plain = [("ports/Container_throughput_of_Hong_Kong_Port.xlsx", 118, 0)];
    check("container-throughput", "hk-workbook", &plain).await;
    let merged =
        "ports/Table_410_55114_Port_Cargo_Throughput_by_Greater_Bay_Area_City_English_.xlsx";
    check("port-cargo-gba", "table-410-55114", &[(merged, 26, 0)]).await;
}

#[tokio::test]
async fn the_wide_traveller_table_becomes_rows_of_the_long_one() {
    let file = "travellers/hk_passenger_io_2020h1.csv";
    for mapping in ["wide-2020-arrivals", "wide-2020-departures"] {
        check("travellers", mapping, &[(file, 2_370, 0)]).await;
    }
}

#[tokio::test]
async fn nested_change_events_become_columns() {
    let file = "codes/gbt2260_change_events.jsonl.gz";
    check("code-gbt2260-changes", "change-events", &[(file, 4_025, 0)]).await;
}

#[tokio::test]
async fn a_feed_whose_name_lies_is_refused_found_out_and_corrected() {
    let Some(data) = data() else { return };
    let dataset = "vessel-calls";
    // The file called "expected arrivals" holds ships in port: no record where arrivals have them.
    let file = data.join("vessels/hk_mardep/Expected_arrivals_20250818_203030.xml");
    let refused = publish(&file, dataset, Some("rp05005-arrived"), |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Expected_arrivals_20250818_203030.xml has no rows; upload a file with a header and at \
         least one row"
    );
    // Its own mapping reads it, and says which rows break which rule.
    let found = publish(&file, dataset, Some("rp06005-in-port"), |_| {})
        .await
        .unwrap();
    let counts: Vec<_> = found
        .counts
        .iter()
        .map(|it| (it.field.as_deref(), it.rule.as_str(), it.count))
        .collect();
    assert_eq!(counts, [(Some("imo"), "format", 11)]);
    let first = &found.faults[0];
    assert!(
        first.fault.value.as_deref().unwrap().starts_with("TEMP00"),
        "{first:?}"
    );
    // The steward takes temporary numbers for none, which the mapping says, and the file is whole.
    let temporary: Vec<String> = found
        .faults
        .iter()
        .filter_map(|it| it.fault.value.clone())
        .collect();
    let corrected = publish(&file, dataset, Some("rp06005-in-port"), |mapping| {
        mapping.layout.null_tokens.extend(temporary);
    });
    let corrected = corrected.await.unwrap();
    assert_eq!((corrected.rows, corrected.quarantined_rows), (70, 0));
}

/// Files of a tar archive (POSIX ustar): name and bytes.
fn unpacked(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(archive).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .unwrap();
    let (mut at, mut files) = (0, Vec::new());
    while bytes.get(at).is_some_and(|first| *first != 0) {
        let text = |from: usize, to: usize| {
            let field = &bytes[at + from..at + to];
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let length = usize::from_str_radix(&text(124, 136), 8).unwrap();
        files.push((text(0, 100), bytes[at + 512..at + 512 + length].to_vec()));
        at += 512 + length.div_ceil(512) * 512;
    }
    files
}

/// One column of any text, between which nothing stands.
fn texts() -> Plan {
    let standard = DataStandard {
        edition: schemas::StandardEdition {
            standard: schemas::StandardId::parse("texts").unwrap(),
            edition: 1,
        },
        title: schemas::LocalText::new("文本", "texts"),
        row_schema: r#"{"type":"object","properties":{"text":{"type":"string"}}}"#.to_owned(),
        reading: Reading {
            delimiter: Some('\u{1}'),
            ..Reading::default()
        },
    };
    Plan::compile(&standard, &BTreeSet::new()).unwrap()
}

#[test]
fn chinese_pages_without_declaration_are_read_in_their_encoding() {
    let Some(data) = data() else { return };
    let plan = texts();
    let (mut big5, mut gb) = (0, 0);
    for (name, page) in unpacked(&data.join("dirty/encodings_chardet.tar.gz")) {
        let expected = match name.split('/').rev().nth(1) {
            Some("Big5") => Charset::Big5,
            Some("GB2312") => Charset::Gb18030,
            _ => continue,
        };
        big5 += u32::from(expected == Charset::Big5);
        gb += u32::from(expected == Charset::Gb18030);
        let dir = tempfile::tempdir().unwrap();
        let upload = dir.path().join("upload");
        std::fs::write(&upload, [b"text\n", page.as_slice()].concat()).unwrap();
        let ingest = Ingest {
            source: &Source::file(&upload, "page.csv"),
            format: Format::Csv,
            charset: None,
            plan: &plan,
            staging: dir.path(),
            prefix: "job",
            quarantine: dir.path().join("quarantine.ndjson.gz"),
            workers: 1,
        };
        let staged = ingest.run(&Unwatched).unwrap();
        assert_eq!(staged.charset, Some(expected), "{name}");
    }
    assert_eq!((big5, gb), (13, 9));
}
