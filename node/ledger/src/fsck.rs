//! Reads everything, recomputes the tree, and holds every stored checkpoint against it.
//!
//! It does not repair anything, does not use the index and needs no running node. On a running
//! node the newest records may show as a torn tail, because they are being written.

use std::path::Path;

use crypto::{Digest, PublicKey};
use schemas::Signed;
use schemas::ledger_entry::{Checkpoint, LedgerIdentity};
use serde::Serialize;

use crate::open::prior_root_differs;
use crate::scan::Found;
use crate::segment::{SegmentHeader, Stream};
use crate::tree::Tree;
use crate::walk::{Visitor, Walk, walk};
use crate::{Error, checkpoint, entry, store};

/// What kind of damage it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DamageKind {
    /// Bytes behind the last record that were never synced, as far as the files tell. Opening
    /// clears them; no acknowledged entry is lost.
    TornTail,
    /// A segment's header or size.
    Segment,
    /// A record is not the one that was written.
    Record,
    /// A segment or its end is not there.
    Missing,
    /// Intact records that are not what may stand there: no entry, or another tree than stated.
    Content,
    /// A checkpoint that does not hold, or whose signature does not fit.
    Checkpoint,
}

/// The first damage, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What kind.
    pub kind: DamageKind,
    /// The file, relative to the ledger's directory.
    pub segment: String,
    /// Where in it, in bytes from its start.
    pub offset: u64,
    /// The first entry (in `checkpoints/`: the first checkpoint) that cannot be trusted.
    pub index: u64,
    /// What was found.
    pub why: String,
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        let Damage {
            segment,
            offset,
            index,
            why,
            ..
        } = damage;
        Self::Tampered {
            segment,
            offset,
            index,
            why,
        }
    }
}

/// One segment of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// The file, relative to the ledger's directory.
    pub file: String,
    /// Index of its first entry.
    pub first: u64,
    /// Intact entries in it.
    pub entries: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether it is complete.
    pub sealed: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whose ledger it is; none when no header can be read.
    pub ledger: Option<LedgerIdentity>,
    /// Segments of entries, up to the first damage.
    pub segments: Vec<Segment>,
    /// Entries up to the first damage.
    pub entries: u64,
    /// The root over them.
    pub root: Digest,
    /// Checkpoints that hold.
    pub checkpoints: u64,
    /// Of these, how many signatures were verified with the given key.
    pub signatures: u64,
    /// Of these, how many were signed by other keys than the given one, and so were not verified:
    /// zero, unless the participant changed its key.
    pub foreign_signatures: u64,
    /// The newest checkpoint that holds.
    pub last_checkpoint: Option<Signed<Checkpoint>>,
    /// The first damage; none means that everything is as it was recorded.
    pub damage: Option<Damage>,
}

/// Checks the ledger in `dir`; with the participant's signing `key` also the signatures of its
/// checkpoints.
///
/// # Errors
/// [`Error::NotALedger`] when there is none, [`Error::FormatVersion`] and
/// [`Error::ForeignLedger`] when files of several programs or ledgers are mixed, and
/// [`Error::File`] when they cannot be read. Damage is no error but part of the report.
pub fn check(dir: &Path, key: Option<&PublicKey>) -> Result<Report, Error> {
    if !dir.join(Stream::Entries.folder()).is_dir()
        || !dir.join(Stream::Checkpoints.folder()).is_dir()
    {
        return Err(Error::NotALedger {
            path: dir.to_owned(),
        });
    }
    let mut read = Entries::default();
    let entries = walk(dir, Stream::Entries, None, &mut read)?;
    let mut stored = Checkpoints::new(&read, key);
    let checkpoints = walk(dir, Stream::Checkpoints, read.ledger.as_ref(), &mut stored)?;
    let damage = first_damage(&entries, &checkpoints, &stored);
    let report = Report {
        segments: entries
            .segments
            .iter()
            .map(|summary| Segment {
                file: store::name_of(Stream::Entries, summary.first),
                first: summary.first,
                entries: summary.records,
                bytes: summary.bytes,
                sealed: summary.sealed,
            })
            .collect(),
        entries: read.tree.size(),
        root: read.tree.root(),
        checkpoints: stored.held,
        signatures: stored.signatures,
        foreign_signatures: stored.foreign_signatures,
        last_checkpoint: stored.last.take(),
        damage,
        ledger: read.ledger.clone(),
    };
    Ok(report)
}

