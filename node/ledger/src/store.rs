//! Segment files: their names, and reading them.
//!
//! It does not write them; [`crate::active`] does.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::active::RECORD_HEADER_BYTES_U64;
use crate::entry::ENTRY_BYTES_MAX;
use crate::options::SEGMENT_BYTES_MAX;
use crate::segment::{RECORD_HEADER_BYTES, Stream};

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
    file.read_exact_at(
        &mut payload,
        place.offset.saturating_add(RECORD_HEADER_BYTES_U64),
    )?;
    Ok(Some(payload))
}

/// Makes the newest segment durable as it is read: after a kill its end may be in the page cache
/// only, and nothing may rest on entries that a power failure could still take.
pub(crate) fn sync_newest(dir: &Path, stream: Stream) -> Result<(), Error> {
    let Some(first) = list(dir, stream)?.pop() else {
        return Ok(());
    };
    let path = path_of(dir, stream, first);
    let fail = |source| Error::file("sync", &path, source);
    File::open(&path).map_err(fail)?.sync_all().map_err(fail)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    let fail = |source| Error::file("sync", path, source);
    File::open(path).map_err(fail)?.sync_all().map_err(fail)
}

const EXTENSION: &str = "seg";
pub(crate) const EXTENSION_UNFINISHED: &str = "new";
