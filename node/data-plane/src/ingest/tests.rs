//! Files into checked rows: bad input of every kind, and the column checks against their oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use arrow::array::ArrayRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use schemas::standard::{DataStandard, DateOrder, Reading};
use schemas::{LocalText, StandardEdition, StandardId};
use serde_json::{Map, Value, json};

use super::columns::Builder;
use super::*;

pub(crate) fn standard(row_schema: &Value, reading: Reading) -> DataStandard {
    DataStandard {
        edition: StandardEdition {
            standard: StandardId::parse("test").unwrap(),
            edition: 1,
        },
        title: LocalText::new("测试", "test"),
        row_schema: row_schema.to_string(),
        reading,
    }
}

fn people() -> DataStandard {
    let schema = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "code": { "type": "string", "pattern": "^[0-9]{6}$" },
            "name": { "type": "string", "minLength": 1, "maxLength": 4 },
            "count": { "type": ["integer", "null"], "minimum": 0 },
            "day": { "type": "string", "format": "date" },
        },
        "required": ["code", "name"],
    });
    let reading = Reading {
        null_tokens: vec!["NA".to_owned()],
        renames: BTreeMap::from([("名称".to_owned(), "name".to_owned())]),
        dropped: vec![String::new()],
        dates: BTreeMap::from([("day".to_owned(), DateOrder::DayMonthYear)]),
        ..Reading::default()
    };
    standard(&schema, reading)
}

/// Publishes `bytes`; returns what was staged and the rows as JSON.
fn ingest(
    standard: &DataStandard,
    name: &str,
    bytes: &[u8],
    charset: Option<Charset>,
) -> Result<(Staged, Vec<Value>, String), Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upload");
    std::fs::write(&path, bytes).unwrap();
    run(
        standard,
        &Source::file(&path, name),
        Format::of_name(name),
        charset,
        dir.path(),
    )
}

fn run(
    standard: &DataStandard,
    source: &Source,
    format: Format,
    charset: Option<Charset>,
    dir: &Path,
) -> Result<(Staged, Vec<Value>, String), Error> {
    let plan = Plan::compile(standard, &BTreeSet::from(["secret".to_owned()])).unwrap();
    let ingest = Ingest {
        source,
        format,
        charset,
        plan: &plan,
        staging: dir,
        prefix: "job-1",
        quarantine: dir.join("quarantine.ndjson.gz"),
        workers: 2,
    };
    let result = ingest.run(&Unwatched);
    let Ok(staged) = result else {
        let left: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().contains("job-1")
            })
            .collect();
        assert!(left.is_empty(), "nothing staged is left behind: {left:?}");
        return Err(result.unwrap_err());
    };
    let mut rows = Vec::new();
    for file in &staged.files {
        assert_eq!(std::fs::metadata(&file.path).unwrap().len(), file.bytes);
        let bytes = std::fs::read(&file.path).unwrap();
        assert_eq!(crypto::merkle::ContentHasher::digest(&bytes), file.digest);
        let file = std::fs::File::open(&file.path).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        for batch in batches {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                rows.push(Value::Object(rows::row_of(&plan, batch.columns(), row)));
            }
        }
    }
    let quarantine = staged.quarantine.as_ref().map_or_else(String::new, |path| {
        let mut text = String::new();
        let file = std::fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        text
    });
    assert_eq!(as_u64(rows.len()), staged.rows);
    assert_eq!(as_u64(quarantine.lines().count()), staged.quarantined_rows);
    Ok((staged, rows, quarantine))
}

fn as_u64(count: usize) -> u64 {
    source::as_u64(count)
}

/// One line a finding: row, field, rule, value.
fn findings(staged: &Staged) -> Vec<String> {
    let line = |found: &RowFault| {
        let fault = &found.fault;
        format!(
            "{} {} {} {}",
            found.row,
            fault.field.as_deref().unwrap_or("-"),
            fault.rule,
            fault.value.as_deref().unwrap_or("-")
        )
    };
    staged.faults.iter().map(line).collect()
}

