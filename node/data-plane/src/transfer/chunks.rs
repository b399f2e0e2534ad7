//! The files of an artefact as one run of bytes.
//!
//! It does not know what the bytes mean; it cuts and joins.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::offer::{chunk_count, chunk_range};
use crate::Error;
use crate::materialise::Manifest;

/// How the files of an artefact lie one after another, in the manifest's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    sizes: Vec<u64>,
    bytes: u64,
}

/// The part of a chunk that lies in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The file's position in the manifest.
    pub(crate) file: usize,
    /// Where the part begins in the file.
    pub(crate) offset: u64,
    /// Where it lies in the chunk.
    pub(crate) within: Range<usize>,
}

impl Layout {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self::new(manifest.files.iter().map(|file| file.bytes).collect())
    }

    pub(crate) fn new(sizes: Vec<u64>) -> Self {
        let bytes = sizes.iter().copied().fold(0, u64::saturating_add);
        Self { sizes, bytes }
    }

    pub(crate) fn files(&self) -> usize {
        self.sizes.len()
    }

    pub(crate) fn chunk_count(&self) -> u64 {
        chunk_count(self.bytes)
    }

    /// Bytes of a chunk; none beyond the last.
    pub(crate) fn chunk_bytes(&self, index: u64) -> usize {
        let range = chunk_range(self.bytes, index);
        usize::try_from(range.end - range.start).unwrap_or(0)
    }

    /// The parts of a chunk, in order.
    pub(crate) fn parts(&self, index: u64) -> Vec<Part> {
        let range = chunk_range(self.bytes, index);
        let mut parts = Vec::new();
        let mut begin: u64 = 0;
        for (file, size) in self.sizes.iter().enumerate() {
            let end = begin.saturating_add(*size);
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from < to {
                let within = |at: u64| usize::try_from(at - range.start).unwrap_or(0);
                parts.push(Part {
                    file,
                    offset: from - begin,
                    within: within(from)..within(to),
                });
            }
            if end >= range.end {
                break;
            }
            begin = end;
        }
        parts
    }
}

/// Reads one chunk of the files in `dir`, which lie one after another in the manifest's order.
///
/// # Errors
/// [`Error::Io`] when a file is gone or shorter than the manifest says.
pub(crate) fn read_chunk(dir: &Path, manifest: &Manifest, index: u64) -> Result<Vec<u8>, Error> {
    let layout = Layout::of(manifest);
    // Room for the seal's tag, so that sealing does not move the chunk.
    let mut chunk = Vec::with_capacity(layout.chunk_bytes(index) + SEAL_BYTES);
    chunk.resize(layout.chunk_bytes(index), 0);
    for part in layout.parts(index) {
        let name = &manifest.files[part.file].name;
        let open = File::open(dir.join(name)).map_err(Error::io("open a pinned file"))?;
        open.read_exact_at(&mut chunk[part.within], part.offset)
            .map_err(Error::io("read a pinned file"))?;
    }
    Ok(chunk)
}

/// What sealing adds to a chunk.
const SEAL_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::materialise::{ArtefactFile, root};
    use crypto::Digest;
    use crypto::merkle::ContentHasher;
    use schemas::{DatasetId, ParticipantId};

    #[test]
    fn chunks_joined_are_the_files_joined() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [700_000_usize, 0, 900_000, 1 << 20, 5];
        let mut whole = Vec::new();
        let mut files = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            let content: Vec<u8> = (0..*size)
                .map(|n| u8::try_from((n * 7 + at) % 251).unwrap())
                .collect();
            let name = format!("part-{at:05}.parquet");
            std::fs::write(dir.path().join(&name), &content).unwrap();
            files.push(ArtefactFile {
                name,
                bytes: content.len() as u64,
                digest: ContentHasher::digest(&content),
            });
            whole.extend(content);
        }
        let manifest = Manifest {
            dataset: DatasetId::parse("d").unwrap(),
            version: 1,
            grant: None,
            recipient: ParticipantId::parse("p").unwrap(),
            artefact: root(&files).unwrap(),
            files,
            rows: 0,
            row_limit_reached: false,
            schema: Digest::ZERO,
        };
        let count = chunk_count(manifest.bytes());
        let joined: Vec<u8> = (0..count)
            .flat_map(|at| read_chunk(dir.path(), &manifest, at).unwrap())
            .collect();
        assert!(joined == whole);
        assert!(read_chunk(dir.path(), &manifest, count).unwrap().is_empty());
    }
}
