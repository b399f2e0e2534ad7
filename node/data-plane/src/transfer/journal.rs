//! What a consumer has of a transfer so far, on disk, so that a broken connection or a restart
//! costs one chunk and not the transfer.
//!
//! It does not vouch for the bytes: everything is verified against the signed offer at the end.
//!
//! ```text
//!   received/.incoming/<transfer>/offer     Signed<Offer>, as it came
//!                                 header    the sealed stream's header, when there is one
//!                                 content   chunks in clear, each at its place
//!                                 done      40 bytes a chunk: index, leaf digest
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crypto::Digest;

use super::CHUNK_BYTES;
use super::offer::length;
use crate::Error;

/// Bytes of one record in `done`.
const RECORD_BYTES: usize = 8 + Digest::BYTES;

/// Largest offer and header that are read back; both were bounded when they came.
const TEXT_BYTES_MAX: u64 = 2 << 20;

/// One transfer's folder.
pub(crate) struct Journal {
    dir: PathBuf,
    content: File,
    done: Mutex<Done>,
    /// Empty when the chunks are in clear.
    pub(crate) header: Vec<u8>,
}

struct Done {
    file: File,
    /// By chunk: the leaf digest of what came, or nothing yet.
    leaves: Vec<Option<Digest>>,
}

impl Journal {
    /// Starts anew: what was there is removed.
    pub(crate) fn begin(
        dir: &Path,
        offer: &[u8],
        header: &[u8],
        chunk_count: u64,
    ) -> Result<Self, Error> {
        let io = || Error::io("begin a transfer's journal");
        if dir.exists() {
            fs::remove_dir_all(dir).map_err(io())?;
        }
        fs::create_dir_all(dir).map_err(io())?;
        fs::write(dir.join("header"), header).map_err(io())?;
        // The offer comes last: a folder without one is not taken up again.
        fs::write(dir.join("offer.new"), offer).map_err(io())?;
        fs::rename(dir.join("offer.new"), dir.join("offer")).map_err(io())?;
        Self::open(dir, header.to_vec(), chunk_count)
    }

    /// The offer and header of a transfer that was begun before.
    pub(crate) fn found(dir: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
        let read = |name: &str| {
            let path = dir.join(name);
            let small = fs::metadata(&path).is_ok_and(|it| it.len() <= TEXT_BYTES_MAX);
            small.then(|| fs::read(path).ok()).flatten()
        };
        Some((read("offer")?, read("header")?))
    }

    /// Opens the folder of a transfer whose offer was verified.
    pub(crate) fn open(dir: &Path, header: Vec<u8>, chunk_count: u64) -> Result<Self, Error> {
        let io = || Error::io("open a transfer's journal");
        let open = |name: &str| {
            OpenOptions::new()
                .read(true)
                .append(name == "done")
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.join(name))
                .map_err(io())
        };
        let (content, file) = (open("content")?, open("done")?);
        let mut leaves = vec![None; usize::try_from(chunk_count).unwrap_or(0)];
        let records = fs::read(dir.join("done")).map_err(io())?;
        // A torn record at the end is a chunk that comes again.
        let whole = records.len() - records.len() % RECORD_BYTES;
        file.set_len(length(whole)).map_err(io())?;
        for record in records[..whole].chunks_exact(RECORD_BYTES) {
            let (index, leaf) = record.split_at(8);
            let (Ok(index), Ok(leaf)) = (index.try_into(), leaf.try_into()) else {
                continue;
            };
            let index = usize::try_from(u64::from_be_bytes(index)).unwrap_or(usize::MAX);
            if let Some(slot) = leaves.get_mut(index) {
                *slot = Some(Digest::from_bytes(leaf));
            }
        }
        let done = Mutex::new(Done { file, leaves });
        Ok(Self {
            dir: dir.to_owned(),
            content,
            done,
            header,
        })
    }

    /// Keeps a chunk: first its bytes, then the record that it is there.
    pub(crate) fn keep(&self, index: u64, leaf: Digest, plain: &[u8]) -> Result<(), Error> {
        let io = || Error::io("keep a chunk");
        let place = index.saturating_mul(length(CHUNK_BYTES));
        self.content.write_all_at(plain, place).map_err(io())?;
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&index.to_be_bytes());
        record[8..].copy_from_slice(leaf.as_bytes());
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.file.write_all(&record).map_err(io())?;
        if let Some(slot) = usize::try_from(index)
            .ok()
            .and_then(|at| done.leaves.get_mut(at))
        {
            *slot = Some(leaf);
        }
        Ok(())
    }

    /// Chunks that are here, with their leaf digests.
    pub(crate) fn kept(&self) -> Vec<(u64, Digest)> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let leaves = done.leaves.iter().enumerate();
        leaves
            .filter_map(|(at, leaf)| leaf.map(|leaf| (length(at), leaf)))
            .collect()
    }

    /// Ranges of at most `most` chunks that are not here yet.
    pub(crate) fn missing(&self, most: u64) -> Vec<std::ops::Range<u64>> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
        for (at, _) in done
            .leaves
            .iter()
            .enumerate()
            .filter(|(_, leaf)| leaf.is_none())
        {
            let at = length(at);
            match ranges.last_mut() {
                Some(last) if last.end == at && at - last.start < most => last.end = at + 1,
                _ => ranges.push(at..at + 1),
            }
        }
        ranges
    }

    /// The file of chunks in clear.
    pub(crate) fn content(&self) -> PathBuf {
        self.dir.join("content")
    }

    /// Makes everything durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.content
            .sync_all()
            .map_err(Error::io("sync a transfer's content"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_knows_after_a_crash_which_chunks_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("t-1");
        let journal = Journal::begin(&dir, b"offer", b"header", 6).unwrap();
        for index in [0, 1, 4] {
            journal
                .keep(index, Digest::of(&[u8::try_from(index).unwrap()]), b"x")
                .unwrap();
        }
        drop(journal);
        let mut torn = fs::read(dir.join("done")).unwrap();
        torn.extend([0; 17]);
        fs::write(dir.join("done"), torn).unwrap();
        let (offer, header) = Journal::found(&dir).unwrap();
        assert_eq!(
            (offer.as_slice(), header.as_slice()),
            (&b"offer"[..], &b"header"[..])
        );
        let again = Journal::open(&dir, header, 6).unwrap();
        assert_eq!(again.missing(8), [2..4, 5..6]);
        assert_eq!(again.missing(1), [2..3, 3..4, 5..6]);
        assert_eq!(again.kept()[2], (4, Digest::of(&[4])));
        again.keep(5, Digest::ZERO, b"y").unwrap();
        drop(again);
        let third = Journal::open(&dir, Vec::new(), 6).unwrap();
        assert_eq!(third.missing(1), [2..3, 3..4]);
        assert_eq!(
            fs::read(third.content()).unwrap().len(),
            5 * CHUNK_BYTES + 1
        );
    }
}
