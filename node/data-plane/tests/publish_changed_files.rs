//! Fuzzing of the readers that a mapping uses: XML, workbooks, JSON documents, delimited text and
//! packed files, each with the whole publish behind it.
//!
//! It does not follow coverage. What must hold for whatever bytes a steward uploads: the file is
//! refused and nothing is left behind, or every row of it is published or kept out.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::LazyLock;

use data_plane::ingest::{Format, Ingest, Plan, Source, Unwatched};
use mutate::Fuzz;
use schemas::mapping::Mapping;
use schemas::standard::{DataStandard, Reading};
use schemas::{LocalText, StandardEdition, StandardId};
use serde_json::json;

/// Blocks of text, builders of columns and the writer of a part, whatever the file.
const HELD_BYTES_MAX: u64 = 48 << 20;

const WORDS: &[&str] = &[
    "<",
    "</",
    ">",
    "&amp;",
    "&#48;",
    "&lol;",
    "<!DOCTYPE",
    "<![CDATA[",
    "]]>",
    "<?",
    "\"",
    "\n",
    ",",
    ";",
    "\t",
    "[",
    "]",
    "{",
    "}",
    "null",
    "1e9",
    "-",
    "A1",
    "XFD1048576",
    "s",
    "PK\u{3}\u{4}",
];

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let standard = DataStandard {
        edition: StandardEdition {
            standard: StandardId::parse("sample").unwrap(),
            edition: 1,
        },
        title: LocalText::new("样本", "sample"),
        row_schema: json!({
            "type": "object", "additionalProperties": false,
            "required": ["code", "name", "teu", "at", "port"],
            "properties": {
                "code": { "type": "string", "pattern": "^[0-9]{4}$" },
                "name": { "type": "string", "minLength": 1, "maxLength": 8 },
                "teu": { "type": ["integer", "null"], "minimum": 0 },
                "at": { "type": ["string", "null"], "format": "date-time" },
                "port": { "type": "string", "enum": ["CNSZX", "HKHKG"] },
            },
        })
        .to_string(),
        reading: Reading::default(),
    };
    let mapping: Mapping = serde_json::from_value(json!({
        "id": "sample", "title": { "zh": "样本", "en": "sample" },
        "layout": { "null_tokens": ["NA"], "fill_down": ["code"] },
        "columns": {
            "code": { "from": ["code"], "steps": ["trim"] },
            "name": { "from": ["name"], "steps": ["trim", "upper_case"] },
            "teu": { "from": ["teu"], "steps": [
                { "number": { "group": "'" } }, { "scale": { "multiply": 1000, "divide": 1 } }] },
            "at": { "from": ["day", "hour"], "join": " ", "steps": [{ "time": {
                "patterns": ["DD-MM-YYYY hhmm"], "write": "INSTANT", "offset": "+08:00" } }] },
            "port": { "from": ["office"], "steps": [
                { "piece": { "separator": "/", "number": 2 } },
                { "translate": { "table": { "53": "CNSZX" }, "others": "KEEP" } }] },
        },
        "ignored": ["*"],
    }))
    .unwrap();
    Plan::compile_mapped(&standard, &BTreeSet::new(), Some(&mapping)).unwrap()
});

fn file(bytes: &[u8], name: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let upload = folder.path().join("upload");
    std::fs::write(&upload, bytes).unwrap();
    let ingest = Ingest {
        source: &Source::file(&upload, name),
        format: Format::of_name(name),
        charset: None,
        plan: &PLAN,
        staging: folder.path(),
        prefix: "job",
        quarantine: folder.path().join("quarantine.ndjson.gz"),
        workers: 1,
    };
    let Ok(staged) = ingest.run(&Unwatched) else {
        let left = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(left.count(), 1, "something staged is left behind");
        return false;
    };
    assert!(staged.rows + staged.quarantined_rows > 0);
    assert_eq!(staged.quarantine.is_some(), staged.quarantined_rows > 0);
    assert_eq!(staged.counts.is_empty(), staged.quarantined_rows == 0);
    true
}

fn check(name: &str, file_name: &str, seeds: &[Vec<u8>], runs: u32) {
    let fuzz = Fuzz {
        name,
        seeds,
        words: WORDS,
        runs,
    };
    fuzz.run_holding(HELD_BYTES_MAX, |bytes| file(bytes, file_name));
}

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<feed><row id="1"><code>4403</code><name>深圳 &amp; B</name><teu>1'234</teu><day>18-08-2025</day>
<hour>517</hour><office>x/53</office></row><row><code>4404</code><name><![CDATA[<a>]]></name>
<office>y/HKHKG</office><inner><code>1</code></inner></row></feed>"#;

const CSV: &str = "code;name;teu;day;hour;office;note\n4403; a ;1;18-08-2025;517;x/53;\n\
    4404;b;NA;;;y/99;\"z;z\"\n";

/// An archive of parts that are stored as they are.
fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let short = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
    let long = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, text) in parts {
        let at = out.len();
        let sizes = [long(0), long(text.len()), long(text.len())].concat();
        out.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
        out.extend(&sizes);
        out.extend([short(name.len()), short(0)].concat());
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
        list.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
        list.extend(&sizes);
        list.extend([short(name.len()), short(0), short(0), short(0), short(0)].concat());
        list.extend(long(0));
        list.extend(long(at));
        list.extend(name.as_bytes());
    }
    let at = out.len();
    out.extend(&list);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([short(parts.len()), short(parts.len())].concat());
    out.extend([long(list.len()), long(at)].concat());
    out.extend(short(0));
    out
}

