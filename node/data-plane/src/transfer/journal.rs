//! What a consumer has of a transfer so far, on disk, so that a broken connection or a restart
//! costs one chunk and not the transfer.
//!
//! It does not vouch for the bytes: everything is verified against the signed offer at the end.
//!
//! ```text
//!   received/.incoming/<transfer>/offer     Signed<Offer>, as it came
//!                                 header    the sealed stream's header, when there is one
//!                                 files/    the artefact's files, by position; each chunk is
//!                                           written in clear where it belongs
//!                                 done      40 bytes a chunk: index, leaf digest
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crypto::Digest;

use super::chunks::{Layout, Part};
use super::offer::length;
use crate::Error;

/// Bytes of one record in `done`.
const RECORD_BYTES: usize = 8 + Digest::BYTES;

/// Largest offer and header that are read back; both were bounded when they came.
const TEXT_BYTES_MAX: u64 = 2 << 20;

/// One transfer's folder.
pub(crate) struct Journal {
    dir: PathBuf,
    layout: Layout,
    files: Vec<File>,
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
        layout: Layout,
    ) -> Result<Self, Error> {
        let io = || Error::io("begin a transfer's journal");
        if dir.exists() {
            fs::remove_dir_all(dir).map_err(io())?;
        }
        fs::create_dir_all(dir.join(FILES)).map_err(io())?;
        fs::write(dir.join("header"), header).map_err(io())?;
        // The offer comes last: a folder without one is not taken up again.
        fs::write(dir.join("offer.new"), offer).map_err(io())?;
        fs::rename(dir.join("offer.new"), dir.join("offer")).map_err(io())?;
        Self::open(dir, header.to_vec(), layout)
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
    pub(crate) fn open(dir: &Path, header: Vec<u8>, layout: Layout) -> Result<Self, Error> {
        let io = || Error::io("open a transfer's journal");
        let open = |path: PathBuf, append: bool| {
            OpenOptions::new()
                .read(true)
                .append(append)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(io())
        };
        let file = open(dir.join("done"), true)?;
        let files: Vec<File> = (0..layout.files())
            .map(|at| open(file_path(dir, at), false))
            .collect::<Result<_, _>>()?;
        let mut leaves = vec![None; usize::try_from(layout.chunk_count()).unwrap_or(0)];
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
        // What an earlier run moved into its table, or a power cut took, comes again.
        let lengths: Vec<u64> = files
            .iter()
            .map(|file| file.metadata().map_or(0, |it| it.len()))
            .collect();
        for (index, slot) in leaves.iter_mut().enumerate() {
            let parts = layout.parts(length(index));
            let is_there = |part: &Part| {
                let end = part.offset.saturating_add(length(part.within.len()));
                lengths.get(part.file).is_some_and(|there| end <= *there)
            };
            if !parts.iter().all(is_there) {
                *slot = None;
            }
        }
        let done = Mutex::new(Done { file, leaves });
        Ok(Self {
            dir: dir.to_owned(),
            layout,
            files,
            done,
            header,
        })
    }

    /// Keeps a chunk: first its bytes, then the record that it is there.
    pub(crate) fn keep(&self, index: u64, leaf: Digest, plain: &[u8]) -> Result<(), Error> {
        let io = || Error::io("keep a chunk");
        for part in self.layout.parts(index) {
            let (Some(file), Some(bytes)) = (self.files.get(part.file), plain.get(part.within))
            else {
                continue;
            };
            file.write_all_at(bytes, part.offset).map_err(io())?;
        }
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

    /// Bytes of a chunk.
    pub(crate) fn chunk_bytes(&self, index: u64) -> usize {
        self.layout.chunk_bytes(index)
    }

    /// The artefact's file at a position.
    pub(crate) fn file(&self, at: usize) -> PathBuf {
        file_path(&self.dir, at)
    }

    /// Makes every file durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        for file in &self.files {
            file.sync_all()
                .map_err(Error::io("sync a transfer's content"))?;
        }
        Ok(())
    }
}

fn file_path(dir: &Path, at: usize) -> PathBuf {
    dir.join(FILES).join(format!("{at:05}"))
}

/// The folder of the artefact's files.
const FILES: &str = "files";

#[cfg(test)]
mod tests {
    use super::super::CHUNK_BYTES;
    use super::*;

    #[test]
    fn a_journal_knows_after_a_crash_which_chunks_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("t-1");
        // Two files; the second chunk lies in both, and the last has one byte.
        let layout = || Layout::new(vec![length(CHUNK_BYTES) + 7, length(CHUNK_BYTES) * 4 - 6]);
        let chunk = |index: u64| vec![u8::try_from(index).unwrap(); layout().chunk_bytes(index)];
        let journal = Journal::begin(&dir, b"offer", b"header", layout()).unwrap();
        for index in [0, 1, 4] {
            let leaf = Digest::of(&[u8::try_from(index).unwrap()]);
            journal.keep(index, leaf, &chunk(index)).unwrap();
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
        let again = Journal::open(&dir, header, layout()).unwrap();
        assert_eq!(again.missing(8), [2..4, 5..6]);
        assert_eq!(again.missing(1), [2..3, 3..4, 5..6]);
        assert_eq!(again.kept()[2], (4, Digest::of(&[4])));
        again.keep(5, Digest::ZERO, &chunk(5)).unwrap();
        drop(again);
        let third = Journal::open(&dir, Vec::new(), layout()).unwrap();
        assert_eq!(third.missing(1), [2..3, 3..4]);
        for index in 2..4 {
            third.keep(index, Digest::ZERO, &chunk(index)).unwrap();
        }
        third.sync().unwrap();
        let joined = [0, 1].map(|at| fs::read(third.file(at)).unwrap()).concat();
        let expected: Vec<u8> = (0..6).flat_map(chunk).collect();
        assert!(joined == expected);
        drop(third);
        // The first file went into a table before a crash: what lay in it comes again.
        fs::remove_file(dir.join("files/00000")).unwrap();
        let fourth = Journal::open(&dir, Vec::new(), layout()).unwrap();
        assert_eq!(fourth.missing(1), [0..1, 1..2]);
    }
}
