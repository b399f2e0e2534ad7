//! The file of a stream's newest segment: allocating ahead, writing, syncing, sealing.
//!
//! It does not know what records mean, and it never reads back what it wrote: that is for opening
//! and for [`crate::fsck`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crypto::Digest;

use crate::Error;
use crate::segment::{
    ALIGN_BYTES, HEADER_BYTES, Kind, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader, Stream,
};
use crate::store::{EXTENSION_UNFINISHED, path_of, sync_directory};

/// The file of the newest segment.
pub(crate) struct Active {
    file: File,
    path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) first: u64,
    pub(crate) tail: u64,
    allocated: u64,
}

/// Where reading a stream stopped, and how its newest segment is to be continued.
pub(crate) struct Resume {
    pub(crate) first: u64,
    pub(crate) digest: Digest,
    pub(crate) tail: u64,
    pub(crate) next: u64,
}

impl Active {
    /// Creates a segment under a name that is not read, and renames it when it is complete and
    /// durable: a header is never torn.
    pub(crate) fn create(
        dir: &Path,
        stream: Stream,
        header: &SegmentHeader,
        allocate: u64,
    ) -> Result<Self, Error> {
        let path = path_of(dir, stream, header.first);
        let unfinished = path.with_extension(EXTENSION_UNFINISHED);
        let made = Self::create_unfinished(&unfinished, stream, header, allocate.max(ALIGN_BYTES));
        let (file, digest) = made.map_err(|source| {
            // Best effort: opening removes it too, and the space it holds is what is missing.
            let _ = fs::remove_file(&unfinished);
            Error::file("create", &unfinished, source)
        })?;
        fs::rename(&unfinished, &path).map_err(|source| Error::file("create", &path, source))?;
        sync_directory(&dir.join(stream.folder()))?;
        Ok(Self {
            file,
            path,
            digest,
            first: header.first,
            tail: HEADER_BYTES_U64,
            allocated: allocate.max(ALIGN_BYTES),
        })
    }

    fn create_unfinished(
        path: &Path,
        stream: Stream,
        header: &SegmentHeader,
        allocate: u64,
    ) -> io::Result<(File, Digest)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let (bytes, digest) = header.encode(stream);
        file.set_len(allocate)?;
        write_zeros(&file, 0, allocate)?;
        file.write_all_at(&bytes, 0)?;
        file.write_all_at(
            &RecordHeader::bare(Kind::Mark, header.first).encode(&digest),
            256,
        )?;
        file.sync_all()?;
        Ok((file, digest))
    }

    pub(crate) fn open(dir: &Path, stream: Stream, at: &Resume) -> Result<Self, Error> {
        let path = path_of(dir, stream, at.first);
        let fail = |source| Error::file("open", &path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(fail)?;
        let allocated = file.metadata().map_err(fail)?.len();
        Ok(Self {
            file,
            digest: at.digest,
            first: at.first,
            tail: at.tail,
            allocated,
            path,
        })
    }

    /// Allocates and zeroes space up to `until`, a step at a time; when there is no space for a
    /// step, then for what is needed. The file never has a length that is not a multiple of
    /// [`ALIGN_BYTES`].
    pub(crate) fn reserve(&mut self, until: u64, step: u64) -> Result<(), Error> {
        if until <= self.allocated {
            return Ok(());
        }
        let wanted = align(until.max(self.allocated + step));
        let grown = self.grow(wanted).or_else(|_| self.grow(align(until)));
        if grown.is_err() {
            // Best effort: a longer file of zeros is harmless, and its space is what is missing.
            let _ = self.file.set_len(self.allocated);
        }
        grown.map_err(|source| Error::file("allocate", &self.path, source))
    }

    fn grow(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        write_zeros(&self.file, self.allocated, length)?;
        self.file.sync_all()?;
        self.allocated = length;
        Ok(())
    }

    /// Zeroes everything behind the tail, durably.
    pub(crate) fn clear_tail(&self) -> Result<(), Error> {
        let clear = || {
            write_zeros(&self.file, self.tail, self.allocated)?;
            self.file.sync_all()
        };
        clear().map_err(|source| Error::file("clear the tail of", &self.path, source))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| Error::file("write", &self.path, source))
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(|source| Error::file("sync", &self.path, source))
    }

    pub(crate) fn seal(&mut self, count: u64) -> Result<(), Error> {
        self.reserve(self.tail + RECORD_HEADER_BYTES_U64, ALIGN_BYTES)?;
        self.write(
            self.tail,
            &RecordHeader::bare(Kind::Seal, count).encode(&self.digest),
        )?;
        self.sync()
    }
}

/// Completes a rotation that a crash interrupted: seals the segment before the newest.
pub(crate) fn seal(dir: &Path, stream: Stream, at: &Resume) -> Result<(), Error> {
    let mut active = Active::open(dir, stream, at)?;
    active.clear_tail()?;
    active.seal(at.next)
}

fn write_zeros(file: &File, mut from: u64, until: u64) -> io::Result<()> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    while from < until {
        let length = usize::try_from(until - from)
            .unwrap_or(ZEROS.len())
            .min(ZEROS.len());
        file.write_all_at(&ZEROS[..length], from)?;
        from += u64::try_from(length).unwrap_or(until);
    }
    Ok(())
}

/// The next multiple of [`ALIGN_BYTES`].
pub(crate) fn align(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGN_BYTES) * ALIGN_BYTES
}

pub(crate) const HEADER_BYTES_U64: u64 = 256;
pub(crate) const RECORD_HEADER_BYTES_U64: u64 = 76;
const _: () = assert!(HEADER_BYTES == 256 && RECORD_HEADER_BYTES == 76);