fn workbook() -> Vec<u8> {
    let sheet = r#"<worksheet><sheetData>
        <row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>name</t></is></c>
        <c r="C1" t="str"><v>office</v></c><c r="D1" t="str"><v>teu</v></c>
        <c r="E1" t="str"><v>day</v></c><c r="F1" t="str"><v>hour</v></c></row>
        <row r="2"><c r="A2"><v>4403</v></c><c r="B2" t="s"><v>1</v></c>
        <c r="C2" t="str"><v>x/53</v></c><c r="D2"><v>1.5E1</v></c></row>
        <row r="3"><c r="B3" t="str"><v>b</v></c><c r="C3" t="str"><v>x/HKHKG</v></c>
        <c r="D3" s="1"><v>45887.5</v></c></row></sheetData></worksheet>"#;
    archive(&[
        (
            "xl/workbook.xml",
            r#"<workbook><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="r1" Target="worksheets/a.xml"/></Relationships>"#,
        ),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>code</t></si><si><r><t>深</t></r><r><t>圳</t></r></si></sst>",
        ),
        (
            "xl/styles.xml",
            r#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>"#,
        ),
        ("xl/worksheets/a.xml", sheet),
    ])
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn changed_xml_files() {
    check("xml_file", "a.xml", &[bytes_of(XML)], 150);
}

#[test]
fn changed_workbooks() {
    check("workbook", "a.xlsx", &[workbook()], 150);
}

#[test]
fn changed_json_documents() {
    let rows = json!([
        { "code": "4403", "name": "a", "teu": 1, "office": "x/53", "day": null },
        { "code": "4404", "name": "b", "office": "y/HKHKG", "more": { "deep": [1, 2] } },
    ]);
    check(
        "json_document",
        "a.json",
        &[rows.to_string().into_bytes()],
        150,
    );
}

#[test]
fn changed_mapped_csv_files_of_any_delimiter_and_packing() {
    let tabs = CSV.replace(';', "\t");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(CSV.as_bytes()).unwrap();
    let seeds = [
        bytes_of(CSV),
        bytes_of(&tabs),
        gzip.finish().unwrap(),
        zstd::encode_all(CSV.as_bytes(), 1).unwrap(),
    ];
    check("mapped_csv", "a.csv", &seeds, 150);
}

#[test]
fn cells_without_a_place_come_after_the_one_before() {
    let text = |value: &str| format!("<c t=\"str\"><v>{value}</v></c>");
    let header = ["code", "name", "office", "teu", "day", "hour"]
        .map(text)
        .concat();
    // No name and no day: the office and the hour keep their columns.
    let row = [
        text("4403"),
        "<c/>".to_owned(),
        text("x/53"),
        text("1"),
        "<c/>".to_owned(),
    ];
    let rows = format!(
        "<row>{header}</row><row>{}{}</row>",
        row.concat(),
        text("517")
    );
    let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let book = r#"<workbook><sheets><sheet name="S" r:id="r1"/></sheets></workbook>"#;
    let relations = r#"<R><Relationship Id="r1" Target="/a.xml"/></R>"#;
    let bytes = archive(&[
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relations),
        ("a.xml", &sheet),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let upload = folder.path().join("upload");
    std::fs::write(&upload, bytes).unwrap();
    let ingest = Ingest {
        source: &Source::file(&upload, "a.xlsx"),
        format: Format::Xlsx,
        charset: None,
        plan: &PLAN,
        staging: folder.path(),
        prefix: "job",
        quarantine: folder.path().join("quarantine.ndjson.gz"),
        workers: 1,
    };
    let staged = ingest.run(&Unwatched).unwrap();
    let counts: Vec<_> = staged
        .counts
        .iter()
        .map(|it| (it.field.as_deref(), it.rule.as_str(), it.count))
        .collect();
    assert_eq!(counts, [(Some("name"), "required", 1)]);
}

/// Texts that were made to hurt: each is refused with a sentence that says what to do.
#[test]
fn bombs_are_refused() {
    let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x><r>&b;</r></x>";
    let entity = "<x><r><code>&b;</code></r></x>";
    let deep = "<a>".repeat(70);
    let endless = format!("<x><r><code>{}", "1".repeat(3 << 20));
    let long = format!("[{{\"code\":\"{}\"}}]", "1".repeat(3 << 20));
    let cases: BTreeMap<&str, (&str, &str)> = BTreeMap::from([
        (
            "laughs.xml",
            (laughs, "document type (DTD) is not read; remove it"),
        ),
        ("entity.xml", (entity, "is not one of XML's own")),
        ("deep.xml", (deep.as_str(), "nested deeper than 64")),
        (
            "endless.xml",
            (endless.as_str(), "row 1: longer than 1048576 bytes"),
        ),
        (
            "long.json",
            (long.as_str(), "row 1: longer than 1048576 bytes"),
        ),
    ]);
    for (name, (text, expected)) in cases {
        let folder = tempfile::tempdir().unwrap();
        let upload = folder.path().join("upload");
        std::fs::write(&upload, text).unwrap();
        let ingest = Ingest {
            source: &Source::file(&upload, name),
            format: Format::of_name(name),
            charset: None,
            plan: &PLAN,
            staging: folder.path(),
            prefix: "job",
            quarantine: folder.path().join("quarantine.ndjson.gz"),
            workers: 1,
        };
        let refused = ingest.run(&Unwatched).unwrap_err().to_string();
        assert!(refused.contains(expected), "{name}: {refused}");
    }
    let sheet = "a".repeat(8 << 10);
    let mut bomb = archive(&[("xl/workbook.xml", sheet.as_str())]);
    // The list says that the part unpacks to 4 GiB less two bytes.
    let at = bomb.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    bomb[at + 24..at + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    assert!(!file(&bomb, "a.xlsx"));
}