#[test]
fn every_row_is_published_or_kept_out_with_its_reasons() {
    let text = "\u{feff}code,名称,count,day,\r\n\
                440300,深圳,1,24-11-2026,\r\n\
                44030,广州市天河区,-1,2026-11-24,\r\n\
                440400,珠海,NA,,\r\n\
                \r\n\
                440500,,12kg,31-02-2026,\r\n\
                440600,\"佛\"山,1,,\r\n\
                440700,江门\r\n\
                440800,湛\0江,1,,\r\n\
                440900,\"茂,名\",3,01-01-2020,";
    let (staged, rows, quarantine) = ingest(&people(), "p.csv", text.as_bytes(), None).unwrap();
    assert_eq!(
        rows,
        [
            json!({"code": "440300", "name": "深圳", "count": 1, "day": "2026-11-24"}),
            json!({"code": "440400", "name": "珠海", "count": null}),
            json!({"code": "440900", "name": "茂,名", "count": 3, "day": "2020-01-01"}),
        ]
    );
    assert_eq!(
        findings(&staged),
        [
            "2 day type 2026-11-24",
            "2 code pattern 44030",
            "2 count minimum -1",
            "2 name maxLength 广州市天河区",
            "4 count type 12kg",
            "4 day type 31-02-2026",
            "4 name required -",
            "5 - quoting -",
            "6 - columns -",
            "7 - nul -",
        ]
    );
    let second = quarantine.lines().nth(1).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(second).unwrap()["values"],
        json!({"code": "440500", "名称": "", "count": "12kg", "day": "31-02-2026"})
    );
    assert_eq!(staged.rows + staged.quarantined_rows, 8);
}

#[test]
fn the_encoding_is_told_from_the_bytes_and_a_declared_one_wins() {
    let text = "code,名称,count,day\n440300,深圳,1,24-11-2026\n440100,广州,2,24-11-2026\n";
    let utf16 = |big: bool| -> Vec<u8> {
        let bytes = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    };
    let with_mark = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
    let gb = encoding_rs::GB18030.encode(text).0.into_owned();
    let cases: Vec<(&str, Vec<u8>, Option<Charset>, Charset)> = vec![
        ("plain", text.as_bytes().to_vec(), None, Charset::Utf8),
        (
            "mark",
            with_mark(b"\xef\xbb\xbf", text.as_bytes()),
            None,
            Charset::Utf8,
        ),
        ("gb", gb.clone(), None, Charset::Gb18030),
        ("gb declared", gb, Some(Charset::Gb18030), Charset::Gb18030),
        (
            "utf-16le mark",
            with_mark(b"\xff\xfe", &utf16(false)),
            None,
            Charset::Utf16Le,
        ),
        (
            "utf-16be mark",
            with_mark(b"\xfe\xff", &utf16(true)),
            None,
            Charset::Utf16Be,
        ),
        (
            "utf-16le declared",
            utf16(false),
            Some(Charset::Utf16Le),
            Charset::Utf16Le,
        ),
    ];
    for (case, bytes, declared, expected) in cases {
        let (staged, rows, _) = ingest(&people(), "p.csv", &bytes, declared).unwrap();
        assert_eq!(staged.charset, Some(expected), "{case}");
        assert_eq!(rows.len(), 2, "{case}");
        assert_eq!(rows[0]["name"], "深圳", "{case}");
    }
}

