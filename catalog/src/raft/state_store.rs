//! The records of the applied state in sled: the only file that imports it.
//!
//! It does not trust what it reads, and it is never the only copy of anything. sled 0.34 reports
//! neither a cut tail nor a zeroed page, its `flush` does not reach the drive, and leftover
//! snapshot files keep it from opening. So each record has a checksum of its own, the digest of
//! the whole state stands beside them and is computed again at each opening, `flush` is followed by
//! `sync_data` on a second handle, values are cut small enough to stay out of sled's unsynced blob
//! files, and on any doubt the directory is set aside and written anew from snapshot and log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::Error;
use crate::raft::types::{LogId, StoredMembership};
use crate::state::{RecordKey, SnapshotHeader};

/// Changed records by key; none for one that was removed.
pub(crate) type Records = BTreeMap<RecordKey, Option<Arc<[u8]>>>;

/// All records as they were read.
pub(crate) type Loaded = BTreeMap<String, Vec<u8>>;

/// What stands beside the records, written with them in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    /// The last entry whose effect is in the records.
    pub(crate) last: Option<LogId>,
    /// The last membership up to there.
    pub(crate) membership: StoredMembership,
    /// Index, digest and number of the records.
    pub(crate) header: SnapshotHeader,
}

/// An open store.
pub(crate) struct StateStore {
    db: sled::Db,
    /// A second handle of sled's file, for the sync that sled does not do.
    file: File,
    /// How many pieces the records have that have more than one, by key.
    long: Mutex<BTreeMap<Vec<u8>, u16>>,
}

impl StateStore {
    /// Opens or makes the store in `dir` and hands each record to `record`.
    ///
    /// Runs in a thread of its own, because sled panics on some damaged files; a panic is an
    /// answer like any other here.
    ///
    /// # Errors
    /// Whatever is wrong with it; the caller sets the directory aside and writes it anew.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Option<Applied>, Loaded), Error> {
        let dir = dir.to_path_buf();
        std::thread::Builder::new()
            .name("catalog-state-open".to_owned())
            .spawn(move || open_and_read(&dir))
            .map_err(|source| Error::store("open the state store", source))?
            .join()
            .unwrap_or_else(|_| Err(Error::store("open the state store", "sled panicked")))
    }

    /// Writes changed records and what stands beside them in one step, durably.
    ///
    /// # Errors
    /// [`Error::Store`]; the store must not be used any more.
    pub(crate) fn write(&self, records: &Records, applied: &Applied) -> Result<(), Error> {
        let failed = |source: sled::Error| Error::store("write the state store", source);
        let mut batch = sled::Batch::default();
        for (key, value) in records {
            self.put(&mut batch, key.as_str().as_bytes(), value.as_deref())?;
        }
        let applied = serde_json::to_vec(applied)
            .map_err(|source| Error::malformed("applied position", source))?;
        batch.insert(APPLIED_KEY, with_checksum(APPLIED_KEY, &applied));
        self.db.apply_batch(batch).map_err(failed)?;
        self.sync()
    }

    /// Removes everything and writes these records instead.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn replace(
        &self,
        records: impl Iterator<Item = Result<(RecordKey, Arc<[u8]>), Error>>,
        applied: &Applied,
    ) -> Result<(), Error> {
        let failed = |source: sled::Error| Error::store("write the state store", source);
        // Without the position the store counts as empty, should this be interrupted.
        self.db.remove(APPLIED_KEY).map_err(failed)?;
        self.sync()?;
        self.db.clear().map_err(failed)?;
        self.long
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let mut lot = Records::new();
        for record in records {
            let (key, value) = record?;
            lot.insert(key, Some(value));
            if lot.len() >= REPLACE_RECORDS_PER_STEP {
                self.put_all(&lot)?;
                lot.clear();
            }
        }
        self.write(&lot, applied)
    }

    fn put_all(&self, records: &Records) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in records {
            self.put(&mut batch, key.as_str().as_bytes(), value.as_deref())?;
        }
        self.db
            .apply_batch(batch)
            .map_err(|source| Error::store("write the state store", source))
    }

    /// Cuts a value into pieces and removes those of a longer one that was there before.
    fn put(&self, batch: &mut sled::Batch, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        let before = long.get(key).copied().unwrap_or(1);
        let mut after = 0_u16;
        if let Some(value) = value {
            let of = u16::try_from(value.len().div_ceil(PIECE_BYTES).max(1)).map_err(|_| {
                Error::TooLarge {
                    what: "record of the state",
                    bytes: value.len(),
                    limit: PIECE_BYTES * usize::from(u16::MAX),
                }
            })?;
            for number in 0..of {
                let from = usize::from(number) * PIECE_BYTES;
                let until = value.len().min(from + PIECE_BYTES);
                let at = piece_key(key, number)?;
                batch.insert(
                    at.as_slice(),
                    Piece {
                        of,
                        bytes: &value[from..until],
                    }
                    .write(&at),
                );
            }
            after = of;
        }
        for number in after..before {
            batch.remove(piece_key(key, number)?);
        }
        if after > 1 {
            long.insert(key.to_vec(), after);
        } else {
            long.remove(key);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.db
            .flush()
            .map_err(|source| Error::store("flush the state store", source))?;
        self.file
            .sync_data()
            .map_err(|source| Error::store("sync the state store", source))
    }
}

