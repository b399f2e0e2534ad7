//! Evidence and ledgers that the ledger itself wrote, intact and changed.

use std::path::PathBuf;

use crypto::SoftwareKey;
use ledger::{Ledger, Options};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIndex};
use schemas::{NodeId, ParticipantId, Timestamp};

use super::*;

const ENTRIES: u64 = 20;

/// A ledger in `dir/ledger`, evidence of one entry in `dir/evidence.json`, and the key.
fn write(dir: &Path, version: &str) -> (PathBuf, PathBuf, PublicKey) {
    let key = SoftwareKey::generate().unwrap();
    let folder = dir.join("ledger");
    let identity = LedgerIdentity {
        participant: ParticipantId::parse("gd.gz").unwrap(),
        incarnation: 1,
    };
    let options = Options {
        segment_bytes: 1 << 20,
        preallocation_bytes: 1 << 15,
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let evidence = runtime.block_on(async {
        let ledger = Ledger::open(&folder, identity, options).unwrap();
        for number in 0..ENTRIES {
            let entry = LedgerEntry {
                at: Timestamp::from_millis(1_790_000_000_000),
                node: NodeId::parse("node-1").unwrap(),
                clock_trusted: true,
                trace: format!("trace-{number}"),
                event: LedgerEvent::Started {
                    version: version.to_owned(),
                },
            };
            ledger.append(entry).await.unwrap();
        }
        let at = Timestamp::from_millis(1_790_000_001_000);
        ledger.checkpoint(&key, at).await.unwrap();
        let evidence = ledger.evidence(LedgerIndex(7), key.public()).unwrap();
        ledger.close().await;
        evidence
    });
    let file = dir.join("evidence.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&evidence).unwrap()).unwrap();
    (folder, file, key.public().clone())
}

/// A package of three entries of the same ledger.
fn pack(dir: &Path, key: &SoftwareKey) -> PathBuf {
    let identity = LedgerIdentity {
        participant: ParticipantId::parse("gd.gz").unwrap(),
        incarnation: 1,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let package = runtime.block_on(async {
        let ledger = Ledger::open(&dir.join("packed"), identity, Options::default()).unwrap();
        for number in 0..3 {
            let entry = LedgerEntry {
                at: Timestamp::from_millis(1_790_000_000_000 + number),
                node: NodeId::parse("node-1").unwrap(),
                clock_trusted: true,
                trace: format!("trace-{number}"),
                event: LedgerEvent::Started {
                    version: "1".to_owned(),
                },
            };
            ledger.append(entry).await.unwrap();
        }
        let at = Timestamp::from_millis(1_790_000_001_000);
        ledger.checkpoint(key, at).await.unwrap();
        let order = ledger::package::Order {
            filter: ledger::Filter::default(),
            language: ledger::package::Language::Zh,
            at,
            witnessed: None,
            keys: vec![ledger::package::KeyOf {
                participant: ParticipantId::parse("gd.gz").unwrap(),
                node: None,
                key: key.public().clone(),
            }],
        };
        let package = ledger.package(order, key).await.unwrap();
        ledger.close().await;
        package
    });
    let file = dir.join("package.json");
    // As `export-evidence` writes it: the node's answer, read and indented.
    let answer = serde_json::to_value(&package).unwrap();
    std::fs::write(&file, crate::output::indented(&answer)).unwrap();
    file
}

#[test]
fn a_package_verifies_with_the_right_key_until_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let key = SoftwareKey::generate().unwrap();
    let file = pack(dir.path(), &key);
    let it = Verify {
        paths: vec![file.clone()],
        keys: vec![key.public().to_string()],
    };
    let said = verdicts(&it).unwrap();
    assert_eq!(
        (&said[0]["verdict"], &said[0]["matched"], &said[0]["size"]),
        (&json!("VERIFIED"), &json!(3), &json!(3)),
        "{said:?}"
    );
    verdict(&[&file], &[]).unwrap();
    let stranger = SoftwareKey::generate().unwrap();
    let refused = verdict(&[&file], &[stranger.public()]).unwrap_err();
    assert_eq!(refused.exit_code(), 6);
    let text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [("trace-1", "trace-7"), ("/1\"", "/2\""), ("{", "[")] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let refused = verdict(&[&file], &[key.public()]).unwrap_err();
        assert_eq!(refused.exit_code(), 6, "{from}");
    }
}

fn verdict(paths: &[&Path], keys: &[&PublicKey]) -> Result<(), Error> {
    let it = Verify {
        paths: paths.iter().map(|it| it.to_path_buf()).collect(),
        keys: keys.iter().map(ToString::to_string).collect(),
    };
    judge(&verdicts(&it)?)
}

#[test]
fn evidence_of_a_real_ledger_verifies_with_the_right_key_only() {
    let dir = tempfile::tempdir().unwrap();
    let (_, file, key) = write(dir.path(), "1");
    let stranger = SoftwareKey::generate().unwrap();
    verdict(&[&file], &[&key]).unwrap();
    verdict(&[&file], &[stranger.public(), &key]).unwrap();
    verdict(&[&file], &[]).unwrap();
    assert_eq!(
        verdict(&[&file], &[stranger.public()])
            .unwrap_err()
            .exit_code(),
        6
    );
}

#[test]
fn evidence_with_one_changed_byte_never_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (_, file, key) = write(dir.path(), "1");
    let evidence: Evidence = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    // Without white space every byte means something.
    let intact = serde_json::to_vec(&evidence).unwrap();
    let changed = dir.path().join("changed.json");
    for at in (0..intact.len()).step_by(7) {
        let mut bytes = intact.clone();
        bytes[at] ^= 1;
        std::fs::write(&changed, bytes).unwrap();
        let failed = verdict(&[&changed], &[&key]).unwrap_err();
        assert_eq!(failed.exit_code(), 6, "byte {at}");
    }
}

