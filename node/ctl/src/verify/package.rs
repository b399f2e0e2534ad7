//! `ledger verify` of evidence packages, and of the receipts in several of them.
//!
//! It does not verify with code of its own: [`ledger::package`] does.

use std::collections::BTreeSet;

use crypto::PublicKey;
use ledger::findings::{SideReceipt, Thresholds, unmatched};
use ledger::package::{Package, ProvenPackage, Why, verify};
use schemas::ledger_entry::LedgerEvent;
use schemas::{ParticipantId, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Together, forked};

/// What a package has and evidence of one entry has not.
#[derive(Deserialize)]
struct Kind {
    format: Option<IgnoredAny>,
}

/// Whether a file is a package. What is neither that nor JSON is judged as evidence of one entry,
/// and refused there.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Kind>(bytes).is_ok_and(|it| it.format.is_some())
}

/// The verdict of one file.
pub(super) fn check(
    file: &str,
    bytes: &[u8],
    keys: &[PublicKey],
    together: &mut Together,
) -> Value {
    let failed = |why: String| json!({"file": file, "verdict": "FAILED", "why": why});
    let package: Package = match serde_json::from_slice(bytes) {
        Ok(package) => package,
        Err(source) => return failed(source.to_string()),
    };
    let proven = match verify(&package, keys) {
        Ok(proven) => proven,
        Err(source) => return failed(source.to_string()),
    };
    for stored in &package.checkpoints {
        if let Some(why) = forked(&stored.checkpoint.body, &mut together.roots) {
            return failed(why);
        }
    }
    let manifest = &package.manifest.body;
    together.packages.take(&package, &proven);
    let entries: Vec<Value> = proven
        .entries
        .iter()
        .map(|(index, why, entry)| {
            let matched = *why == Why::Matched;
            json!({"index": index, "matched": matched, "entry": entry})
        })
        .collect();
    json!({
        "file": file,
        "verdict": if keys.is_empty() { "CONSISTENT" } else { "VERIFIED" },
        "participant": manifest.ledger.participant, "incarnation": manifest.ledger.incarnation,
        "size": proven.checkpoint.size, "root": proven.checkpoint.root, "at": manifest.at,
        "event": "package", "matched": manifest.matched, "related": manifest.related,
        "receipts": proven.receipts, "receipts_without_key": proven.receipts_without_key,
        "witnesses": proven.witnesses, "trusted_witnesses": proven.trusted_witnesses,
        "filter": manifest.filter, "entries": entries,
    })
}

/// Packages that verify, as far as they are held against each other.
#[derive(Default)]
pub(super) struct Packages {
    ledgers: BTreeSet<ParticipantId>,
    receipts: Vec<SideReceipt>,
    made: Timestamp,
}

impl Packages {
    fn take(&mut self, package: &Package, proven: &ProvenPackage) {
        let manifest = &package.manifest.body;
        self.ledgers.insert(manifest.ledger.participant.clone());
        self.made = self.made.max(manifest.at);
        for (_, _, entry) in &proven.entries {
            if let LedgerEvent::Receipt { receipt } = &entry.event {
                self.receipts.push(SideReceipt {
                    ledger: manifest.ledger.participant.clone(),
                    receipt: receipt.body.clone(),
                });
            }
        }
    }

    /// One line for each transfer between two whose packages are both here, when a receipt stands
    /// in one of them and not in the other, or they differ. A line for a person to look at: the
    /// two may have been asked for different things.
    pub(super) fn unmatched(&self) -> Vec<Value> {
        let outside: BTreeSet<_> = self
            .receipts
            .iter()
            .filter(|it| !self.ledgers.contains(&it.receipt.participant))
            .map(|it| &it.receipt.release)
            .collect();
        let between: Vec<SideReceipt> = self
            .receipts
            .iter()
            .filter(|it| !outside.contains(&it.receipt.release))
            .cloned()
            .collect();
        if self.ledgers.len() < 2 {
            return Vec::new();
        }
        let after = Thresholds::default().receipt_after_ms;
        let found = unmatched(&between, self.made, after);
        let line = |why: Value, at: Timestamp| json!({"verdict": "FINDING", "at": at, "why": why});
        found
            .into_iter()
            .map(|it| {
                let what = serde_json::to_string(&it.what).unwrap_or_default();
                line(Value::String(what), it.at)
            })
            .collect()
    }
}