/// Moves a damaged store out of the way, under a name that says when, and returns that name.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn set_aside(dir: &Path, at_ms: i64) -> Result<PathBuf, Error> {
    let mut aside = dir.with_extension(format!("damaged-{at_ms}"));
    for attempt in 1..SET_ASIDE_ATTEMPTS_MAX {
        if !aside.exists() {
            break;
        }
        aside = dir.with_extension(format!("damaged-{at_ms}-{attempt}"));
    }
    fs::rename(dir, &aside).map_err(|source| Error::file("set aside", dir, source))?;
    Ok(aside)
}

/// How often the store's lock is asked for, and how long between, in milliseconds. sled lets go of
/// it from a thread of its own some time after the last handle is dropped: a store that was closed
/// a moment ago is neither damaged nor in use.
const LOCK_ATTEMPTS_MAX: u32 = 100;
const LOCK_PAUSE_MS: u64 = 50;

fn open_unlocked(dir: &Path) -> Result<sled::Db, Error> {
    let config = sled::Config::new()
        .path(dir)
        .mode(sled::Mode::HighThroughput)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None);
    let mut attempt = 1;
    loop {
        match config.open() {
            // sled wraps the reason into a text; the kind of the error does not survive.
            Err(sled::Error::Io(error))
                if attempt < LOCK_ATTEMPTS_MAX && error.to_string().contains("acquire lock") =>
            {
                attempt += 1;
                std::thread::sleep(std::time::Duration::from_millis(LOCK_PAUSE_MS));
            }
            opened => {
                return opened.map_err(|source| Error::store("open the state store", source));
            }
        }
    }
}

fn open_and_read(dir: &Path) -> Result<(StateStore, Option<Applied>, Loaded), Error> {
    fs::create_dir_all(dir).map_err(|source| Error::file("make", dir, source))?;
    remove_snapshots(dir)?;
    let db = open_unlocked(dir)?;
    let path = dir.join("db");
    let file = File::open(&path).map_err(|source| Error::file("open", &path, source))?;
    let store = StateStore {
        db,
        file,
        long: Mutex::default(),
    };
    let (applied, records) = store.read()?;
    Ok((store, applied, records))
}

/// sled writes `snap.*` files only to open faster. A torn one keeps it from opening at all
/// (spacejam/sled issues 1527 and 1533), and everything is read at opening anyway.
fn remove_snapshots(dir: &Path) -> Result<(), Error> {
    let failed = |source| Error::file("list", dir, source);
    for found in fs::read_dir(dir).map_err(failed)? {
        let found = found.map_err(failed)?;
        if found.file_name().to_string_lossy().starts_with("snap.") {
            let path = found.path();
            fs::remove_file(&path).map_err(|source| Error::file("remove", path, source))?;
        }
    }
    Ok(())
}