#[test]
fn a_folder_verifies_until_one_byte_of_an_entry_is_flipped() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, _, key) = write(dir.path(), "1");
    verdict(&[&folder], &[&key]).unwrap();
    let segment = std::fs::read_dir(folder.join("entries"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let mut bytes = std::fs::read(segment.path()).unwrap();
    let wanted = b"trace-9";
    let at = bytes
        .windows(wanted.len())
        .position(|it| it == wanted)
        .unwrap();
    bytes[at] ^= 1;
    std::fs::write(segment.path(), bytes).unwrap();
    for keys in [&[&key][..], &[]] {
        let failed = verdict(&[&folder], keys).unwrap_err();
        assert!(matches!(failed, Error::NotVerified { failed: 1, all: 1 }));
    }
}

#[test]
fn a_folder_without_a_ledger_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(verdict(&[dir.path()], &[]).unwrap_err().exit_code(), 2);
}

#[test]
fn two_histories_of_one_ledger_do_not_verify_together() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (_, first, key) = write(dirs[0].path(), "1");
    let (_, same, other) = write(dirs[1].path(), "1");
    let (_, forked, stranger) = write(dirs[2].path(), "2");
    let keys = [&key, &other, &stranger];
    for alone in [&first, &same, &forked] {
        verdict(&[alone], &keys).unwrap();
    }
    verdict(&[&first, &same], &keys).unwrap();
    assert_eq!(
        verdict(&[&first, &forked], &keys).unwrap_err().exit_code(),
        6
    );
}

#[test]
fn keys_come_as_digits_or_from_records_and_key_files() {
    let dir = tempfile::tempdir().unwrap();
    let key = SoftwareKey::generate().unwrap();
    let key = key.public();
    let file = |name: &str, content: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let record = json!({"id": "gd", "signing": key});
    for text in [
        key.to_string(),
        file("digits", format!("{key}\n")),
        file("one.json", record.to_string()),
        file("list.json", json!([record]).to_string()),
        file("lines.jsonl", format!("{record}\n")),
    ] {
        assert_eq!(
            read_keys(&text).unwrap(),
            std::slice::from_ref(key),
            "{text}"
        );
    }
    let empty = file("empty.json", "{}".to_owned());
    assert_eq!(read_keys(&empty).unwrap_err().exit_code(), 2);
}
