//! The parts of a ZIP archive (APPNOTE 6.3.10), as workbooks are packed.
//!
//! It does not unpack to the disk, and it reads no encrypted, split or 64-bit archive: a workbook
//! is none of these. What a part unpacks to is limited before it is read, so that a small archive
//! cannot fill the memory.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::path::Path;

use flate2::read::DeflateDecoder;

use super::source::as_u64;

/// Most parts of an archive. A workbook has about ten, and one more for each sheet.
const PARTS_MAX: usize = 4_096;
/// Largest list of parts in bytes.
const LIST_BYTES_MAX: u64 = 4 << 20;
/// Longest comment at the end of an archive (its length has 16 bits), and the record before it.
const END_BYTES_MAX: u64 = 65_535 + 22;
/// Parts may unpack to this many times their packed size once they are large. Sheets of numbers
/// reach 20; deflate cannot pass 1,032.
const RATIO_MAX: u64 = 200;
/// From here on a part is large: 16 MiB.
const RATIO_FROM_BYTES: u64 = 16 << 20;

/// One part.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    is_deflated: bool,
    packed: u64,
    unpacked: u64,
    at: u64,
}

/// An archive's list of parts.
#[derive(Debug)]
pub(crate) struct Archive {
    file: File,
    parts: Vec<Part>,
}

/// Why an archive cannot be read, in words.
pub(crate) type Broken = String;

fn io(source: std::io::Error) -> Broken {
    format!("the archive is cut or cannot be read: {source}")
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Archive {
    /// Reads the list of parts.
    pub(crate) fn open(path: &Path) -> Result<Self, Broken> {
        let mut file = File::open(path).map_err(io)?;
        let length = file.seek(SeekFrom::End(0)).map_err(io)?;
        let tail = length.min(END_BYTES_MAX);
        file.seek(SeekFrom::Start(length - tail)).map_err(io)?;
        let mut end = Vec::new();
        (&mut file).take(tail).read_to_end(&mut end).map_err(io)?;
        let cut = || "it is no ZIP archive, or cut".to_owned();
        let found = end
            .windows(4)
            .rposition(|window| window == b"PK\x05\x06")
            .ok_or_else(cut)?;
        let end = &end[found..];
        let count = usize::from(short(end, 10).ok_or_else(cut)?);
        let size = u64::from(long(end, 12).ok_or_else(cut)?);
        let at = u64::from(long(end, 16).ok_or_else(cut)?);
        if count > PARTS_MAX || size > LIST_BYTES_MAX {
            return Err(format!(
                "{count} parts in the archive, the limit is {PARTS_MAX}"
            ));
        }
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut list = Vec::new();
        (&mut file).take(size).read_to_end(&mut list).map_err(io)?;
        let mut parts = Vec::with_capacity(count);
        let mut rest = list.as_slice();
        for _ in 0..count {
            let (part, length) = Part::read(rest)?;
            parts.push(part);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(Self { file, parts })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name == name)
    }

    /// Opens a part that unpacks to at most `limit` bytes.
    pub(crate) fn part(&self, name: &str, limit: u64) -> Result<Unpacked, Broken> {
        let part = self.parts.iter().find(|part| part.name == name);
        let part = part.ok_or_else(|| format!("the part {name} is missing"))?;
        if part.unpacked > limit {
            return Err(format!(
                "{name} unpacks to more than {limit} bytes; split the workbook"
            ));
        }
        if part.unpacked > RATIO_FROM_BYTES && part.unpacked / RATIO_MAX > part.packed {
            return Err(format!(
                "{name} unpacks to more than {RATIO_MAX} times its size; save the workbook again"
            ));
        }
        let mut file = self.file.try_clone().map_err(io)?;
        let mut head = [0_u8; 30];
        file.seek(SeekFrom::Start(part.at)).map_err(io)?;
        file.read_exact(&mut head).map_err(io)?;
        let names = short(&head, 26).zip(short(&head, 28));
        let (name_bytes, extra) = names
            .filter(|_| head.starts_with(b"PK\x03\x04"))
            .ok_or_else(|| format!("the part {name} is not where the list says"))?;
        let skipped = i64::from(name_bytes) + i64::from(extra);
        file.seek(SeekFrom::Current(skipped)).map_err(io)?;
        let packed = BufReader::new(file).take(part.packed);
        Ok(Unpacked {
            from: if part.is_deflated {
                From::Deflated(Box::new(DeflateDecoder::new(packed)))
            } else {
                From::Stored(packed)
            },
            left: part.unpacked,
        })
    }
}

impl Part {
    /// Reads one entry of the list; also its length.
    fn read(entry: &[u8]) -> Result<(Self, usize), Broken> {
        let broken = || "the archive's list of parts is damaged".to_owned();
        if !entry.starts_with(b"PK\x01\x02") {
            return Err(broken());
        }
        let read = || {
            let flags = short(entry, 8)?;
            let method = short(entry, 10)?;
            let packed = long(entry, 20)?;
            let unpacked = long(entry, 24)?;
            let name = usize::from(short(entry, 28)?);
            let extra = usize::from(short(entry, 30)?);
            let comment = usize::from(short(entry, 32)?);
            let at = long(entry, 42)?;
            let text = entry.get(46..46 + name)?;
            let length = 46 + name + extra + comment;
            Some((flags, method, packed, unpacked, at, text, length))
        };
        let (flags, method, packed, unpacked, at, text, length) = read().ok_or_else(broken)?;
        let name = String::from_utf8_lossy(text).into_owned();
        if flags & 1 != 0 {
            return Err("the workbook is protected with a password; save it without".to_owned());
        }
        if [packed, unpacked, at].contains(&u32::MAX) {
            return Err(
                "the archive is of the 64-bit kind; save it as a smaller workbook".to_owned(),
            );
        }
        let is_deflated = match method {
            0 => false,
            8 => true,
            other => {
                return Err(format!(
                    "part {name} is packed by method {other}; save it again"
                ));
            }
        };
        let part = Self {
            name,
            is_deflated,
            packed: u64::from(packed),
            unpacked: u64::from(unpacked),
            at: u64::from(at),
        };
        Ok((part, length))
    }
}

enum From {
    Stored(Take<BufReader<File>>),
    Deflated(Box<DeflateDecoder<Take<BufReader<File>>>>),
}

/// A part's bytes: no more than its list entry says.
pub(crate) struct Unpacked {
    from: From,
    left: u64,
}

impl Read for Unpacked {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = match &mut self.from {
            From::Stored(from) => from.read(out)?,
            From::Deflated(from) => from.read(out)?,
        };
        let bytes = as_u64(read);
        if bytes > self.left {
            return Err(std::io::Error::other(
                "it unpacks to more than the archive says",
            ));
        }
        self.left -= bytes;
        Ok(read)
    }
}
