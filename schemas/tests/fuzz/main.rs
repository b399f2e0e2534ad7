//! Fuzzing of what this crate reads: `targets` says what must hold, here are valid inputs.
//!
//! It does not follow coverage.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "set-up of tests, and what must hold"
)]

mod targets;

use std::collections::BTreeSet;
use std::path::Path;

use crypto::merkle::map::MerkleMap;
use crypto::{Digest, SecretKey};
use mutate::Fuzz;
use schemas::backup::{BackupHeader, BackupSeal, BackupWriter};
use schemas::command::{Author, Command, Proposal, SignedProposal};
use schemas::dataset::DatasetState;
use schemas::decision::{Operator, Predicate, RowFilter};
use schemas::participant::Node;
use schemas::{CommandId, DatasetId, NodeId, ParticipantId, Signed, Timestamp, canonical, shipped};
use serde_json::Value;

const JSON_WORDS: &[&str] = &[
    "null",
    "{}",
    "[]",
    "-1",
    "1.0",
    "1e3",
    "9007199254740993",
    "18446744073709551616",
    "\"",
    "\\u0000",
    "\\ud800",
    "\u{2028}",
    ",",
    ":",
    "true",
];

/// The examples beside the JSON Schemas, in canonical form and as they are written.
fn records() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("json/records/examples");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|item| item.unwrap().path())
        .collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let text = std::fs::read(path).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        seeds.push(canonical::to_bytes(&value).unwrap());
        seeds.push(text);
    }
    seeds.push(canonical::to_bytes(&SignedProposal::by_node(proposal())).unwrap());
    seeds.push(canonical::to_bytes(&proposal()).unwrap());
    seeds.push(canonical::to_bytes(&filter()).unwrap());
    seeds
}

fn proposal() -> Proposal {
    Proposal {
        id: CommandId::parse("c-1").unwrap(),
        author: Author::Node(NodeId::parse("node-1").unwrap()),
        at: Timestamp::from_millis(1_790_000_000_000),
        command: Command::MoveDataset {
            dataset: DatasetId::parse("d").unwrap(),
            revision: 1,
            to: DatasetState::Published,
        },
    }
}

/// A backup of three records.
fn backup() -> Vec<u8> {
    let key = SecretKey::from_bytes(Digest::of(b"node-1").as_bytes()).unwrap();
    let node = Node {
        id: NodeId::parse("node-1").unwrap(),
        operator: ParticipantId::parse("gd").unwrap(),
        hosts: BTreeSet::new(),
        raft_number: 1,
        raft_address: "gd-1:7401".to_owned(),
        data_address: "gd-1:7402".to_owned(),
        api_address: "gd-1:7403".to_owned(),
        transport_keys: BTreeSet::new(),
        signing: key.public().clone(),
        revision: 0,
    };
    let records = [
        ("node/node-1", canonical::to_bytes(&node).unwrap()),
        ("dataset/a", b"{}".to_vec()),
        ("dataset/b", vec![b' '; 300]),
    ];
    let mut digests = MerkleMap::new();
    for (key, bytes) in &records {
        digests.insert(key.as_bytes(), Digest::of(bytes));
    }
    let header = BackupHeader {
        cluster: Digest::ZERO,
        index: 7,
        term: 1,
        digest: digests.root(),
        records: digests.len(),
        leader_time: Timestamp::from_millis(1_790_000_000_000),
        taken_at: Timestamp::from_millis(1_790_000_000_000),
        node: node.id,
        signing: key.public().clone(),
        voters: Vec::new(),
        learners: Vec::new(),
        program: "0.1.0".to_owned(),
    };
    let mut writer = BackupWriter::new(Vec::new(), &header).unwrap();
    for (key, bytes) in &records {
        writer.record(key, bytes).unwrap();
    }
    let seal = writer.end_records().unwrap().clone();
    let bytes = canonical::to_bytes(&seal).unwrap();
    let signature = key.sign(BackupSeal::LABEL, &bytes).unwrap();
    let key = key.public().key_id();
    let (body, out) = (seal, writer);
    out.finish(&Signed {
        body,
        key,
        signature,
    })
    .unwrap()
}

