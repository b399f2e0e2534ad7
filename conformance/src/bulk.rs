//! Rows made for their size: they fill several chunks of a transfer, and do not compress.
//!
//! It does not stand in for real files; where what is in the rows matters, those are used.

use std::io::Write as _;
use std::path::Path;

use schemas::dataset::{Column, Grade, Sensitivity};
use schemas::quality::{Ppm, QualityGate};
use schemas::shipped::Described;
use schemas::standard::{DataStandard, Reading};
use schemas::{LocalText, StandardEdition, StandardId};

use crate::data;

/// Writes rows of a number, a port and `words` times 16 hexadecimal digits that do not repeat;
/// returns the file's size in bytes. About half of it is left when it is packed.
///
/// # Panics
/// When it cannot be written.
pub fn write(path: &Path, rows: u64, words: usize) -> u64 {
    let file = std::fs::File::create(path).expect("a file");
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "id,port,text").expect("write");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64: fast, seeded, and no two rows alike.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for row in 0..rows {
        let port = ["CNNSA", "CNGGZ", "CNYTN", "CNSHK"][usize::try_from(row % 4).unwrap_or(0)];
        write!(out, "{row},{port},").expect("write");
        for _ in 0..words {
            write!(out, "{:016x}", next()).expect("write");
        }
        writeln!(out).expect("write");
    }
    out.flush().expect("write");
    std::fs::metadata(path).expect("a file").len()
}

/// A description of such rows, and their data standard.
///
/// # Panics
/// When `name` has not the form of an identifier.
#[must_use]
pub fn described(name: &str, grade: Grade) -> (Described, DataStandard) {
    let (described, _) = data::shipped("code-iso3166");
    let edition = StandardEdition {
        standard: StandardId::parse("bulk-rows").expect("an identifier"),
        edition: 1,
    };
    let column = |name: &str| Column {
        name: name.to_owned(),
        title: LocalText::new(name, name),
        sensitivity: Sensitivity::None,
    };
    let standard = DataStandard {
        edition: edition.clone(),
        title: LocalText::new("测量用行", "Rows to measure with"),
        row_schema: serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["id", "port", "text"],
            "properties": {
                "id": {"type": "integer", "minimum": 0},
                "port": {"type": "string", "pattern": "^[A-Z]{5}$"},
                "text": {"type": "string", "maxLength": 1_024},
            },
            "additionalProperties": false,
        })
        .to_string(),
        reading: Reading::default(),
    };
    let described = Described {
        standard: edition,
        source: None,
        columns: ["id", "port", "text"].map(column).into(),
        grade,
        quality_rules: Vec::new(),
        quality_gate: QualityGate {
            quarantined_max: Ppm(0),
            score_min: Ppm(0),
        },
        mappings: Vec::new(),
        ..data::renamed(described, name)
    };
    (described, standard)
}
