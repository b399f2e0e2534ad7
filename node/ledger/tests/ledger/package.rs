//! Evidence packages, read by the crate's verifier and by the one that shares nothing with it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crypto::{Label, PublicKey, Signer as _, SoftwareKey};
use ledger::package::{KeyOf, Language, Order, Package, ProvenPackage, Why, verify, witnessed};
use ledger::{Error, Filter};
use schemas::decision::Obligations;
use schemas::ledger_entry::{Checkpoint, Cosignature, ReleaseOutcome};
use schemas::transfer::{Receipt, ReceiptSide};
use schemas::{GrantId, ReleaseId, Signed, TransferId, canonical};

use super::search::decided;
use super::*;

/// The keys of everybody in a package.
struct Keys {
    own: SoftwareKey,
    consumer: SoftwareKey,
    witness: SoftwareKey,
}

fn of(participant: &str, node: Option<&str>, key: &SoftwareKey) -> KeyOf {
    KeyOf {
        participant: ParticipantId::parse(participant).unwrap(),
        node: node.map(|it| NodeId::parse(it).unwrap()),
        key: key.public().clone(),
    }
}

impl Keys {
    fn new() -> Self {
        let key = || SoftwareKey::generate().unwrap();
        Self {
            own: key(),
            consumer: key(),
            witness: key(),
        }
    }

    fn all(&self) -> Vec<KeyOf> {
        vec![
            of("gd.gz.port", None, &self.own),
            of("gd.zh.customs", None, &self.consumer),
            of("gd.sz.port", Some("node-9"), &self.witness),
            of("gd.nobody", None, &SoftwareKey::generate().unwrap()),
        ]
    }
}

fn at(number: u64, event: LedgerEvent) -> LedgerEntry {
    LedgerEntry {
        event,
        ..entry(number)
    }
}

fn released(decided_at: u64) -> LedgerEvent {
    LedgerEvent::Released {
        release: ReleaseId::parse("rl-1").unwrap(),
        decided_at: LedgerIndex(decided_at),
        transfer: None,
        dataset: DatasetId::parse("dataset-1").unwrap(),
        artefact: crypto::Digest::of(b"artefact"),
        rows: 7,
        bytes: 700,
        deadline: Timestamp::from_millis(1_790_000_090_000),
        revocation_epoch: 1,
        obligations: Obligations::default(),
    }
}

async fn receipt(side: ReceiptSide, participant: &str, key: &SoftwareKey) -> LedgerEvent {
    let body = Receipt {
        transfer: TransferId::parse("tr-1").unwrap(),
        release: ReleaseId::parse("rl-1").unwrap(),
        side,
        participant: ParticipantId::parse(participant).unwrap(),
        dataset: DatasetId::parse("dataset-1").unwrap(),
        version: 1,
        grant: GrantId::parse("gr-1").unwrap(),
        rows: 7,
        bytes: 700,
        artefact: crypto::Digest::of(b"artefact"),
        sealed_root: None,
        at: Timestamp::from_millis(1_790_000_000_500),
    };
    let bytes = canonical::to_bytes(&body).unwrap();
    LedgerEvent::Receipt {
        receipt: Box::new(Signed {
            signature: key.sign(Label::Receipt, &bytes).await.unwrap(),
            key: key.public().key_id(),
            body,
        }),
    }
}

async fn cosign(checkpoint: &Signed<Checkpoint>, key: &SoftwareKey) -> Cosignature {
    let bytes = canonical::to_bytes(&checkpoint.body).unwrap();
    Cosignature {
        witness: ParticipantId::parse("gd.sz.port").unwrap(),
        node: NodeId::parse("node-9").unwrap(),
        key: key.public().key_id(),
        signature: key.sign(Label::Cosignature, &bytes).await.unwrap(),
    }
}

/// Ten decisions and other entries, of which `dataset-1` was released once, with both receipts; a
/// checkpoint that a witness cosigned, and a newer one over everything.
async fn build(dir: &Path, keys: &Keys, filter: Filter, language: Language) -> Package {
    let ledger = open(dir, small());
    let mut events: Vec<LedgerEvent> = (0..10).map(decided).collect();
    events.push(released(4));
    events.push(receipt(ReceiptSide::Received, "gd.zh.customs", &keys.consumer).await);
    events.push(receipt(ReceiptSide::Sent, "gd.gz.port", &keys.own).await);
    events.push(LedgerEvent::ReleaseEnded {
        release: ReleaseId::parse("rl-1").unwrap(),
        bytes: 700,
        outcome: ReleaseOutcome::Completed,
    });
    for (number, event) in (0..).zip(events) {
        ledger.append(at(number, event)).await.unwrap();
        if number == 8 {
            ledger.checkpoint(&keys.own, entry(0).at).await.unwrap();
        }
    }
    let seen = {
        let seen = ledger.latest_checkpoint().unwrap();
        let cosignature = cosign(&seen, &keys.witness).await;
        witnessed(seen, vec![cosignature], keys.own.public()).unwrap()
    };
    ledger.checkpoint(&keys.own, entry(20).at).await.unwrap();
    let order = Order {
        filter,
        language,
        at: entry(30).at,
        witnessed: Some(seen),
        keys: keys.all(),
    };
    let package = ledger.package(order, &keys.own).await.unwrap();
    ledger.close().await;
    package
}

