//! Which entries have a term, and when they were written: what a search reads.
//!
//! It does not hold anything that the segments do not: it can be deleted at any time and is
//! rebuilt when the ledger opens. It is written after a batch is durable and never before, so if
//! it knows an entry that the segments do not have, the segments lost it.
//!
//! Entries are taken 8,192 at a time. The newest, incomplete block is in memory and is built anew
//! when the ledger opens; a complete one is written at once:
//!
//! ```text
//! 'b' field length text block -> the block's positions that have the term
//! 't' block                   -> the block's times
//! 'z' block                   -> first and last time, check over the block's records, tree root
//! 'm' "entries"               -> entries acknowledged      'm' "identity" -> whose
//! 'm' "checkpoints"           -> checkpoints stored        'm' "format"   -> of these records
//! ```
//!
//! The check is the exclusive or of the SM3 digests of the block's records: it finds a record
//! that was changed, lost or added by accident. The root ties a block to the entries it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crypto::{Digest, Hasher};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use schemas::ledger_entry::{LedgerIdentity, LedgerIndex};
use schemas::{Timestamp, canonical};

use crate::Error;
use crate::postings::{
    BLOCK_ENTRIES, BLOCK_ENTRIES_U64, Positions, decode, decode_times, encode, encode_times,
};
use crate::search::{Filter, Keys, Page, Term};
use crate::tree::Tree;

pub(crate) struct Index {
    database: Database,
    keyspace: Keyspace,
    content: RwLock<Content>,
    /// Why it was begun anew, if it was.
    rebuilt: Option<&'static str>,
}

/// Complete blocks, by number, and the one that is being filled.
#[derive(Default)]
struct Content {
    /// Entries that were acknowledged, as far as this was ever told: it only grows, also while the
    /// entries are read again and fewer are found.
    acknowledged: u64,
    zones: Vec<Zone>,
    times: Vec<i64>,
    terms: BTreeMap<Term, Vec<u16>>,
}

/// What is remembered of a complete block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Zone {
    first: i64,
    last: i64,
    check: [u8; 32],
    root: Digest,
}

impl Index {
    /// Opens the index; one that cannot be opened, is another ledger's or does not check is begun
    /// anew, and what it knew to be acknowledged is kept where it can still be read.
    pub(crate) fn open(dir: &Path, ledger: &LedgerIdentity) -> Result<Self, Error> {
        let path = dir.join("index");
        let identity = canonical::to_bytes(ledger)?;
        let is_new = !path.exists();
        let opened = Self::open_at(&path);
        let (known, reason) = match &opened {
            Ok(index) if index.is_of(&identity) => {
                // A number that cannot be read is damage too, and then nothing is known.
                let known = (
                    index.entries().unwrap_or_default(),
                    index.checkpoints().unwrap_or_default(),
                );
                match index.load() {
                    Ok(()) => (known, None),
                    Err(reason) => (known, Some(reason)),
                }
            }
            Ok(_) => ((0, 0), Some("it is of no ledger, or of another one")),
            Err(_) => ((0, 0), Some("it could not be opened")),
        };
        let Some(reason) = reason else {
            return opened;
        };
        drop(opened);
        Self::begin(&path, &identity, known, (!is_new).then_some(reason))
    }

    /// Begins it anew in spite of what it holds.
    pub(crate) fn begin_anew(self, dir: &Path, reason: &'static str) -> Result<Self, Error> {
        let known = (self.entries()?, self.checkpoints()?);
        let identity = self.keyspace.get(meta(IDENTITY));
        let identity = identity.map_err(|source| Error::index("read", source))?;
        let identity = identity.map(|it| it.to_vec()).unwrap_or_default();
        drop(self);
        Self::begin(&dir.join("index"), &identity, known, Some(reason))
    }