impl StateStore {
    fn read(&self) -> Result<(Option<Applied>, Loaded), Error> {
        let mut applied = None;
        let mut records = Loaded::new();
        let mut missing = 0_i64;
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        for found in self.db.iter() {
            let (key, stored) =
                found.map_err(|source| Error::store("read the state store", source))?;
            if *key == *APPLIED_KEY {
                let bytes = check(APPLIED_KEY, &stored)?;
                applied = Some(
                    serde_json::from_slice(bytes)
                        .map_err(|source| Error::malformed("applied position", source))?,
                );
                continue;
            }
            let piece = Piece::read(&key, &stored)?;
            let (key, number) = split_key(&key)?;
            if piece.of > 1 && number == 0 {
                long.insert(key.to_vec(), piece.of);
            }
            // Pieces of one record come in order, since the number is the end of the key.
            let key = std::str::from_utf8(key)
                .map_err(|source| Error::malformed("key of the state", source))?;
            let value = records.entry(key.to_owned()).or_default();
            if value.len() != usize::from(number) * PIECE_BYTES {
                return Err(Error::malformed(
                    "state store",
                    "a piece of a record is missing",
                ));
            }
            value.extend_from_slice(piece.bytes);
            missing += i64::from(number == 0) * i64::from(piece.of) - 1;
        }
        if missing != 0 {
            return Err(Error::malformed(
                "state store",
                "the last piece of a record is missing",
            ));
        }
        if applied.is_none() {
            // What was being replaced when the node stopped is nothing to go on.
            records.clear();
        }
        Ok((applied, records))
    }
}

/// One piece of a value: checksum (8 bytes), how many pieces there are (2 bytes), bytes.
struct Piece<'a> {
    of: u16,
    bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    fn write(&self, key: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes.len() + 2);
        body.extend_from_slice(&self.of.to_be_bytes());
        body.extend_from_slice(self.bytes);
        with_checksum(key, &body)
    }

    fn read(key: &[u8], stored: &'a [u8]) -> Result<Self, Error> {
        let body = check(key, stored)?;
        let (of, bytes) = body
            .split_first_chunk::<2>()
            .ok_or_else(|| Error::malformed("state store", "a record is too short"))?;
        Ok(Self {
            of: u16::from_be_bytes(*of),
            bytes,
        })
    }
}

/// The record's key with its length in front, so that no key is the start of another, and the
/// number of the piece behind.
fn piece_key(key: &[u8], number: u16) -> Result<Vec<u8>, Error> {
    let len = u16::try_from(key.len())
        .ok()
        .filter(|len| *len < u16::MAX)
        .ok_or(Error::TooLarge {
            what: "key of the state",
            bytes: key.len(),
            limit: KEY_BYTES_MAX,
        })?;
    let mut bytes = Vec::with_capacity(key.len() + 4);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&number.to_be_bytes());
    Ok(bytes)
}

fn split_key(stored: &[u8]) -> Result<(&[u8], u16), Error> {
    let broken = || Error::malformed("state store", "a key is broken");
    let (len, rest) = stored.split_first_chunk::<2>().ok_or_else(broken)?;
    let (key, number) = rest.split_last_chunk::<2>().ok_or_else(broken)?;
    if key.len() != usize::from(u16::from_be_bytes(*len)) {
        return Err(broken());
    }
    Ok((key, u16::from_be_bytes(*number)))
}

fn with_checksum(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(&checksum(key, body));
    bytes.extend_from_slice(body);
    bytes
}

fn check<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], Error> {
    match stored.split_first_chunk::<CHECKSUM_BYTES>() {
        Some((found, body)) if *found == checksum(key, body) => Ok(body),
        _ => Err(Error::malformed(
            "state store",
            "a record does not have its checksum",
        )),
    }
}