#[test]
fn the_delimiter_is_the_one_under_which_the_header_is_known() {
    for delimiter in [',', ';', '\t', '|'] {
        let text = format!("\ncode{delimiter}\"name\"\n440300{delimiter}深圳\n");
        let (staged, rows, _) = ingest(&people(), "p.csv", text.as_bytes(), None).unwrap();
        assert_eq!(
            (staged.rows, staged.quarantined_rows),
            (1, 0),
            "{delimiter}"
        );
        assert_eq!(rows[0]["name"], "深圳", "{delimiter}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_what_to_do() {
    let gz = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let good = "code,name\n440300,深圳\n";
    let mut cut = gz(good.repeat(5_000).as_bytes());
    cut.truncate(cut.len() / 2);
    let mut mixed = "code,name\n440300,深圳\n440100,广州\n".as_bytes().to_vec();
    mixed.extend_from_slice(b"440200,\xc9\xd8\xb9\xd8\n");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gb = encoding_rs::GB18030.encode(good).0.into_owned();
    let utf8 = Some(Charset::Utf8);
    let cases: Vec<(&[u8], Option<Charset>, &str)> = vec![
        (
            b"",
            None,
            "p.csv has no rows; upload a file with a header and at least one row",
        ),
        (
            b"code,name\n",
            None,
            "p.csv has no rows; upload a file with a header and at least one row",
        ),
        (
            b"code,code,name\n1,2,3\n",
            None,
            "header of p.csv: column \"code\" occurs twice; leave one out",
        ),
        (
            b"code\n440300\n",
            None,
            "header of p.csv: column \"name\" is missing, and the standard requires it",
        ),
        (
            b"code:name\n440300:x\n",
            None,
            "header of p.csv: \"code:name\" is no column of the standard; rename or drop it in the \
          standard's reading rules, or check the delimiter and the encoding",
        ),
        (&mixed, None, "p.csv, row 3, byte 45: not UTF-8"),
        (
            &utf16,
            None,
            "p.csv, row 0, byte 0: not UTF-8; the file looks like UTF-16LE, declare that encoding",
        ),
        (
            &gb,
            utf8,
            "p.csv, row 1, byte 17: not UTF-8; the file looks like GB18030, declare that encoding",
        ),
        (
            b"code,name\n440300,\xff\xff\n",
            Some(Charset::Gb18030),
            "p.csv, row 1, byte 17: not GB18030",
        ),
    ];
    for (bytes, declared, expected) in cases {
        let error = ingest(&people(), "p.csv", bytes, declared).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.code(), schemas::code::ErrorCode::SchemaViolation);
    }
    let error = ingest(&people(), "p.csv.gz", &cut, None).unwrap_err();
    assert!(matches!(error, Error::Unpacking { .. }), "{error}");
}

/// Bytes that are made when they are read.
struct Endless {
    head: std::io::Cursor<&'static [u8]>,
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.head.read(out)?;
        if read > 0 || self.left == 0 {
            return Ok(read);
        }
        let count = out
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        out[..count].fill(b'x');
        self.left -= as_u64(count);
        Ok(count)
    }
}

#[test]
fn a_line_of_a_gigabyte_is_an_error_and_not_a_gigabyte_of_memory() {
    for head in [
        &b"code,name\n440300,a\n"[..],
        &b"code,name\n440300,a\n440301,\""[..],
    ] {
        let open = move || -> std::io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(Endless {
                head: std::io::Cursor::new(head),
                left: 1 << 30,
            }))
        };
        let dir = tempfile::tempdir().unwrap();
        let source = Source::reopenable("long.csv", open);
        let error = run(&people(), &source, Format::Csv, None, dir.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "long.csv, row 2: longer than 1048576 bytes; is the delimiter or encoding another?"
        );
    }
}

#[test]
fn an_ndjson_row_with_two_values_for_a_column_is_kept_out() {
    let text = "{\"code\":\"440300\",\"name\":\"深圳\"}\n\
                {\"code\":\"440300\",\"code\":\"440400\",\"name\":\"深圳\"}\n\
                {\"code\":\"440300\",\"name\":\"深圳\",\"名称\":\"珠海\"}\n";
    let (staged, rows, _) = ingest(&people(), "p.ndjson", text.as_bytes(), None).unwrap();
    let kept = json!({"code": "440300", "name": "深圳", "count": null});
    assert_eq!(rows, [kept]);
    assert_eq!(findings(&staged), ["2 - json -", "3 - json -"]);
}

