//! The bytes of an uploaded file, unpacked.
//!
//! It does not know encodings or rows; whatever it reads, it reads as a stream with a limit.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// Most bytes of one file when unpacked: 64 GiB, about 500 million rows of lineitem. A small gzip
/// file can unpack to any size, so the packed size limits nothing.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 30;

/// Largest window of zstd that is unpacked: 128 MiB would be 27; this is 8 MiB, what its levels
/// without `--long` use.
const WINDOW_LOG_MAX: u32 = 23;

/// How much is read from the file at once.
const READ_BYTES: usize = 256 << 10;

/// A file that can be opened again, because telling its encoding may take a second reading.
pub struct Source {
    name: String,
    open: Box<dyn Fn() -> std::io::Result<Box<dyn Read + Send>> + Send + Sync>,
    path: Option<PathBuf>,
}

impl Source {
    /// A file on disk, under the name that the steward knows it by.
    #[must_use]
    pub fn file(path: &Path, name: &str) -> Self {
        let path = path.to_owned();
        let opened = path.clone();
        Self {
            name: shown(name),
            open: Box::new(move || Ok(Box::new(File::open(&opened)?))),
            path: Some(path),
        }
    }

    /// Whatever can be read from its start any number of times.
    pub fn reopenable(
        name: &str,
        open: impl Fn() -> std::io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: shown(name),
            open: Box::new(open),
            path: None,
        }
    }

    /// The name that the steward knows it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lies, when it is a file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Opens it and unpacks it when it begins as gzip (RFC 1952, 2.3.1) or zstd does (RFC 8878,
    /// 3.1.1).
    pub(crate) fn unpacked(&self) -> Result<Unpacked, Error> {
        let raw = (self.open)().map_err(Error::io("open the uploaded file"))?;
        let mut raw = BufReader::with_capacity(READ_BYTES, raw);
        let mut head = [0_u8; 4];
        let found = fill(&mut raw, &mut head).map_err(Error::io("read the uploaded file"))?;
        let packing = match &head[..found] {
            [0x1f, 0x8b, ..] => Some("gzip"),
            [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd"),
            _ => None,
        };
        let whole = std::io::Cursor::new(head[..found].to_vec()).chain(raw);
        let inner: Box<dyn Read + Send> = match packing {
            Some("gzip") => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                READ_BYTES, whole,
            ))),
            Some(_) => {
                let mut decoder = zstd::stream::read::Decoder::new(whole)
                    .map_err(Error::io("unpack the uploaded file"))?;
                decoder
                    .window_log_max(WINDOW_LOG_MAX)
                    .map_err(Error::io("unpack the uploaded file"))?;
                Box::new(decoder)
            }
            None => Box::new(whole),
        };
        Ok(Unpacked {
            inner,
            packing,
            name: self.name.clone(),
            offset: 0,
        })
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A file's bytes, unpacked, counted and limited.
pub(crate) struct Unpacked {
    inner: Box<dyn Read + Send>,
    packing: Option<&'static str>,
    name: String,
    offset: u64,
}

impl Unpacked {
    /// The name that the steward knows the file by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < buffer.len() {
            match self.inner.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let Some(packing) = self.packing else {
                        return Err(Error::io("read the uploaded file")(source));
                    };
                    return Err(Error::Unpacking {
                        file: self.name.clone(),
                        packing,
                        offset: self.offset.saturating_add(as_u64(done)),
                        source,
                    });
                }
            }
        }
        self.offset = self.offset.saturating_add(as_u64(done));
        if self.offset > UNPACKED_BYTES_MAX {
            return Err(Error::FileTooLarge {
                file: self.name.clone(),
                limit: UNPACKED_BYTES_MAX,
            });
        }
        Ok(done)
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match from.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Lengths in memory always fit 64 bits.
pub(crate) fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A file name from outside, cut and without control characters, so that it is safe in a message.
fn shown(name: &str) -> String {
    const NAME_CHARS_MAX: usize = 120;
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect()
}