fn filter() -> RowFilter {
    RowFilter {
        all: vec![Predicate {
            column: "港口".to_owned(),
            operator: Operator::In,
            values: vec!["a".to_owned(), "\u{1}\"\\".to_owned()],
        }],
    }
}

#[test]
fn changed_records() {
    let fuzz = Fuzz {
        name: "record",
        seeds: &records(),
        words: JSON_WORDS,
        runs: 1_500,
    };
    fuzz.run(targets::record);
}

#[test]
fn changed_backups() {
    let fuzz = Fuzz {
        name: "backup",
        seeds: &[backup()],
        words: &["\0\0\0\0", "\u{1}", "{\"applied\":", "kouan-backup\n"],
        runs: 2_000,
    };
    fuzz.run(targets::backup);
}

#[test]
fn changed_identifiers() {
    let seeds = [
        "gd.guangzhou.port",
        "a",
        "r-2026_42",
        "CN",
        "dataset.read",
        "x-imo",
        "X5",
    ];
    let fuzz = Fuzz {
        name: "identifier",
        seeds: &seeds.map(|it| it.as_bytes().to_vec()),
        words: &["..", ".", "-", "/", "\0", "é", "A"],
        runs: 10_000,
    };
    fuzz.run(targets::identifier);
}

#[test]
fn changed_instants() {
    let seeds = [
        "2026-11-24T08:00:00.000Z",
        "2026-11-24T16:00:00+08:00",
        "2016-12-31T23:59:60Z",
        "1970-01-01T00:00:00-23:59",
        "9999-12-31T23:59:59.999999999Z",
    ];
    let fuzz = Fuzz {
        name: "timestamp",
        seeds: &seeds.map(|it| it.as_bytes().to_vec()),
        words: &[
            "+24:00",
            "-00:00",
            "T24:00:00",
            "0000",
            "02-30",
            ".9999999999",
        ],
        runs: 10_000,
    };
    fuzz.run(targets::timestamp);
}

#[test]
fn changed_codes_of_the_domain() {
    let seeds = [
        "CSQU3054383",
        "IMO9074729",
        "412345678",
        "91350100M000100Y43",
        "11010519491231002X",
        "8703",
        "CNSZX",
        "440300",
        "5301",
        "2016-01-12 13:02:11.218",
    ];
    let fuzz = Fuzz {
        name: "format",
        seeds: &seeds.map(|it| it.as_bytes().to_vec()),
        words: &["X", "IMO", "00", "99", "T24", "\u{ff11}"],
        runs: 10_000,
    };
    fuzz.run(targets::format);
}

#[test]
fn changed_row_schemas() {
    const ROW: &str = "\n{\"port\":\"CNSZX\",\"day\":\"2026-02-30\",\"tons\":1e400}";
    let seeds: Vec<Vec<u8>> = shipped::standards()
        .unwrap()
        .into_iter()
        .filter(|it| it.row_schema.len() < 4_096)
        .map(|it| [it.row_schema.as_str(), ROW].concat().into_bytes())
        .collect();
    assert!(!seeds.is_empty());
    let fuzz = Fuzz {
        name: "row_schema",
        seeds: &seeds,
        words: &[
            "\"$ref\":\"#\",",
            "\"pattern\":\"(a+)+$\",",
            "\"pattern\":\"(?<=x){9999999}\",",
            "\"multipleOf\":0.0000001,",
            "\"enum\":[],",
            "\"format\":\"x-imo\",",
            "\"type\":[\"null\",\"integer\"],",
            "\"maxLength\":1e300,",
            "{\"allOf\":[",
            "\"if\":{},",
        ],
        runs: 300,
    };
    fuzz.run(targets::row_schema);
}

#[test]
fn changed_data_standards() {
    let seeds: Vec<Vec<u8>> = shipped::standards()
        .unwrap()
        .iter()
        .map(|it| canonical::to_bytes(it).unwrap())
        .filter(|it| it.len() < 8_192)
        .collect();
    assert!(seeds.len() > 2);
    let fuzz = Fuzz {
        name: "data_standard",
        seeds: &seeds,
        words: &[
            "\"delimiter\":\"\\n\"",
            "\"delimiter\":\"港\"",
            "YYYYMMDD",
            "\\\"type\\\"",
        ],
        runs: 300,
    };
    fuzz.run(targets::data_standard);
}