#[test]
fn ndjson_and_parquet_follow_the_same_rules_as_csv() {
    let text = "{\"code\":\"440300\",\"名称\":\"深圳\",\"count\":1,\"day\":\"24-11-2026\"}\n\
                {\"code\":440100,\"name\":\"广州\"}\n\n\
                {\"code\":\"440100\",\"name\":\"广州\",\"x\":1}\n\
                [1]\n\
                {\"code\":\"440100\",\"code\":\"440300\"}\n\
                {\"code\":\"440400\",\"name\":\"珠海\",\"count\":2.0}\n";
    let (staged, rows, _) = ingest(&people(), "p.ndjson", text.as_bytes(), None).unwrap();
    let expected = [
        json!({"code": "440300", "name": "深圳", "count": 1, "day": "2026-11-24"}),
        json!({"code": "440400", "name": "珠海", "count": 2}),
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        findings(&staged),
        [
            "2 code type 440100",
            "3 - additionalProperties -",
            "4 - json -",
            "5 - json -"
        ]
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.parquet");
    let plan = Plan::compile(&people(), &BTreeSet::new()).unwrap();
    let mut rows = rows::Rows::new(&plan, 2);
    for (code, count) in [("440300", "1"), ("x", "-1")] {
        // The columns in the order of the schema's text.
        for (column, text) in [code, count, "24-11-2026", "深圳"].iter().enumerate() {
            rows.push_text(column, text);
        }
        rows.end_row();
    }
    let arrays = rows.into_arrays();
    let batch = arrow::record_batch::RecordBatch::try_new(plan.schema.clone(), arrays).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let source = Source::file(&path, "again.parquet");
    let (staged, rows, _) = run(&people(), &source, Format::Parquet, None, dir.path()).unwrap();
    assert_eq!(rows, expected[..1]);
    assert_eq!(
        findings(&staged),
        ["2 code pattern x", "2 count minimum -1"]
    );
}

#[test]
fn values_of_masked_columns_are_never_written_down() {
    let schema = json!({"type": "object", "properties": {
        "id": {"type": "integer"}, "secret": {"type": "string", "maxLength": 3}}});
    let plain = standard(&schema, Reading::default());
    let mut by_row = schema;
    by_row["minProperties"] = json!(1);
    let by_row = standard(&by_row, Reading::default());
    let text = "id,secret\n1,topsecret\nx,hidden\n2,a,topsecret\n";
    for standard in [plain, by_row] {
        let (staged, rows, quarantine) = ingest(&standard, "p.csv", text.as_bytes(), None).unwrap();
        assert_eq!((rows.len(), staged.quarantined_rows), (0, 3));
        assert!(!quarantine.contains("topsecret") && !quarantine.contains("hidden"));
        assert!(quarantine.contains("***"), "{quarantine}");
        assert!(!format!("{:?}", staged.faults).contains("topsecret"));
    }
}

#[test]
fn the_same_file_gives_the_same_parquet_files() {
    let mut text = String::from("code,name,count\n");
    for at in 0..400_000 {
        text.push_str(&format!("{:06},深圳,{at}\n", at % 1_000_000));
    }
    let first = ingest(&people(), "p.csv", text.as_bytes(), None).unwrap();
    let second = ingest(&people(), "p.csv", text.as_bytes(), None).unwrap();
    let digests = |staged: &Staged| -> Vec<_> {
        staged
            .files
            .iter()
            .map(|file| (file.name.clone(), file.digest))
            .collect()
    };
    assert_eq!(digests(&first.0), digests(&second.0));
    assert_eq!(first.0.files.len(), 2);
    assert_eq!(first.0.rows, 400_000);
}

/// A schema with every columnar rule.
fn wide() -> DataStandard {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["t", "i", "n"],
        "properties": {
            "t": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z口]+$"},
            "e": {"type": ["string", "null"], "enum": ["a", "bb", null]},
            "c": {"type": "string", "const": "a"},
            "f": {"type": "string", "format": "x-un-locode"},
            "i": {"type": "integer", "minimum": -3, "exclusiveMaximum": 7, "multipleOf": 2},
            "j": {"type": ["integer", "null"], "exclusiveMinimum": 0, "maximum": 5},
            "k": {"type": "integer", "enum": [1, 2]},
            "n": {"type": "number", "minimum": -0.5, "maximum": 1.5},
            "m": {"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": 1.5},
            "b": {"type": "boolean", "const": true},
            "d": {"type": "string", "format": "date"},
        },
    });
    standard(&schema, Reading::default())
}

