//! An evidence package: what an auditor takes away, verified without a node and without its files.
//!
//! One file holds the entries that were asked for and those that belong to them, the proof of
//! each, the signed checkpoint and its witnesses, the keys of all signers, and a report for
//! people. `node/docs/evidence-package.md` has the format; `conformance/verify_evidence.py` reads
//! it with code that shares nothing with this.
//!
//! It does not prove that the keys are whose they say: whoever verifies brings keys that he
//! trusts. That no matching entry was left out rests on the participant's signature over the list,
//! not on a proof; that none was changed, added or moved is proven.

mod build;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use crypto::merkle::{ConsistencyProof, InclusionProof, leaf_digest, root_of};
use crypto::{Digest, Label, PublicKey};
use schemas::ledger_entry::{
    Checkpoint, Cosignature, LedgerEntry, LedgerEvent, LedgerIdentity, LedgerIndex,
};
use schemas::transfer::Receipt;
use schemas::{NodeId, ParticipantId, Signed, Timestamp, canonical};
use serde::{Deserialize, Serialize};

use crate::entry::ENTRY_BYTES_MAX;
use crate::search::Filter;
use crate::{Error, checkpoint, entry, proof};

pub use build::{Order, witnessed};

/// What stands in `format`.
pub const FORMAT: &str = "kouan-evidence-package/1";

/// Most entries in one package: a folder that a person can read. Ask for a narrower span.
pub const PACKAGE_ENTRIES_MAX: usize = 5_000;

/// Most bytes of entries in one package, so that its file stays below [`FILE_BYTES_MAX`].
pub const PACKAGE_BYTES_MAX: usize = 48 << 20;

/// Largest file that a verifier reads: the entries, twice over for their escapes, proofs, report.
pub const FILE_BYTES_MAX: u64 = 160 << 20;

/// Most checkpoints: the last witnessed one, and the one that the entries are proven under.
pub const CHECKPOINTS_MAX: usize = 2;

/// Everything in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// [`FORMAT`].
    pub format: String,
    /// What is in it, signed by the participant.
    pub manifest: Signed<Manifest>,
    /// Ascending; the entries are proven under the last.
    pub checkpoints: Vec<Witnessed>,
    /// Ascending by index.
    pub entries: Vec<Item>,
    /// The same for people, in the manifest's language.
    pub report: String,
}

/// What is in a package and who signed what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Whose ledger.
    pub ledger: LedgerIdentity,
    /// When the package was made.
    pub at: Timestamp,
    /// Language of the report.
    pub language: Language,
    /// What was asked for.
    pub filter: Filter,
    /// How many entries of the tree match: all of them are in the package.
    pub matched: u64,
    /// Entries that do not match and belong to those that do: decision, release, its end, receipts.
    pub related: u64,
    /// SM3 Merkle root over the items, in their order: see [`Item::leaf`].
    pub entries: Digest,
    /// SM3 of the canonical form of the list of checkpoints.
    pub checkpoints: Digest,
    /// SM3 of the report's UTF-8 bytes.
    pub report: Digest,
    /// The keys that verify the package, as the participant's catalog had them.
    pub keys: Vec<KeyOf>,
}

/// Languages of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Simplified Chinese.
    Zh,
    /// English.
    En,
}

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOf {
    /// The participant; for a witness's key the participant that witnesses.
    pub participant: ParticipantId,
    /// The node whose key it is; none for the participant's own signing key.
    pub node: Option<NodeId>,
    /// The key.
    pub key: PublicKey,
}

/// A checkpoint, who saw it extend the one before, and the proof that it extends the one before
/// it in the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witnessed {
    /// Size and root, signed by the participant.
    pub checkpoint: Signed<Checkpoint>,
    /// Other members' signatures over its body.
    pub cosignatures: Vec<Cosignature>,
    /// None for the first.
    pub consistency: Option<ConsistencyProof>,
}

/// Why an entry is in the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is what was asked for.
    Matched,
    /// It belongs to one that was.
    Related,
}

/// One entry with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its place in the ledger.
    pub index: LedgerIndex,
    /// Why it is here.
    pub why: Why,
    /// Its canonical text, exactly as recorded.
    pub entry: String,
    /// That it is in the last checkpoint's tree.
    pub inclusion: InclusionProof,
}

impl Item {
    /// Its leaf in the manifest's tree: index (8 bytes, big-endian), one byte (1 matched, 2
    /// related), and the entry's bytes.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        let mut bytes = self.index.0.to_be_bytes().to_vec();
        bytes.push(match self.why {
            Why::Matched => 1,
            Why::Related => 2,
        });
        bytes.extend_from_slice(self.entry.as_bytes());
        leaf_digest(&bytes)
    }
}

