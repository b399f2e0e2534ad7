//! Opening a ledger: reading all of it, refusing what is damaged, clearing what was never synced.
//!
//! It does not verify signatures: the ledger does not know keys, [`crate::fsck`] does.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;

use schemas::Signed;
use schemas::ledger_entry::{Checkpoint, LedgerIdentity};

use crate::active;
use crate::append::Appender;
use crate::entry;
use crate::fsck::DamageKind;
use crate::index::Index;
use crate::log::Writer;
use crate::scan::Found;
use crate::search::{Keys, keys};
use crate::segment::{SegmentHeader, Stream};
use crate::state::{self, State};
use crate::store;
use crate::tree::Tree;
use crate::walk::{Visitor, Walk, walk};
use crate::{Error, Options, checkpoint};

/// Entries that are indexed at once while the index catches up.
const CATCH_UP_ENTRIES: usize = 1_024;

pub(crate) fn open(
    dir: &Path,
    identity: &LedgerIdentity,
    options: Options,
) -> Result<Writer, Error> {
    let lock = prepare(dir)?;
    let index = Index::open(dir, identity)?;
    let (entries_known, checkpoints_known) = (index.entries()?, index.checkpoints()?);

    let mut stored = Checkpoints::default();
    let checkpoints = walk(dir, Stream::Checkpoints, Some(identity), &mut stored)?;
    refuse_damage(&checkpoints, Stream::Checkpoints, checkpoints_known)?;
    let latest = stored
        .last
        .map(|bytes| checkpoint::decode(&bytes))
        .transpose()?;
    let signed = latest.as_ref().map_or(0, |latest| latest.body.size);

    let (mut entries, mut read) = read_entries(dir, identity, index)?;
    if !read.index.is_about(&read.tree) {
        let index = read.index.begin_anew(dir, "it is about other entries")?;
        (entries, read) = read_entries(dir, identity, index)?;
    }
    refuse_damage(&entries, Stream::Entries, entries_known.max(signed))?;
    refuse_missing(&entries, &checkpoints)?;
    if let Some(latest) = &latest {
        refuse_other_root(&read.tree, latest, identity)?;
    }

    let checkpoints = appender(dir, Stream::Checkpoints, identity, &options, &checkpoints)?;
    let segments = entries
        .segments
        .iter()
        .map(|segment| segment.first)
        .collect();
    let entries = appender(dir, Stream::Entries, identity, &options, &entries)?;
    let state = State::new(
        dir.to_owned(),
        identity.clone(),
        read.index,
        read.tree,
        (segments, read.offsets),
    );
    state.add_segment(entries.newest());
    state.index.set_checkpoints(checkpoints.next())?;
    if let Some(latest) = latest {
        state.set_latest(latest);
    }
    Ok(Writer {
        state: Arc::new(state),
        entries,
        checkpoints,
        options,
        lock,
    })
}

fn read_entries(
    dir: &Path,
    identity: &LedgerIdentity,
    index: Index,
) -> Result<(Walk, Entries), Error> {
    let mut read = Entries::new(index);
    let entries = walk(dir, Stream::Entries, Some(identity), &mut read)?;
    read.flush();
    match read.index_error.take() {
        Some(failed) => Err(failed),
        None => Ok((entries, read)),
    }
}

/// Makes the directories and takes the lock.
fn prepare(dir: &Path) -> Result<File, Error> {
    for folder in [Stream::Entries.folder(), Stream::Checkpoints.folder()] {
        let path = dir.join(folder);
        fs::create_dir_all(&path).map_err(|source| Error::file("create", &path, source))?;
    }
    store::sync_directory(dir)?;
    let path = dir.join("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| Error::file("open", &path, source))?;
    lock.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => Error::InUse { path: path.clone() },
        TryLockError::Error(source) => Error::file("lock", &path, source),
    })?;
    for stream in [Stream::Entries, Stream::Checkpoints] {
        store::remove_unfinished(dir, stream)?;
        store::sync_newest(dir, stream)?;
    }
    Ok(lock)
}

