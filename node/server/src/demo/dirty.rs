//! A real dirty table with its clean version beside it: what differs in the checked columns is kept
//! out with reasons, and nothing else is.
//!
//! It does not repair rows. The table is a public benchmark of data cleaning (hospitals, not
//! ports): real dirty data comes with an answer sheet nowhere else.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use jobs::JobOutcome;
use schemas::dataset::{Column, Grade, Sensitivity, ShareAttribute, UpdateCycle};
use schemas::quality::{Ppm, QualityGate};
use schemas::shipped::Described;
use schemas::standard::{DataStandard, Reading};
use schemas::{DatasetId, LocalText, StandardEdition, StandardId};
use serde_json::json;

use super::real::{Agencies, reasons};
use super::story::{broken, ended};
use super::teller::{Teller, grouped};
use crate::Error;

/// Where the table is, below the folder of real data.
const ARCHIVE: &str = "dirty/errors_hospital.tar.gz";

/// Most bytes of the unpacked archive: ten times what it has.
const ARCHIVE_BYTES_MAX: u64 = 8 << 20;

/// Columns whose right values have a form: their wrong cells can be found without the clean table.
const CHECKED: [(&str, &str); 4] = [
    ("ProviderNumber", "^[0-9]{5}$"),
    ("ZipCode", "^[0-9]{5}$"),
    ("PhoneNumber", "^[0-9]{10}$"),
    ("EmergencyService", "^(yes|no)$"),
];

/// Publishes the dirty table; a sentence where it is not there.
pub(super) fn tell(
    teller: &Teller,
    agencies: &Agencies<'_>,
    data: &Path,
    dir: &Path,
) -> Result<(), Error> {
    let archive = data.join(ARCHIVE);
    if !archive.is_file() {
        teller.line("real-no-dirty", &[("file", ARCHIVE.to_owned())]);
        return Ok(());
    }
    let tar = unpacked(&archive).map_err(|e| broken("dirty table", e))?;
    let dirty = member(&tar, "hospital/dirty.csv")?;
    let clean = member(&tar, "hospital/clean.csv")?;
    let header: Vec<&str> = dirty
        .lines()
        .next()
        .unwrap_or_default()
        .split(',')
        .collect();
    let (rows, faulty) = differing(&header, dirty, clean);
    teller.step(
        "real-dirty",
        &[("rows", grouped(rows)), ("faulty", grouped(faulty))],
    );
    let file = dir.join("hospital-dirty.csv");
    std::fs::write(&file, dirty).map_err(|e| broken("dirty table", e))?;
    let (described, standard) = described(&header)?;
    let provider = &agencies.guangzhou;
    let dataset = provider.describe(&agencies.province, &standard, described)?;
    let job = provider.publish(&dataset.id, &file)?;
    let Some(JobOutcome::Published {
        rows: published,
        quarantined_rows,
        ..
    }) = &job.outcome
    else {
        return Err(ended("dirty table", &job));
    };
    teller.line(
        "real-dirty-published",
        &[
            ("rows", grouped(*published)),
            ("quarantined", grouped(*quarantined_rows)),
        ],
    );
    reasons(teller, provider, &job)?;
    if (*published, *quarantined_rows) != (rows - faulty, faulty) {
        let why = format!("{faulty} rows differ, {quarantined_rows} were kept out");
        return Err(broken("dirty table", why));
    }
    Ok(())
}

fn unpacked(archive: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = Vec::new();
    GzDecoder::new(File::open(archive)?)
        .take(ARCHIVE_BYTES_MAX)
        .read_to_end(&mut tar)?;
    Ok(tar)
}

/// A file of a tar archive (POSIX ustar): a header of 512 bytes, then the content, padded to 512.
fn member<'a>(tar: &'a [u8], name: &str) -> Result<&'a str, Error> {
    let wrong = || broken("dirty table", format!("{ARCHIVE} has no readable {name}"));
    let text = |field: &'a [u8]| {
        let text = std::str::from_utf8(field).unwrap_or_default();
        text.trim_end_matches('\0').trim()
    };
    let mut rest = tar;
    while let Some((header, content)) = rest.split_at_checked(512) {
        let bytes = usize::from_str_radix(text(&header[124..136]), 8).unwrap_or(0);
        if text(&header[..100]) == name {
            let content = content.get(..bytes).ok_or_else(wrong)?;
            return std::str::from_utf8(content).map_err(|_| wrong());
        }
        rest = content
            .get(bytes.next_multiple_of(512)..)
            .unwrap_or_default();
    }
    Err(wrong())
}

