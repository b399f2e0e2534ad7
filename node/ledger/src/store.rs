//! Segment files: listing, creating, and the one that is being appended to.
//!
//! It does not know what records mean, and it never reads back what it wrote: that is for opening
//! and for [`crate::fsck`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crypto::Digest;
use schemas::ledger_entry::LedgerIdentity;

use crate::entry::ENTRY_BYTES_MAX;
use crate::options::{BATCH_BYTES_MAX, SEGMENT_BYTES_MAX};
use crate::segment::{
    ALIGN_BYTES, HEADER_BYTES, Kind, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader, Stream,
};
use crate::{Error, Options};

/// Largest file that is read: a full segment, the batch that overshot it, and a step of space.
const SEGMENT_FILE_BYTES_MAX: u64 = SEGMENT_BYTES_MAX * 2;

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// First index of its segment, which is the segment's name.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// The path of a segment under the ledger's directory.
pub(crate) fn path_of(dir: &Path, stream: Stream, first: u64) -> PathBuf {
    dir.join(name_of(stream, first))
}

/// The same path, relative to the ledger's directory: what errors and reports name.
pub(crate) fn name_of(stream: Stream, first: u64) -> String {
    format!("{}/{first:020}.{EXTENSION}", stream.folder())
}

/// First indices of all segments, ascending. Files with other names are not ours.
pub(crate) fn list(dir: &Path, stream: Stream) -> Result<Vec<u64>, Error> {
    let folder = dir.join(stream.folder());
    let fail = |source| Error::file("list", &folder, source);
    let mut firsts = Vec::new();
    for item in fs::read_dir(&folder).map_err(fail)? {
        let path = item.map_err(fail)?.path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
            && stem.len() == 20
            && stem.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Ok(first)) = (is_ours, stem.parse()) {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Removes what a crash while creating a segment left.
pub(crate) fn remove_unfinished(dir: &Path, stream: Stream) -> Result<(), Error> {
    let folder = dir.join(stream.folder());
    let fail = |source| Error::file("clean", &folder, source);
    for item in fs::read_dir(&folder).map_err(fail)? {
        let path = item.map_err(fail)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION_UNFINISHED)
        {
            fs::remove_file(&path).map_err(fail)?;
        }
    }
    Ok(())
}

/// A whole segment file.
pub(crate) fn read_file(dir: &Path, stream: Stream, first: u64) -> Result<Vec<u8>, Error> {
    let path = path_of(dir, stream, first);
    let fail = |source| Error::file("read", &path, source);
    let bytes = fs::metadata(&path).map_err(fail)?.len();
    if bytes > SEGMENT_FILE_BYTES_MAX {
        return Err(Error::Tampered {
            segment: name_of(stream, first),
            offset: SEGMENT_FILE_BYTES_MAX,
            index: first,
            why: format!("the file has {bytes} bytes, which no writer makes"),
        });
    }
    fs::read(&path).map_err(fail)
}

/// The payload at a place, if one of plausible length stands there. The caller compares its
/// digest with the tree's, which says all that is to be said about it.
pub(crate) fn read_payload(dir: &Path, place: Place) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path_of(dir, Stream::Entries, place.segment))?;
    let mut header = [0_u8; RECORD_HEADER_BYTES];
    file.read_exact_at(&mut header, place.offset)?;
    let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let Some(length) = usize::try_from(length)
        .ok()
        .filter(|length| *length <= ENTRY_BYTES_MAX)
    else {
        return Ok(None);
    };
    let mut payload = vec![0_u8; length];
    file.read_exact_at(&mut payload, place.offset + RECORD_HEADER_BYTES_U64)?;
    Ok(Some(payload))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    let fail = |source| Error::file("sync", path, source);
    File::open(path).map_err(fail)?.sync_all().map_err(fail)
}