fn any_row() -> impl Strategy<Value = Map<String, Value>> {
    let text = prop_oneof![
        Just("a"),
        Just("bb"),
        Just("口口"),
        Just("A"),
        Just("口口口口"),
        Just("CNSZX"),
        Just("")
    ];
    let integer = -5_i64..9;
    let number = prop_oneof![
        Just(-0.5),
        Just(1.5),
        Just(0.0),
        Just(-0.6),
        Just(1.6),
        Just(2.0)
    ];
    let cells = (
        prop::collection::vec(prop::option::of(text), 4),
        prop::collection::vec(prop::option::of(integer), 3),
        prop::collection::vec(prop::option::of(number), 2),
        prop::option::of(any::<bool>()),
        prop::option::of(prop_oneof![Just("2026-11-24"), Just("1999-01-01")]),
    );
    cells.prop_map(|(texts, integers, numbers, flag, day)| {
        let mut row = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                row.insert(name.to_owned(), value);
            }
        };
        for (name, value) in ["t", "e", "c", "f"].iter().zip(texts) {
            put(name, value.map(Value::from));
        }
        for (name, value) in ["i", "j", "k"].iter().zip(integers) {
            put(name, value.map(Value::from));
        }
        for (name, value) in ["n", "m"].iter().zip(numbers) {
            put(name, value.map(Value::from));
        }
        put("b", flag.map(Value::from));
        put("d", day.map(Value::from));
        row
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn column_checks_agree_with_the_row_check_row_by_row(
        rows in prop::collection::vec(any_row(), 1..20)
    ) {
        let standard = wide();
        let plan = Plan::compile(&standard, &BTreeSet::new()).unwrap();
        prop_assert!(plan.rows.is_none(), "this schema is columnar");
        let oracle = schemas::validate::RowSchema::compile(&standard).unwrap();
        let mut builders: Vec<Builder> =
            plan.columns.iter().map(|column| Builder::new(column.kind, 8)).collect();
        for row in &rows {
            for (column, builder) in plan.columns.iter().zip(&mut builders) {
                builder.push_json(row.get(&column.name).unwrap_or(&Value::Null)).unwrap();
            }
        }
        let arrays: Vec<ArrayRef> = builders.into_iter().map(Builder::finish).collect();
        let mut found: Vec<BTreeSet<(String, String)>> = vec![BTreeSet::new(); rows.len()];
        for (column, array) in plan.columns.iter().zip(&arrays) {
            column.rules.check(array, &mut |row, (rule, _)| {
                let name = if rule == "required" { String::new() } else { column.name.clone() };
                found[row].insert((name, rule.to_owned()));
            });
        }
        for (at, found) in found.iter().enumerate() {
            let row = Value::Object(rows::row_of(&plan, &arrays, at));
            let expected: BTreeSet<(String, String)> = oracle
                .check(&row)
                .into_iter()
                .map(|broken| (broken.pointer.trim_start_matches('/').to_owned(), broken.keyword))
                .collect();
            prop_assert_eq!(found, &expected, "{}", row);
        }
    }
}