/// Rows of the dirty table, and how many differ from the clean one in a checked column. Neither
/// has quoted fields.
fn differing(header: &[&str], dirty: &str, clean: &str) -> (u64, u64) {
    let checked: Vec<usize> = (0..header.len())
        .filter(|at| CHECKED.iter().any(|(name, _)| *name == header[*at]))
        .collect();
    let cells = |line: &str| -> Vec<String> {
        let all: Vec<&str> = line.split(',').collect();
        let cell = |at: &usize| all.get(*at).map_or("", |it| it).to_owned();
        checked.iter().map(cell).collect()
    };
    let mut rows: u64 = 0;
    let mut faulty: u64 = 0;
    for (is, should) in dirty.lines().zip(clean.lines()).skip(1) {
        rows += 1;
        faulty += u64::from(cells(is) != cells(should));
    }
    (rows, faulty)
}

/// A header of the table as a column is written: `ZipCode` as `zip_code`.
fn snake(header: &str) -> String {
    let mut name = String::with_capacity(header.len() + 2);
    for (at, letter) in header.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The description and the data standard of the table: all text, four columns of a form.
fn described(header: &[&str]) -> Result<(Described, DataStandard), Error> {
    let edition = StandardEdition {
        standard: StandardId::parse("hospital-survey")?,
        edition: 1,
    };
    let title = LocalText::new(
        "医院调查（含错误的真实表）",
        "Hospital survey, a dirty table",
    );
    let field = |name: &str| {
        let form = CHECKED.iter().find(|(checked, _)| *checked == name);
        let schema = match form {
            Some((_, pattern)) => json!({"type": "string", "pattern": pattern}),
            None => json!({"type": "string", "maxLength": 400}),
        };
        (snake(name), schema)
    };
    let names: Vec<String> = header.iter().map(|it| snake(it)).collect();
    let properties: serde_json::Map<_, _> = header.iter().map(|it| field(it)).collect();
    let row_schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": names,
        "properties": properties,
    });
    let column = |name: &&str| Column {
        name: snake(name),
        title: LocalText::new(*name, *name),
        sensitivity: Sensitivity::None,
    };
    let rename = |name: &&str| ((*name).to_owned(), snake(name));
    let reading = Reading {
        renames: header.iter().map(rename).collect(),
        ..Reading::default()
    };
    let standard = DataStandard {
        edition: edition.clone(),
        title: title.clone(),
        row_schema: row_schema.to_string(),
        reading,
    };
    let described = Described {
        id: DatasetId::parse("hospital-survey")?,
        standard: edition,
        source: None,
        resource_code: "3060900/000001".to_owned(),
        title,
        summary: LocalText::new("公开的数据清洗基准", "A public benchmark of data cleaning"),
        theme: "health".to_owned(),
        share: ShareAttribute::Unconditional,
        share_conditions: None,
        share_basis: None,
        update_cycle: UpdateCycle::Other,
        grade: Grade::G1,
        grade_basis: "公开数据；GB/T 43697-2024 一般数据 1 级".to_owned(),
        columns: header.iter().map(column).collect(),
        quality_rules: Vec::new(),
        // So many may be kept out, since showing them is the point.
        quality_gate: QualityGate {
            quarantined_max: Ppm(200_000),
            score_min: Ppm(0),
        },
        mappings: Vec::new(),
    };
    Ok((described, standard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_an_archive_is_found_by_its_name() {
        let mut tar = Vec::new();
        for (name, content) in [("a/x.csv", "one\n"), ("a/y.csv", "two\nthree\n")] {
            let mut header = [0_u8; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            let size = format!("{:011o}", content.len());
            header[124..135].copy_from_slice(size.as_bytes());
            tar.extend(header);
            let mut padded = content.as_bytes().to_vec();
            padded.resize(512, 0);
            tar.extend(padded);
        }
        tar.extend([0; 1024]);
        assert_eq!(member(&tar, "a/y.csv").unwrap(), "two\nthree\n");
        assert!(member(&tar, "a/z.csv").is_err());
        assert!(member(&tar[..700], "a/y.csv").is_err());
    }

    #[test]
    fn only_wrong_cells_of_checked_columns_count() {
        let header = ["ZipCode", "City"];
        let dirty = "ZipCode,City\n1x345,a\n12345,b\n12345,c\n";
        let clean = "ZipCode,City\n12345,a\n12345,b\n12345,d\n";
        assert_eq!(differing(&header, dirty, clean), (3, 1));
    }
}