/// Refuses damage, and a torn or missing tail that reaches into what was acknowledged.
fn refuse_damage(walk: &Walk, stream: Stream, acknowledged: u64) -> Result<(), Error> {
    if let Some(damage) = &walk.damage
        && (damage.kind != DamageKind::TornTail || walk.next < acknowledged)
    {
        return Err(damage.clone().into());
    }
    if walk.next >= acknowledged {
        return Ok(());
    }
    let (first, tail) = walk
        .resume
        .as_ref()
        .map_or((0, 0), |at| (at.first, at.tail));
    Err(Error::Tampered {
        segment: store::name_of(stream, first),
        offset: tail,
        index: walk.next,
        why: format!(
            "{acknowledged} were acknowledged, and only {} are here",
            walk.next
        ),
    })
}

/// The stream of checkpoints is begun first, so entries without it mean that it was removed.
fn refuse_missing(entries: &Walk, checkpoints: &Walk) -> Result<(), Error> {
    if checkpoints.segments.is_empty() && !entries.segments.is_empty() {
        return Err(Error::Tampered {
            segment: store::name_of(Stream::Checkpoints, 0),
            offset: 0,
            index: 0,
            why: "the file is missing".to_owned(),
        });
    }
    Ok(())
}

/// A published checkpoint is a prefix of every later state, or somebody rewrote entries.
fn refuse_other_root(
    tree: &Tree,
    latest: &Signed<Checkpoint>,
    identity: &LedgerIdentity,
) -> Result<(), Error> {
    let held = if latest.body.ledger == *identity {
        tree.holds(&latest.body)
    } else {
        Err("the last checkpoint is about another ledger".to_owned())
    };
    held.map_err(|why| Error::Tampered {
        segment: Stream::Entries.folder().to_owned(),
        offset: 0,
        index: 0,
        why,
    })
}

fn appender(
    dir: &Path,
    stream: Stream,
    identity: &LedgerIdentity,
    options: &Options,
    walk: &Walk,
) -> Result<Appender, Error> {
    if let Some(before) = &walk.unsealed {
        active::seal(dir, stream, before)?;
    }
    match &walk.resume {
        Some(at) => Appender::resume(dir, stream, identity, options, at),
        None => Appender::create(dir, stream, identity, options),
    }
}

/// Keeps the last checkpoint.
#[derive(Default)]
struct Checkpoints {
    last: Option<Vec<u8>>,
}

impl Visitor for Checkpoints {
    fn segment(&mut self, _header: &SegmentHeader) -> Option<String> {
        None
    }

    fn record(&mut self, _segment: u64, _found: &Found, payload: &[u8]) -> Option<String> {
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(payload);
        None
    }
}

/// Builds the tree and brings the index up to date.
struct Entries {
    tree: Tree,
    offsets: Vec<u32>,
    index: Index,
    indexed: u64,
    pending: Vec<Keys>,
    index_error: Option<Error>,
}

impl Entries {
    fn new(index: Index) -> Self {
        Self {
            tree: Tree::new(),
            offsets: Vec::new(),
            indexed: index.indexed(),
            index,
            pending: Vec::new(),
            index_error: None,
        }
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if self.index_error.is_none()
            && let Err(failed) = self.index.add(pending, &self.tree)
        {
            self.index_error = Some(failed);
        }
    }
}

impl Visitor for Entries {
    fn segment(&mut self, header: &SegmentHeader) -> Option<String> {
        prior_root_differs(&self.tree, header)
    }

    fn record(&mut self, _segment: u64, found: &Found, payload: &[u8]) -> Option<String> {
        self.tree.push(found.leaf);
        self.offsets.push(state::offset(found.offset));
        if found.index >= self.indexed {
            let entry = match entry::decode(payload) {
                Ok(entry) => entry,
                Err(why) => return Some(format!("not an entry in canonical form: {why}")),
            };
            self.pending.push(keys(&entry));
            if self.pending.len() >= CATCH_UP_ENTRIES {
                self.flush();
            }
        }
        None
    }
}

/// A segment says what the tree was before it; another root means that an earlier entry was
/// replaced together with its checks.
pub(crate) fn prior_root_differs(tree: &Tree, header: &SegmentHeader) -> Option<String> {
    // A wrong first index is found, and named, on its own.
    (tree.size() == header.first && tree.root() != header.prior_root).then(|| {
        format!(
            "the {} entries before it hash to {}, it was begun when they hashed to {}",
            header.first,
            tree.root(),
            header.prior_root
        )
    })
}