    fn begin(
        path: &Path,
        identity: &[u8],
        (entries, checkpoints): (u64, u64),
        rebuilt: Option<&'static str>,
    ) -> Result<Self, Error> {
        match fs::remove_dir_all(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove the damaged index", path, source));
            }
            _ => {}
        }
        let mut index = Self::open_at(path)?;
        index.rebuilt = rebuilt;
        let mut batch = index.database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&index.keyspace, meta(IDENTITY), identity);
        batch.insert(&index.keyspace, meta(FORMAT), [FORMAT_VERSION]);
        batch.insert(&index.keyspace, meta(ENTRIES), entries.to_be_bytes());
        batch.insert(
            &index.keyspace,
            meta(CHECKPOINTS),
            checkpoints.to_be_bytes(),
        );
        let written = batch.commit();
        written.map_err(|source| Error::index("begin", source))?;
        index.content_mut().acknowledged = entries;
        Ok(index)
    }

    fn open_at(path: &Path) -> Result<Self, Error> {
        let open = || {
            let database = Database::builder(path)
                .worker_threads(1)
                .cache_size(CACHE_BYTES)
                .open()?;
            let keyspace = database.keyspace("ledger", KeyspaceCreateOptions::default)?;
            Ok((database, keyspace))
        };
        let (database, keyspace) = open().map_err(|source| Error::index("open", source))?;
        Ok(Self {
            database,
            keyspace,
            content: RwLock::new(Content::default()),
            rebuilt: None,
        })
    }

    fn is_of(&self, identity: &[u8]) -> bool {
        // An index without identity was interrupted while it was begun, and holds nothing.
        matches!(self.keyspace.get(meta(IDENTITY)), Ok(Some(found)) if *found == *identity)
    }

    /// Reads the complete blocks and checks each.
    fn load(&self) -> Result<(), &'static str> {
        const UNREADABLE: &str = "it could not be read";
        match self.keyspace.get(meta(FORMAT)) {
            Ok(Some(found)) if *found == [FORMAT_VERSION] => {}
            Ok(_) => return Err("it was written by a program with another form of it"),
            Err(_) => return Err(UNREADABLE),
        }
        let mut zones = Vec::new();
        for item in self.keyspace.prefix([b'z']) {
            let (key, value) = item.into_inner().map_err(|_| UNREADABLE)?;
            if block_of(&key) != Some(zones.len()) {
                return Err("a block is missing");
            }
            zones.push(Zone::decode(&value).ok_or(UNREADABLE)?);
        }
        let mut checks = vec![[0_u8; 32]; zones.len()];
        for kind in [b'b', b't'] {
            for item in self.keyspace.prefix([kind]) {
                let (key, value) = item.into_inner().map_err(|_| UNREADABLE)?;
                let check = block_of(&key).and_then(|it| checks.get_mut(it));
                mix(check.ok_or("a record is of no block")?, &key, &value);
            }
        }
        if checks
            .iter()
            .zip(&zones)
            .any(|(found, zone)| *found != zone.check)
        {
            return Err("a block does not have its check");
        }
        let acknowledged = self.entries().map_err(|_| UNREADABLE)?;
        let mut content = self.content_mut();
        content.zones = zones;
        content.acknowledged = acknowledged;
        Ok(())
    }

    /// Why it was begun anew when it was opened.
    pub(crate) fn rebuilt(&self) -> Option<&'static str> {
        self.rebuilt
    }

    /// Entries that it has already: all below this number.
    pub(crate) fn indexed(&self) -> u64 {
        let content = self.content();
        at_block(content.zones.len()).saturating_add(number(content.times.len()))
    }

    /// Whether its blocks are about the entries of `tree`.
    pub(crate) fn is_about(&self, tree: &Tree) -> bool {
        let content = self.content();
        let size = at_block(content.zones.len());
        content
            .zones
            .last()
            .is_none_or(|last| tree.root_at(size).is_ok_and(|root| root == last.root))
    }

    /// Entries that were acknowledged when this was last written.
    pub(crate) fn entries(&self) -> Result<u64, Error> {
        self.number(ENTRIES)
    }

    /// Checkpoints that were stored when this was last written.
    pub(crate) fn checkpoints(&self) -> Result<u64, Error> {
        self.number(CHECKPOINTS)
    }

    fn number(&self, name: &[u8]) -> Result<u64, Error> {
        let found = self.keyspace.get(meta(name));
        let found = found.map_err(|e| Error::index("read", e))?;
        let bytes = found
            .as_deref()
            .and_then(|bytes| bytes.first_chunk().copied());
        Ok(bytes.map_or(0, u64::from_be_bytes))
    }

    /// Adds entries that follow those it has; all of them are in `tree`.
    pub(crate) fn add(&self, entries: Vec<Keys>, tree: &Tree) -> Result<(), Error> {
        let mut content = self.content_mut();
        for keys in entries {
            let position = u16::try_from(content.times.len()).unwrap_or(u16::MAX);
            content.times.push(keys.at.millis());
            for term in keys.terms {
                content.terms.entry(term).or_default().push(position);
            }
            if content.times.len() == BLOCK_ENTRIES {
                self.complete(&mut content, tree)?;
            }
        }
        let known = at_block(content.zones.len()) + number(content.times.len());
        if known <= content.acknowledged {
            return Ok(());
        }
        content.acknowledged = known;
        drop(content);
        self.set(ENTRIES, known)
    }

    /// Writes the block that is full and begins the next.
    fn complete(&self, content: &mut Content, tree: &Tree) -> Result<(), Error> {
        let block = content.zones.len();
        let mut check = [0_u8; 32];
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        for (term, positions) in &content.terms {
            let (key, value) = (posting(term, block), encode(positions));
            mix(&mut check, &key, &value);
            batch.insert(&self.keyspace, key, value);
        }
        let (key, value) = (of_block(b't', block), encode_times(&content.times));
        mix(&mut check, &key, &value);
        batch.insert(&self.keyspace, key, value);
        let zone = Zone {
            first: content.times.iter().copied().min().unwrap_or_default(),
            last: content.times.iter().copied().max().unwrap_or_default(),
            check,
            root: tree.root_at(at_block(block + 1))?,
        };
        batch.insert(&self.keyspace, of_block(b'z', block), zone.encode());
        let written = batch.commit();
        written.map_err(|source| Error::index("extend", source))?;
        content.zones.push(zone);
        content.times.clear();
        content.terms.clear();
        Ok(())
    }

    /// Remembers how many checkpoints are stored.
    pub(crate) fn set_checkpoints(&self, count: u64) -> Result<(), Error> {
        self.set(CHECKPOINTS, count)
    }

    fn set(&self, name: &[u8], value: u64) -> Result<(), Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&self.keyspace, meta(name), value.to_be_bytes());
        batch
            .commit()
            .map_err(|source| Error::index("extend", source))
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.database
            .persist(PersistMode::SyncData)
            .map_err(|e| Error::index("sync", e))
    }

    /// Entries below `size` that have all of `terms` and lie in the filter's span of time, from
    /// `from` on.
    pub(crate) fn search(
        &self,
        terms: &BTreeSet<Term>,
        filter: &Filter,
        from: LedgerIndex,
        size: u64,
        limit: usize,
    ) -> Result<Page, Error> {
        // The block in memory is asked first and let go, so that the writer need not wait for
        // the disk. Complete blocks do not change.
        let (zones, newest) = {
            let content = self.content();
            (content.zones.clone(), content.matching(filter, terms))
        };
        let size = size.min(at_block(zones.len()) + newest.1);
        let mut page = Page {
            size,
            ..Page::default()
        };
        let candidates = self.blocks_with(terms, zones.len())?;
        for (block, zone) in zones.iter().enumerate() {
            let found = match &candidates {
                None => Some(Positions::first(BLOCK_ENTRIES)),
                Some(candidates) => candidates.get(&block).cloned(),
            };
            let Some(mut found) = found else {
                continue;
            };
            if !filter.could_hold(zone) {
                continue;
            }
            if !filter.holds_at(Timestamp::from_millis(zone.first))
                || !filter.holds_at(Timestamp::from_millis(zone.last))
            {
                self.keep_times(block, filter, &mut found)?;
            }
            page.take(block, &found, from, limit);
        }
        page.take(zones.len(), &newest.0, from, limit);
        Ok(page)
    }

    /// The complete blocks with positions that have all the terms; nothing when there are no
    /// terms, and so all positions have them.
    fn blocks_with(
        &self,
        terms: &BTreeSet<Term>,
        blocks: usize,
    ) -> Result<Option<BTreeMap<usize, Positions>>, Error> {
        let mut candidates: Option<BTreeMap<usize, Positions>> = None;
        for term in terms {
            let mut with = BTreeMap::new();
            for item in self.keyspace.prefix(term_prefix(term)) {
                let (key, value) = item
                    .into_inner()
                    .map_err(|source| Error::index("search", source))?;
                let Some(block) = block_of(&key).filter(|it| *it < blocks) else {
                    continue;
                };
                let mut kept = decode(&value).ok_or(Error::IndexDamaged)?;
                if let Some(candidates) = &candidates {
                    match candidates.get(&block) {
                        Some(others) => kept.keep(others),
                        None => continue,
                    }
                }
                if !kept.is_empty() {
                    with.insert(block, kept);
                }
            }
            candidates = Some(with);
        }
        Ok(candidates)
    }

    fn keep_times(
        &self,
        block: usize,
        filter: &Filter,
        found: &mut Positions,
    ) -> Result<(), Error> {
        let stored = self.keyspace.get(of_block(b't', block));
        let stored = stored.map_err(|source| Error::index("search", source))?;
        let times = stored.as_deref().and_then(decode_times);
        let times = times.ok_or(Error::IndexDamaged)?;
        keep_times(&times, filter, found);
        Ok(())
    }

    /// Bytes that its files take, journal included; 0 when they cannot be asked.
    pub(crate) fn bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or_default()
    }

    fn content(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_mut(&self) -> std::sync::RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Positions in the block in memory that match, and how many positions it has.
    fn matching(&self, filter: &Filter, terms: &BTreeSet<Term>) -> (Positions, u64) {
        let mut found = Positions::first(self.times.len());
        for term in terms {
            let list = self.terms.get(term).map_or(&[][..], Vec::as_slice);
            found.keep(&Positions::of(list));
        }
        keep_times(&self.times, filter, &mut found);
        (found, number(self.times.len()))
    }
}