/// The manifest's root over items.
#[must_use]
pub fn entries_root(items: &[Item]) -> Digest {
    root_of(&items.iter().map(Item::leaf).collect::<Vec<_>>())
}

/// The manifest's digest of checkpoints.
///
/// # Errors
/// [`Error::Record`] when they have no canonical form.
pub fn checkpoints_digest(checkpoints: &[Witnessed]) -> Result<Digest, Error> {
    Ok(Digest::of(&canonical::to_bytes(&checkpoints)?))
}

/// What a package proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenPackage {
    /// The entries with their place and why they are there, ascending.
    pub entries: Vec<(LedgerIndex, Why, LedgerEntry)>,
    /// The checkpoint they are proven under.
    pub checkpoint: Checkpoint,
    /// Witnesses whose cosignature was verified, of either checkpoint.
    pub witnesses: BTreeSet<ParticipantId>,
    /// Of these, those whose key the caller trusts.
    pub trusted_witnesses: BTreeSet<ParticipantId>,
    /// Receipts whose signature was verified.
    pub receipts: u64,
    /// Receipts whose signer's key is not in the package: a participant that has changed its key.
    pub receipts_without_key: u64,
}

/// Verifies a package. `trusted` are keys that the caller took from somewhere he trusts; when there
/// are none, the package is only shown to agree with itself.
///
/// # Errors
/// [`Error::NotProven`] naming the part that does not fit.
pub fn verify(package: &Package, trusted: &[PublicKey]) -> Result<ProvenPackage, Error> {
    let manifest = &package.manifest.body;
    let own = manifest_signature(package, trusted)?;
    let (witnesses, trusted_witnesses) = checkpoints(package, &own, trusted)?;
    let Some(last) = package.checkpoints.last() else {
        return refuse("checkpoint", "there is none");
    };
    let entries = items(package, &last.checkpoint.body)?;
    if Digest::of(package.report.as_bytes()) != manifest.report {
        return refuse("report", "it is not the one that was signed");
    }
    let (receipts, receipts_without_key) = receipts(&entries, &manifest.keys)?;
    Ok(ProvenPackage {
        entries,
        checkpoint: last.checkpoint.body.clone(),
        witnesses,
        trusted_witnesses,
        receipts,
        receipts_without_key,
    })
}

fn refuse<T>(part: &'static str, why: impl Into<String>) -> Result<T, Error> {
    Err(Error::NotProven {
        part,
        why: why.into(),
    })
}

/// Checks the participant's signature over the manifest; the participant's keys are returned.
fn manifest_signature<'a>(
    package: &'a Package,
    trusted: &[PublicKey],
) -> Result<Vec<&'a PublicKey>, Error> {
    let manifest = &package.manifest.body;
    if package.format != FORMAT {
        return refuse("format", format!("this program reads {FORMAT}"));
    }
    let is_trusted = |key: &PublicKey| {
        trusted.is_empty() || trusted.iter().any(|it| it.key_id() == key.key_id())
    };
    let own: Vec<&PublicKey> = manifest
        .keys
        .iter()
        .filter(|it| it.participant == manifest.ledger.participant && it.node.is_none())
        .map(|it| &it.key)
        .filter(|key| is_trusted(key))
        .collect();
    let Some(signer) = own.iter().find(|it| it.key_id() == package.manifest.key) else {
        return refuse(
            "key",
            "the package is not signed with a key of the participant that is trusted",
        );
    };
    match package.manifest.verify(Label::Evidence, signer) {
        Ok(()) => Ok(own),
        Err(why) => refuse("manifest", why.to_string()),
    }
}

type Names = BTreeSet<ParticipantId>;

