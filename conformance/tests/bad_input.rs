//! Input that is wrong in every way that real files and hostile callers know: each is named with
//! its place, nothing of it is published, and the node goes on.
#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from end to end"
)]
#![expect(clippy::panic, reason = "a promise that is not kept ends the test")]

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conformance::rest::{Call, Upload};
use conformance::{Client, Cluster, data, errand};
use jobs::{Finding, Job};
use schemas::DatasetId;
use schemas::code::ErrorCode;
use schemas::command::{Command, Outcome, RefusalCode};
use schemas::participant::Role;
use serde_json::json;

const PROVINCE: usize = 0;

const HEADER: &str = "alpha2,alpha3,numeric,name_en,official_name_en,name_zh";
const ARUBA: &str = "AW,ABW,533,Aruba,,阿鲁巴";
const CHINA: &str = "CN,CHN,156,China,People's Republic of China,中国";

/// One node whose code table is described and has no version.
struct Desk {
    _cluster: Cluster,
    steward: Client,
    id: DatasetId,
}

impl Desk {
    fn open(name: &str) -> Self {
        let cluster = Cluster::start(1);
        let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
        let approver = cluster.add_person(PROVINCE, "second-steward", Role::DataSteward);
        let owner = &cluster.member(PROVINCE).prepared.node.id;
        let dataset = errand::describe(&steward, &approver, owner, data::shipped(name));
        Self {
            _cluster: cluster,
            steward,
            id: dataset.id,
        }
    }

    /// Publishes bytes under a name; the job has ended.
    fn publish(&self, name: &str, bytes: &[u8]) -> Job {
        let job: Job = errand::publish_bytes(&self.steward, &self.id, name, bytes).ok();
        self.steward.wait(&job.id)
    }

    /// Publishing these bytes fails; the failure's code, sentence and findings.
    fn refused(&self, name: &str, bytes: &[u8]) -> (ErrorCode, String, Vec<Finding>) {
        let job = self.publish(name, bytes);
        let failure = job
            .failure
            .unwrap_or_else(|| panic!("{name} passed: {:?}", job.outcome));
        let versions = self.steward.get(&format!("/datasets/{}/versions", self.id));
        assert_eq!(
            versions.body["items"],
            json!([]),
            "{name}: something is to be seen"
        );
        (failure.code, failure.detail, failure.findings)
    }

    /// After all that, the same steward publishes a good file.
    fn still_works(&self) {
        let good = format!("{HEADER}\n{ARUBA}\n{CHINA}\n");
        let job = self.publish("good.csv", good.as_bytes());
        assert_eq!(errand::published(&job), (1, 2, 0));
    }
}

fn rules(findings: &[Finding]) -> Vec<(Option<u64>, &str)> {
    findings
        .iter()
        .filter(|it| it.row.is_some())
        .map(|it| (it.row, it.rule.as_str()))
        .collect()
}

#[test]
fn a_file_that_breaks_its_form_is_named_by_row_and_nothing_of_it_is_published() {
    let desk = Desk::open("code-iso3166");
    // Rows of the wrong length: the gate of this dataset lets no row be kept out.
    let ragged = format!("{HEADER}\n{ARUBA}\nAF,AFG,004\n{CHINA},one,more\n{CHINA}\n");
    let (code, _, findings) = desk.refused("ragged.csv", ragged.as_bytes());
    assert_eq!(code, ErrorCode::QualityGateFailed);
    let rows: Vec<_> = rules(&findings).into_iter().map(|(row, _)| row).collect();
    assert_eq!(rows, [Some(2), Some(3)], "{findings:?}");

    // A NUL byte where text is.
    let nul = format!("{HEADER}\n{ARUBA}\nCN,CHN,156,Chi\0na,,中国\n");
    let (code, _, findings) = desk.refused("nul.csv", nul.as_bytes());
    assert_eq!(code, ErrorCode::QualityGateFailed);
    assert_eq!(
        findings.iter().find_map(|it| it.row),
        Some(2),
        "{findings:?}"
    );

    // Quotes that never close.
    let open = format!("{HEADER}\n{ARUBA}\nCN,CHN,156,\"China,,中国\n");
    let (code, detail, _) = desk.refused("quotes.csv", open.as_bytes());
    assert!(
        matches!(
            code,
            ErrorCode::SchemaViolation | ErrorCode::QualityGateFailed
        ),
        "{code} {detail}"
    );

    // Two columns of one name; a column that is missing; one too many; no header; nothing.
    let double = HEADER.replace("alpha3", "alpha2");
    let stranger = format!("{HEADER},colour");
    for (name, text) in [
        ("double.csv", format!("{double}\n{ARUBA}\n")),
        ("missing.csv", format!("alpha2,alpha3\n{ARUBA}\n")),
        ("stranger.csv", format!("{stranger}\n{ARUBA},red\n")),
        ("no-header.csv", format!("{ARUBA}\n{CHINA}\n")),
        ("empty.csv", String::new()),
    ] {
        let (code, detail, _) = desk.refused(name, text.as_bytes());
        assert_eq!(code, ErrorCode::SchemaViolation, "{name}: {detail}");
        assert!(detail.contains(name), "{name}: {detail}");
    }
    desk.still_works();
}