fn about_release() -> Filter {
    Filter {
        release: Some(ReleaseId::parse("rl-1").unwrap()),
        ..Filter::default()
    }
}

/// What the verifier in Python says of each text: none when there is no Python here.
fn independent(texts: &[(String, String)], key: Option<&PublicKey>) -> BTreeMap<String, bool> {
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/verify_evidence.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).current_dir(dir.path());
    for (name, text) in texts {
        fs::write(dir.path().join(name), text).unwrap();
        command.arg(name);
    }
    if let Some(key) = key {
        command.arg("--key").arg(key.to_string());
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let of_line = |line: &str| {
        let (name, verdict) = line.split_once(": ").unwrap();
        (name.to_owned(), !verdict.starts_with("REFUSED"))
    };
    let verdicts: BTreeMap<_, _> = said.lines().map(of_line).collect();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(verdicts.len(), texts.len(), "{said}{error}");
    verdicts
}

fn ours(text: &str, key: &PublicKey) -> Result<ProvenPackage, String> {
    let package: Package = serde_json::from_str(text).map_err(|e| e.to_string())?;
    verify(&package, std::slice::from_ref(key)).map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_package_holds_what_belongs_together_and_both_verifiers_accept_it() {
    let keys = Keys::new();
    let mut texts = Vec::new();
    for language in [Language::Zh, Language::En] {
        let dir = tempfile::tempdir().unwrap();
        let package = build(dir.path(), &keys, about_release(), language).await;
        let proven = verify(&package, std::slice::from_ref(keys.own.public())).unwrap();
        let held: Vec<_> = proven.entries.iter().map(|it| (it.0.0, it.1)).collect();
        let (matched, related) = (Why::Matched, Why::Related);
        assert_eq!(
            held,
            [
                (4, related),
                (10, matched),
                (11, matched),
                (12, matched),
                (13, matched)
            ]
        );
        assert_eq!((proven.receipts, proven.receipts_without_key), (2, 0));
        assert_eq!(proven.checkpoint.size, 14);
        assert_eq!(
            (proven.witnesses.len(), proven.trusted_witnesses.len()),
            (1, 0)
        );
        let named: Vec<_> = package
            .manifest
            .body
            .keys
            .iter()
            .map(|it| &it.key)
            .collect();
        assert_eq!(named.len(), 3, "keys of nobody in the package: {named:?}");
        texts.push((
            format!("{language:?}"),
            serde_json::to_string_pretty(&package).unwrap(),
        ));
    }
    let read: Package = serde_json::from_str(&texts[0].1).unwrap();
    assert!(read.report.contains("双方回执齐全"), "{}", read.report);
    let read: Package = serde_json::from_str(&texts[1].1).unwrap();
    assert!(read.report.contains("both sides signed"), "{}", read.report);
    for key in [Some(keys.own.public()), None] {
        assert!(independent(&texts, key).values().all(|good| *good));
    }
    let stranger = SoftwareKey::generate().unwrap();
    let refused = independent(&texts, Some(stranger.public()));
    assert!(refused.values().all(|good| !*good));
    assert!(verify(&read, std::slice::from_ref(stranger.public())).is_err());
}

#[tokio::test]
async fn a_decision_brings_its_release_and_receipts() {
    let (keys, dir) = (Keys::new(), tempfile::tempdir().unwrap());
    let filter = Filter {
        dataset: Some(DatasetId::parse("dataset-1").unwrap()),
        outcome: Some("permit".to_owned()),
        ..Filter::default()
    };
    let package = build(dir.path(), &keys, filter, Language::En).await;
    let held: Vec<_> = package
        .entries
        .iter()
        .map(|it| (it.index.0, it.why))
        .collect();
    let (matched, related) = (Why::Matched, Why::Related);
    assert_eq!(
        held,
        [
            (4, matched),
            (10, related),
            (11, related),
            (12, related),
            (13, related)
        ]
    );
    let counted = (package.manifest.body.matched, package.manifest.body.related);
    assert_eq!(counted, (1, 4));
}

/// The changes that an interested party might make, each to a copy.
async fn forgeries(package: &Package) -> Vec<(String, String)> {
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Package));
    let stranger = SoftwareKey::generate().unwrap();
    let bytes = canonical::to_bytes(&package.manifest.body).unwrap();
    let foreign = stranger.sign(Label::Evidence, &bytes).await.unwrap();
    let checkpoint = canonical::to_bytes(&package.checkpoints[0].checkpoint.body).unwrap();
    let cosigned = stranger
        .sign(Label::Cosignature, &checkpoint)
        .await
        .unwrap();
    let changes: [Change<'_>; 11] = [
        ("dropped", &|it| drop(it.entries.remove(2))),
        ("dropped-and-counted", &|it| {
            it.entries.pop();
            it.manifest.body.matched -= 1;
        }),
        ("foreign-signature", &|it| {
            it.manifest.signature = foreign.clone()
        }),
        ("foreign-key", &|it| {
            it.manifest.signature = foreign.clone();
            it.manifest.key = stranger.public().key_id();
            it.manifest.body.keys[0].key = stranger.public().clone();
        }),
        ("foreign-cosignature", &|it| {
            it.checkpoints[0].cosignatures[0].signature = cosigned.clone();
        }),
        ("no-witness", &|it| it.checkpoints[0].cosignatures.clear()),
        ("swapped-proof", &|it| {
            let first = it.entries[1].inclusion.clone();
            it.entries[1].inclusion = it.entries[2].inclusion.clone();
            it.entries[2].inclusion = first;
        }),
        ("swapped-entry", &|it| {
            let first = it.entries[1].entry.clone();
            it.entries[1].entry = it.entries[2].entry.clone();
            it.entries[2].entry = first;
        }),
        ("other-order", &|it| it.entries.swap(1, 2)),
        ("no-consistency", &|it| it.checkpoints[1].consistency = None),
        ("other-report", &|it| {
            it.report = it.report.replace("rl-1", "rl-2")
        }),
    ];
    let mut texts = Vec::new();
    for (name, change) in changes {
        let mut changed = package.clone();
        change(&mut changed);
        assert_ne!(changed, *package, "{name}");
        texts.push((name.to_owned(), serde_json::to_string(&changed).unwrap()));
    }
    texts
}

