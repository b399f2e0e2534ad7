//! What must hold for whatever file a steward uploads.
//!
//! It does not choose the bytes: the tests below do. Each function says
//! whether the bytes were valid.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what must hold for any bytes"
)]

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::standard::{DataStandard, Reading};
use schemas::validate::RowSchema;
use schemas::{LocalText, StandardEdition, StandardId};
use serde_json::Value;

use super::encoding::{Charset, Text, suspected, suspected_utf16};
use super::record::{Ending, Found, Span, read};
use super::{Format, Ingest, Plan, Source, Staged, Unwatched, remove_with_prefix, rows};
use crate::Error;

/// Records of a CSV file: each byte belongs to one, whatever is at hand at a time.
pub fn csv_record(bytes: &[u8]) -> bool {
    let mut spans = Vec::new();
    let (mut at, mut is_valid) = (0, true);
    while at < bytes.len() {
        let found = read(bytes, at, b',', Ending::Complete, &mut spans);
        let next = match found {
            Found::Record { next } => {
                check_spans(&spans, at, next);
                next
            }
            Found::BadQuoting { next } => {
                is_valid = false;
                next
            }
            Found::TooLong => return false,
            Found::Unfinished => panic!("a complete text has an end"),
        };
        assert!(at < next && next <= bytes.len());
        let half = &bytes[..at + (next - at) / 2];
        let early = read(half, at, b',', Ending::MoreFollows, &mut spans);
        assert!(
            early == Found::Unfinished || early == found,
            "{early:?}, {found:?}"
        );
        at = next;
    }
    is_valid
}

fn check_spans(spans: &[Span], at: usize, next: usize) {
    let mut from = at;
    assert!(!spans.is_empty());
    for span in spans {
        assert!(from <= span.start && span.start <= span.end && span.end <= next);
        from = span.end;
    }
}

/// A file's characters, under each encoding that may be declared: what a decoder makes of all of
/// it at once, or an error.
pub fn upload_text(bytes: &[u8]) -> bool {
    let source = source_of(bytes);
    let _other = (suspected(&source).ok(), suspected_utf16(bytes));
    let declared = Charset::ALL.iter().copied().map(Some).chain([None]);
    let mut is_valid = false;
    for declared in declared {
        let Ok((charset, text)) = decoded(&source, declared) else {
            continue;
        };
        is_valid = true;
        if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            continue;
        }
        if charset == Charset::Utf8 {
            assert!(bytes.ends_with(&text) && bytes.len() - text.len() <= 3);
        } else {
            assert!(std::str::from_utf8(&text).is_ok());
        }
    }
    is_valid
}

/// All of the text, or the last of it when that is much.
fn decoded(source: &Source, declared: Option<Charset>) -> Result<(Charset, Vec<u8>), Error> {
    const KEPT_BYTES_MAX: usize = 256 << 10;
    let mut text = Text::open(source, declared)?;
    let mut out = Vec::new();
    while text.read_on(&mut out)? {
        if out.len() > KEPT_BYTES_MAX {
            out.clear();
        }
    }
    Ok((text.charset(), out))
}

fn source_of(bytes: &[u8]) -> Source {
    let held: Arc<[u8]> = bytes.into();
    Source::reopenable("upload", move || {
        Ok(Box::new(Cursor::new(Arc::clone(&held))))
    })
}

/// A whole CSV file: every row is published, and then follows the standard, or is kept out.
pub fn csv_file(bytes: &[u8]) -> bool {
    file(bytes, Format::Csv)
}

/// The same of NDJSON.
pub fn ndjson_file(bytes: &[u8]) -> bool {
    file(bytes, Format::Json)
}

/// The same of Parquet.
pub fn parquet_file(bytes: &[u8]) -> bool {
    file(bytes, Format::Parquet)
}

fn file(bytes: &[u8], format: Format) -> bool {
    let folder = Folder::new();
    let upload = folder.0.join("upload");
    std::fs::write(&upload, bytes).expect("the folder takes a file");
    let ingest = Ingest {
        source: &Source::file(&upload, "upload"),
        format,
        charset: None,
        plan: &PLAN,
        staging: &folder.0,
        prefix: "job",
        quarantine: folder.0.join("quarantine.ndjson.gz"),
        workers: 1,
    };
    let Ok(staged) = ingest.run(&Unwatched) else {
        let left = std::fs::read_dir(&folder.0).expect("the folder is there");
        assert_eq!(left.count(), 1, "something staged is left behind");
        return false;
    };
    assert!(staged.rows + staged.quarantined_rows > 0);
    assert_eq!(staged.quarantine.is_some(), staged.quarantined_rows > 0);
    check_rows(&staged);
    remove_with_prefix(&folder.0, "job").expect("staged files can be removed");
    true
}