#[test]
fn an_encoding_is_told_or_found_and_never_guessed_into_rubbish() {
    let desk = Desk::open("code-iso3166");
    let good = format!("{HEADER}\n{ARUBA}\n{CHINA}\n");
    // GB18030 under the name of UTF-8.
    let mut wrong = format!("{HEADER}\n{ARUBA}\nCN,CHN,156,China,,").into_bytes();
    wrong.extend([0xd6, 0xd0, 0xb9, 0xfa, b'\n']);
    let send = |key: &str, encoding: &str, bytes: &[u8]| -> Job {
        let upload = Upload {
            dataset: &desk.id,
            intent: desk.steward.intent(&desk.id, bytes),
            name: "codes.csv",
            key,
            query: vec![("encoding", encoding)],
            declared: Some(bytes.len() as u64),
        };
        let body = std::io::Cursor::new(bytes.to_vec());
        let answer = desk.steward.upload(upload, body).expect("an answer");
        let job: Job = answer.ok();
        desk.steward.wait(&job.id)
    };
    let failure = send("k-1", "UTF-8", &wrong)
        .failure
        .expect("it is not UTF-8");
    assert_eq!(
        failure.code,
        ErrorCode::SchemaViolation,
        "{}",
        failure.detail
    );
    assert_eq!(rules(&failure.findings), [(Some(2), "encoding")]);
    // Bytes that are no text in any encoding that we know.
    let failure = send(
        "k-2",
        "GB18030",
        &[good.as_bytes(), &[0xff, 0xff, b'\n']].concat(),
    );
    assert!(failure.failure.is_some(), "{failure:?}");

    // UTF-16 with its mark, and GB18030 as what it is, are read.
    let utf16: Vec<u8> = [0xfeff_u16]
        .into_iter()
        .chain(good.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        errand::published(&desk.publish("utf16.csv", &utf16)),
        (1, 2, 0)
    );
    let mut gb = format!("{HEADER}\nCN,CHN,156,China,,").into_bytes();
    gb.extend([0xd6, 0xd0, 0xb9, 0xfa, b'\n']);
    assert_eq!(errand::published(&send("k-3", "GB18030", &gb)), (2, 1, 0));
    let preview = desk.steward.call_at(
        desk.steward.site().data,
        &Call {
            method: "GET",
            path: &format!("/datasets/{}/preview", desk.id),
            headers: Vec::new(),
            body: None,
        },
    );
    assert!(
        preview.body["rows"].to_string().contains("中国"),
        "{preview:?}"
    );
}

/// A line without an end, and how much of it was taken.
struct Endless {
    taken: Arc<AtomicU64>,
    limit: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let before = self.taken.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        if before >= self.limit {
            return Ok(0);
        }
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

#[test]
fn a_line_of_a_gigabyte_is_not_taken_in() {
    let desk = Desk::open("code-iso3166");
    let signed = b"alpha2\n";
    for declared in [None, Some(signed.len() as u64)] {
        let taken = Arc::new(AtomicU64::new(0));
        let endless = Endless {
            taken: Arc::clone(&taken),
            limit: 1 << 30,
        };
        let upload = Upload {
            dataset: &desk.id,
            intent: desk.steward.intent(&desk.id, signed),
            name: "endless.csv",
            key: "k-endless",
            query: Vec::new(),
            declared,
        };
        let answer = desk.steward.upload(upload, endless);
        // The node may hang up before the answer is read; good it is in no case.
        if let Some(answer) = answer {
            assert_eq!(answer.refusal(), (400, "INVALID"), "{answer:?}");
        }
        let taken = taken.load(Ordering::Relaxed);
        assert!(
            taken < 64 << 20,
            "{taken} bytes were taken of what was signed as 7"
        );
    }
    // A line of 3 MiB that was honestly signed, and one that hides in a small packed file.
    let long = [HEADER.as_bytes(), b"\n", &vec![b'x'; 3 << 20]].concat();
    let (code, detail, _) = desk.refused("long.csv", &long);
    assert_eq!(code, ErrorCode::SchemaViolation, "{detail}");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &vec![b'x'; 64 << 20]).expect("pack");
    let packed = packed.finish().expect("pack");
    assert!(packed.len() < 1 << 20);
    let (code, detail, _) = desk.refused("packed.csv.gz", &packed);
    assert_eq!(code, ErrorCode::SchemaViolation, "{detail}");
    let broken = &packed[..packed.len() / 2];
    let (code, detail, _) = desk.refused("broken.csv.gz", broken);
    assert_eq!(code, ErrorCode::SchemaViolation, "{detail}");
    desk.still_works();
}