/// One stream's newest segment and how to go on after it.
pub(crate) struct Appender {
    dir: PathBuf,
    stream: Stream,
    ledger: LedgerIdentity,
    segment_bytes: u64,
    preallocation_bytes: u64,
    active: Active,
    /// Records written, all of them durable.
    next: u64,
    /// Set when the content of the file is no longer known.
    stopped: bool,
    buffer: Vec<u8>,
}

struct Active {
    file: File,
    path: PathBuf,
    digest: Digest,
    first: u64,
    tail: u64,
    allocated: u64,
}

/// Where reading a stream stopped, and how its newest segment is to be continued.
pub(crate) struct Resume {
    pub(crate) first: u64,
    pub(crate) digest: Digest,
    pub(crate) tail: u64,
    pub(crate) next: u64,
}

impl Appender {
    /// Begins a stream with its first segment.
    pub(crate) fn create(
        dir: &Path,
        stream: Stream,
        ledger: &LedgerIdentity,
        options: &Options,
    ) -> Result<Self, Error> {
        let prior_root = match stream {
            Stream::Entries => crate::tree::Tree::new().root(),
            Stream::Checkpoints => Digest::ZERO,
        };
        let step = align(options.preallocation_bytes.max(1));
        let header = SegmentHeader {
            ledger: ledger.clone(),
            first: 0,
            prior_root,
        };
        let active = Active::create(dir, stream, &header, step)?;
        Ok(Self::with(dir, stream, ledger, options, active, 0))
    }

    /// Continues a stream: clears what was never synced, syncs what was read (it may be in the
    /// page cache only), and marks it.
    pub(crate) fn resume(
        dir: &Path,
        stream: Stream,
        ledger: &LedgerIdentity,
        options: &Options,
        at: &Resume,
    ) -> Result<Self, Error> {
        let active = Active::open(dir, stream, at)?;
        active.clear_tail()?;
        active.write(
            at.tail,
            &RecordHeader::bare(Kind::Mark, at.next).encode(&at.digest),
        )?;
        active.sync()?;
        Ok(Self::with(dir, stream, ledger, options, active, at.next))
    }

