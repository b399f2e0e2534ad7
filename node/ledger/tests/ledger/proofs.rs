//! Inclusion, consistency and evidence.

use crypto::SoftwareKey;
use crypto::merkle::leaf_digest;
use ledger::evidence::{Evidence, verify};
use ledger::{Error, proof};
use proptest::prelude::*;
use schemas::canonical;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_entry_is_provable_in_every_later_checkpoint(
        steps in prop::collection::vec(0_u64..6, 1..9),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let key = SoftwareKey::generate().unwrap();
        let ledger = open(dir.path(), small());
        let mut checkpoints = Vec::new();
        runtime().block_on(async {
            for step in steps {
                for _ in 0..step {
                    ledger.append(entry(ledger.size())).await.unwrap();
                }
                checkpoints.push(ledger.checkpoint(&key, entry(0).at).await.unwrap());
            }
        });
        for newer in &checkpoints {
            let size = newer.body.size;
            for index in (0..size).map(LedgerIndex) {
                let leaf = leaf_digest(&canonical::to_bytes(&entry(index.0)).unwrap());
                let inclusion = ledger.inclusion(index, size).unwrap();
                proof::verify_inclusion(&newer.body, index, &leaf, &inclusion).unwrap();
                let other = leaf_digest(&canonical::to_bytes(&entry(index.0 + 1)).unwrap());
                prop_assert!(
                    proof::verify_inclusion(&newer.body, index, &other, &inclusion).is_err()
                );
            }
            for older in checkpoints.iter().filter(|older| older.body.size <= size) {
                let consistency = ledger.consistency(older.body.size, size).unwrap();
                proof::verify_consistency(&older.body, &newer.body, &consistency).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn evidence_is_verified_offline_and_only_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let key = SoftwareKey::generate().unwrap();
    let ledger = open(dir.path(), small());
    for number in 0..5 {
        ledger.append(entry(number)).await.unwrap();
    }
    let early = ledger.evidence(LedgerIndex(2), key.public());
    assert!(matches!(early, Err(Error::NotCheckpointed { .. })));
    ledger.checkpoint(&key, entry(4).at).await.unwrap();
    let evidence = ledger.evidence(LedgerIndex(2), key.public()).unwrap();
    // As an auditor gets it: a file.
    let text = serde_json::to_string(&evidence).unwrap();
    let evidence: Evidence = serde_json::from_str(&text).unwrap();
    let proven = verify(&evidence, key.public()).unwrap();
    assert_eq!((proven.entry, proven.index), (entry(2), LedgerIndex(2)));

    let stranger = SoftwareKey::generate().unwrap();
    let refused = |part: &str, evidence: &Evidence, key: &SoftwareKey| {
        let Err(Error::NotProven { part: found, .. }) = verify(evidence, key.public()) else {
            panic!("{part} was changed and it was verified");
        };
        assert_eq!(found, part);
    };
    refused("key", &evidence, &stranger);
    refused(
        "key",
        &Evidence {
            key: stranger.public().clone(),
            ..evidence.clone()
        },
        &key,
    );
    let index = LedgerIndex(3);
    refused(
        "inclusion proof",
        &Evidence {
            index,
            ..evidence.clone()
        },
        &key,
    );
    let entry = evidence.entry.replace("\"2\"", "\"3\"");
    assert_ne!(entry, evidence.entry);
    refused(
        "inclusion proof",
        &Evidence {
            entry,
            ..evidence.clone()
        },
        &key,
    );
    let mut older = evidence;
    older.checkpoint.body.size -= 1;
    refused("checkpoint", &older, &key);
}

#[tokio::test]
async fn a_proof_of_what_never_was_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    ledger.append(entry(0)).await.unwrap();
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::ProofRange { size: 1, .. })));
    };
    refused(ledger.inclusion(LedgerIndex(1), 1).map(|_| ()));
    refused(ledger.inclusion(LedgerIndex(0), 2).map(|_| ()));
    refused(ledger.consistency(1, 0).map(|_| ()));
    refused(ledger.consistency(0, 2).map(|_| ()));
}