#[test]
fn a_body_that_is_no_record_is_refused_and_harms_nobody() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let (_, standard) = data::shipped("code-iso3166");
    // A schema that refers to itself, to a file, to another host; one that is no schema.
    for row_schema in [
        r##"{"$ref": "#"}"##,
        r##"{"properties": {"a": {"$ref": "#/properties/b"}, "b": {"$ref": "#/properties/a"}}}"##,
        r#"{"$ref": "file:///etc/passwd"}"#,
        r#"{"$ref": "https://127.0.0.1:1/schema.json"}"#,
        r#"{"type": "no such type"}"#,
        r#"{"properties": {"a": {"pattern": "("}}}"#,
        "[]",
        "",
    ] {
        let mut standard = standard.clone();
        row_schema.clone_into(&mut standard.row_schema);
        let command = Command::AdoptStandard {
            standard: Box::new(standard),
        };
        let answer = steward.change("POST", "/standards", 0, command);
        assert_eq!(
            answer.refusal(),
            (400, "INVALID"),
            "{row_schema}: {answer:?}"
        );
    }
    // Nested without end, the same member twice, numbers beyond all measure.
    let token = format!("Bearer {}", steward.token);
    let agent = conformance::rest::agent(&steward.site().roots);
    let send = |path: &str, body: String| {
        let sent = agent
            .post(format!("https://{}/api/v1{path}", steward.site().api))
            .header("authorization", &token)
            .header("content-type", "application/json")
            .send(body);
        sent.expect("an answer").status().as_u16()
    };
    assert_eq!(send("/requests", "[".repeat(100_000)), 400);
    assert_eq!(send("/requests", "{\"signed\":".repeat(50_000)), 400);
    assert_eq!(
        send(
            "/sessions/challenge",
            r#"{"person":"a.b","person":"a.c"}"#.to_owned()
        ),
        400
    );
    assert_eq!(
        send(
            "/transfers",
            format!("{{\"grant\":\"g\",\"version\":{}}}", "9".repeat(400))
        ),
        400
    );
    assert_eq!(send("/sessions/challenge", "\u{0}".to_owned()), 400);
    assert_eq!(
        send(
            "/sessions/challenge",
            json!({"person": "x".repeat(100_000)}).to_string()
        ),
        400
    );
    for path in [
        "/datasets/..%2f..%2fetc",
        "/datasets/%00",
        "/jobs/%ff",
        "/ledger/entries?from=-1",
    ] {
        let answer = steward.get(path);
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
    // A record as large as a person may sign: too large for a schema.
    let mut standard = standard;
    standard.row_schema = json!({"description": "x".repeat(900_000), "type": "object"}).to_string();
    let command = Command::AdoptStandard {
        standard: Box::new(standard),
    };
    let answer = steward.change("POST", "/standards", 0, command);
    assert!(matches!(answer.status, 400 | 413), "{answer:?}");
    assert_eq!(steward.get("/datasets").status, 200);
}

#[test]
fn a_clock_an_hour_off_writes_nothing() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let (_, standard) = data::shipped("code-iso3166");
    let member = cluster.member(PROVINCE);
    let adopt = |edition: u32| {
        let mut standard = standard.clone();
        standard.edition.edition = edition;
        Command::AdoptStandard {
            standard: Box::new(standard),
        }
    };
    for (edition, minutes) in [(1, 60), (1, -60), (1, 6), (1, -6)] {
        let at = server::federation::now().plus_millis(minutes * 60_000);
        let signed = conformance::cluster::signed_at(member, Role::DataSteward, adopt(edition), at);
        let body = json!({ "signed": signed });
        let answer = steward.post("/standards", &body);
        assert_eq!(
            answer.refusal(),
            (400, "INVALID"),
            "{minutes} min: {answer:?}"
        );
        // Past REST too: the catalog itself holds the line.
        let outcome = cluster.propose(PROVINCE, signed);
        assert!(
            matches!(
                outcome,
                Outcome::Refused {
                    code: RefusalCode::ClockSkew,
                    ..
                }
            ),
            "{minutes} min: {outcome:?}"
        );
    }
    let at = server::federation::now().plus_millis(4 * 60_000);
    let signed = conformance::cluster::signed_at(member, Role::DataSteward, adopt(1), at);
    let answer = steward.post("/standards", &json!({ "signed": signed }));
    assert_eq!(
        answer.status, 200,
        "four minutes are within the five: {answer:?}"
    );
}