fn check_rows(staged: &Staged) {
    let schema = RowSchema::compile(&STANDARD).expect("the sample compiles");
    let mut rows = 0;
    for staged in &staged.files {
        let file = std::fs::File::open(&staged.path).expect("a staged file is there");
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|it| it.build());
        for batch in batches.expect("a staged file is Parquet") {
            let batch = batch.expect("a staged file is whole");
            for row in 0..batch.num_rows() {
                let row = Value::Object(rows::row_of(&PLAN, batch.columns(), row));
                assert!(schema.accepts(&row), "published: {row}");
                rows += 1;
            }
        }
    }
    assert_eq!(rows, staged.rows);
}

/// A folder of its own for each thread, emptied and removed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let thread = format!("{:?}", std::thread::current().id());
        let name: String = thread.chars().filter(char::is_ascii_digit).collect();
        let name = format!("kouan-fuzz-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A standard with a column of each kind.
static STANDARD: LazyLock<DataStandard> = LazyLock::new(|| DataStandard {
    edition: StandardEdition {
        standard: StandardId::parse("sample").expect("an identifier"),
        edition: 1,
    },
    title: LocalText::new("样本", "sample"),
    row_schema: r#"{
        "type": "object", "additionalProperties": false, "required": ["code", "name"],
        "properties": {
            "code": { "type": "string", "pattern": "^[0-9]{6}$" },
            "name": { "type": "string", "minLength": 1, "maxLength": 4 },
            "count": { "type": ["integer", "null"], "minimum": 0 },
            "share": { "type": "number", "maximum": 1 },
            "day": { "type": "string", "format": "date" },
            "at": { "type": "string", "format": "date-time" },
            "open": { "type": "boolean" }
        }
    }"#
    .to_owned(),
    reading: Reading {
        null_tokens: vec!["NA".to_owned()],
        ..Reading::default()
    },
});

static PLAN: LazyLock<Plan> =
    LazyLock::new(|| Plan::compile(&STANDARD, &BTreeSet::new()).expect("the sample compiles"));

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use mutate::Fuzz;

    use super::*;

    const CSV: &str = "code,name,count,share,day,at,open\r\n\
        440300,深圳,1,0.5,2026-11-24,2026-11-24T08:00:00Z,true\r\n\
        440400,\"珠\"\"海\",NA,,,,\n\
        44,\"a,\n\",-1,1e999,2026-02-30,2026-11-24,maybe\n";
    const WORDS: &[&str] = &[
        "\"",
        "\"\"",
        ",",
        "\r\n",
        "\n",
        "\0",
        "NA",
        "1e400",
        "-0",
        "2026-02-30",
        "\u{feff}",
        "9223372036854775808",
        "\u{1f}\u{8b}",
    ];

    /// Blocks of text, builders of columns and the writer of a part, whatever the file.
    const HELD_BYTES_MAX: u64 = 32 << 20;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn lines() -> Vec<u8> {
        let row = r#"{"code":"440300","name":"深圳","count":1,"share":0.5,"open":true}"#;
        let other = r#"{"code":"440400","name":"珠海","day":"2026-11-24","unknown":[{}]}"#;
        format!("{row}\n\n{other}\n").into_bytes()
    }

    /// What a publish of [`CSV`] stages is itself a Parquet file of the standard.
    fn parquet() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let ingest = Ingest {
            source: &source_of(CSV.as_bytes()),
            format: Format::Csv,
            charset: None,
            plan: &PLAN,
            staging: folder.path(),
            prefix: "job",
            quarantine: folder.path().join("quarantine.ndjson.gz"),
            workers: 1,
        };
        let staged = ingest.run(&Unwatched).unwrap();
        assert_eq!((staged.rows, staged.quarantined_rows), (2, 1));
        std::fs::read(&staged.files[0].path).unwrap()
    }

    fn check(name: &str, seeds: &[Vec<u8>], runs: u32, target: fn(&[u8]) -> bool) {
        let fuzz = Fuzz {
            name,
            seeds,
            words: WORDS,
            runs,
        };
        fuzz.run_holding(HELD_BYTES_MAX, target);
    }

    #[test]
    fn changed_records() {
        check("csv_record", &[CSV.as_bytes().to_vec()], 5_000, csv_record);
    }

    #[test]
    fn changed_texts() {
        let utf16: Vec<u8> = CSV.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let seeds = [
            CSV.as_bytes().to_vec(),
            encoding_rs::GB18030.encode(CSV).0.into_owned(),
            [&[0xff, 0xfe][..], &utf16].concat(),
            packed(CSV.as_bytes()),
        ];
        check("upload_text", &seeds, 100, upload_text);
    }

    #[test]
    fn changed_csv_files() {
        let seeds = [CSV.as_bytes().to_vec(), packed(CSV.as_bytes())];
        check("csv_file", &seeds, 60, csv_file);
    }

    #[test]
    fn changed_ndjson_files() {
        check("ndjson_file", &[lines()], 60, ndjson_file);
    }

    #[test]
    fn changed_parquet_files() {
        check("parquet_file", &[parquet()], 100, parquet_file);
    }
}
