//! Snapshots on disk: written beside the running state, renamed when complete, the last two kept.
//!
//! It does not know how a state becomes bytes: `state::snapshot` does. Here its bytes get Raft's
//! position in front and a checksum behind, so that a damaged file is found before it is sent to
//! anybody.
//!
//! ```text
//!   magic | len32 | position (JSON) | state frames ... | SM3 of everything before
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crypto::{Digest, Hasher};

use crate::Error;
use crate::raft::types::{LogId, SnapshotMeta, StoredMembership};
use crate::state::State;

/// The directory of snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    /// Opens or makes the directory, removes what was never finished and sets aside what is
    /// damaged.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::file("make", dir, source))?;
        let snapshots = Self {
            dir: dir.to_path_buf(),
        };
        snapshots.remove(UNFINISHED)?;
        snapshots.remove(ARRIVING)?;
        for path in snapshots.files(FINISHED)? {
            if let Err(error) = check_file(&path) {
                let aside = path.with_extension("damaged");
                tracing::error!(%error, ?path, ?aside, "a snapshot is damaged and was set aside");
                fs::rename(&path, &aside)
                    .map_err(|source| Error::file("set aside", &path, source))?;
            }
        }
        Ok(snapshots)
    }

    /// The newest snapshot, opened at its start, and its position.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub(crate) fn newest(&self) -> Result<Option<(SnapshotMeta, File)>, Error> {
        let Some(path) = self.files(FINISHED)?.pop() else {
            return Ok(None);
        };
        let failed = |source| Error::file("read", &path, source);
        let mut file = File::open(&path).map_err(failed)?;
        let meta = read_position(&mut BufReader::new(&file))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(Some((meta, file)))
    }

    /// Writes a snapshot of `state` and removes all but the last two. Blocks for as long as the
    /// disk takes.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Store`].
    pub(crate) fn write(
        &self,
        state: &State,
        last: Option<LogId>,
        membership: StoredMembership,
    ) -> Result<(SnapshotMeta, File), Error> {
        let (term, index) = last.map_or((0, 0), |id| (id.leader_id.term, id.index));
        let number = self.next_number()?;
        let meta = SnapshotMeta {
            last_log_id: last,
            last_membership: membership,
            snapshot_id: format!("{term}-{index}-{number}"),
        };
        let unfinished = self.path(index, number, UNFINISHED);
        let written = write_file(&unfinished, &meta, state);
        written.map_err(|source| Error::file("write", &unfinished, source))?;
        self.finish(&unfinished, index, number)?;
        let path = self.path(index, number, FINISHED);
        let file = File::open(&path).map_err(|source| Error::file("open", &path, source))?;
        Ok((meta, file))
    }

    /// A new file for a snapshot that arrives.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn receive(&self) -> Result<File, Error> {
        // One arrives at a time; an older one was given up.
        self.remove(ARRIVING)?;
        let path = self.path(0, self.next_number()?, ARRIVING);
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|source| Error::file("make", path, source))
    }

    /// Reads a snapshot that arrived, checks it and keeps it as the newest.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is not what its checksum and digest say.
    pub(crate) fn take(&self, meta: &SnapshotMeta, received: &mut File) -> Result<State, Error> {
        let index = meta.last_log_id.map_or(0, |id| id.index);
        let number = self.next_number()?;
        let unfinished = self.path(index, number, UNFINISHED);
        let failed = |source| Error::file("write", &unfinished, source);
        received.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut copy = File::create(&unfinished).map_err(failed)?;
        io::copy(received, &mut copy).map_err(failed)?;
        copy.sync_all().map_err(failed)?;
        check_file(&unfinished)?;
        let state = read_state(&unfinished, meta)?;
        self.finish(&unfinished, index, number)?;
        self.remove(ARRIVING)?;
        Ok(state)
    }

    /// The state of the newest snapshot.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::File`].
    pub(crate) fn load_newest(&self) -> Result<Option<(SnapshotMeta, State)>, Error> {
        let Some((meta, _)) = self.newest()? else {
            return Ok(None);
        };
        let Some(path) = self.files(FINISHED)?.pop() else {
            return Ok(None);
        };
        let state = read_state(&path, &meta)?;
        Ok(Some((meta, state)))
    }

    /// Renames a complete file and removes older ones; the rename makes it count.
    fn finish(&self, unfinished: &Path, index: u64, number: u64) -> Result<(), Error> {
        let path = self.path(index, number, FINISHED);
        fs::rename(unfinished, &path)
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(|source| Error::file("finish", &path, source))?;
        let mut kept = self.files(FINISHED)?;
        kept.truncate(kept.len().saturating_sub(SNAPSHOTS_KEPT));
        for old in kept {
            fs::remove_file(&old).map_err(|source| Error::file("remove", &old, source))?;
        }
        Ok(())
    }

    fn remove(&self, extension: &str) -> Result<(), Error> {
        for path in self.files(extension)? {
            fs::remove_file(&path).map_err(|source| Error::file("remove", &path, source))?;
        }
        Ok(())
    }

    /// Files of one kind, oldest first: their names begin with the index in 20 digits.
    fn files(&self, extension: &str) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::file("list", &self.dir, source);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|its| its == extension) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// A number that no file has yet, so that nothing is ever written over.
    fn next_number(&self) -> Result<u64, Error> {
        let mut files = self.files(FINISHED)?;
        files.extend(self.files(UNFINISHED)?);
        let numbers = files.iter().filter_map(|path| {
            path.file_stem()?
                .to_str()?
                .rsplit_once('-')?
                .1
                .parse::<u64>()
                .ok()
        });
        Ok(numbers.max().unwrap_or(0) + 1)
    }

    fn path(&self, index: u64, number: u64, extension: &str) -> PathBuf {
        self.dir
            .join(format!("{index:020}-{number:010}.{extension}"))
    }
}