impl Filter {
    /// Whether any instant of a block is one of those that are asked for.
    fn could_hold(&self, zone: &Zone) -> bool {
        self.from.is_none_or(|from| from.millis() <= zone.last)
            && self.until.is_none_or(|until| zone.first < until.millis())
    }
}

impl Page {
    fn take(&mut self, block: usize, found: &Positions, from: LedgerIndex, limit: usize) {
        let base = at_block(block);
        if base + BLOCK_ENTRIES_U64 <= self.size && base >= from.0 && self.next.is_some() {
            self.total += found.count();
            return;
        }
        for position in found.iter() {
            let index = base + number(position);
            if index >= self.size {
                return;
            }
            self.total += 1;
            if index < from.0 || self.next.is_some() {
                continue;
            }
            if self.indices.len() < limit {
                self.indices.push(LedgerIndex(index));
            } else {
                self.next = Some(LedgerIndex(index));
            }
        }
    }
}

impl Zone {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.first.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.last.to_be_bytes());
        bytes.extend_from_slice(&self.check);
        bytes.extend_from_slice(self.root.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        let (check, rest) = rest.split_first_chunk()?;
        Some(Self {
            first: i64::from_be_bytes(*first),
            last: i64::from_be_bytes(*last),
            check: *check,
            root: Digest::from_bytes(<[u8; 32]>::try_from(rest).ok()?),
        })
    }
}