/// XXH3 over key and body: against accidents, not against people, for whom there is the digest of
/// the whole state. A key cannot end where another's body begins: it has its length in it.
fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Xxh3::new();
    hasher.update(key);
    hasher.update(body);
    hasher.digest().to_be_bytes()
}

const CHECKSUM_BYTES: usize = 8;

/// Longer than any key's length field can say, so that it is no record's key.
const APPLIED_KEY: &[u8] = &[0xff, 0xff, b'a'];

const KEY_BYTES_MAX: usize = 65_534;

/// sled moves values of about a quarter of its 512 KiB segment to files that it never syncs.
const PIECE_BYTES: usize = 32 << 10;

/// The whole state is in memory already; sled's cache is only for the pages that it rewrites.
const CACHE_BYTES: u64 = 32 << 20;

/// When a whole state is written, this many records at a time, so that memory stays flat.
const REPLACE_RECORDS_PER_STEP: usize = 4_096;

const SET_ASIDE_ATTEMPTS_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn applied(index: u64) -> Applied {
        let header = SnapshotHeader {
            applied: index,
            ..State::new().snapshot_header()
        };
        Applied {
            last: None,
            membership: StoredMembership::default(),
            header,
        }
    }

    fn key(text: &str) -> RecordKey {
        RecordKey::parse(text).unwrap()
    }

    fn bytes(len: usize) -> Vec<u8> {
        vec![u8::try_from(len % 251).unwrap(); len]
    }

    #[test]
    fn what_was_written_is_read_again_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let lengths = [
            0,
            1,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            3 * PIECE_BYTES,
        ];
        let mut expected: Loaded = lengths
            .into_iter()
            .map(|len| (format!("dataset/{len}"), bytes(len)))
            .collect();
        let all: Records = expected
            .iter()
            .map(|(it, value)| (key(it), Some(value.clone().into())))
            .collect();
        {
            let (store, found, records) = StateStore::open(dir.path()).unwrap();
            assert_eq!((found, records), (None, Loaded::new()));
            store.write(&all, &applied(1)).unwrap();
        }
        let (shrunk, removed) = ("dataset/98304", "dataset/32769");
        {
            let (store, found, records) = StateStore::open(dir.path()).unwrap();
            assert_eq!((found, &records), (Some(applied(1)), &expected));
            let short: Arc<[u8]> = b"short".as_slice().into();
            let change = Records::from([(key(shrunk), Some(short)), (key(removed), None)]);
            store.write(&change, &applied(2)).unwrap();
        }
        expected.insert(shrunk.to_owned(), b"short".to_vec());
        expected.remove(removed);
        {
            let (store, found, records) = StateStore::open(dir.path()).unwrap();
            assert_eq!((found, &records), (Some(applied(2)), &expected));
            let other: Arc<[u8]> = b"value".as_slice().into();
            store
                .replace([Ok((key("grant/1"), other))].into_iter(), &applied(3))
                .unwrap();
        }
        let (_store, found, records) = StateStore::open(dir.path()).unwrap();
        let other = Loaded::from([("grant/1".to_owned(), b"value".to_vec())]);
        assert_eq!((found, records), (Some(applied(3)), other));
    }

    #[test]
    fn a_leftover_snapshot_file_does_not_keep_the_store_from_opening() {
        let dir = tempfile::tempdir().unwrap();
        let value: Arc<[u8]> = b"value".as_slice().into();
        let records = Records::from([(key("grant/1"), Some(value))]);
        {
            let (store, ..) = StateStore::open(dir.path()).unwrap();
            store.write(&records, &applied(1)).unwrap();
        }
        for name in ["snap.0000000000000F00", "snap.0000000000000A00.generating"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let (_store, found, read) = StateStore::open(dir.path()).unwrap();
        let expected = Loaded::from([("grant/1".to_owned(), b"value".to_vec())]);
        assert_eq!((found, read), (Some(applied(1)), expected));
    }
}
