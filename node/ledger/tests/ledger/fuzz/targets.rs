//! What must hold for whatever an auditor is handed, or a member is sent.
//!
//! It does not choose the bytes: the tests beside it do. Each function
//! says whether the bytes were valid.

use std::sync::LazyLock;

use crypto::merkle::{Tree, leaf_digest};
use crypto::{Label, SecretKey, SoftwareKey};
use ledger::evidence::{self, Evidence};
use ledger::package::{self, KeyOf, Language, Order, Package};
use ledger::{Filter, Ledger, Options, checkpoint, entry};
use schemas::ledger_entry::{Checkpoint, LedgerEntry, LedgerEvent, LedgerIdentity, LedgerIndex};
use schemas::{DatasetId, NodeId, ParticipantId, Signed, Timestamp, canonical};

/// What an auditor knows: one ledger of five entries, and its participant's key.
pub(crate) static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::new);

/// A small ledger in memory.
pub(crate) struct Sample {
    pub(crate) key: SecretKey,
    pub(crate) entries: Vec<LedgerEntry>,
    pub(crate) checkpoint: Signed<Checkpoint>,
    tree: Tree,
}

impl Sample {
    fn new() -> Self {
        let key = SecretKey::from_bytes(&[0x2a; 32]).expect("a scalar in range");
        let entries: Vec<LedgerEntry> = (0..5).map(published).collect();
        let tree: Tree = entries
            .iter()
            .map(|it| leaf_digest(&canonical::to_bytes(it).expect("an entry")))
            .collect();
        let body = Checkpoint {
            ledger: LedgerIdentity {
                participant: ParticipantId::parse("gd.gz.port").expect("an identifier"),
                incarnation: 1,
            },
            size: 5,
            root: tree.root(),
            at: Timestamp::from_millis(1_790_000_000_000),
        };
        let bytes = canonical::to_bytes(&body).expect("a checkpoint");
        let signature = key.sign(Label::Checkpoint, &bytes).expect("random bytes");
        Self {
            checkpoint: Signed {
                body,
                key: key.public().key_id(),
                signature,
            },
            key,
            entries,
            tree,
        }
    }

    /// What proves one entry.
    pub(crate) fn evidence(&self, index: u64) -> Evidence {
        let at = usize::try_from(index).expect("a small number");
        let bytes = canonical::to_bytes(&self.entries[at]).expect("an entry");
        Evidence {
            entry: String::from_utf8(bytes).expect("JSON"),
            index: LedgerIndex(index),
            inclusion: self.tree.inclusion(index, 5).expect("it is there"),
            checkpoint: self.checkpoint.clone(),
            key: self.key.public().clone(),
        }
    }
}

fn published(number: u64) -> LedgerEntry {
    LedgerEntry {
        at: Timestamp::from_millis(1_790_000_000_000),
        node: NodeId::parse("node-1").expect("an identifier"),
        clock_trusted: true,
        trace: number.to_string(),
        event: LedgerEvent::Published {
            dataset: DatasetId::parse("dataset").expect("an identifier"),
            version: Some(number + 1),
            rows: number,
            quarantined_rows: 0,
            content_digest: crypto::Digest::of(b"content"),
        },
    }
}

/// An entry's bytes: one form.
pub(crate) fn ledger_entry(bytes: &[u8]) -> bool {
    let Ok(read) = entry::decode(bytes) else {
        return false;
    };
    assert_eq!(canonical::to_bytes(&read).as_deref(), Ok(bytes));
    true
}

/// A checkpoint's bytes: one form, and its participant's only if unchanged.
pub(crate) fn ledger_checkpoint(bytes: &[u8]) -> bool {
    let Ok(read) = checkpoint::decode(bytes) else {
        return false;
    };
    assert_eq!(canonical::to_bytes(&read).as_deref(), Ok(bytes));
    if checkpoint::verify(&read, &read.body.ledger, SAMPLE.key.public()).is_ok() {
        assert_eq!(
            read.body, SAMPLE.checkpoint.body,
            "a checkpoint was changed and still holds"
        );
    }
    true
}

/// A file of evidence: it proves what is in the ledger or nothing.
pub(crate) fn ledger_evidence(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<Evidence>(bytes) else {
        return false;
    };
    if let Ok(proven) = evidence::verify(&read, SAMPLE.key.public()) {
        assert_eq!(proven.checkpoint, SAMPLE.checkpoint.body);
        let at = usize::try_from(proven.index.0).expect("a small number");
        assert_eq!(SAMPLE.entries.get(at), Some(&proven.entry));
    }
    true
}

/// A package of the sample's entries, as the ledger makes it, and its participant's key.
pub(crate) static PACKAGE: LazyLock<Package> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let identity = SAMPLE.checkpoint.body.ledger.clone();
    let at = SAMPLE.checkpoint.body.at;
    runtime.expect("a runtime").block_on(async {
        let options = Options {
            preallocation_bytes: 4_096,
            ..Options::default()
        };
        let ledger = Ledger::open(dir.path(), identity.clone(), options).expect("a ledger");
        for entry in &SAMPLE.entries {
            ledger.append(entry.clone()).await.expect("appended");
        }
        ledger.checkpoint(&*PACKAGE_KEY, at).await.expect("signed");
        let order = Order {
            filter: Filter::default(),
            language: Language::En,
            at,
            witnessed: None,
            keys: vec![KeyOf {
                participant: identity.participant,
                node: None,
                key: PACKAGE_KEY.public().clone(),
            }],
        };
        ledger
            .package(order, &*PACKAGE_KEY)
            .await
            .expect("a package")
    })
});

static PACKAGE_KEY: LazyLock<SoftwareKey> =
    LazyLock::new(|| SoftwareKey::generate().expect("random bytes"));

/// A file of a package: it proves what is in the ledger or nothing.
pub(crate) fn ledger_package(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<Package>(bytes) else {
        return false;
    };
    let key = PACKAGE_KEY.public().clone();
    if let Ok(proven) = package::verify(&read, &[key]) {
        assert_eq!(read, *PACKAGE, "a package was changed and still holds");
        assert_eq!(proven.entries.len(), SAMPLE.entries.len());
    }
    true
}