/// Damage of entries comes first, unless it is only a torn tail: then a checkpoint that does not
/// hold says more.
fn first_damage(entries: &Walk, checkpoints: &Walk, stored: &Checkpoints<'_>) -> Option<Damage> {
    let missing = |stream: Stream| Damage {
        kind: DamageKind::Missing,
        segment: store::name_of(stream, 0),
        offset: 0,
        index: 0,
        why: "there is no such file".to_owned(),
    };
    let is_torn = |damage: &Damage| damage.kind == DamageKind::TornTail;
    let of_entries = || entries.damage.clone();
    let of_checkpoints = || {
        let mut damage = checkpoints.damage.clone()?;
        if damage.kind == DamageKind::Content {
            damage.kind = DamageKind::Checkpoint;
        }
        Some(damage)
    };
    if entries.segments.is_empty() {
        return of_entries().or_else(|| Some(missing(Stream::Entries)));
    }
    of_entries()
        .filter(|damage| !is_torn(damage))
        .or_else(|| of_truncation(entries, stored))
        .or_else(|| of_checkpoints().filter(|damage| !is_torn(damage)))
        .or_else(|| {
            checkpoints
                .segments
                .is_empty()
                .then(|| missing(Stream::Checkpoints))
        })
        .or_else(of_entries)
        .or_else(of_checkpoints)
        .or_else(|| {
            unsealed(entries, Stream::Entries)
                .or_else(|| unsealed(checkpoints, Stream::Checkpoints))
        })
}

/// A checkpoint over more entries than there are: the ledger was cut behind its last entry.
fn of_truncation(entries: &Walk, stored: &Checkpoints<'_>) -> Option<Damage> {
    let signed = stored.largest;
    if signed <= entries.next {
        return None;
    }
    let at = entries.resume.as_ref();
    Some(Damage {
        kind: DamageKind::Missing,
        segment: store::name_of(Stream::Entries, at.map_or(0, |at| at.first)),
        offset: at.map_or(0, |at| at.tail),
        index: entries.next,
        why: format!(
            "a checkpoint over {signed} entries is stored, only {} are here",
            entries.next
        ),
    })
}

/// A rotation that a crash interrupted; opening completes it.
fn unsealed(walk: &Walk, stream: Stream) -> Option<Damage> {
    let before = walk.unsealed.as_ref()?;
    Some(Damage {
        kind: DamageKind::TornTail,
        segment: store::name_of(stream, before.first),
        offset: before.tail,
        index: before.next,
        why: "the segment was complete but not sealed".to_owned(),
    })
}

/// Builds the tree and parses every entry.
#[derive(Default)]
struct Entries {
    ledger: Option<LedgerIdentity>,
    tree: Tree,
}

impl Visitor for Entries {
    fn segment(&mut self, header: &SegmentHeader) -> Option<String> {
        self.ledger.get_or_insert_with(|| header.ledger.clone());
        prior_root_differs(&self.tree, header)
    }

    fn record(&mut self, _segment: u64, found: &Found, payload: &[u8]) -> Option<String> {
        if let Err(why) = entry::decode(payload) {
            return Some(format!("not an entry in canonical form: {why}"));
        }
        self.tree.push(found.leaf);
        None
    }
}

/// Holds every checkpoint against the tree.
struct Checkpoints<'a> {
    read: &'a Entries,
    key: Option<&'a PublicKey>,
    held: u64,
    signatures: u64,
    foreign_signatures: u64,
    /// Entries under the largest checkpoint, whether it holds or not.
    largest: u64,
    last: Option<Signed<Checkpoint>>,
}

impl<'a> Checkpoints<'a> {
    fn new(read: &'a Entries, key: Option<&'a PublicKey>) -> Self {
        Self {
            read,
            key,
            held: 0,
            signatures: 0,
            foreign_signatures: 0,
            largest: 0,
            last: None,
        }
    }

    fn hold(&mut self, payload: &[u8]) -> Result<(), String> {
        let stored = checkpoint::decode(payload).map_err(|why| why.to_string())?;
        if self
            .read
            .ledger
            .as_ref()
            .is_some_and(|ledger| stored.body.ledger != *ledger)
        {
            return Err("the checkpoint is about another ledger".to_owned());
        }
        if self
            .last
            .as_ref()
            .is_some_and(|last| stored.body.size < last.body.size)
        {
            return Err("the checkpoint is smaller than the one before it".to_owned());
        }
        self.largest = self.largest.max(stored.body.size);
        self.read.tree.holds(&stored.body)?;
        match self.key {
            Some(key) if key.key_id() == stored.key => {
                checkpoint::verify(&stored, &stored.body.ledger, key)
                    .map_err(|why| why.to_string())?;
                self.signatures += 1;
            }
            Some(_) => self.foreign_signatures += 1,
            None => {}
        }
        self.held += 1;
        self.last = Some(stored);
        Ok(())
    }
}

impl Visitor for Checkpoints<'_> {
    fn segment(&mut self, _header: &SegmentHeader) -> Option<String> {
        None
    }

    fn record(&mut self, _segment: u64, _found: &Found, payload: &[u8]) -> Option<String> {
        self.hold(payload).err()
    }
}