#[tokio::test]
async fn neither_verifier_accepts_a_changed_package() {
    let (keys, dir) = (Keys::new(), tempfile::tempdir().unwrap());
    let package = build(dir.path(), &keys, about_release(), Language::En).await;
    let mut texts = forgeries(&package).await;
    // Without white space every byte means something.
    let intact = serde_json::to_string(&package).unwrap();
    assert!(ours(&intact, keys.own.public()).is_ok());
    let step = intact.len() / 40;
    for at in (7..intact.len()).step_by(step) {
        let mut bytes = intact.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push((format!("byte-{at}"), text));
        }
    }
    assert!(texts.len() > 40);
    for (name, text) in &texts {
        assert!(ours(text, keys.own.public()).is_err(), "{name}");
    }
    for (name, good) in independent(&texts, Some(keys.own.public())) {
        assert!(!good, "{name}");
    }
}

#[tokio::test]
async fn what_does_not_fit_into_a_package_is_asked_for_in_parts() {
    let (keys, dir) = (Keys::new(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path(), small());
    let order = |filter| Order {
        filter,
        language: Language::Zh,
        at: entry(0).at,
        witnessed: None,
        keys: keys.all(),
    };
    let none = ledger.package(order(Filter::default()), &keys.own).await;
    assert!(
        matches!(none, Err(Error::NotCheckpointed { .. })),
        "{none:?}"
    );
    let appends = (0..2_000).map(|number| ledger.append(entry(number)));
    futures::future::join_all(appends).await;
    let appends = (2_000..5_001).map(|number| ledger.append(entry(number)));
    futures::future::join_all(appends).await;
    ledger.checkpoint(&keys.own, entry(0).at).await.unwrap();
    let refused = ledger.package(order(Filter::default()), &keys.own).await;
    assert!(
        matches!(refused, Err(Error::Question { .. })),
        "{refused:?}"
    );
    let filter = Filter {
        until: Some(entry(20).at),
        ..Filter::default()
    };
    let package = ledger.package(order(filter), &keys.own).await.unwrap();
    assert_eq!(package.entries.len(), 20);
    verify(&package, std::slice::from_ref(keys.own.public())).unwrap();
}
