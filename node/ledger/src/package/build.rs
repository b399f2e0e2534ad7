//! Putting a package together from an open ledger.
//!
//! It does not decide who may have one: reading a ledger is a decision and an entry, made before.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{Digest, Label, Signer};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIndex};
use schemas::{ReleaseId, Signed, Timestamp, canonical};

use super::{
    FORMAT, Item, KeyOf, Language, Manifest, PACKAGE_BYTES_MAX, PACKAGE_ENTRIES_MAX, Package, Why,
    Witnessed, checkpoints_digest, entries_root, report, signs,
};
use crate::search::{Field, Filter, term};
use crate::{Error, Ledger, SCAN_ENTRIES_MAX, checkpoint, entry};

/// What is to be in a package, and what the caller knows besides the ledger.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which entries.
    pub filter: Filter,
    /// Language of the report.
    pub language: Language,
    /// Now, by the node's clock.
    pub at: Timestamp,
    /// The last checkpoint that other members have cosigned; it may be older than the newest.
    pub witnessed: Option<Witnessed>,
    /// All keys that are known; those that sign something in the package are put into it.
    pub keys: Vec<KeyOf>,
}

/// The entries that go in, by index.
type Chosen = BTreeMap<LedgerIndex, (Why, LedgerEntry, String)>;

impl Ledger {
    /// Makes an evidence package over the newest checkpoint, signed with the participant's key.
    /// Entries behind that checkpoint are not in it: make one first.
    ///
    /// # Errors
    /// [`Error::Question`] when more than [`PACKAGE_ENTRIES_MAX`] entries or [`PACKAGE_BYTES_MAX`]
    /// bytes would be in it; [`Error::NotCheckpointed`] when there is no checkpoint;
    /// [`Error::IndexDamaged`] when the index could not be written up to it;
    /// [`Error::Sign`]; otherwise as [`Ledger::search`] and [`Ledger::read`].
    pub async fn package(&self, order: Order, signer: &dyn Signer) -> Result<Package, Error> {
        let newest = self.latest_checkpoint().ok_or(Error::NotCheckpointed {
            index: LedgerIndex(0),
        })?;
        let size = newest.body.size;
        // What the index does not have would be missing, and the manifest says that nothing is.
        if self.size().saturating_sub(self.unindexed()) < size {
            return Err(Error::IndexDamaged);
        }
        let chosen = self.choose(&order.filter, size)?;
        let checkpoints = self.chain(order.witnessed, newest)?;
        let mut items = Vec::with_capacity(chosen.len());
        let mut shown = Vec::with_capacity(chosen.len());
        for (index, (why, recorded, entry)) in chosen {
            let inclusion = self.inclusion(index, size)?;
            items.push(Item {
                index,
                why,
                entry,
                inclusion,
            });
            shown.push((index, why, recorded));
        }
        let count = |why| {
            let of_kind = shown.iter().filter(|(_, it, _)| *it == why).count();
            u64::try_from(of_kind).unwrap_or(u64::MAX)
        };
        let mut manifest = Manifest {
            ledger: self.identity().clone(),
            at: order.at,
            language: order.language,
            filter: order.filter,
            matched: count(Why::Matched),
            related: count(Why::Related),
            entries: entries_root(&items),
            checkpoints: checkpoints_digest(&checkpoints)?,
            report: Digest::ZERO,
            keys: needed(order.keys, signer, &checkpoints, &shown),
        };
        let report = report::write(&manifest, &checkpoints, &shown);
        manifest.report = Digest::of(report.as_bytes());
        let bytes = canonical::to_bytes(&manifest)?;
        let signature = signer.sign(Label::Evidence, &bytes).await?;
        Ok(Package {
            format: FORMAT.to_owned(),
            manifest: Signed {
                body: manifest,
                key: signer.key_id(),
                signature,
            },
            checkpoints,
            entries: items,
            report,
        })
    }

    /// What matches, and what belongs to it: the decision that a release rests on, the release
    /// that a decision led to, its end and the receipts of both sides.
    fn choose(&self, filter: &Filter, size: u64) -> Result<Chosen, Error> {
        let mut chosen = Chosen::new();
        let mut bytes = 0;
        let matched = self.all(|from| self.search(filter, from, Some(size), SCAN_ENTRIES_MAX))?;
        let mut releases = BTreeSet::new();
        for index in matched {
            let recorded = self.put(&mut chosen, &mut bytes, index, Why::Matched)?;
            releases.extend(release_of(&recorded.event).cloned());
            if let LedgerEvent::Decided { .. } = recorded.event {
                let led_to = term(Field::Decision, index.to_string());
                let found = self.all(|from| self.search_term(&led_to, from, size))?;
                for released in found {
                    let released = self.put(&mut chosen, &mut bytes, released, Why::Related)?;
                    releases.extend(release_of(&released.event).cloned());
                }
            }
        }
        for release in releases {
            let of_release = term(Field::Release, release.to_string());
            for index in self.all(|from| self.search_term(&of_release, from, size))? {
                let recorded = self.put(&mut chosen, &mut bytes, index, Why::Related)?;
                if let LedgerEvent::Released { decided_at, .. } = recorded.event {
                    self.put(&mut chosen, &mut bytes, decided_at, Why::Related)?;
                }
            }
        }
        Ok(chosen)
    }