    fn with(
        dir: &Path,
        stream: Stream,
        ledger: &LedgerIdentity,
        options: &Options,
        active: Active,
        next: u64,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            stream,
            ledger: ledger.clone(),
            segment_bytes: options.segment_bytes.min(SEGMENT_BYTES_MAX),
            preallocation_bytes: align(options.preallocation_bytes.clamp(1, SEGMENT_BYTES_MAX / 4)),
            active,
            next,
            stopped: false,
            buffer: Vec::with_capacity(BATCH_BYTES_MAX / 4),
        }
    }

    /// Appends payloads with their leaf digests and returns where they are, once they are
    /// durable. Either all of them are, or an error is returned and none is acknowledged.
    pub(crate) fn append(
        &mut self,
        payloads: &[(&[u8], Digest)],
        root_before: Digest,
    ) -> Result<Vec<Place>, Error> {
        if self.stopped {
            return Err(Error::WriterStopped);
        }
        if self.active.tail >= self.segment_bytes && self.next > self.active.first {
            self.rotate(root_before)?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut places = Vec::with_capacity(payloads.len());
        let mut index = self.next;
        for (payload, leaf) in payloads {
            let tail = self.active.tail + u64::try_from(buffer.len()).unwrap_or(u64::MAX);
            places.push(Place {
                segment: self.active.first,
                offset: tail,
            });
            let length = u32::try_from(payload.len()).map_err(|_| Error::EntryTooLarge {
                bytes: payload.len(),
                limit: ENTRY_BYTES_MAX,
            })?;
            let header = RecordHeader {
                kind: Kind::Payload,
                length,
                index,
                durable: self.next,
                leaf: *leaf,
            };
            buffer.extend_from_slice(&header.encode(&self.active.digest));
            buffer.extend_from_slice(payload);
            index += 1;
        }
        let written = self.write_batch(&buffer, index);
        self.buffer = buffer;
        written.map(|()| places)
    }

    fn write_batch(&mut self, batch: &[u8], next: u64) -> Result<(), Error> {
        let tail = self.active.tail;
        let after = tail + u64::try_from(batch.len()).unwrap_or(u64::MAX);
        // Room for the mark or seal is part of it, so that sealing never needs new space.
        self.active
            .reserve(after + RECORD_HEADER_BYTES_U64, self.preallocation_bytes)?;
        if let Err(refused) = self.active.write(tail, batch) {
            // The space was there, so this is rare; what was written must not be found later.
            self.stopped = self.active.clear_tail().and_then(|()| self.mark()).is_err();
            return Err(refused);
        }
        // After a failed sync the kernel may have dropped the pages: nobody knows what is there.
        self.active.sync().inspect_err(|_| self.stopped = true)?;
        self.active.tail = after;
        self.next = next;
        // Not synced: if it is lost, so is at most the proof that this last batch was synced.
        self.mark().inspect_err(|_| self.stopped = true)
    }

    fn mark(&self) -> Result<(), Error> {
        let mark = RecordHeader::bare(Kind::Mark, self.next).encode(&self.active.digest);
        self.active.write(self.active.tail, &mark)
    }

    /// Begins the next segment, then seals this one: a crash in between leaves an empty newest
    /// segment behind an unsealed one, which opening completes.
    fn rotate(&mut self, prior_root: Digest) -> Result<(), Error> {
        let prior_root = match self.stream {
            Stream::Entries => prior_root,
            Stream::Checkpoints => Digest::ZERO,
        };
        let header = SegmentHeader {
            ledger: self.ledger.clone(),
            first: self.next,
            prior_root,
        };
        let new = Active::create(&self.dir, self.stream, &header, self.preallocation_bytes)?;
        self.active
            .seal(self.next)
            .inspect_err(|_| self.stopped = true)?;
        self.active = new;
        Ok(())
    }

    /// Number of records, all durable.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// First index of the newest segment.
    pub(crate) fn newest(&self) -> u64 {
        self.active.first
    }

    /// Makes the mark behind the last batch durable too.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.active.sync()
    }
}

/// Completes a rotation that a crash interrupted: seals the segment before the newest.
pub(crate) fn seal(dir: &Path, stream: Stream, at: &Resume) -> Result<(), Error> {
    let mut active = Active::open(dir, stream, at)?;
    active.clear_tail()?;
    active.seal(at.next)
}

impl Active {
    /// Creates a segment under a name that is not read, and renames it when it is complete and
    /// durable: a header is never torn.
    fn create(
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

    fn open(dir: &Path, stream: Stream, at: &Resume) -> Result<Self, Error> {
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
    fn reserve(&mut self, until: u64, step: u64) -> Result<(), Error> {
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
    fn clear_tail(&self) -> Result<(), Error> {
        let clear = || {
            write_zeros(&self.file, self.tail, self.allocated)?;
            self.file.sync_all()
        };
        clear().map_err(|source| Error::file("clear the tail of", &self.path, source))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| Error::file("write", &self.path, source))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(|source| Error::file("sync", &self.path, source))
    }

    fn seal(&mut self, count: u64) -> Result<(), Error> {
        self.reserve(self.tail + RECORD_HEADER_BYTES_U64, ALIGN_BYTES)?;
        self.write(
            self.tail,
            &RecordHeader::bare(Kind::Seal, count).encode(&self.digest),
        )?;
        self.sync()
    }
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

fn align(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGN_BYTES) * ALIGN_BYTES
}

const EXTENSION: &str = "seg";
const EXTENSION_UNFINISHED: &str = "new";
const HEADER_BYTES_U64: u64 = 256;
const RECORD_HEADER_BYTES_U64: u64 = 76;
const _: () = assert!(HEADER_BYTES == 256 && RECORD_HEADER_BYTES == 76);