fn checkpoints(
    package: &Package,
    own: &[&PublicKey],
    trusted: &[PublicKey],
) -> Result<(Names, Names), Error> {
    let manifest = &package.manifest.body;
    if package.checkpoints.len() > CHECKPOINTS_MAX {
        return refuse(
            "checkpoint",
            format!("there are more than {CHECKPOINTS_MAX}"),
        );
    }
    if checkpoints_digest(&package.checkpoints)? != manifest.checkpoints {
        return refuse("checkpoint", "the list is not the one that was signed");
    }
    let (mut witnesses, mut trusted_witnesses) = (Names::new(), Names::new());
    let mut before: Option<&Checkpoint> = None;
    for stored in &package.checkpoints {
        let body = &stored.checkpoint.body;
        let Some(key) = own.iter().find(|it| it.key_id() == stored.checkpoint.key) else {
            return refuse("checkpoint", "it is not signed with the participant's key");
        };
        checkpoint::verify(&stored.checkpoint, &manifest.ledger, key)?;
        match (before, &stored.consistency) {
            (None, None) => {}
            (Some(old), Some(consistency)) => proof::verify_consistency(old, body, consistency)?,
            _ => return refuse("consistency proof", "it is missing, or of nothing"),
        }
        for cosignature in &stored.cosignatures {
            let key = cosigned(cosignature, body, &manifest.keys)?;
            witnesses.insert(cosignature.witness.clone());
            if trusted.iter().any(|it| it.key_id() == key.key_id()) {
                trusted_witnesses.insert(cosignature.witness.clone());
            }
        }
        before = Some(body);
    }
    Ok((witnesses, trusted_witnesses))
}

fn cosigned<'a>(
    cosignature: &Cosignature,
    body: &Checkpoint,
    keys: &'a [KeyOf],
) -> Result<&'a PublicKey, Error> {
    let of_witness = |it: &&KeyOf| {
        it.participant == cosignature.witness
            && it.node.as_ref() == Some(&cosignature.node)
            && it.key.key_id() == cosignature.key
    };
    let Some(found) = keys.iter().find(of_witness) else {
        return refuse(
            "cosignature",
            format!("the key of {} is missing", cosignature.node),
        );
    };
    let bytes = canonical::to_bytes(body)?;
    let verified = found
        .key
        .verify(Label::Cosignature, &bytes, &cosignature.signature);
    match verified {
        Ok(()) => Ok(&found.key),
        Err(_) => refuse(
            "cosignature",
            format!("that of {} does not fit", cosignature.witness),
        ),
    }
}

type Proven = Vec<(LedgerIndex, Why, LedgerEntry)>;

fn items(package: &Package, under: &Checkpoint) -> Result<Proven, Error> {
    let manifest = &package.manifest.body;
    if package.entries.len() > PACKAGE_ENTRIES_MAX {
        return refuse("entries", format!("more than {PACKAGE_ENTRIES_MAX}"));
    }
    let mut proven = Proven::new();
    let mut counts = BTreeMap::from([(Why::Matched, 0_u64), (Why::Related, 0)]);
    for item in &package.entries {
        if proven
            .last()
            .is_some_and(|(index, ..)| *index >= item.index)
        {
            return refuse("entries", "they are not in ascending order");
        }
        let bytes = item.entry.as_bytes();
        if bytes.len() > ENTRY_BYTES_MAX {
            return refuse("entry", format!("more than {ENTRY_BYTES_MAX} bytes"));
        }
        proof::verify_inclusion(under, item.index, &leaf_digest(bytes), &item.inclusion)?;
        let recorded = match entry::decode(bytes) {
            Ok(recorded) => recorded,
            Err(source) => return refuse("entry", format!("it cannot be read: {source}")),
        };
        if manifest.filter.matches(&recorded) != (item.why == Why::Matched) {
            return refuse(
                "entry",
                format!("{} is not what it is said to be", item.index),
            );
        }
        *counts.entry(item.why).or_default() += 1;
        proven.push((item.index, item.why, recorded));
    }
    let said = BTreeMap::from([
        (Why::Matched, manifest.matched),
        (Why::Related, manifest.related),
    ]);
    if counts != said || entries_root(&package.entries) != manifest.entries {
        return refuse("entries", "the list is not the one that was signed");
    }
    Ok(proven)
}

/// Checks each receipt whose signer's key is known.
fn receipts(entries: &Proven, keys: &[KeyOf]) -> Result<(u64, u64), Error> {
    let (mut verified, mut without_key) = (0, 0);
    for (index, _, entry) in entries {
        let LedgerEvent::Receipt { receipt } = &entry.event else {
            continue;
        };
        let Some(known) = keys.iter().find(|it| signs(it, receipt)) else {
            without_key += 1;
            continue;
        };
        if let Err(why) = receipt.verify(Label::Receipt, &known.key) {
            return refuse("receipt", format!("entry {index}: {why}"));
        }
        verified += 1;
    }
    Ok((verified, without_key))
}

/// Whether the key is the one that a receipt names, of the participant that speaks.
pub(crate) fn signs(known: &KeyOf, receipt: &Signed<Receipt>) -> bool {
    known.node.is_none()
        && known.participant == receipt.body.participant
        && known.key.key_id() == receipt.key
}