fn write_file(path: &Path, meta: &SnapshotMeta, state: &State) -> io::Result<()> {
    let mut out = Hashed {
        hasher: Hasher::new(),
        inner: BufWriter::new(File::create(path)?),
    };
    let position = serde_json::to_vec(meta)?;
    out.write_all(MAGIC)?;
    out.write_all(
        &u32::try_from(position.len())
            .map_err(io::Error::other)?
            .to_be_bytes(),
    )?;
    out.write_all(&position)?;
    for frame in state.snapshot_frames() {
        out.write_all(&frame.map_err(io::Error::other)?)?;
    }
    let Hashed { hasher, mut inner } = out;
    inner.write_all(hasher.finish().as_bytes())?;
    inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

struct Hashed<W> {
    hasher: Hasher,
    inner: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compares the checksum at the end of a file with its content.
fn check_file(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::file("read", path, source);
    let file = File::open(path).map_err(failed)?;
    let digest_bytes = u64::try_from(Digest::BYTES).unwrap_or(u64::MAX);
    let body = file
        .metadata()
        .map_err(failed)?
        .len()
        .checked_sub(digest_bytes);
    let body = body.ok_or_else(|| Error::malformed("snapshot", "it is too short"))?;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut hasher = Hasher::new();
    io::copy(&mut (&mut reader).take(body), &mut hasher).map_err(failed)?;
    let mut expected = [0; Digest::BYTES];
    reader.read_exact(&mut expected).map_err(failed)?;
    if hasher.finish() == Digest::from_bytes(expected) {
        return Ok(());
    }
    Err(Error::malformed(
        "snapshot",
        "it does not have its checksum",
    ))
}

pub(crate) fn read_position(reader: &mut impl Read) -> Result<SnapshotMeta, Error> {
    let failed = |source: io::Error| Error::malformed("snapshot", source);
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic).map_err(failed)?;
    if magic != *MAGIC {
        return Err(Error::malformed("snapshot", "its first bytes are others"));
    }
    let mut length = [0; 4];
    reader.read_exact(&mut length).map_err(failed)?;
    let length = u64::from(u32::from_be_bytes(length));
    if length > POSITION_BYTES_MAX {
        return Err(Error::malformed(
            "snapshot",
            format!("its position has {length} bytes"),
        ));
    }
    let mut position = Vec::new();
    reader
        .take(length)
        .read_to_end(&mut position)
        .map_err(failed)?;
    serde_json::from_slice(&position).map_err(|source| Error::malformed("snapshot", source))
}

fn read_state(path: &Path, meta: &SnapshotMeta) -> Result<State, Error> {
    let file = File::open(path).map_err(|source| Error::file("read", path, source))?;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let position = read_position(&mut reader)?;
    if position != *meta {
        return Err(Error::malformed(
            "snapshot",
            "its position is another than was announced",
        ));
    }
    State::from_snapshot(reader).map_err(|source| Error::malformed("snapshot", source))
}

const MAGIC: &[u8; 17] = b"kouan-snapshot-1\n";
const FINISHED: &str = "snapshot";
const UNFINISHED: &str = "part";
const ARRIVING: &str = "arriving";

/// The one in use and the one before it, should the disk damage a file.
const SNAPSHOTS_KEPT: usize = 2;

/// A membership of a thousand members has about a tenth of this.
const POSITION_BYTES_MAX: u64 = 1 << 20;

const READ_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    fn at(index: u64) -> Option<LogId> {
        Some(LogId::new(CommittedLeaderId::new(1, 1), index))
    }

    fn state(index: u64) -> State {
        let mut state = State::new();
        state.apply_recorded(index, &[]);
        state
    }

    fn newest(snapshots: &Snapshots) -> Option<u64> {
        let (meta, state) = snapshots.load_newest().unwrap()?;
        assert_eq!(meta.last_log_id.map(|id| id.index), Some(state.applied()));
        Some(state.applied())
    }

    #[test]
    fn the_last_two_are_kept_and_a_damaged_one_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path()).unwrap();
        for index in [5, 50, 500] {
            snapshots
                .write(&state(index), at(index), StoredMembership::default())
                .unwrap();
        }
        let files = snapshots.files(FINISHED).unwrap();
        assert_eq!((files.len(), newest(&snapshots)), (2, Some(500)));
        for position in [0, 40, -1_i64] {
            let mut bytes = fs::read(&files[1]).unwrap();
            let len = i64::try_from(bytes.len()).unwrap();
            let at = usize::try_from(position.rem_euclid(len)).unwrap();
            bytes[at] ^= 1;
            let copy = dir.path().join("99999999999999999999-0000000099.snapshot");
            fs::write(&copy, &bytes).unwrap();
            let opened = Snapshots::open(dir.path()).unwrap();
            assert_eq!(newest(&opened), Some(500));
            assert!(!copy.exists() && copy.with_extension("damaged").exists());
        }
        fs::write(&files[1], b"cut").unwrap();
        assert_eq!(newest(&Snapshots::open(dir.path()).unwrap()), Some(50));
    }

    #[test]
    fn a_snapshot_that_arrives_is_kept_only_under_its_own_position() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sender = Snapshots::open(here.path()).unwrap();
        let (meta, mut file) = sender
            .write(&state(7), at(7), StoredMembership::default())
            .unwrap();
        let receiver = Snapshots::open(there.path()).unwrap();
        let other = SnapshotMeta {
            last_log_id: at(8),
            ..meta.clone()
        };
        assert!(receiver.take(&other, &mut file).is_err());
        assert_eq!(newest(&receiver), None);
        let mut arrived = receiver.receive().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        io::copy(&mut file, &mut arrived).unwrap();
        assert_eq!(receiver.take(&meta, &mut arrived).unwrap().applied(), 7);
        assert_eq!(newest(&receiver), Some(7));
        assert!(receiver.files(ARRIVING).unwrap().is_empty());
    }
}
