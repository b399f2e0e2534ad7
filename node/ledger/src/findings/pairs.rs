//! Receipts of two ledgers held against each other. Pure.
//!
//! It does not verify signatures: whoever reads a ledger or a package has.

use std::collections::BTreeMap;

use schemas::transfer::{Receipt, ReceiptSide};
use schemas::{ParticipantId, ReleaseId, Timestamp};

use super::{FINDINGS_MAX, Finding, What, differences};

/// A receipt and in whose ledger it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideReceipt {
    /// Whose ledger.
    pub ledger: ParticipantId,
    /// The receipt.
    pub receipt: Receipt,
}

/// Receipts that should stand in both ledgers and do not, or that do not agree, among ledgers of
/// which those of both sides are given. `now` and `after_ms` as in
/// [`super::Thresholds::receipt_after_ms`].
///
/// Of a release both receipts stand in both ledgers: the provider's and the consumer's. What one
/// side has and the other has not is exactly what one of them could have left out.
#[must_use]
pub fn unmatched(receipts: &[SideReceipt], now: Timestamp, after_ms: i64) -> Vec<Finding> {
    let mut releases: BTreeMap<&ReleaseId, Vec<&SideReceipt>> = BTreeMap::new();
    for it in receipts {
        releases.entry(&it.receipt.release).or_default().push(it);
    }
    let mut found = Vec::new();
    for (release, stand) in releases {
        let mut one: BTreeMap<ReceiptSide, &Receipt> = BTreeMap::new();
        let mut differ = Vec::new();
        for it in &stand {
            let first = *one.entry(it.receipt.side).or_insert(&it.receipt);
            if *first != it.receipt {
                differ.push(format!(
                    "{} in the ledger of {}",
                    it.receipt.side, it.ledger
                ));
            }
        }
        let at = stand.iter().map(|it| it.receipt.at).min();
        let at = at.unwrap_or_default();
        let (sent, received) = (one.get(&ReceiptSide::Sent), one.get(&ReceiptSide::Received));
        if let (Some(sent), Some(received)) = (sent, received) {
            differ.extend(differences(sent, received));
        }
        let release = release.clone();
        let what = if differ.is_empty() {
            let missing = absent(&stand);
            if missing.is_empty() || now.millis_since(at) < after_ms {
                continue;
            }
            What::ReceiptMissing { release, missing }
        } else {
            What::ReceiptMismatch { release, differ }
        };
        if found.len() < FINDINGS_MAX {
            found.push(Finding {
                what,
                at,
                entries: Vec::new(),
            });
        }
    }
    found
}

/// Sides whose receipt is missing in the ledger of either of the two who speak.
fn absent(stand: &[&SideReceipt]) -> Vec<ReceiptSide> {
    let mut ledgers: Vec<&ParticipantId> = stand
        .iter()
        .flat_map(|it| [&it.ledger, &it.receipt.participant])
        .collect();
    ledgers.sort_unstable();
    ledgers.dedup();
    let mut missing: Vec<ReceiptSide> = ReceiptSide::ALL.to_vec();
    missing.retain(|side| {
        let stands_in = |ledger: &ParticipantId| {
            let mut of_side = stand.iter().filter(|it| it.receipt.side == *side);
            of_side.any(|it| it.ledger == *ledger)
        };
        !ledgers.iter().all(|ledger| stands_in(ledger))
    });
    missing
}