fn keep_times(times: &[i64], filter: &Filter, found: &mut Positions) {
    if filter.from.is_none() && filter.until.is_none() {
        return;
    }
    for (at, time) in times.iter().enumerate() {
        if !filter.holds_at(Timestamp::from_millis(*time)) {
            found.remove(at);
        }
    }
}

fn mix(check: &mut [u8; 32], key: &[u8], value: &[u8]) {
    let mut hasher = Hasher::new();
    hasher.update(&number(key.len()).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    let digest = hasher.finish();
    for (byte, other) in check.iter_mut().zip(digest.as_bytes()) {
        *byte ^= other;
    }
}

/// A term's text has at most 128 bytes, so its length fits one; with the length before it no term
/// is the beginning of another.
fn term_prefix((field, text): &Term) -> Vec<u8> {
    let mut key = Vec::with_capacity(7 + text.len());
    key.push(b'b');
    key.push(*field as u8);
    key.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(text.as_bytes());
    key
}

fn posting(term: &Term, block: usize) -> Vec<u8> {
    let mut key = term_prefix(term);
    key.extend_from_slice(&block_number(block).to_be_bytes());
    key
}

fn of_block(kind: u8, block: usize) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&block_number(block).to_be_bytes());
    key
}

/// The block at the end of a key.
fn block_of(key: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*key.last_chunk()?)).ok()
}

fn block_number(block: usize) -> u32 {
    u32::try_from(block).unwrap_or(u32::MAX)
}

fn at_block(block: usize) -> u64 {
    number(block).saturating_mul(BLOCK_ENTRIES_U64)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn meta(name: &[u8]) -> Vec<u8> {
    let mut key = vec![b'm'];
    key.extend_from_slice(name);
    key
}

const ENTRIES: &[u8] = b"entries";
const CHECKPOINTS: &[u8] = b"checkpoints";
const IDENTITY: &[u8] = b"identity";
const FORMAT: &[u8] = b"format";
/// 1 had a record for each entry and term.
const FORMAT_VERSION: u8 = 2;

/// One node may host many ledgers, so each gets little.
const CACHE_BYTES: u64 = 4 << 20;