    /// All pages of an answer.
    fn all(
        &self,
        page: impl Fn(LedgerIndex) -> Result<crate::Page, Error>,
    ) -> Result<Vec<LedgerIndex>, Error> {
        let mut found = Vec::new();
        let mut next = Some(LedgerIndex(0));
        while let Some(from) = next {
            let page = page(from)?;
            if page.total > u64::try_from(PACKAGE_ENTRIES_MAX).unwrap_or(u64::MAX) {
                return Err(too_many(format!("{} entries", page.total)));
            }
            found.extend(page.indices);
            next = page.next;
        }
        Ok(found)
    }

    /// Puts an entry in, unless it is; what matches stays what matches.
    fn put(
        &self,
        chosen: &mut Chosen,
        bytes: &mut usize,
        index: LedgerIndex,
        why: Why,
    ) -> Result<LedgerEntry, Error> {
        if let Some((_, recorded, _)) = chosen.get(&index) {
            return Ok(recorded.clone());
        }
        let stored = self.entry_bytes(index)?;
        let recorded = entry::decode(&stored)?;
        let text = String::from_utf8(stored).map_err(|_| Error::NotProven {
            part: "entry",
            why: "its bytes are not UTF-8".to_owned(),
        })?;
        *bytes += text.len();
        if chosen.len() >= PACKAGE_ENTRIES_MAX || *bytes > PACKAGE_BYTES_MAX {
            return Err(too_many("the entries that belong together".to_owned()));
        }
        chosen.insert(index, (why, recorded.clone(), text));
        Ok(recorded)
    }

    /// The witnessed checkpoint and the newest, tied by a proof; one if they are the same.
    fn chain(
        &self,
        witnessed: Option<Witnessed>,
        newest: Signed<schemas::ledger_entry::Checkpoint>,
    ) -> Result<Vec<Witnessed>, Error> {
        let alone = |checkpoint| Witnessed {
            checkpoint,
            cosignatures: Vec::new(),
            consistency: None,
        };
        // One of another life of the ledger, or of entries that are not here, proves nothing here.
        let older = witnessed.filter(|it| {
            let body = &it.checkpoint.body;
            body.ledger == newest.body.ledger
                && body.size <= newest.body.size
                && it.checkpoint.key == newest.key
        });
        let Some(mut older) = older else {
            return Ok(vec![alone(newest)]);
        };
        older.consistency = None;
        if older.checkpoint.body == newest.body {
            return Ok(vec![older]);
        }
        let consistency = self.consistency(older.checkpoint.body.size, newest.body.size)?;
        let newest = Witnessed {
            consistency: Some(consistency),
            ..alone(newest)
        };
        Ok(vec![older, newest])
    }
}

fn too_many(what: String) -> Error {
    Error::Question {
        why: format!(
            "{what} are more than a package holds ({PACKAGE_ENTRIES_MAX} entries, \
             {PACKAGE_BYTES_MAX} bytes); ask for a shorter time or for less"
        ),
    }
}

fn release_of(event: &LedgerEvent) -> Option<&ReleaseId> {
    match event {
        LedgerEvent::Released { release, .. } | LedgerEvent::ReleaseEnded { release, .. } => {
            Some(release)
        }
        LedgerEvent::Receipt { receipt } => Some(&receipt.body.release),
        LedgerEvent::Decided { .. }
        | LedgerEvent::Published { .. }
        | LedgerEvent::SignedIn { .. }
        | LedgerEvent::Enrolled { .. }
        | LedgerEvent::PolicyInForce { .. }
        | LedgerEvent::Started { .. }
        | LedgerEvent::Gap { .. } => None,
    }
}

/// The keys that sign something in the package, each once.
fn needed(
    known: Vec<KeyOf>,
    signer: &dyn Signer,
    checkpoints: &[Witnessed],
    shown: &[(LedgerIndex, Why, LedgerEntry)],
) -> Vec<KeyOf> {
    let cosigners: BTreeSet<_> = checkpoints
        .iter()
        .flat_map(|it| &it.cosignatures)
        .map(|it| it.key)
        .collect();
    let receipts: Vec<_> = shown
        .iter()
        .filter_map(|(_, _, entry)| match &entry.event {
            LedgerEvent::Receipt { receipt } => Some(receipt),
            _ => None,
        })
        .collect();
    let is_needed = |it: &KeyOf| {
        let id = it.key.key_id();
        match it.node {
            Some(_) => cosigners.contains(&id),
            None => id == signer.key_id() || receipts.iter().any(|receipt| signs(it, receipt)),
        }
    };
    let mut kept: Vec<KeyOf> = known.into_iter().filter(is_needed).collect();
    kept.sort();
    kept.dedup();
    kept
}

/// Checks what the caller hands in as witnessed, so that no package is made that does not verify.
///
/// # Errors
/// [`Error::NotProven`] when the checkpoint is not the participant's.
pub fn witnessed(
    checkpoint: Signed<schemas::ledger_entry::Checkpoint>,
    cosignatures: Vec<schemas::ledger_entry::Cosignature>,
    key: &crypto::PublicKey,
) -> Result<Witnessed, Error> {
    checkpoint::verify(&checkpoint, &checkpoint.body.ledger.clone(), key)?;
    Ok(Witnessed {
        checkpoint,
        cosignatures,
        consistency: None,
    })
}
